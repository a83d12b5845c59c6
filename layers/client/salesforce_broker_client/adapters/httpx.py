"""Tokens for `httpx`, sync and async."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

from salesforce_broker_client.adapters._extras import needs_extra
from salesforce_broker_client.token import Token
from salesforce_broker_client.token_expiry import SUSPECT, origin_differs, token_is_over
from salesforce_broker_client.token_source import TokenSource

with needs_extra("httpx", "httpx", "anyio"):
    import httpx

    from salesforce_broker_client._async import token_of


class SalesforceHttpxAuth(httpx.Auth):
    """`httpx.Client(auth=SalesforceHttpxAuth(broker), base_url=broker.token().instance_url)`, or AsyncClient.

    As SalesforceAuth for requests: reports a token that is over and sends the request once more; not a streamed body, which
    httpx cannot rewind. Async callers ask the broker in a thread of anyio's.
    """

    def __init__(self, broker: TokenSource, sub: str | None = None) -> None:
        self._broker = broker
        self._sub = sub

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request; sign it again if its token was over."""
        token = self._broker.token(self._sub)
        response = yield _signed(request, token)
        if _suspect(response, token) and token_is_over(response.status_code, response.read()) and _rewinds(request):
            following = self._broker.token(self._sub, rejected=token)
            if following.fingerprint != token.fingerprint:
                yield _signed(request, following)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign a request; sign it again if its token was over."""
        token = await token_of(self._broker, self._sub)
        response = yield _signed(request, token)
        if _suspect(response, token) and token_is_over(response.status_code, await response.aread()) and _rewinds(request):
            following = await token_of(self._broker, self._sub, token)
            if following.fingerprint != token.fingerprint:
                yield _signed(request, following)


def _suspect(response: httpx.Response, token: Token) -> bool:
    """Tell whether the body is worth a look: Salesforce's own, not that of where a redirect has led."""
    return response.status_code in SUSPECT and not origin_differs(str(response.request.url), token.instance_url)


def _signed(request: httpx.Request, token: Token) -> httpx.Request:
    if origin_differs(str(request.url), token.instance_url):
        raise ValueError(f"The token is for {token.instance_url} only.")
    request.headers["Authorization"] = f"Bearer {token.access_token}"
    return request


def _rewinds(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)
