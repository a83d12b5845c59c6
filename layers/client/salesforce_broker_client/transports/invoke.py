"""Call the broker by Lambda invoke."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from salesforce_broker_client import errors, fork
from salesforce_broker_client.clock import Clock
from salesforce_broker_client.json_values import json_object
from salesforce_broker_client.transports import deadline
from salesforce_broker_client.transports.aws_session import AwsSession

if TYPE_CHECKING:
    from salesforce_broker_client.transports.http import HttpClient


class LambdaTransport:
    """Calls a function by its name, ARN or alias, with the caller's own AWS credentials."""

    def __init__(self, function_name: str, *, session: Any = None, region: str | None = None, clock: Clock) -> None:
        """`session`: of boto3 or botocore. `region`: else the one in an ARN, else the session's. ValueError."""
        if "://" in function_name or ".execute-api." in function_name:
            raise ValueError("That is a URL: pass the API as url (SALESFORCE_BROKER_URL), and a function by its name or ARN.")
        if function_name.startswith("arn:") and _service_of(function_name) not in {"", "lambda"}:
            raise ValueError("That is the ARN of something else than a Lambda function (stack output TokenFunctionArn).")
        self._function_name = function_name
        self._region = region or _region_of(function_name)
        self._session = AwsSession(session)
        self._clock = clock
        self._client: Any = None
        self._http: HttpClient | None = None
        fork.register(self)

    def reset_after_fork(self) -> None:
        """Leave the client and the connections to the parent."""
        self._client = None
        self._http = None

    def call(self, action: str, fields: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send an action ("token" or "identity") with its fields; return the answer's JSON object in time; BrokerError."""
        return deadline.run_within(seconds, lambda: self._invoke(json.dumps({"action": action, **fields}).encode()))

    def _invoke(self, payload: bytes) -> dict[str, Any]:
        import botocore.exceptions  # noqa: PLC0415  its imports belong to the first call

        from salesforce_broker_client.transports import aws_refusals  # noqa: PLC0415  likewise

        deadline.current().step = "getting AWS credentials"
        client = self._client = self._client or self._make_client()
        try:
            answer = client.invoke(FunctionName=self._function_name, Payload=payload)
            content = answer["Payload"].read()
        except botocore.exceptions.ClientError as error:
            raise _refused(error) from error
        except (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError) as error:
            # Not of the call itself, whose errors HttpClient names: of a provider of credentials.
            raise errors.BrokerUnreachable(f"AWS did not answer: {type(error).__name__}.") from error
        except botocore.exceptions.BotoCoreError as error:
            raise aws_refusals.cannot_be_made(type(error).__name__) from error
        return _understood(content, failed="FunctionError" in answer)

    def _make_client(self) -> Any:
        """Return a client that signs and parses, and sends by HttpClient: botocore knows no deadline of a whole call."""
        from botocore.config import Config  # noqa: PLC0415  likewise

        from salesforce_broker_client.transports.http import HttpClient  # noqa: PLC0415  likewise

        self._http = HttpClient(self._session, self._clock)
        client = self._session.client("lambda", self._region, Config(retries={"total_max_attempts": 1}))
        client.meta.events.register("before-send.lambda.Invoke", self._send)
        return client

    def _send(self, request: Any, **_: Any) -> Any:
        """Send what botocore has signed; return the answer as its own HTTP session would."""
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415  likewise
        from botocore.compat import HTTPHeaders  # noqa: PLC0415  likewise

        assert self._http is not None
        headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
        response = self._http.send(request.method, request.url, headers, request.body)
        arrived = HTTPHeaders()
        for name, value in response.headers.items():
            arrived[name] = value
        return AWSResponse(request.url, response.status, arrived, _Body(response.content))


class _Body(io.BytesIO):
    """A body that was read, in the form that botocore reads."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Return what is left of it."""
        yield self.read()


def _service_of(arn: str) -> str:
    return [*arn.split(":"), "", ""][2]


def _region_of(function_name: str) -> str | None:
    """Read the region in an ARN: arn:aws:lambda:REGION:account:function:name; a name has none."""
    found = re.match(r"arn:[^:]+:lambda:([^:]+):", function_name)
    return found[1] if found else None


def _refused(error: Any) -> errors.BrokerError:
    """Return the exception for a ClientError: Lambda's, or of a provider of the caller's credentials."""
    from salesforce_broker_client.transports import aws_refusals, lambda_errors  # noqa: PLC0415  likewise

    about = error.response.get("Error", {})
    code = str(about.get("Code", ""))
    if error.operation_name != "Invoke":
        return aws_refusals.credentials_refused(error.operation_name, code)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    reason = str(error.response.get("Reason", ""))
    return lambda_errors.classify(code, message=str(about.get("Message", "")), reason=reason, status=status)


def _understood(content: bytes, *, failed: bool) -> dict[str, Any]:
    body = json_object(content) or {}
    if not failed:
        return body
    # The broker raises: its own error is JSON in errorMessage. Anything else is the runtime's: a time-out, a crash.
    own = json_object(str(body.get("errorMessage", ""))) or {}
    if "error" in own:
        raise errors.of_answer(own)
    kind = str(body.get("errorType", ""))[:60]
    raise errors.BrokerFailed("The broker's function ended without an answer.", hint=f"See its log for {kind or 'the reason'}.")
