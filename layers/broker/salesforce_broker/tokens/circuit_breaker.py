"""Per-subject circuit breaker: after a failed login, rejects further logins with exponential backoff.

State is in memory and bound to the secret's version, so a rotated key (or a deployment) closes the circuit. The first failure
by an outage does not open it: a blip heals with the next request. Half-open: the time is over, and one attempt is the probe.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from salesforce_broker.clock import Clock
from salesforce_broker.errors import LoginRateExceeded, SalesforceBusy, SalesforceError
from salesforce_broker.salesforce.error_catalog import RATE_BLOCK_SECONDS

CONFIG_SECONDS = (30.0, 900.0)
"""First and maximum, doubling. Configuration errors need a manual fix; Salesforce takes 2 to 10 minutes to propagate it."""

BUSY_SECONDS = (0.0, 2.0, 75.0)
"""First, second and maximum, doubling from the second. An outage of a day costs under 60 posts an hour."""

RATE_SECONDS = (RATE_BLOCK_SECONDS, 3600.0)
"""Minimum (whatever Retry-After says) and maximum: the login limit is by the hour."""


@dataclass(frozen=True, slots=True)
class Opening:
    """For how many `seconds` the circuit is open, and whether this failure is the first to open it (to be announced)."""

    seconds: float
    first: bool


@dataclass(frozen=True, slots=True)
class _Failure:
    """The last failure. `announced`: an event has been sent, and none follows until a success."""

    error: SalesforceError
    version_id: str
    count: int
    since: float
    until: float
    announced: bool


class CircuitBreaker:
    """Remembers the last failure of one subject; safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failure: _Failure | None = None
        self._lock = threading.Lock()

    def check(self, version_id: str) -> None:
        """Raise the failure that opened the circuit, with the seconds that remain; return if it is closed or half-open."""
        failure, now = self._failure, self._clock.wall()
        # A wall clock that was set back must not keep the circuit open for longer than it was meant to be.
        if failure and failure.version_id == version_id and failure.since <= now < failure.until:
            raise type(failure.error)(failure.error.description, hint=failure.error.hint, retry_after=failure.until - now)

    def tripped(self, version_id: str) -> bool:
        """Tell whether the last login with this version of the key failed (the circuit is open or half-open)."""
        return self._failure is not None and self._failure.version_id == version_id

    def record_failure(self, version_id: str, error: SalesforceError) -> Opening:
        """Note a failed login; return what it does to the circuit."""
        with self._lock:
            last = self._failure
            repeated = last is not None and last.version_id == version_id and type(last.error) is type(error)
            count = last.count + 1 if last is not None and repeated else 1
            seconds, now = _open_seconds(error, count), self._clock.wall()
            announced = last is not None and last.announced
            self._failure = _Failure(error, version_id, count, now, now + seconds, announced or seconds > 0)
            return Opening(seconds, first=seconds > 0 and not announced)

    def hold_open(self, version_id: str, error: SalesforceError, *, until: float) -> None:
        """Open the circuit until `until` (epoch seconds) because another environment says so; never for over an hour."""
        with self._lock:
            now, announced = self._clock.wall(), self._failure is not None and self._failure.announced
            self._failure = _Failure(error, version_id, 1, now, min(until, now + RATE_SECONDS[1]), announced)

    def record_success(self) -> bool:
        """Close the circuit; tell whether its opening was announced, so that its end is to be, too."""
        with self._lock:
            last, self._failure = self._failure, None
            return last is not None and last.announced


def _open_seconds(error: SalesforceError, count: int) -> float:
    if isinstance(error, LoginRateExceeded):
        minimum, maximum = RATE_SECONDS
        return min(max(error.retry_after or 0, minimum), maximum)
    if isinstance(error, SalesforceBusy):
        first, second, maximum = BUSY_SECONDS
        return first if count == 1 else min(second * 2.0 ** min(count - 2, 30), maximum)
    first, maximum = CONFIG_SECONDS
    return min(first * 2.0 ** min(count - 1, 30), maximum)
