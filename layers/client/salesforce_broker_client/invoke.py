"""The way to the broker by Lambda invoke.

Owns the call and what its failures mean. Does not keep anything (see `broker`).
"""

from __future__ import annotations

import json
import math
import threading
from typing import TYPE_CHECKING, Any

from salesforce_broker_client import errors

if TYPE_CHECKING:
    from types import ModuleType

CONNECT_SECONDS = 2.0
"""At most, of a call's time."""

SHORTEST_SECONDS, FORGIVEN_SECONDS = 0.2, 0.01

THROTTLED = {"TooManyRequestsException", "ThrottlingException", "EC2ThrottledException", "ConcurrentInvocationLimitExceeded"}
BUSY = {"ServiceException", "ResourceNotReadyException", "InternalFailure", "ServiceUnavailable"}


class ByInvoke:
    """Calls a function by its name, ARN or alias, with the caller's own AWS credentials."""

    def __init__(self, function_name: str, *, session: Any = None, region: str | None = None) -> None:
        """`session`: a boto3.Session, else boto3's default one."""
        self._function_name = function_name
        self._session = session
        self._region = region
        self._clients: dict[float, Any] = {}
        # boto3's sessions make clients for one thread at a time.
        self._making = threading.Lock()

    def call(self, action: str, fields: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Ask for "token" or "identity"; return the answer's JSON object; BrokerError."""
        botocore_errors = _botocore_errors()
        client = self._client(seconds)
        try:
            answer = client.invoke(FunctionName=self._function_name, Payload=json.dumps({"action": action, **fields}).encode())
            content = answer["Payload"].read()
        except botocore_errors.ClientError as error:
            raise _refused(error.response.get("Error", {}).get("Code", "")) from error
        except (botocore_errors.ConnectionError, botocore_errors.HTTPClientError) as error:
            raise errors.BrokerUnreachable("Lambda did not answer in time.") from error
        except botocore_errors.BotoCoreError as error:
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

    def _client(self, seconds: float) -> Any:
        """Return a client whose calls end in time: botocore knows no time-out of one call."""
        import boto3  # noqa: PLC0415  a Lambda that never needs a token need not wait for it
        from botocore.config import Config  # noqa: PLC0415

        # Half seconds, so that not every deadline makes a client; what has passed since the call began is forgiven.
        seconds = max(math.floor((seconds + FORGIVEN_SECONDS) * 2) / 2, SHORTEST_SECONDS)
        with self._making:
            if seconds not in self._clients:
                connect = min(CONNECT_SECONDS, seconds / 2)
                config = Config(connect_timeout=connect, read_timeout=seconds - connect, retries={"total_max_attempts": 1})
                made = (self._session or boto3).client("lambda", region_name=self._region, config=config)
                self._clients[seconds] = made
            return self._clients[seconds]


def _botocore_errors() -> ModuleType:
    import botocore.exceptions  # noqa: PLC0415  likewise

    return botocore.exceptions


def _refused(code: str) -> errors.BrokerError:
    if code in THROTTLED:
        return errors.BrokerThrottled(
            "Lambda has too many invocations.", hint="Raise the function's concurrency.", retry_after=1
        )
    if code in BUSY:
        return errors.BrokerUnreachable(f"Lambda failed: {code}.")
    hint = "The caller needs lambda:InvokeFunction on the broker's function (stack output TokenFunctionArn)."
    return errors.CallDenied(f"Lambda refused the call: {code}.", hint=hint)


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}
