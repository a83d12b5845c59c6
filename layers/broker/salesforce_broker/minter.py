"""One new token, by as many exchanges as it takes and no more: the loop around an assertion and an exchange.

Owns what is tried again within one request, with what, and how often. Does not decide whether a token is needed (see
`broker`) nor whether to ask at all (see `latch`).
"""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Iterator

from salesforce_broker import assertion, observability
from salesforce_broker.access_token import AccessToken
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import AssertionExpired, AssertionRefused, BrokerError, SalesforceBusy
from salesforce_broker.salesforce import Salesforce
from salesforce_broker.signing_key import SigningKey, SigningKeySource

MOST_POSTS = 3
"""Of one request, while Salesforce is busy; a fourth would only add to what keeps it busy."""

LONGEST_PAUSES = (0.5, 1.5)
"""Seconds before the second and the third post; the pause is drawn from zero up to this (full jitter)."""

LARGEST_CLOCK_SKEW_SECONDS = 600
"""A `Date` further off than this says more about the answer than about our clock."""


class Minter:
    """Mints tokens of one app; remembers how far Salesforce's clock is from ours."""

    def __init__(self, keys: SigningKeySource, salesforce: Salesforce, *, audience: str, clock: Clock) -> None:
        self._keys = keys
        self._salesforce = salesforce
        self._audience = audience
        self._clock = clock
        self._skew = 0.0

    def mint(
        self, key: SigningKey, subject: str, deadline: Deadline, *, most_posts: int = MOST_POSTS, others: bool = True
    ) -> tuple[SigningKey, AccessToken]:
        """Return a token, and the key that was accepted for it: `key`, or (of `others`) another version of the secret.

        Every assertion is fresh. Busy is tried again up to `most_posts` in all; a clock that is off once, with
        Salesforce's; a refused signature once with each other version of the key that there is.
        """
        busy, corrected = 0, False
        rest: Iterator[SigningKey] | None = None
        while True:
            signed = assertion.mint(
                issuer=key.client_id,
                subject=subject,
                audience=self._audience,
                key=key.private_key,
                now=self._clock.wall() + self._skew,
                token_id=secrets.token_hex(16),
            )
            observability.count("LoginAttempt")
            try:
                token = self._salesforce.exchange(signed, deadline)
            except SalesforceBusy as error:
                busy += 1
                pause = error.retry_after or random.uniform(0, LONGEST_PAUSES[min(busy, len(LONGEST_PAUSES)) - 1])  # noqa: S311  jitter
                if busy >= most_posts or pause >= deadline.seconds_left:
                    raise
                self._clock.sleep(pause)
            except AssertionExpired as error:
                if corrected or not self._learn(error.server_time):
                    raise
                corrected = True
            except AssertionRefused:
                rest = self._others(key) if rest is None else rest
                other = next(rest, None) if others else None
                if other is None:
                    raise
                observability.logger.warning("signature refused, trying another key", version_id=other.version_id)
                key = other
            else:
                if rest is not None:
                    key = self._keys.prefer(key)
                return key, token

    def _learn(self, server_time: float | None) -> bool:
        """Remember how far Salesforce's clock is from ours; return whether that made sense."""
        skew = math.inf if server_time is None else server_time - self._clock.wall()
        if abs(skew) > LARGEST_CLOCK_SKEW_SECONDS:
            return False
        self._skew = skew
        return True

    def _others(self, refused: SigningKey) -> Iterator[SigningKey]:
        """Yield what else the secret holds: its current version as it is now, then the one to come, then the last."""
        tried = {refused.version_id}
        for look in (self._keys.refresh, self._keys.pending, self._keys.previous):
            try:
                other = look()
            except BrokerError as error:
                # There may be no such version; the refusal is what the caller hears of.
                observability.logger.info("no other key", error=error.code)
                continue
            if other.version_id not in tried:
                tried.add(other.version_id)
                yield other
