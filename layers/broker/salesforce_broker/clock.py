"""Time as an argument: wall and monotonic clock, and deadlines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks of the machine: `wall` in epoch seconds, `monotonic` in seconds since whenever."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def deadline(self, seconds: float) -> Deadline:
        """Set a deadline `seconds` from now."""
        return Deadline(self.monotonic() + seconds, self.monotonic)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock by which everything must be done."""

    at: float
    monotonic: Callable[[], float] = time.monotonic

    def within(self, seconds: float) -> Deadline:
        """Return the earlier one of this deadline and `seconds` from now."""
        return Deadline(min(self.at, self.monotonic() + seconds), self.monotonic)

    @property
    def seconds_left(self) -> float:
        """Tell how many seconds are left; 0 once it has passed."""
        return max(0.0, self.at - self.monotonic())
