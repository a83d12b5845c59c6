"""Call the broker by HTTPS, signed with AWS Signature Version 4."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from salesforce_broker_client import errors, fork
from salesforce_broker_client.clock import Clock
from salesforce_broker_client.json_values import json_object
from salesforce_broker_client.origin import Origin, broker_url
from salesforce_broker_client.transports import deadline
from salesforce_broker_client.transports.aws_session import AwsSession

if TYPE_CHECKING:
    from salesforce_broker_client.transports.http import HttpClient


class HttpsTransport:
    """Calls an API by its URL (stack output ApiUrl), with the caller's own AWS credentials."""

    def __init__(self, url: str, *, session: Any = None, region: str | None = None, clock: Clock) -> None:
        """`session`: of boto3 or botocore. `region`: else the one in the URL, else the session's. ValueError."""
        if url.startswith("arn:"):
            raise ValueError("That is an ARN: pass a function as function_name, and the API by its URL (stack output ApiUrl).")
        self._url = broker_url(url)
        self._region = region or _region_of(self._url)
        self._session = AwsSession(session)
        self._clock = clock
        self._http: HttpClient | None = None
        fork.register(self)

    def reset_after_fork(self) -> None:
        """Leave the connections to the parent."""
        self._http = None

    def call(self, action: str, fields: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send an action ("token" or "identity") with its fields; return the answer's JSON object in time; BrokerError."""
        return deadline.run_within(seconds, lambda: self._send(f"{self._url}/{action}", json.dumps(fields).encode()))

    def _send(self, url: str, body: bytes) -> dict[str, Any]:
        from salesforce_broker_client.transports.http import HttpClient  # noqa: PLC0415  its imports belong to the first call

        deadline.current().step = "getting AWS credentials"
        http = self._http = self._http or HttpClient(self._session, self._clock)
        response = http.send("POST", url, self._signed(url, body), body)
        return _understood(response.status, response.headers.get("x-amzn-errortype", ""), response.content)

    def _signed(self, url: str, body: bytes) -> dict[str, str]:
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415  likewise

        request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"})
        self._session.sign(request, "execute-api", self._region)
        return dict(request.headers.items())


def _understood(status: int, code: str, content: bytes) -> dict[str, Any]:
    from salesforce_broker_client.transports import api_gateway_errors  # noqa: PLC0415  likewise

    answer = json_object(content)
    if answer is not None and status == HTTPStatus.OK:
        return answer
    if answer is not None and "error" in answer:
        raise errors.of_answer(answer)
    raise api_gateway_errors.classify(status, code, answer)


def _region_of(url: str) -> str | None:
    """Read the region in an API Gateway host; a domain of one's own has none."""
    parsed = Origin.parse(url)
    labels = parsed[0].host.split(".") if parsed else []
    return labels[labels.index("execute-api") + 1] if "execute-api" in labels[:-1] else None
