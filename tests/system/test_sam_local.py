"""`sam local invoke` and `sam local start-api`, as users run them, with what `sam build` made and the files of events/."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local_salesforce import DEFAULT_USERNAME
from local_stack.build import ROOT, SAM_ENVIRONMENT, build
from local_stack.runtime import LAMBDA_MACHINE
from local_stack.stack import LocalStack

ARCHITECTURE = LAMBDA_MACHINE[platform.machine().lower()]
IMAGE = f"public.ecr.aws/lambda/python:3.13-{ARCHITECTURE}"
CONTAINERS_CALL_IT = "host.docker.internal"
START_SECONDS = 60
EVENTS: dict[str, tuple[str, Callable[[dict[str, Any]], bool]]] = {
    "invoke-token": ("TokenFunction", lambda answer: answer["outcome"] == "issued"),
    "invoke-token-for-user": ("TokenFunction", lambda answer: answer["source"] == "salesforce"),
    "invoke-identity": ("TokenFunction", lambda answer: answer["username"] == DEFAULT_USERNAME),
    "api-token": ("TokenApiFunction", lambda answer: answer["statusCode"] == 200),
    "api-jwtauth": ("TokenApiFunction", lambda answer: answer["statusCode"] == 200),
    "rotate-key": ("RotateKeyFunction", lambda answer: answer["stage"] == "AWSPENDING"),
    "api-health": ("TokenApiFunction", lambda answer: answer["statusCode"] == 200),
}


def why_not() -> str:
    """Return what is missing; empty if nothing is."""
    try:
        found = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, text=True, check=False)  # noqa: S607
    except FileNotFoundError:
        return "there is no Docker"
    if "Cannot connect" in found.stderr or "permission denied" in found.stderr:
        return "Docker does not run"
    return "" if found.returncode == 0 else f"there is no image {IMAGE}: docker pull it"


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


class SamLocal:
    """A stack whose AWS and Salesforce listen on Docker's bridge, and SAM CLI with a template that leads there."""

    def __init__(self, stack: LocalStack, folder: Path, built: Path) -> None:
        self.stack = stack
        template = (built / "template.yaml").read_text()
        # --env-vars sets only what the template declares; the way to this AWS is nothing that a deployed function has.
        self._template = built / "sam-local.yaml"
        self._template.write_text(template.replace("      Variables:\n", "      Variables:\n        AWS_ENDPOINT_URL: ''\n", 1))
        self._variables = folder / "env.json"
        variables = stack.variables() | {"TOKEN_CACHE_PREFIX": "", "GATEWAY_TOKEN_SECRET_ARN": ""}
        self._variables.write_text(
            json.dumps(dict.fromkeys(("TokenFunction", "TokenApiFunction", "RotateKeyFunction"), variables))
        )

    def command(self, *words: str) -> list[str]:
        """Return a `sam local` command."""
        options = ["--template", str(self._template), "--env-vars", str(self._variables), "--skip-pull-image"]
        options += ["--add-host", f"{CONTAINERS_CALL_IT}:host-gateway", "--parameter-overrides", f"Architecture={ARCHITECTURE}"]
        return [str(SAM_ENVIRONMENT / "bin" / "sam"), "local", *words, *options]

    @property
    def environment(self) -> dict[str, str]:
        """What SAM CLI sees of this machine."""
        hidden = {"AWS_ENDPOINT_URL"}
        visible = {name: value for name, value in self.stack.aws.environment.items() if name not in hidden}
        return {**os.environ, **visible, "SAM_CLI_TELEMETRY": "0"}


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamLocal]:
    """Build, and start the stack."""
    built = build(print)
    inspected = subprocess.run(
        ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    with LocalStack(built, host=inspected.stdout.strip(), public_host=CONTAINERS_CALL_IT) as stack:
        yield SamLocal(stack, tmp_path_factory.mktemp("sam"), ROOT / ".aws-sam" / "local-3.13")


@pytest.mark.parametrize("event", list(EVENTS))
def test_an_event_is_answered(sam: SamLocal, event: str) -> None:
    """`sam local invoke FUNCTION --event events/...`."""
    function, holds = EVENTS[event]
    command = sam.command("invoke", function, "--event", f"events/{event}.json")
    ended = subprocess.run(command, cwd=ROOT, env=sam.environment, capture_output=True, text=True, check=False, timeout=300)
    assert 0 == ended.returncode, ended.stderr
    assert holds(json.loads(ended.stdout.splitlines()[-1]))


def test_a_request_at_the_alias_is_answered(sam: SamLocal) -> None:
    """`sam local start-api`, then POST /api/jwtauth: a token that Salesforce knows."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = sam.command("start-api", "--port", str(port), "--warm-containers", "LAZY")
    with subprocess.Popen(
        command, cwd=ROOT, env=sam.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            answer = post(f"http://127.0.0.1:{port}/api/jwtauth", {"sub": DEFAULT_USERNAME})
            again = post(f"http://127.0.0.1:{port}/api/jwtauth", {"sub": DEFAULT_USERNAME})
            refused = post(f"http://127.0.0.1:{port}/token", {"sub": "nobody@acme.example"})
        finally:
            os.killpg(server.pid, signal.SIGINT)
            try:
                server.wait(60)
            finally:
                # Where SIGINT is ignored, as in a shell's background, it would never end.
                server.kill()
    session = sam.stack.salesforce.sessions.find(answer["access_token"])
    assert session
    assert (DEFAULT_USERNAME, "memory") == (session.user.username, again["source"])
    assert "access_denied" == refused["error"]
    assert re.fullmatch(r"[0-9a-f]{16}", answer["fingerprint"])


def post(url: str, body: object) -> dict[str, Any]:
    """Post JSON, as soon as somebody listens."""
    give_up = time.monotonic() + START_SECONDS
    while True:
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                found: dict[str, Any] = json.load(response)
                return found
        except urllib.error.HTTPError as error:
            with error, contextlib.suppress(ValueError):
                refused: dict[str, Any] = json.load(error)
                return refused
            raise
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.3)
