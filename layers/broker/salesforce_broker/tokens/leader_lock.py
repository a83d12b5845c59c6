"""Leader lock in SSM: one execution environment logs in, the others poll the shared cache."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator

from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.tokens.envelope import TokenIdentity
from salesforce_broker.tokens.shared_cache import NoSharedCache, SharedCache, SharedState

WAIT_SECONDS = (5.0, 9.0)
"""Range of the wait for another environment's login; then this one logs in itself. 200 reads at SSM's 40 a second take 5."""

MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.6, 4.0
"""Between polls, doubling; an exchange takes some tenths of a second."""


class LeaderLock:
    """One environment's part in it."""

    def __init__(self, shared: SharedCache | NoSharedCache, clock: Clock) -> None:
        self._shared = shared
        self._clock = clock

    @contextlib.contextmanager
    def acquire(self, identity: TokenIdentity, deadline: Deadline, *, throttled: bool) -> Iterator[bool]:
        """Try to be the environment that logs in, while the block lasts; yield whether it is.

        Where SSM throttles reads, somebody has logged in or is about to: the lock counts as lost.
        """
        lease = None if throttled else self._shared.acquire_lease(identity, deadline)
        try:
            yield lease is not None
        finally:
            if lease:
                self._shared.release_lease(lease, deadline)

    def wait_for_leader(
        self, identity: TokenIdentity, sealing_key: bytes, done: Callable[[SharedState], bool], deadline: Deadline
    ) -> SharedState:
        """Poll until the leader has shared what is `done`, or the wait is over; return the last state.

        The wait and every pause are random, so that neither the reads nor the time-outs of a fleet come together.
        """
        wait = self._clock.deadline(min(random.uniform(*WAIT_SECONDS), deadline.seconds_left / 2))  # noqa: S311  jitter
        pause, state = MIN_POLL_SECONDS, SharedState()
        while wait.seconds_left > 0 and not done(state):
            self._clock.sleep(min(random.uniform(pause / 2, pause), wait.seconds_left))  # noqa: S311  jitter
            pause = min(pause * 2, MAX_POLL_SECONDS)
            state = self._shared.read(identity, sealing_key, deadline)
        return state
