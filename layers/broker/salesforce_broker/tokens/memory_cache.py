"""Tokens held in this environment's memory.

Expiry is judged by two clocks: Lambda freezes the monotonic one, NTP moves the other.
"""

from __future__ import annotations

from salesforce_broker.clock import Clock
from salesforce_broker.salesforce.access_token import AccessToken
from salesforce_broker.tokens.envelope import TokenIdentity

WALL_CLOCK_STEP_SECONDS = 300
"""A wall clock further back than this behind the moment of storing cannot be trusted with an expiry."""


class MemoryCache:
    """Holds one token for each identity."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[TokenIdentity, tuple[AccessToken, float, float]] = {}

    def get(self, identity: TokenIdentity) -> AccessToken | None:
        """Return the token, or None if there is none or either clock says that it has expired."""
        if identity not in self._held:
            return None
        token, stored_wall, stored_monotonic = self._held[identity]
        now = self._clock.wall()
        age = self._clock.monotonic() - stored_monotonic
        lifetime = token.expires_at - stored_wall
        expired = min(token.expires_at - now, lifetime - age) <= token.margin
        if expired or now < stored_wall - WALL_CLOCK_STEP_SECONDS:
            self.drop(identity)
            return None
        return token

    def put(self, identity: TokenIdentity, token: AccessToken) -> None:
        """Hold `token` until it expires or is replaced."""
        self._held[identity] = (token, self._clock.wall(), self._clock.monotonic())

    def drop(self, identity: TokenIdentity) -> None:
        """Forget the token of `identity`, if any."""
        self._held.pop(identity, None)
