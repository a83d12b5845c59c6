"""Per-subject circuit breaker: after a failed login, rejects further logins with exponential backoff.

State is in memory and bound to the secret's version, so a rotated key (or a deployment) closes the circuit. The first failure
by an outage does not open it: a blip heals with the next request. Half-open: the time is over, and one attempt is the probe.
"""

from __future__ import annotations

import copy
import datetime
import threading
from dataclasses import dataclass

from salesforce_broker.clock import Clock
from salesforce_broker.errors import BrokerError, LoginRateExceeded, SalesforceBusy
from salesforce_broker.salesforce.error_catalog import RATE_BLOCK_SECONDS

CONFIG_SECONDS = (30.0, 45.0)
"""First and maximum, doubling. Configuration errors need a manual fix: within a minute after it, a request finds out."""

BUSY_SECONDS = (0.0, 2.0, 75.0)
"""First, second and maximum, doubling from the second: an outage of a day costs one environment under 60 posts an hour."""

RATE_SECONDS = (RATE_BLOCK_SECONDS, 3600.0)
"""Minimum (whatever Retry-After says) and maximum: the login limit is by the hour."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The last failed login, at `at`, after `attempts` since `since`; the next attempt is at `until` (all epoch seconds).

    `announced`: an event about it has been published, and none follows until a success.
    """

    error: BrokerError
    version_id: str
    since: float
    attempts: int
    at: float
    until: float
    announced: bool


class CircuitBreaker:
    """Remembers the last failure of one subject; safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failure: Failure | None = None
        self._lock = threading.Lock()

    def check(self, version_id: str) -> None:
        """Raise the failure that opened the circuit, with what is remembered of it; return if closed or half-open."""
        failure, now = self._failure, self._clock.wall()
        # A wall clock that was set back must not keep the circuit open for longer than it was meant to be.
        if failure and failure.version_id == version_id and failure.at <= now < failure.until:
            raise _remembered(failure, now)

    def tripped(self, version_id: str) -> bool:
        """Tell whether the last login with this version of the key failed (the circuit is open or half-open)."""
        return self._failure is not None and self._failure.version_id == version_id

    def record_failure(self, version_id: str, error: BrokerError) -> tuple[Failure, bool]:
        """Note a failed login; return it, and whether it is the first that opened the circuit (to be announced)."""
        with self._lock:
            last, now = self._failure, self._clock.wall()
            repeated = last is not None and last.version_id == version_id and type(last.error) is type(error)
            since, attempts = (last.since, last.attempts + 1) if last is not None and repeated else (now, 1)
            seconds, announced = _open_seconds(error, attempts), last is not None and last.announced
            self._failure = Failure(error, version_id, since, attempts, now, now + seconds, announced or seconds > 0)
            return self._failure, seconds > 0 and not announced

    def adopt(self, failure: Failure) -> None:
        """Note a failure that another environment shared, unless the own one is newer."""
        with self._lock:
            if self._failure is None or self._failure.version_id != failure.version_id or self._failure.at < failure.at:
                self._failure = failure

    def record_success(self) -> bool:
        """Close the circuit; tell whether its opening was announced, so that its end is to be, too."""
        with self._lock:
            last, self._failure = self._failure, None
            return last is not None and last.announced


def _remembered(failure: Failure, now: float) -> BrokerError:
    since, until = (
        f"{datetime.datetime.fromtimestamp(at, datetime.UTC):%H:%M:%S} UTC" for at in (failure.since, failure.until)
    )
    attempts = "one attempt" if failure.attempts == 1 else f"{failure.attempts} attempts"
    error = copy.copy(failure.error)
    error.description = (
        f"{failure.error.description} So it has been since {since} ({attempts}); Salesforce has not been asked again,"
        f" and will be at {until}."
    )
    error.args = (error.description,)
    error.retry_after, error.since, error.attempts = failure.until - now, failure.since, failure.attempts
    return error.with_traceback(None)


def _open_seconds(error: BrokerError, attempts: int) -> float:
    if isinstance(error, LoginRateExceeded):
        minimum, maximum = RATE_SECONDS
        return min(max(error.retry_after or 0, minimum), maximum)
    if isinstance(error, SalesforceBusy):
        first, second, maximum = BUSY_SECONDS
        return first if attempts == 1 else min(second * 2.0 ** min(attempts - 2, 30), maximum)
    first, maximum = CONFIG_SECONDS
    return min(first * 2.0 ** min(attempts - 1, 30), maximum)
