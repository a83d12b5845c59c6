"""What is known to fail is not tried again at once: a latch for each subject, closed by a failure for a growing time.

Owns how long which error keeps it closed. In memory only (see `token_cache` for what environments tell each other) and bound
to the version of the secret, so that a rotation, or a deployment, opens it.

Closed by a mistake in the set-up it spares Salesforce the same refusal a thousand times an hour; closed by an outage, the
logins of everybody who asks meanwhile. The first failure by an outage closes nothing: a blip heals with the next request.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from salesforce_broker.clock import Clock
from salesforce_broker.errors import LoginRateExceeded, SalesforceBusy, SalesforceError
from salesforce_broker.refusals import RATE_BLOCK_SECONDS

REFUSED_SECONDS = (30.0, 900.0)
"""After the first and, doubling, at most: somebody has to change something, which takes minutes to be known everywhere."""

BUSY_SECONDS = (0.0, 2.0, 75.0)
"""After the first failure, after the second and, doubling, at most: an outage of a day costs under 60 posts an hour."""

RATE_SECONDS = (RATE_BLOCK_SECONDS, 3600.0)
"""At least, whatever Retry-After says, and at most: the limit is by the hour."""


@dataclass(frozen=True, slots=True)
class Pause:
    """For how many `seconds` nobody is to try, and whether this failure `begins` it or only makes it longer."""

    seconds: float
    begins: bool


@dataclass(slots=True)
class _Closed:
    error: SalesforceError
    version_id: str
    failures: int
    since: float
    until: float
    told: bool = False


class Latch:
    """Latches by subject; safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed: dict[object, _Closed] = {}
        self._guard = threading.Lock()

    def check(self, subject: object, version_id: str) -> None:
        """Raise the error that closed the latch, with the seconds for which it still will be; return if it is open."""
        with self._guard:
            closed = self._closed.get(subject)
            if closed is None or closed.version_id != version_id:
                return
            now = self._clock.wall()
            # A wall clock that was set back must not keep a latch closed for longer than it was meant to be.
            if closed.since <= now < closed.until:
                left = closed.until - now
                raise type(closed.error)(closed.error.description, hint=closed.error.hint, retry_after=left)

    def failing(self, subject: object, version_id: str) -> bool:
        """Tell whether the last try failed, though the latch may be open again: then one post is a probe enough."""
        with self._guard:
            closed = self._closed.get(subject)
            return closed is not None and closed.version_id == version_id

    def close(self, subject: object, version_id: str, error: SalesforceError) -> Pause:
        """Note a failure; return what it does: a pause lasts, and is told of once, until a success ends it."""
        with self._guard:
            before = self._closed.get(subject)
            same = before is not None and before.version_id == version_id and type(before.error) is type(error)
            failures = before.failures + 1 if before is not None and same else 1
            seconds = _seconds(error, failures)
            now = self._clock.wall()
            told = before is not None and before.told
            self._closed[subject] = _Closed(error, version_id, failures, now, now + seconds, told or seconds > 0)
            return Pause(seconds, begins=seconds > 0 and not told)

    def hold(self, subject: object, version_id: str, error: SalesforceError, *, until: float) -> None:
        """Close the latch until `until` (epoch seconds) because another environment says so; never for over an hour."""
        now = self._clock.wall()
        with self._guard:
            before = self._closed.get(subject)
            told = before is not None and before.told
            self._closed[subject] = _Closed(error, version_id, 1, now, min(until, now + RATE_SECONDS[1]), told)

    def open(self, subject: object) -> bool:
        """Note a success; tell whether it ends a pause that began here."""
        with self._guard:
            closed = self._closed.pop(subject, None)
            return closed is not None and closed.told


def _seconds(error: SalesforceError, failures: int) -> float:
    if isinstance(error, LoginRateExceeded):
        least, most = RATE_SECONDS
        return min(max(error.retry_after or 0, least), most)
    if isinstance(error, SalesforceBusy):
        first, second, most = BUSY_SECONDS
        return first if failures == 1 else min(second * 2.0 ** min(failures - 2, 30), most)
    first, most = REFUSED_SECONDS
    return min(first * 2.0 ** min(failures - 1, 30), most)
