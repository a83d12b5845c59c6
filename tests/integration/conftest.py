"""Integration tests talk to loopback only; `account` is an AWS in process with a local Salesforce beside it."""

from __future__ import annotations

import fcntl
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pytest_socket import enable_socket, socket_allow_hosts

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME, LocalSalesforce, World
from local_stack.build import Build, build
from local_stack.stack import LocalStack
from salesforce_broker import bootstrap
from tests.support import keys
from tests.support.events import Context

FUNCTIONS = Path(__file__).parents[2] / "functions"
OTHER_USERNAME = "orders@acme.example"
PREFIX = "/broker/tokens"


@pytest.fixture(autouse=True)
def _loopback_only() -> Iterator[None]:
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build once in a run: of the processes among which it is spread the first one builds, and the others wait for it."""
    run = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        run = run.parent
    done = run / "built"
    with (run / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return build(print, Path(done.read_text()))
        made = build(print)
        done.write_text(str(folder_of(made)))
        return made


def folder_of(built: Build) -> Path:
    """Return the folder that `sam build` made."""
    return built.code("TokenFunction").function.parent


@pytest.fixture
def stack(built: Build) -> Iterator[LocalStack]:
    """Start a stack without environments."""
    with LocalStack(built) as running:
        yield running


class Account:
    """An AWS account with the secret, a Salesforce with the certificate, and functions that can be opened as cold starts do."""

    def __init__(self, salesforce: LocalSalesforce, monkeypatch: pytest.MonkeyPatch) -> None:
        self.salesforce = salesforce
        self.environment = monkeypatch
        self.secrets = boto3.client("secretsmanager")
        self.parameters = boto3.client("ssm")
        self.secret_arn = self.secrets.create_secret(
            Name="signing-key", SecretString=keys.secret(client_id=DEFAULT_CONSUMER_KEY)
        )["ARN"]
        self.set(
            SIGNING_KEY_SECRET_ARN=self.secret_arn,
            SALESFORCE_LOGIN_URL=salesforce.url,
            SALESFORCE_USERNAME=DEFAULT_USERNAME,
            ALLOWED_SUBJECTS=",".join(user.username for user in salesforce.world.users[1:]),
            TOKEN_CACHE_PREFIX=PREFIX,
        )

    def set(self, **settings: str | None) -> None:
        """Set environment variables of the function; None removes one."""
        for name, value in settings.items():
            if value is None:
                self.environment.delenv(name, raising=False)
            else:
                self.environment.setenv(name, value)

    def put_secret(self, text: str) -> None:
        """Store another version of the secret."""
        self.secrets.put_secret_value(SecretId=self.secret_arn, SecretString=text)

    def open(self, handler: str) -> ModuleType:
        """Import a function's handler as a cold start does, with nothing in memory."""
        bootstrap.token_service.cache_clear()
        bootstrap.gateway_token_source.cache_clear()
        spec = importlib.util.spec_from_file_location(f"{handler}_handler", FUNCTIONS / handler / "handler.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def call(self, event: Any, *, handler: ModuleType | None = None) -> tuple[int, dict[str, Any]]:
        """Send an event to the HTTPS function (a fresh one unless given); return status and body."""
        answer = (handler or self.open("token_api")).lambda_handler(event, Context())
        return answer["statusCode"], json.loads(answer["body"])

    def invoke(self, payload: Any, *, handler: ModuleType | None = None) -> dict[str, Any]:
        """Invoke the other function (a fresh one unless given)."""
        answer: dict[str, Any] = (handler or self.open("token_invoke")).lambda_handler(payload, Context())
        return answer


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """Return a fresh account; what boto3 finds of this machine's own configuration is out of sight."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws(), LocalSalesforce(World.default(keys.certificate())) as salesforce:
        yield Account(salesforce, monkeypatch)
    bootstrap.token_service.cache_clear()
    bootstrap.gateway_token_source.cache_clear()
