"""Asking the broker without keeping an event loop waiting.

Owns which calls need a thread: the few that memory does not answer. Does not ask by itself (see `broker`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from salesforce_broker_client.token import Token

if TYPE_CHECKING:
    from salesforce_broker_client.broker import Broker


async def token_of(broker: Broker, sub: str | None, rejected: Token | None = None) -> Token:
    """Return a token for the user, from memory at once or from the broker by a thread of anyio's; BrokerError."""
    held = broker.held(sub)
    if held and not (rejected and held.fingerprint == rejected.fingerprint):
        return held
    return await anyio.to_thread.run_sync(lambda: broker.token(sub, rejected=rejected))
