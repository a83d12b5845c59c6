"""The emulator's clock: assertions, sessions, login limits and propagation run by it."""

from __future__ import annotations

import math
import time

MAX_OFFSET_SECONDS = 10 * 365 * 24 * 3600
"""Far enough for every expiry, and still a date that a Date header can hold."""


class MovableClock:
    """The wall clock plus an offset that tests change."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Return epoch seconds."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> float:
        """Move the clock, back where `seconds` is negative; return the new time; ValueError beyond ten years."""
        offset = self._offset + seconds
        if not math.isfinite(offset) or abs(offset) > MAX_OFFSET_SECONDS:
            raise ValueError("the clock moves by at most ten years")
        self._offset = offset
        return self.now()
