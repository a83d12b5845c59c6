"""aiosalesforce with tokens of the broker: `Salesforce(httpx_client, base_url, BrokerAuth(broker))`.

aiosalesforce itself refreshes after a 401, which reports the token that was refused.
"""

from __future__ import annotations

import time
from typing import Any

from salesforce_broker_client.adapters._extras import needs_extra
from salesforce_broker_client.token import Token
from salesforce_broker_client.token_source import TokenSource

with needs_extra("aiosalesforce", "aiosalesforce", "anyio", "httpx"):
    from aiosalesforce.auth import Auth

    from salesforce_broker_client._async import token_of

RECHECK_SECONDS = 8.0
"""How long a token is used before the broker object's own cache is read again; less than the margin that this cache keeps."""


class BrokerAuth(Auth):
    """aiosalesforce's Auth, for one client. `base_url` is the token's instance URL: `broker.token().instance_url`."""

    def __init__(self, broker: TokenSource, sub: str | None = None) -> None:
        super().__init__()
        self._broker = broker
        self._sub = sub
        self._token: Token | None = None
        self._recheck_at = 0.0
        self._refresh_by_time = False

    async def _acquire_new_access_token(self, client: Any) -> str:
        del client
        return await self._take(None)

    async def _refresh_access_token(self, client: Any) -> str:
        del client
        by_time, self._refresh_by_time = self._refresh_by_time, False
        return await self._take(None if by_time else self._token)

    @property
    def expired(self) -> bool:
        """Tell whether the cache has to be read again.

        aiosalesforce reads this right before it refreshes because of time, and not before it refreshes after a 401.
        """
        self._refresh_by_time = time.time() >= self._recheck_at
        return self._refresh_by_time

    async def _take(self, rejected: Token | None) -> str:
        self._token = await token_of(self._broker, self._sub, rejected)
        self._recheck_at = time.time() + RECHECK_SECONDS
        return self._token.access_token
