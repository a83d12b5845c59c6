"""The built artifact in the real Lambda runtime: what `sam build` made, awslambdaric, SAM's runtime interface emulator."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from local_salesforce import DEFAULT_USERNAME, App, User
from local_salesforce.sessions import Session
from local_stack import demo
from local_stack.build import ROOT, Build
from local_stack.runtime import FunctionError
from local_stack.stack import LocalStack
from tests.integration.conftest import folder_of
from tests.support.events import event_file

TOKEN_FUNCTIONS = {"api": "TokenApiFunction", "invoke": "TokenFunction", "rotate": "RotateKeyFunction"}
"""By the first word of an event's name."""


def curl(url: str, body: str | None = None, *, method: str | None = None) -> tuple[int, dict[str, Any]]:
    """Send what curl would; return status and body."""
    request = urllib.request.Request(url, body.encode() if body is not None else None, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_main_job(stack: LocalStack) -> None:
    """One login, then memory; a fresh environment of the other function reads SSM; Salesforce verified one signature."""
    api = stack.gateway()
    status, first = curl(f"{api.url}/token", method="POST")
    _, second = curl(f"{api.url}/api/jwtauth", json.dumps({"sub": DEFAULT_USERNAME}))
    third = stack.environment("TokenFunction").invoke({})
    assert (200, "salesforce", "memory", "shared") == (status, first["source"], second["source"], third["source"])
    assert (1, 1) == (stack.salesforce.exchanges(), stack.salesforce.logins())
    assert DEFAULT_USERNAME == curl(f"{api.url}/identity")[1]["username"]
    assert "ok" == curl(f"{api.url}/health")[1]["status"]
    assert demo.leaks(stack, tokens=[first["access_token"]])


def test_what_make_run_prints_holds_no_secret(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are shortened; keys and assertions are not there at all."""
    said: list[str] = []
    tokens: list[str] = []
    log_in = stack.salesforce.sessions.log_in

    def note(user: User, app: App, address: str) -> Session:
        session = log_in(user, app, address)
        tokens.append(session.token)
        return session

    monkeypatch.setattr(stack.salesforce.sessions, "log_in", note)
    demo.run(stack, said.append)
    text = "\n".join(said)
    assert [True, True] == [token[:19] in text for token in tokens[:2]]
    assert not [token for token in tokens if token in text]
    assert "eyJhbGciOi" not in text
    assert not [line for line in stack.key.private_key.splitlines()[1:-1] if line in text]


@pytest.mark.parametrize(
    ("name", "function"),
    [
        (path.stem, TOKEN_FUNCTIONS[path.stem.partition("-")[0]])
        for path in sorted((ROOT / "events").glob("*.json"))
        if not path.stem.startswith("emergency")  # test_emergency_stop sends it
    ],
)
def test_every_event_of_the_repository_is_answered(stack: LocalStack, name: str, function: str) -> None:
    """What a user sends with `sam local invoke --event`."""
    answer = stack.environment(function).invoke(event_file(name))
    expected = {"TokenApiFunction": "statusCode", "TokenFunction": "fingerprint", "RotateKeyFunction": "certificate"}
    assert answer[expected[function]]
    assert 200 == answer.get("statusCode", 200)


def test_the_invoke_function_fails_as_lambda_reports_it(stack: LocalStack) -> None:
    """errorType is the class, errorMessage the answer; the stack trace shows the handler and no module behind it."""
    with pytest.raises(FunctionError) as caught:
        stack.environment("TokenFunction").invoke({"sub": "admin@acme.example"})
    assert "AccessDenied" == caught.value.type
    assert "access_denied" == json.loads(caught.value.message)["error"]
    assert "salesforce_broker" not in "".join(caught.value.trace)


def test_a_cold_start_without_a_secret_lives_and_heals(stack: LocalStack) -> None:
    """The key cannot be pulled at cold start: the environment answers, and once the secret is there, with a token."""
    secrets = stack.aws.client("secretsmanager")
    arn = secrets.create_secret(Name="empty")["ARN"]
    environment = stack.environment("TokenFunction", SIGNING_KEY_SECRET_ARN=arn)
    with pytest.raises(FunctionError, match="signing_key_unavailable"):
        environment.invoke({})
    value = secrets.get_secret_value(SecretId=stack.secret_arn)["SecretString"]
    secrets.put_secret_value(SecretId=arn, SecretString=value)
    assert "salesforce" == environment.invoke({})["source"]


def test_the_key_is_pulled_at_cold_start(stack: LocalStack) -> None:
    """Ahead of the first request: a health check, which touches no key, finds it pulled."""
    environment = stack.environment("TokenApiFunction")
    environment.invoke(event_file("api-health"))
    stack.aws.client("secretsmanager").delete_secret(SecretId=stack.secret_arn, ForceDeleteWithoutRecovery=True)
    assert 200 == environment.invoke(event_file("api-token"))["statusCode"]


def test_a_debug_level_does_not_make_libraries_talk(stack: LocalStack) -> None:
    """The log level setting of Lambda reaches the broker's own logger at most."""
    settings = {"AWS_LAMBDA_LOG_LEVEL": "DEBUG", "AWS_LAMBDA_LOG_FORMAT": "JSON", "POWERTOOLS_LOG_LEVEL": "DEBUG"}
    environment = stack.environment("TokenFunction", **settings, POWERTOOLS_LOGGER_LOG_EVENT="true")
    answer = environment.invoke({"sub": DEFAULT_USERNAME})
    assert demo.leaks(stack, tokens=[answer["access_token"]])
    assert "get_secret_value" not in environment.log


@pytest.mark.parametrize("body", ["[" * 4000, '{"sub": 1}', '{"sub":"a@b.c","sub":"d@e.f"}', "\x00", '{"x": 1}', "x" * 10**6])
def test_a_bad_request_is_a_400(stack: LocalStack, body: str) -> None:
    """Never a 500, never a trace."""
    status, answer = curl(f"{stack.gateway().url}/token", body)
    assert (400, "invalid_request") == (status, answer["error"])


def test_the_artifact_carries_byte_code_that_fits(built: Build) -> None:
    """A cold start compiles nothing: every module has its byte code, valid whatever the files' times are."""
    code, caller = built.code("TokenFunction"), built.caller(ROOT)
    script = (
        "import sys, pathlib, importlib.util as u\n"
        "for root in sys.argv[1:]:\n"
        "    for path in pathlib.Path(root).rglob('*.py'):\n"
        "        cached = pathlib.Path(u.cache_from_source(str(path)))\n"
        "        flags = int.from_bytes(cached.read_bytes()[4:8], 'little') if cached.exists() else None\n"
        "        cached.exists() and cached.read_bytes()[:4] == u.MAGIC_NUMBER and flags == 1 or print(path, flags)\n"
    )
    missing = subprocess.run(
        [code.python, "-c", script, code.function, *code.layers, *caller.layers], capture_output=True, text=True, check=True
    )
    assert "" == missing.stdout


def processes_below(pid: int) -> set[int]:
    """Return the descendants of a process."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for left-over processes in /proc")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_everything_ends_with_serve(built: Build, ending: signal.Signals) -> None:
    """Ctrl-C, or a plain kill: no process and no listener is left."""
    with subprocess.Popen(
        # Built already: another build would change what the environments of other tests run just now.
        [sys.executable, "-m", "local_stack", "serve", "--port", "0", "--built", str(folder_of(built))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "tools"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("Salesforce is"):
                break
        children = processes_below(process.pid)
        assert children
        assert "/__admin/" in said
        process.send_signal(ending)
        assert 130 == process.wait(timeout=60)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    for port in set(re.findall(r"http://127\.0\.0\.1:(\d+)", said)):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()
