"""Tokens for `requests`: an AuthBase that renews them, and a Session of an instance."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urljoin

from salesforce_broker_client.adapters._extras import needs_extra
from salesforce_broker_client.origin import differs
from salesforce_broker_client.token import Token
from salesforce_broker_client.token_expiry import SUSPECT, token_has_ended
from salesforce_broker_client.token_source import TokenSource

with needs_extra("requests", "requests"):
    import requests

BULK_1_HEADER = "X-SFDC-Session"
"""Bulk API 1.0 takes the token in this header; simple-salesforce's `bulk` puts there the token that it began with."""

TOKEN_HEADERS = ("Authorization", BULK_1_HEADER)


class SalesforceAuth(requests.auth.AuthBase):
    """`requests.get(url, auth=SalesforceAuth(broker))`, for URLs below the token's instance URL; others are a ValueError.

    Where Salesforce says that the token has ended, it is reported, and the request is sent once more with another one; not a
    body that cannot be rewound. A redirect to another origin is followed without the token.
    """

    def __init__(self, broker: TokenSource, sub: str | None = None) -> None:
        self._broker = broker
        self._sub = sub

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request with the current token."""
        token = self._broker.token(self._sub)
        if differs(str(request.url), token.instance_url):
            raise ValueError(f"The token is for {token.instance_url} only.")
        _sign(request, token)
        handle = functools.partial(self._handle, token, _position(request.body))
        request.register_hook("response", handle)  # type: ignore[no-untyped-call]
        return request

    def _handle(self, token: Token, start: int | None, response: requests.Response, **arguments: Any) -> requests.Response:
        """Take the response of a request or of a redirect that was followed; return it, or that of a second attempt."""
        sent = response.request
        answer = self._resend(token, start, response, **arguments)
        if answer.is_redirect and differs(urljoin(str(answer.url), answer.headers["Location"]), token.instance_url):
            # requests makes the next request of the one that it has sent, and drops Authorization only.
            for name in TOKEN_HEADERS:
                sent.headers.pop(name, None)
        return answer

    def _resend(self, token: Token, start: int | None, response: requests.Response, **arguments: Any) -> requests.Response:
        """Send a request once more, with another token, if its own had ended."""
        if response.status_code not in SUSPECT or not token_has_ended(response.status_code, response.content):
            return response
        request = response.request.copy()
        if differs(str(request.url), token.instance_url):
            # A redirect has led elsewhere: this is not Salesforce's answer.
            return response
        if request.body is not None and not isinstance(request.body, bytes | str):
            if start is None:
                return response
            request.body.seek(start)
        following = self._broker.token(self._sub, rejected=token)
        if following.fingerprint == token.fingerprint or differs(str(request.url), following.instance_url):
            # Salesforce calls the token valid, so that the same request would be refused again; or it belongs to another host.
            return response
        response.close()
        _sign(request, following)
        again: requests.Response = response.connection.send(request, **arguments)
        again.history.append(response)
        again.request = request
        return again


def _sign(request: requests.PreparedRequest, token: Token) -> None:
    request.headers["Authorization"] = f"Bearer {token.access_token}"
    if BULK_1_HEADER in request.headers:
        request.headers[BULK_1_HEADER] = token.access_token


def _position(body: Any) -> int | None:
    """Return where a body begins that can be rewound; a pipe has tell and seek too, and neither works."""
    try:
        return int(body.tell()) if body.seekable() else None
    except (AttributeError, OSError):
        return None


class SalesforceSession(requests.Session):
    """`session.get("/services/data/v65.0/limits")`: paths are below the instance URL, tokens renew themselves."""

    def __init__(self, broker: TokenSource, sub: str | None = None) -> None:
        super().__init__()
        self._broker = broker
        self._sub = sub
        self.auth = SalesforceAuth(broker, sub)

    def request(self, method: str, url: str, *args: Any, **arguments: Any) -> requests.Response:  # type: ignore[override]
        """Send a request to a path, or to a URL below the instance URL."""
        if url.startswith("/"):
            url = self._broker.token(self._sub).instance_url + url
        return super().request(method, url, *args, **arguments)
