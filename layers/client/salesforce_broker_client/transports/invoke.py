"""Call the broker by Lambda invoke."""

from __future__ import annotations

import json
import math
import re
import threading
from typing import Any

from salesforce_broker_client import errors
from salesforce_broker_client.clock import Clock
from salesforce_broker_client.transports.connections import ConnectionLost, Connections

CONNECT_SECONDS = 2.0
"""At most, of a call's time."""

MIN_SECONDS, ROUNDING_SECONDS = 0.2, 0.01

MAX_CLIENTS = 4
"""Kept, those used last: a Lambda that gives what its context leaves has another deadline each time, and would keep many."""

THROTTLED = {"TooManyRequestsException", "ThrottlingException", "EC2ThrottledException", "ConcurrentInvocationLimitExceeded"}
BUSY = {
    "ServiceException",
    "ResourceConflictException",  # the function is being deployed
    "ResourceNotReadyException",
    "InternalFailure",
    "ServiceUnavailable",
}
HINTS = {
    "ResourceNotFoundException": "There is no such function in this region: check its name (stack output TokenFunctionArn).",
    "ExpiredTokenException": "The caller's AWS credentials are over.",
    "UnrecognizedClientException": "The caller's AWS credentials are none of this partition's.",
    "InvalidSignatureException": "The caller's AWS credentials, or its clock, are wrong.",
}
PERMISSION = "The caller needs lambda:InvokeFunction on the broker's function (stack output TokenFunctionArn)."


class LambdaTransport:
    """Calls a function by its name, ARN or alias, with the caller's own AWS credentials."""

    def __init__(self, function_name: str, *, session: Any = None, region: str | None = None, clock: Clock) -> None:
        """`session`: a boto3.Session, else boto3's default one. `region`: else the one in an ARN, else the session's."""
        self._function_name = function_name
        self._session = session
        self._region = region or _region_of(function_name)
        self._clock = clock
        self._clients: dict[float, Any] = {}
        # boto3's sessions make clients for one thread at a time.
        self._making = threading.Lock()
        self._connections = Connections(clock, self._close)

    def call(self, action: str, fields: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Ask for "token" or "identity"; return the answer's JSON object; BrokerError."""
        ends = self._clock.monotonic() + seconds
        import botocore.exceptions  # noqa: PLC0415  a Lambda that never needs a token need not wait for it; its time counts

        payload = json.dumps({"action": action, **fields}).encode()
        try:
            answer, content = self._connections.ask(lambda left: self._send(payload, left), ends - self._clock.monotonic())
        except botocore.exceptions.ClientError as error:
            raise _refused(error.response.get("Error", {}).get("Code", "")) from error
        except (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError) as error:
            raise errors.BrokerUnreachable("Lambda did not answer in time.") from error
        except botocore.exceptions.BotoCoreError as error:
            raise errors.cannot_be_made(type(error).__name__) from error
        body = _object(content)
        if "FunctionError" not in answer:
            return body
        # The broker raises: its own error is JSON in errorMessage. Anything else is the runtime's: a time-out, a crash.
        own = _object(str(body.get("errorMessage", "")).encode())
        if "error" in own:
            raise errors.of_answer(own)
        kind = str(body.get("errorType", ""))[:60]
        raise errors.BrokerFailed(
            "The broker's function ended without an answer.", hint=f"See its log for {kind or 'the reason'}."
        )

    def _send(self, payload: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
        from botocore.exceptions import ConnectionClosedError  # noqa: PLC0415  likewise

        try:
            answer = self._client(seconds).invoke(FunctionName=self._function_name, Payload=payload)
            return answer, answer["Payload"].read()
        except ConnectionClosedError as error:
            raise ConnectionLost from error

    def _client(self, seconds: float) -> Any:
        """Return a client whose calls end in time: botocore knows no time-out of one call."""
        import boto3  # noqa: PLC0415  likewise
        from botocore.config import Config  # noqa: PLC0415

        # Half seconds, so that not every deadline makes a client; what has passed since the call began is forgiven.
        seconds = max(math.floor((seconds + ROUNDING_SECONDS) * 2) / 2, MIN_SECONDS)
        with self._making:
            client = self._clients.pop(seconds, None)
            if client is None:
                connect = min(CONNECT_SECONDS, seconds / 2)
                config = Config(connect_timeout=connect, read_timeout=seconds - connect, retries={"total_max_attempts": 1})
                client = (self._session or boto3).client("lambda", region_name=self._region, config=config)
            self._clients[seconds] = client
            while len(self._clients) > MAX_CLIENTS:
                del self._clients[next(iter(self._clients))]
            return client

    def _close(self) -> None:
        with self._making:
            for client in self._clients.values():
                client.close()


def _region_of(function_name: str) -> str | None:
    """Read the region in an ARN: arn:aws:lambda:REGION:account:function:name; a name has none."""
    found = re.match(r"arn:[^:]+:lambda:([^:]+):", function_name)
    return found[1] if found else None


def _refused(code: str) -> errors.BrokerError:
    if code in THROTTLED:
        return errors.BrokerThrottled(
            "Lambda has too many invocations.", hint="Raise the function's concurrency.", retry_after=1
        )
    if code in BUSY:
        return errors.BrokerUnreachable(f"Lambda failed: {code}.")
    return errors.CallDenied(f"Lambda refused the call: {code}.", hint=HINTS.get(code, PERMISSION))


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}
