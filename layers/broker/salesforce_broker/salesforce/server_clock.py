"""How far Salesforce's clock is from ours: read from a refusal's Date, kept for an hour once a login succeeded with it."""

from __future__ import annotations

import math

from salesforce_broker.clock import Clock
from salesforce_broker.errors import AssertionExpired

MAX_CLOCK_SKEW_SECONDS = 600
"""A `Date` further off than this says more about the answer than about our clock."""

CLOCK_SKEW_AGE_SECONDS = 3600
"""For so long a difference is used that a login has succeeded with; then the broker's own clock is tried first again."""


class ServerClock:
    """Remembers the difference to Salesforce's clock, in seconds that it is ahead of ours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._skew = 0.0
        self._learned_at = -math.inf

    def skew(self) -> float:
        """Return the difference that the last login succeeded with; 0 once that is old."""
        if not 0 <= self._clock.wall() - self._learned_at < CLOCK_SKEW_AGE_SECONDS:
            self.forget()
        return self._skew

    def keep(self, skew: float) -> None:
        """Keep a difference: a login has succeeded with it."""
        self._skew, self._learned_at = skew, self._clock.wall()

    def forget(self) -> float:
        """Forget the difference; return the one that is left, none."""
        self._skew = 0.0
        return self._skew

    def measure(self, error: AssertionExpired, *, corrected: bool) -> float:
        """Return the difference by which to sign again; raise the error with its hint where that cannot help.

        `corrected`: the assertion that was refused was itself signed by such a difference.
        """
        self.forget()
        skew = math.inf if error.server_time is None else error.server_time - self._clock.wall()
        if corrected or abs(skew) > MAX_CLOCK_SKEW_SECONDS:
            raise AssertionExpired(error.description, hint=_hint(skew), server_time=error.server_time) from None
        return skew


def _hint(skew: float) -> str:
    if math.isinf(skew):
        return "The refusal had no Date by which to correct the broker's clock: check that clock."
    apart = f"Salesforce's Date is {_size(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the broker's clock"
    proxy = "a proxy that answers with a Date of its own"
    if abs(skew) > MAX_CLOCK_SKEW_SECONDS:
        return (
            f"{apart}: more than the {MAX_CLOCK_SKEW_SECONDS // 60} minutes that are corrected, so no retry helps."
            f" Set the clock of the broker's machine; Lambda's own is right, so there look for {proxy}."
        )
    return f"{apart}, and an assertion by that Date was refused, too: look for {proxy}, and see Setup > Login History."


def _size(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004  two minutes
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} hours"
