"""aiosalesforce with tokens of the broker: `Salesforce(httpx_client, base_url, BrokerAuth(broker))`.

aiosalesforce itself refreshes after a 401, which reports the token that was refused.
"""

from __future__ import annotations

import collections
from typing import Any

from salesforce_broker_client.adapters._extras import needs_extra
from salesforce_broker_client.origin import differs
from salesforce_broker_client.token import Token
from salesforce_broker_client.token_source import TokenSource

with needs_extra("aiosalesforce", "aiosalesforce", "anyio", "httpx"):
    import httpx
    from aiosalesforce.auth import Auth

    from salesforce_broker_client._async import token_of

MAX_REMEMBERED = 8
"""Tokens that requests which are under way may still carry."""


class BrokerAuth(Auth):
    """aiosalesforce's Auth, for one client. `base_url` is the token's instance URL: `broker.token().instance_url`.

    A client of another instance is a ValueError, and so is each request (or redirect) of its httpx client by which a token of
    the broker would go to another origin.
    """

    def __init__(self, broker: TokenSource, sub: str | None = None) -> None:
        super().__init__()
        self._broker = broker
        self._sub = sub
        self._token: Token | None = None
        self._refresh_by_time = False
        self._handed_out: collections.deque[Token] = collections.deque(maxlen=MAX_REMEMBERED)
        self._guarded: list[httpx.AsyncClient] = []

    async def _acquire_new_access_token(self, client: Any) -> str:
        return await self._take(client, None)

    async def _refresh_access_token(self, client: Any) -> str:
        by_time, self._refresh_by_time = self._refresh_by_time, False
        return await self._take(client, None if by_time else self._token)

    @property
    def expired(self) -> bool:
        """Tell whether the broker object holds another token by now, or none that is fresh, by both of its clocks.

        aiosalesforce reads this right before it refreshes because of time, and not before it refreshes after a 401.
        """
        held = self._broker.held(self._sub)
        self._refresh_by_time = held is None or held != self._token
        return self._refresh_by_time

    async def _take(self, client: Any, rejected: Token | None) -> str:
        token = await token_of(self._broker, self._sub, rejected)
        if differs(client.base_url, token.instance_url):
            raise ValueError(f"The token is for {token.instance_url} only.")
        self._guard(client.httpx_client)
        self._token = token
        self._handed_out.append(token)
        return token.access_token

    def _guard(self, http: httpx.AsyncClient) -> None:
        """Have the client's requests checked, once: aiosalesforce sends the token to whatever URL `request` is given."""
        if not any(each is http for each in self._guarded):
            self._guarded.append(http)
            hooks = http.event_hooks
            hooks["request"].append(self._check)
            http.event_hooks = hooks

    async def _check(self, request: httpx.Request) -> None:
        """Refuse to send a token that was handed to aiosalesforce to another origin than its own."""
        for token in self._handed_out:
            carries = request.headers.get("Authorization") == f"Bearer {token.access_token}"
            if carries and differs(str(request.url), token.instance_url):
                raise ValueError(f"The token is for {token.instance_url} only.")
