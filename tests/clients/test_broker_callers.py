"""Callers that are not ours, with tokens of the broker: jsforce by its refreshFn, the Salesforce CLI by its environment."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_salesforce import DEFAULT_USERNAME
from local_stack.build import ROOT
from local_stack.stack import LocalStack
from tests.clients.conftest import INSTALLED, Bench
from tests.integration.conftest import built, stack

__all__ = ["built", "stack"]

USE = """
import { connect } from "./accounts.mjs";
const connection = await connect();
const made = await connection.sobject("Account").create({ Name: "Made by jsforce" });
await fetch(process.env.KILL, { method: "DELETE" });
console.log(JSON.stringify(await connection.sobject("Account").retrieve(made.id)));
"""


@pytest.fixture
def caller(stack: LocalStack) -> Iterator[dict[str, str]]:
    """Return the environment of a caller of a fresh stack, and where sessions are killed."""
    api = stack.lambda_api()
    yield {
        "PATH": os.environ["PATH"],
        **stack.aws.environment,
        "AWS_ENDPOINT_URL_LAMBDA": api.url,
        "AWS_REGION": stack.aws.environment["AWS_DEFAULT_REGION"],
        "SALESFORCE_BROKER_FUNCTION": "TokenFunction",
        "KILL": f"{stack.salesforce.url}/__admin/sessions",
    }
    assert api.invocations


def test_jsforce_renews_itself_with_the_brokers_tokens(stack: LocalStack, caller: dict[str, str], tmp_path: Path) -> None:
    """The example as it stands; a session killed meanwhile costs one login more."""
    for name, text in {"accounts.mjs": (ROOT / "examples" / "jsforce" / "accounts.mjs").read_text(), "use.mjs": USE}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "node_modules").symlink_to(INSTALLED / "npm" / "node_modules")
    node = INSTALLED / "python" / "bin" / "node"
    ended = subprocess.run(
        [str(node), str(tmp_path / "use.mjs")], env=caller, capture_output=True, text=True, check=False, timeout=120
    )
    assert 0 == ended.returncode, ended.stderr
    assert "Made by jsforce" == json.loads(ended.stdout)["Name"]
    assert 2 == stack.salesforce.logins()


def test_the_installed_command_line_logs_the_salesforce_cli_in(stack: LocalStack, caller: dict[str, str], bench: Bench) -> None:
    """`env` of the package as pip installs it, then `sf org login access-token`, then a query."""
    python = INSTALLED / "python" / "bin" / "python"
    command = [str(python), "-m", "salesforce_broker_client", "env"]
    script = subprocess.run(command, env=caller, capture_output=True, text=True, check=True, timeout=60).stdout
    exported = dict(word.split("=", 1) for word in shlex.split(script) if word != "export")
    login = ("org", "login", "access-token", "--instance-url", exported["SF_ORG_INSTANCE_URL"], "--no-prompt")
    assert DEFAULT_USERNAME == bench.cli(*login, SF_ACCESS_TOKEN=exported["SF_ACCESS_TOKEN"])["result"]["username"]
    query = ("data", "query", "--query", "SELECT Name FROM Organization", "--target-org", DEFAULT_USERNAME)
    assert "Acme" == bench.cli(*query)["result"]["records"][0]["Name"]
    assert 1 == stack.salesforce.logins()
