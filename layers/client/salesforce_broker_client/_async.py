"""Ask the broker without blocking an event loop: from memory at once, else in a worker thread."""

from __future__ import annotations

import anyio.to_thread

from salesforce_broker_client.token import Token
from salesforce_broker_client.token_source import TokenSource


async def token_of(broker: TokenSource, sub: str | None, rejected: Token | None = None) -> Token:
    """Return a token for the user, from memory at once or from the broker by a thread of anyio's; BrokerError."""
    held = broker.held(sub)
    if held and not (rejected and held.fingerprint == rejected.fingerprint):
        return held
    return await anyio.to_thread.run_sync(lambda: broker.token(sub, rejected=rejected))
