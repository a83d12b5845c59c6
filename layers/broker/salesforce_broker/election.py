"""Who of many environments logs in, and how the others come by the token: a lease in SSM, and patience.

Owns waiting for each other. Does not log in (see `login`) and decides nothing where there is no shared cache: then everybody is
alone.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator

from salesforce_broker.access_token import AccessToken
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.token_cache import SharedCache, TokenIdentity

PATIENCE_SECONDS = (5.0, 9.0)
"""For another environment's login; then one logs in itself. Two hundred reads at SSM's 40 a second take five."""

FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.6, 4.0
"""Between looks, doubling; an exchange takes some tenths of a second."""


class Election:
    """One environment's part in it."""

    def __init__(self, shared: SharedCache | None, clock: Clock) -> None:
        self._shared = shared
        self._clock = clock

    @contextlib.contextmanager
    def lease(self, identity: TokenIdentity, *, crowded: bool) -> Iterator[bool]:
        """Try to be the one that logs in, while the block lasts; yield whether it is.

        In a crowd that SSM keeps from reading, somebody has logged in or is about to: the lease counts as lost.
        """
        taken = self._shared.take_lease(identity) if self._shared and not crowded else None
        try:
            yield self._shared is None or taken is not None
        finally:
            if self._shared and taken:
                self._shared.end_lease(taken)

    def wait(
        self, identity: TokenIdentity, sealing_key: bytes, serves: Callable[[AccessToken], bool], deadline: Deadline
    ) -> AccessToken | None:
        """Wait for a token that `serves` from the one that has the lease; None when patience ends.

        Everybody's patience and every pause are different, so that neither the reads nor the giving up come as a crowd.
        """
        assert self._shared is not None
        patience = self._clock.deadline(min(random.uniform(*PATIENCE_SECONDS), deadline.seconds_left / 2))  # noqa: S311  jitter
        pause = FIRST_LOOK_SECONDS
        while patience.seconds_left > 0:
            self._clock.sleep(min(random.uniform(pause / 2, pause), patience.seconds_left))  # noqa: S311  jitter
            pause = min(pause * 2, LONGEST_LOOK_SECONDS)
            token = self._shared.get(identity, sealing_key).token
            if token and serves(token):
                return token
        return None
