"""A stack in the AWS of this process (moto), with a local Salesforce; its four functions are opened as cold starts do.

Time that a function sleeps passes at once. What is set up here is varied by the seed: key in the secret or in KMS, one app or
two, uploads from here or by a person, opaque tokens or JWTs, with the shared cache or without.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import random
import secrets
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from unittest import mock

import boto3
from botocore import xform_name

from leak_scan import allowed, shapes
from leak_scan.capture import Capture
from leak_scan.cold_start import certificate_of, forget_clients, outcome_of
from local_salesforce import (
    DEFAULT_ADMIN_USERNAME,
    DEFAULT_CONNECTED_APP_KEY,
    DEFAULT_CONSUMER_KEY,
    DEFAULT_USERNAME,
    App,
    KeyMaterial,
    LocalSalesforce,
    World,
)
from local_stack.secret_rotation import SecretRotation
from salesforce_broker import bootstrap
from salesforce_broker.clock import Clock
from salesforce_broker.operations import bootstrap as operations_bootstrap
from salesforce_broker.operations.rotation import steps
from tests.support.events import Context
from tests.support.fakes import FakeLambda

FUNCTIONS = Path(__file__).parents[2] / "functions"
OTHER_CONSUMER_KEY = "3MVG9.another-app-of-the-same-broker"
PREFIX = "/broker/tokens"
CERTIFICATE_PARAMETER = "/broker/certificate"
TOKEN_FUNCTIONS = ("TokenApiFunction", "TokenFunction")

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}

DEBUG = {"AWS_LAMBDA_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true"}


class Account:
    """Lives while the `with` block lasts; what it leaves lying about is in the capture then."""

    def __init__(
        self, capture: Capture, pairs: list[KeyMaterial], rng: random.Random, outcomes: Counter[str] | None = None
    ) -> None:
        """`outcomes` counts what is answered."""
        self.capture = capture
        self.outcomes = Counter() if outcomes is None else outcomes
        self.pairs = pairs
        self.pair = rng.choice(pairs)
        self.lambda_ = FakeLambda(*TOKEN_FUNCTIONS)
        self.max_seconds = 900.0
        self._skipped = 0.0
        self.functions: dict[str, Any] = {}
        self._ends = contextlib.ExitStack()
        shares = (0.5, 0.6, 0.15, 0.25, 0.8, 0.8, 0.5)
        two_apps, uploads, kms, jwt_format, shared, imports, gateway = (rng.random() < share for share in shares)
        self._uploads = two_apps and uploads
        self._behind_gateway = gateway
        self.gateway_token = ""
        self._token_format: Literal["jwt", "opaque"] = "jwt" if jwt_format else "opaque"
        self._settings = {
            "SALESFORCE_USERNAME": DEFAULT_USERNAME,
            "SALESFORCE_CLIENT_ID": DEFAULT_CONSUMER_KEY,
            "TOKEN_CACHE_PREFIX": PREFIX if shared else "",
            "ALLOW_IMPORT": str(imports).lower(),
            "CERTIFICATE_PARAMETER": CERTIFICATE_PARAMETER,
            "EVENT_BUS_NAME": "default",
            "KEY_STORE": "kms" if kms else "secret",
            "STACK_NAME": "broker",
            "SIGNER_ROLE_ARNS": "arn:aws:iam::123456789012:role/broker-token",
            "SALESFORCE_APP_NAME": "Broker",
            "TOKEN_FUNCTIONS": ",".join(TOKEN_FUNCTIONS),
        }
        if two_apps:
            self._settings |= {"SALESFORCE_OTHER_CLIENT_ID": OTHER_CONSUMER_KEY, "SALESFORCE_OTHER_APP_NAME": "Other_Broker"}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as starting:
            folder = Path(starting.enter_context(tempfile.TemporaryDirectory()))
            self.folder = folder
            places = {"HOME": str(folder), "TMPDIR": str(folder)}
            starting.enter_context(mock.patch.dict(os.environ, {**CREDENTIALS, **DEBUG, **places}))
            starting.enter_context(mock.patch.object(tempfile, "tempdir", str(folder)))
            starting.enter_context(contextlib.chdir(folder))
            world = World.default(self.pair.certificate)
            world.apps[0].name = "Broker"
            world.apps[0].token_format = self._token_format
            world.apps.append(App(consumer_key=OTHER_CONSUMER_KEY, org=world.apps[0].org, name="Other_Broker"))
            self.salesforce = starting.enter_context(LocalSalesforce(world))
            starting.enter_context(mock.patch.object(self.salesforce.sessions, "log_in", self._noting_log_in()))
            clock = Clock(wall=self.salesforce.clock.now, monotonic=self._monotonic, sleep=self.skip)
            for module in (bootstrap, operations_bootstrap):
                starting.enter_context(mock.patch.object(module, "Clock", return_value=clock))
            # Keys of the default size take a second each.
            starting.enter_context(mock.patch.object(steps, "DEFAULT_KEY_BITS", 2048))
            self.secrets, self.parameters = boto3.client("secretsmanager"), boto3.client("ssm")
            self.secret_arn = self._secret("signing-key", DEFAULT_CONSUMER_KEY)
            self._settings |= {"SIGNING_KEY_SECRET_ARN": self.secret_arn, "SALESFORCE_LOGIN_URL": self.salesforce.url}
            self._settings["ALLOWED_SUBJECTS"] = ",".join(user.username for user in world.users[1:])
            if self._behind_gateway:
                self.gateway_token = secrets.token_hex(16)
                self.capture.index.add(shapes.of_gateway_token(self.gateway_token))
                arn = self.secrets.create_secret(Name=f"gateway-{uuid.uuid4()}", SecretString=self.gateway_token)["ARN"]
                self._settings["GATEWAY_TOKEN_SECRET_ARN"] = arn
            if self._uploads:
                self._settings["SALESFORCE_ADMIN_USERNAME"] = DEFAULT_ADMIN_USERNAME
                self._settings["SALESFORCE_ADMIN_SECRET_ARN"] = self._secret("admin", DEFAULT_CONNECTED_APP_KEY)
            self.secrets_manager = SecretRotation(self.secret_arn)
            self.mend()
            self._ends = starting.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.capture.request = "what is left of the account"
        self._add_parameters()
        self.capture.add_files(self.folder)
        self._ends.close()
        forget_clients()

    def mend(self) -> None:
        """Bring back what faults have changed: settings, certificate, users, secret, AWS, Salesforce."""
        for name in [name for name in os.environ if name.startswith(("SALESFORCE_", "TOKEN_", "SUBJECT_", "GATEWAY_"))]:
            del os.environ[name]
        os.environ.update(self._settings)
        self.capture.aws = self._no_fault
        self.max_seconds = 900.0
        self.salesforce.faults.clear()
        self._trust_current_key()
        for function in self.lambda_.functions.values():
            function.reserved = None
        for user in self.salesforce.world.users:
            user.state = "active"

    def renew_secret(self) -> None:
        """Have the first key in the secret again, whatever was put there."""
        self.put_secret(json.dumps({"client_id": DEFAULT_CONSUMER_KEY, "private_key": self.pair.private_key}))
        self.close()

    def put_secret(self, text: str) -> None:
        """Store another current version of the secret."""
        self.secrets.put_secret_value(SecretId=self.secret_arn, SecretString=text)

    def close(self) -> None:
        """End the environments: the next request of each function meets a cold one."""
        self.functions.clear()

    def call(self, function: str, event: object, *, seconds: float = 20) -> None:
        """Send an event to a function; collect its answer, or what it raises."""
        try:
            handler = self._open(function)
            answer = handler.lambda_handler(event, Context(seconds=min(seconds, self.max_seconds)))
        except Exception as error:  # noqa: BLE001  whatever leaves the function is looked at
            self.capture.add_exception(error)
            self.outcomes[getattr(error, "code", type(error).__name__)] += 1
        else:
            self.capture.add("answer", json.dumps(allowed.in_answer(answer), default=repr))
            self.outcomes[outcome_of(answer)] += 1

    def skip(self, seconds: float) -> None:
        """Let time pass at once."""
        self._skipped += seconds
        self.salesforce.clock.advance(seconds)

    def lambda_api(self, operation: str, parameters: dict[str, Any]) -> Any:
        """Answer in Lambda's place: nothing here runs in its functions."""
        return getattr(self.lambda_, xform_name(operation))(**parameters) or {}

    def _no_fault(self, service: str, operation: str, parameters: dict[str, Any]) -> Any:
        return self.lambda_api(operation, parameters) if service == "lambda" else None

    def _monotonic(self) -> float:
        return time.monotonic() + self._skipped

    def _open(self, function: str) -> Any:
        """Import a handler as a cold start does, with nothing in memory."""
        if function not in self.functions:
            forget_clients()
            spec = importlib.util.spec_from_file_location(f"{function}_handler", FUNCTIONS / function / "handler.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            self.functions[function] = module
        return self.functions[function]

    def _secret(self, name: str, client_id: str) -> str:
        text = json.dumps({"client_id": client_id, "private_key": self.pair.private_key})
        return str(self.secrets.create_secret(Name=f"{name}-{uuid.uuid4()}", SecretString=text)["ARN"])

    def _trust_current_key(self) -> None:
        """Upload the certificate of the key in use to its app, as an administrator does after a change."""
        fields = json.loads(self.secrets.get_secret_value(SecretId=self.secret_arn)["SecretString"])
        pem = fields.get("certificate") or certificate_of(fields["private_key"])
        self.salesforce.set_certificate(fields.get("client_id", DEFAULT_CONSUMER_KEY), pem)

    def _noting_log_in(self) -> Callable[..., Any]:
        log_in = self.salesforce.sessions.log_in

        def noted(*arguments: Any, **rest: Any) -> Any:
            session = log_in(*arguments, **rest)
            self.capture.learn_token(session.token)
            return session

        return noted

    def _add_parameters(self) -> None:
        """Collect every parameter as it is stored, its history too, and delete it."""
        for page in self.parameters.get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True):
            for found in page["Parameters"]:
                history = self.parameters.get_parameter_history(Name=found["Name"], WithDecryption=True)["Parameters"]
                self.capture.add("parameter", json.dumps([found, history], default=repr))
                self.parameters.delete_parameter(Name=found["Name"])
