"""A broker behind Lambda, seen from a caller: answers from a script, every call kept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from salesforce_broker_client import Broker
from tests.support.broker_answers import USERNAME
from tests.support.clocks import ManualClock

DOWN = ReadTimeoutError(endpoint_url="https://lambda.example")


class FakeLambda:
    """A boto3.Session whose Lambda client answers from a script; the last answer for ever."""

    def __init__(self, *script: object) -> None:
        self._script: Iterator[object] = iter(script)
        self._last: object = None
        self.calls: list[dict[str, Any]] = []
        self.meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_: None))
        self.regions: list[str | None] = []
        self.before_answer: Callable[[], object] = lambda: None

    def client(self, service: str, *, region_name: str | None, config: Any) -> Any:
        """Make a client."""
        assert "lambda" == service
        assert {"total_max_attempts": 1} == config.retries
        self.regions.append(region_name)
        return self

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803  boto3's own
        """Take Invoke."""
        assert FunctionName
        self.calls.append(json.loads(Payload))
        self.before_answer()
        self._last = next(self._script, self._last)
        if isinstance(self._last, Exception):
            raise self._last
        said: Any = self._last
        if isinstance(said, dict) and {"access_token", "user_id"} & set(said):
            said = {"sub": self.calls[-1].get("sub", USERNAME)} | said
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        failed = {"FunctionError": "Unhandled"} if isinstance(said, dict) and "errorMessage" in said else {}
        return {"Payload": io.BytesIO(content), "StatusCode": 200, **failed}


class Caller:
    """A Broker over a FakeLambda, with hands on its clock."""

    def __init__(self, *script: object) -> None:
        self.lambda_ = FakeLambda(*script)
        self.clock = ManualClock()
        self.broker = Broker("broker", session=self.lambda_, clock=cast("Any", self.clock.clock()))

    @property
    def requests(self) -> int:
        """How many requests the broker got."""
        return len(self.lambda_.calls)


Start = Callable[..., Caller]


@pytest.fixture
def start() -> Start:
    """Start a caller with a script."""
    return Caller


def client_error(code: str) -> ClientError:
    """Return boto3's exception for an AWS error code."""
    return ClientError({"Error": {"Code": code, "Message": "a message that must not be repeated"}}, "Invoke")
