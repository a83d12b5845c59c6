"""Call the broker by HTTPS, signed with AWS Signature Version 4."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from salesforce_broker_client import errors
from salesforce_broker_client.clock import Clock
from salesforce_broker_client.transports.connections import ConnectionLost, Connections

MAX_ANSWER_BYTES = 65536
"""Of a broker, which takes no more from Salesforce."""

CONNECT_SECONDS = 2.0
"""At most, of a call's time."""


class HttpsTransport:
    """Calls an API by its URL (stack output ApiUrl), with the caller's own AWS credentials."""

    def __init__(self, url: str, *, session: Any = None, region: str | None = None, clock: Clock) -> None:
        """`session`: a boto3.Session or botocore session, else botocore's default. `region`: else by the URL, the session's."""
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1"}:
            raise ValueError("The broker's URL is not https.")
        self._url = url.rstrip("/")
        self._session = session
        self._region = region
        self._pool: Any = None
        self._connections = Connections(clock, self._close)
        # botocore's sessions look for credentials for one thread at a time.
        self._signing = threading.Lock()

    def call(self, action: str, fields: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Ask for "token" or "identity"; return the answer's JSON object; BrokerError."""
        import urllib3  # noqa: PLC0415  what botocore itself talks with; a Lambda that never needs a token need not wait for it

        self._pool = self._pool or urllib3.PoolManager(retries=False)
        method, url, body = "POST", f"{self._url}/token", json.dumps(fields).encode()
        if action == "identity":
            query = urlencode({name: value for name, value in fields.items() if name == "sub"}, quote_via=quote)
            method, url, body = "GET", f"{self._url}/identity" + (f"?{query}" if query else ""), b""
        try:
            status, content = self._connections.ask(lambda left: self._send(method, url, body, left), seconds)
        except urllib3.exceptions.HTTPError as error:
            raise errors.BrokerUnreachable("The broker did not answer in time.") from error
        return _understood(status, content)

    def _send(self, method: str, url: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        import urllib3  # noqa: PLC0415  likewise

        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, seconds / 2), total=seconds)
        headers = self._signed(method, url, body)
        try:
            answer = self._pool.request(
                method, url, body=body, headers=headers, timeout=timeout, redirect=False, preload_content=False
            )
            try:
                return answer.status, answer.read(MAX_ANSWER_BYTES, decode_content=False)
            finally:
                # What is left unread would be the next answer's beginning. A connection whose answer was read is kept anyway.
                answer.close()
        except urllib3.exceptions.ProtocolError as error:
            raise ConnectionLost from error

    def _close(self) -> None:
        self._pool.clear()

    def _signed(self, method: str, url: str, body: bytes) -> dict[str, str]:
        import botocore.session  # noqa: PLC0415
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        request = AWSRequest(method, url, data=body, headers={"Content-Type": "application/json"} if body else {})
        try:
            with self._signing:
                self._session = self._session or botocore.session.get_session()
                credentials = self._session.get_credentials()
                region = self._region or _region_of(url) or _region_of_session(self._session)
            if credentials is None or not region:
                raise errors.cannot_be_made("NoCredentials" if credentials is None else "NoRegion")
            SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)
        except BotoCoreError as error:
            raise errors.cannot_be_made(type(error).__name__) from error
        return dict(request.headers.items())


def _region_of(url: str) -> str | None:
    """Read the region in an API Gateway host; a domain of one's own has none."""
    labels = (urlsplit(url).hostname or "").split(".")
    return labels[labels.index("execute-api") + 1] if "execute-api" in labels[:-1] else None


def _region_of_session(session: Any) -> str | None:
    region: str | None = session.region_name if hasattr(session, "region_name") else session.get_config_variable("region")
    return region


def _understood(status: int, content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict) and status == HTTPStatus.OK:
        return body
    if isinstance(body, dict) and "error" in body:
        raise errors.of_answer(body)
    if status == HTTPStatus.FORBIDDEN:
        hint = "The caller needs execute-api:Invoke on the broker's API (stack output ApiInvokeArn)."
        raise errors.CallDenied("API Gateway refused the call.", hint=hint)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise errors.BrokerThrottled("API Gateway has too many requests.", retry_after=1)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise errors.BrokerFailed(f"API Gateway answered {status}.")
    raise errors.AnswerInvalid(f"What came back (status {status}) is no answer of a broker.", hint="Check the URL.")
