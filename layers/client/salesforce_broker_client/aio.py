"""aiosalesforce with tokens of the broker: `Salesforce(httpx_client, base_url, BrokerAuth(broker))`.

Owns joining the two. aiosalesforce itself refreshes after a 401, which reports the token that was refused.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aiosalesforce.auth import Auth

from salesforce_broker_client.asynchronous import token_of
from salesforce_broker_client.token import Token

if TYPE_CHECKING:
    from salesforce_broker_client.broker import Broker


ASK_AGAIN_SECONDS = 8.0
"""For which a token is used without a look at the broker object's own cache; less than the margin that this keeps."""


class BrokerAuth(Auth):
    """aiosalesforce's Auth, for one client. `base_url` is the token's instance URL: `broker.token().instance_url`."""

    def __init__(self, broker: Broker, sub: str | None = None) -> None:
        super().__init__()
        self._broker = broker
        self._sub = sub
        self._token: Token | None = None
        self._until = 0.0
        self._by_time = False

    async def _acquire_new_access_token(self, client: Any) -> str:
        del client
        return await self._take(None)

    async def _refresh_access_token(self, client: Any) -> str:
        del client
        by_time, self._by_time = self._by_time, False
        return await self._take(None if by_time else self._token)

    @property
    def expired(self) -> bool:
        """Tell whether the cache is to be looked at again.

        aiosalesforce asks this right before it refreshes for the time's sake, and not before it refreshes after a 401.
        """
        self._by_time = time.time() >= self._until
        return self._by_time

    async def _take(self, rejected: Token | None) -> str:
        self._token = await token_of(self._broker, self._sub, rejected)
        self._until = time.time() + ASK_AGAIN_SECONDS
        return self._token.access_token
