"""Fakes at the seams: what the modules see of AWS and of Salesforce, with every call counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError

from local_stack.lambda_api import CONFIGURATION, LIVE, OPERATIONS, PROVISIONED, RESERVED, RESERVED_NOW, VERSIONS
from local_stack.lambda_function import LATEST, LambdaFunction, Refused
from local_stack.runtime import LambdaRuntime
from salesforce_broker.clock import Deadline
from salesforce_broker.errors import BrokerError
from salesforce_broker.salesforce.transport import Reply


class FakeTransport:
    """Answers from a script: a Reply or an error for each call, the last one for ever."""

    def __init__(self, *script: Reply | BrokerError) -> None:
        self._script: Iterator[Reply | BrokerError] = iter(script)
        self._last: Reply | BrokerError | None = None
        self.assertions: list[str] = []
        self.urls: list[str] = []
        self.forms: list[Mapping[str, str]] = []
        self.bearers: list[str] = []
        self.before_answer: Callable[[], None] = lambda: None

    def post_form(self, url: str, form: Mapping[str, str], deadline: Deadline) -> Reply:
        """Take a token request, or a revocation."""
        assert deadline.seconds_left > 0
        self.urls.append(url)
        self.forms.append(form)
        self.assertions += [form["assertion"]] if "assertion" in form else []
        return self._answer()

    def get(self, url: str, bearer: str, deadline: Deadline) -> Reply:
        """Take an identity request."""
        assert deadline.seconds_left > 0
        self.urls.append(url)
        self.bearers.append(bearer)
        return self._answer()

    def _answer(self) -> Reply:
        self.before_answer()
        self._last = next(self._script, self._last)
        assert self._last is not None
        if isinstance(self._last, BrokerError):
            raise self._last
        return self._last


class FakeSecretsManager:
    """Holds one secret; `fails_with` an AWS error code makes it fail."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.version_id = "v1"
        self.other_stages: dict[str, str] = {}
        self.fails_with: str | None = None
        self.calls = 0

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, Any]:  # noqa: N803  boto3's own
        """Take GetSecretValue."""
        assert SecretId
        self.calls += 1
        if self.fails_with:
            raise client_error(self.fails_with)
        if VersionStage != "AWSCURRENT":
            if VersionStage not in self.other_stages:
                raise client_error("ResourceNotFoundException")
            return {"SecretString": self.other_stages[VersionStage], "VersionId": VersionStage}
        return {"SecretString": self.text, "VersionId": self.version_id}


class FakeParameterStore:
    """Holds parameters; `broken` makes every call fail, by an AWS error code or (None) by a time-out.

    `refuse_creation`: whatever is to be created is there already, as where somebody creates it first.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.broken: str | bool | None = False
        self.refuse_creation = False
        self.reads = 0
        self.writes: list[dict[str, Any]] = []

    def get_parameters(self, *, Names: list[str], **_: bool) -> dict[str, Any]:  # noqa: N803  boto3's own
        """Take GetParameters."""
        self.reads += 1
        self._before(read=True)
        return {"Parameters": [{"Name": name, "Value": self.values[name]} for name in Names if name in self.values]}

    def put_parameter(self, **arguments: Any) -> None:
        """Take PutParameter."""
        self.writes.append(arguments)
        self._before(read=False)
        if (self.refuse_creation or arguments["Name"] in self.values) and not arguments.get("Overwrite"):
            raise client_error("ParameterAlreadyExists")
        self.values[arguments["Name"]] = arguments["Value"]

    def delete_parameter(self, *, Name: str) -> None:  # noqa: N803  boto3's own
        """Take DeleteParameter."""
        self._before(read=False)
        if self.values.pop(Name, None) is None:
            raise client_error("ParameterNotFound")

    @property
    def tokens_written(self) -> int:
        """Count the writes of sealed tokens and pauses, leases aside."""
        return sum(write["Type"] == "SecureString" for write in self.writes)

    def _before(self, *, read: bool) -> None:
        del read
        if self.broken is None:
            raise ConnectTimeoutError(endpoint_url="https://ssm.example")
        if self.broken:
            raise client_error(str(self.broken))


class FakeEventBus:
    """Takes events; `fails_with` an AWS error code, or None for a time-out, makes it fail."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.fails_with: str | bool | None = False
        self.refuses = False

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803  boto3's own
        """Take PutEvents."""
        if self.fails_with is None:
            raise ConnectTimeoutError(endpoint_url="https://events.example")
        if self.fails_with:
            raise client_error(str(self.fails_with))
        if self.refuses:
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
        self.events += [entry | {"Detail": json.loads(entry["Detail"])} for entry in Entries]
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}


def no_kms() -> Any:
    """Be asked for KMS by nobody: the key lies in the secret."""
    raise AssertionError("KMS is of no use here")


class FakeLambda:
    """Lambda's API over functions that never run: `fails` has AWS error codes to come, by operation and function.

    `states` has those of versions to come, until they are Active.
    """

    def __init__(self, *names: str) -> None:
        self.functions = {name: LambdaFunction(name, _never) for name in names}
        self.fails: dict[tuple[str, str], Iterator[str]] = {}
        self.states: list[str] = []
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Return boto3's method of that name."""
        wire = LAMBDA_OPERATIONS[operation]

        def call(*, FunctionName: str, Qualifier: str = LATEST, **arguments: Any) -> Any:  # noqa: N803  boto3's own
            self.calls.append((operation, FunctionName))
            code = next(self.fails.get((operation, FunctionName), iter(())), None)
            if code:
                raise client_error(code)
            arguments.pop("Name", None)
            try:
                _, answer = OPERATIONS[wire](self.functions[FunctionName], arguments, Qualifier)
            except Refused as refused:
                raise client_error(refused.kind) from None
            if wire == ("GET", CONFIGURATION) and Qualifier != LATEST and self.states:
                answer["State"] = self.states.pop(0)
            return answer

        return call


LAMBDA_OPERATIONS = {
    "put_function_concurrency": ("PUT", RESERVED),
    "delete_function_concurrency": ("DELETE", RESERVED),
    "get_function_concurrency": ("GET", RESERVED_NOW),
    "put_provisioned_concurrency_config": ("PUT", PROVISIONED),
    "delete_provisioned_concurrency_config": ("DELETE", PROVISIONED),
    "get_function_configuration": ("GET", CONFIGURATION),
    "update_function_configuration": ("PUT", CONFIGURATION),
    "publish_version": ("POST", VERSIONS),
    "update_alias": ("PUT", LIVE),
}


def _never() -> LambdaRuntime:
    raise AssertionError("no environment is started here")


def client_error(code: str) -> ClientError:
    """Return boto3's exception for an AWS error code."""
    return ClientError({"Error": {"Code": code, "Message": "a message that must not be repeated"}}, "Operation")
