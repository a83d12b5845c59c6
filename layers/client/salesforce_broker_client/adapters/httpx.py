"""Tokens for `httpx`, sync and async."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

from salesforce_broker_client.adapters._extras import needs_extra
from salesforce_broker_client.origin import differs
from salesforce_broker_client.token import Token
from salesforce_broker_client.token_expiry import SUSPECT, token_has_ended
from salesforce_broker_client.token_source import TokenSource

with needs_extra("httpx", "httpx", "anyio"):
    import httpx

    from salesforce_broker_client._async import token_of


BULK_1_HEADER = "X-SFDC-Session"
"""httpx hands this header on after a redirect to another host, and an Auth cannot prevent it."""


class SalesforceHttpxAuth(httpx.Auth):
    """`httpx.Client(auth=SalesforceHttpxAuth(broker), base_url=broker.token().instance_url)`, or AsyncClient.

    As SalesforceAuth for requests: reports a token that has ended and sends the request once more; not a streamed body, which
    httpx cannot rewind. URLs of another origin, and Bulk API 1.0's token header, are a ValueError. Async callers ask the broker
    in a thread of anyio's.
    """

    def __init__(self, broker: TokenSource, sub: str | None = None) -> None:
        self._broker = broker
        self._sub = sub

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request; sign it again if its token had ended."""
        token = self._broker.token(self._sub)
        response = yield _signed(request, token)
        if _suspect(response, token) and token_has_ended(response.status_code, response.read()) and _rewinds(request):
            following = self._broker.token(self._sub, rejected=token)
            if _helps(following, token):
                yield _signed(request, following)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign a request; sign it again if its token had ended."""
        token = await token_of(self._broker, self._sub)
        response = yield _signed(request, token)
        if _suspect(response, token) and token_has_ended(response.status_code, await response.aread()) and _rewinds(request):
            following = await token_of(self._broker, self._sub, token)
            if _helps(following, token):
                yield _signed(request, following)


def _suspect(response: httpx.Response, token: Token) -> bool:
    """Tell whether the body is worth a look: Salesforce's own, not that of where a redirect has led."""
    return response.status_code in SUSPECT and not differs(str(response.request.url), token.instance_url)


def _helps(following: Token, token: Token) -> bool:
    """Tell whether another token may be sent with the same request: it is another one, and for the same host."""
    return following.fingerprint != token.fingerprint and not differs(following.instance_url, token.instance_url)


def _signed(request: httpx.Request, token: Token) -> httpx.Request:
    if differs(str(request.url), token.instance_url):
        raise ValueError(f"The token is for {token.instance_url} only.")
    if BULK_1_HEADER in request.headers:
        raise ValueError(f"httpx would hand {BULK_1_HEADER} on to other hosts: use requests for Bulk API 1.0.")
    request.headers["Authorization"] = f"Bearer {token.access_token}"
    return request


def _rewinds(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)
