"""Tokens in the memory of this process, by user, and how long each is used."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from salesforce_broker_client.clock import Clock, since
from salesforce_broker_client.token import Token

EARLIEST_RENEWAL, LATEST_RENEWAL = 0.6, 0.9
"""Shares of what a token has left when it comes. Each time another one, so that a fleet does not ask as a crowd."""

MARGIN_SECONDS = 10
"""Before its end, for the request that it is used in."""

MIN_RENEWAL_SECONDS = 20
"""The broker may hand out the same token again: it is not asked more often than this for a token that lives."""

WALL_CLOCK_STEP_SECONDS = 300
"""A wall clock further back than this behind the moment of storing cannot be trusted with an expiry."""


@dataclass(frozen=True, slots=True)
class Held:
    """A token and the moment it came at. `renewal`: seconds after which it is renewed while it is used on."""

    token: Token
    wall: float
    monotonic: float
    renewal: float


class TokenCache:
    """Safe to share between threads: it replaces values whole."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str | None, Held] = {}

    def get(self, subject: str | None) -> Held | None:
        """Return what is held of a user, if it lives."""
        held = self._held.get(subject)
        return held if held and self.left(held) > 0 else None

    def put(self, subject: str | None, token: Token) -> None:
        """Hold a token until it ends or is replaced; forget those of other users that have ended."""
        for other, held in list(self._held.items()):
            if self.left(held) <= 0:
                self._held.pop(other, None)
        renewal = max(token.life * random.uniform(EARLIEST_RENEWAL, LATEST_RENEWAL), MIN_RENEWAL_SECONDS)  # noqa: S311  jitter
        self._held[subject] = Held(token, self._clock.wall(), self._clock.monotonic(), renewal)

    def redraw_renewals(self) -> None:
        """Draw new moments of renewal for what is held, so that forked processes do not all renew at the same moment."""
        for subject, held in list(self._held.items()):
            life = held.token.life
            earliest, latest = max(life * EARLIEST_RENEWAL, self._age(held)), life * LATEST_RENEWAL
            renewal = max(random.uniform(min(earliest, latest), latest), MIN_RENEWAL_SECONDS)  # noqa: S311  jitter
            self._held[subject] = replace(held, renewal=renewal)

    def drop(self, subject: str | None) -> None:
        """Forget a user's token."""
        self._held.pop(subject, None)

    def left(self, held: Held) -> float:
        """Return the seconds that a token can still be used for."""
        if self._clock.wall() - held.wall < -WALL_CLOCK_STEP_SECONDS:
            return 0
        return held.token.life - self._age(held) - MARGIN_SECONDS

    def fresh(self, held: Held) -> bool:
        """Tell whether it is too early to renew."""
        return self._age(held) < held.renewal

    def _age(self, held: Held) -> float:
        return since(self._clock, held.wall, held.monotonic)
