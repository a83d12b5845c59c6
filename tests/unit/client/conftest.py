"""A broker behind Lambda, seen from a caller: answers from a script, every call kept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from salesforce_broker_client import Broker
from tests.support.clocks import ManualClock

NOW = 1_800_000_000
DOWN = ReadTimeoutError(endpoint_url="https://lambda.example")


def answer(token: str = "00D!first", **changes: Any) -> dict[str, Any]:
    """Return a token as the broker hands it out."""
    return {
        "access_token": token,
        "token_type": "Bearer",
        "instance_url": "https://acme.my.salesforce.com",
        "id": "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA",
        "scope": "api id",
        "expires_in": 900,
        "expires_at": NOW + 900,
        "expiry_basis": "assumed",
        "fingerprint": f"of {token}",
        "source": "salesforce",
        "outcome": "issued",
        "degraded": False,
    } | changes


def raised(error: str, **changes: Any) -> dict[str, Any]:
    """Return what Lambda makes of an exception of the broker."""
    told = {
        "error": error,
        "error_description": "It did not work.",
        "retryable": False,
        "retry_after": None,
        "hint": "Change it.",
        "request_id": "r-1",
    } | changes
    return {"errorType": "SalesforceError", "errorMessage": json.dumps(told), "stackTrace": []}


class FakeLambda:
    """A boto3.Session whose Lambda client answers from a script; the last answer for ever."""

    def __init__(self, *script: object) -> None:
        self._script: Iterator[object] = iter(script)
        self._last: object = None
        self.calls: list[dict[str, Any]] = []
        self.read_timeouts: list[float] = []
        self.regions: list[str | None] = []
        self.closed = 0
        self.before_answer: Callable[[], object] = lambda: None

    def client(self, service: str, *, region_name: str | None, config: Any) -> Any:
        """Make a client."""
        assert "lambda" == service
        self.regions.append(region_name)
        self.read_timeouts.append(config.read_timeout)
        return self

    def close(self) -> None:
        """End idle connections."""
        self.closed += 1

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803  boto3's own
        """Take Invoke."""
        assert FunctionName
        self.calls.append(json.loads(Payload))
        self.before_answer()
        self._last = next(self._script, self._last)
        if isinstance(self._last, Exception):
            raise self._last
        content = self._last if isinstance(self._last, bytes) else json.dumps(self._last).encode()
        failed = {"FunctionError": "Unhandled"} if isinstance(self._last, dict) and "errorMessage" in self._last else {}
        return {"Payload": io.BytesIO(content), "StatusCode": 200, **failed}


class Caller:
    """A Broker over a FakeLambda, with hands on its clock."""

    def __init__(self, *script: object) -> None:
        self.lambda_ = FakeLambda(*script)
        self.clock = ManualClock()
        self.broker = Broker("broker", session=self.lambda_, clock=cast("Any", self.clock.clock()))

    @property
    def asked(self) -> int:
        """How often the broker was asked."""
        return len(self.lambda_.calls)


Start = Callable[..., Caller]


@pytest.fixture
def start() -> Start:
    """Start a caller with a script."""
    return Caller


def client_error(code: str) -> ClientError:
    """Return boto3's exception for an AWS error code."""
    return ClientError({"Error": {"Code": code, "Message": "a message that must not be repeated"}}, "Invoke")
