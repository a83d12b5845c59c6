"""The whole stack: AWS, Salesforce, the key in its secret and the certificate on its app, and environments of the functions.

Owns what is started and that all of it ends. What is done with it is the caller's (see `demo` and `__main__`).
"""

from __future__ import annotations

import contextlib
import functools
import json
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME, LocalSalesforce, World, key_material
from local_stack import template
from local_stack.aws import LocalAws
from local_stack.build import Build
from local_stack.gateway import Gateway
from local_stack.lambda_api import LambdaApi
from local_stack.lambda_function import ALIAS, LambdaFunction
from local_stack.runtime import LambdaRuntime

TOKEN_CACHE_PREFIX = "/salesforce-token-broker/local/tokens"  # noqa: S105  a path
CERTIFICATE_PARAMETER = "/salesforce-token-broker/local/certificate"
TOKEN_FUNCTIONS = ("TokenApiFunction", "TokenFunction")
EMERGENCY_SECONDS = 120
"""Enough here: nothing takes a snapshot."""
OTHER_USERNAME = "orders@acme.example"
GATEWAY_TOKEN = "gatewayToken"  # noqa: S105  the name of the stage variable in template.yaml


class LocalStack:
    """A deployed stack's parts on this machine, while the `with` block lasts."""

    def __init__(self, built: Build, *, host: str = "127.0.0.1", public_host: str = "") -> None:
        """`host`: where AWS and Salesforce listen; `public_host`: what functions in a container call it."""
        self._built = built
        self._host = host
        self._public_host = public_host
        self._ends = contextlib.ExitStack()
        self._environments: list[LambdaRuntime] = []
        self._functions: dict[str, LambdaFunction] = {}
        self.key = key_material.make()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as starting:
            self.aws = starting.enter_context(LocalAws(host=self._host, public_host=self._public_host))
            world = World.default(self.key.certificate)
            salesforce = LocalSalesforce(world, host=self._host, public_host=self._public_host)
            self.salesforce = starting.enter_context(salesforce)
            secret = {"client_id": DEFAULT_CONSUMER_KEY, "private_key": self.key.private_key}
            manager = self.aws.client("secretsmanager")
            self.secret_arn = manager.create_secret(Name="signing-key", SecretString=json.dumps(secret))["ARN"]
            self._gateway_token = secrets.token_hex(16)
            self._gateway_secret_arn = manager.create_secret(Name="gateway-token", SecretString=self._gateway_token)["ARN"]
            self.data_key_arn = self.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
            self._ends = starting.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()

    def environment(self, function: str, **settings: str) -> LambdaRuntime:
        """Start another execution environment of the function of that logical id, with changed `settings`."""
        environment = LambdaRuntime(function, self._built.code(function), self.variables() | settings)
        self._environments.append(environment)
        return self._ends.enter_context(environment)

    def variables(self) -> dict[str, str]:
        """Return what a function's environment holds here: its settings, and the way to this AWS."""
        return self.aws.environment | {
            "SIGNING_KEY_SECRET_ARN": self.secret_arn,
            "SALESFORCE_LOGIN_URL": self.salesforce.url,
            "SALESFORCE_USERNAME": DEFAULT_USERNAME,
            "ALLOWED_SUBJECTS": OTHER_USERNAME,
            "TOKEN_CACHE_PREFIX": TOKEN_CACHE_PREFIX,
            "TOKEN_CACHE_KMS_KEY_ID": self.data_key_arn,
            "CERTIFICATE_PARAMETER": CERTIFICATE_PARAMETER,
        }

    def caller(self, folder: Path, **settings: str) -> LambdaRuntime:
        """Start an environment of somebody's function (`folder` has its handler.py) that calls the broker."""
        environment = LambdaRuntime("Caller", self._built.caller(folder), self.aws.environment | settings)
        self._environments.append(environment)
        return self._ends.enter_context(environment)

    def lambda_api(self) -> LambdaApi:
        """Start an environment of the invoke function, and Lambda's API before it, for AWS_ENDPOINT_URL_LAMBDA."""
        self.function("TokenFunction").environment()
        return self._ends.enter_context(LambdaApi(self._functions))

    def gateway(self, *, port: int = 0) -> Gateway:
        """Start an environment of the HTTPS function, and a gateway before it."""
        handler = self.function("TokenApiFunction")
        handler.environment(ALIAS)
        invoke = functools.partial(handler.invoke, qualifier=ALIAS)
        gateway = Gateway(
            invoke,
            template.routes(template.load()),
            stage_variables={GATEWAY_TOKEN: self._gateway_token},
            port=port,
        )
        return self._ends.enter_context(gateway)

    def function(self, name: str) -> LambdaFunction:
        """Return the function of that logical id as Lambda keeps it: whoever comes to it, it is the same one."""
        if name not in self._functions:
            settings = {"GATEWAY_TOKEN_SECRET_ARN": self._gateway_secret_arn} if name == "TokenApiFunction" else {}
            self._functions[name] = LambdaFunction(name, functools.partial(self.environment, name, **settings))
        return self._functions[name]

    def emergency_stop(self) -> LambdaRuntime:
        """Start an environment of the operator's function that stops both others."""
        for handler in TOKEN_FUNCTIONS:
            self.function(handler)
        api = self._ends.enter_context(LambdaApi(self._functions))
        return self.environment(
            "EmergencyStopFunction",
            AWS_ENDPOINT_URL_LAMBDA=api.url,
            AWS_LAMBDA_FUNCTION_TIMEOUT=str(EMERGENCY_SECONDS),
            TOKEN_FUNCTIONS=",".join(TOKEN_FUNCTIONS),
        )

    @property
    def logs(self) -> str:
        """Everything that all environments have written."""
        return "".join(environment.log for environment in self._environments)
