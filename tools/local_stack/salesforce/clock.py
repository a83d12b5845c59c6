"""The emulator's clock, by which assertions and sessions expire. Owns nothing else."""

from __future__ import annotations

import time


class MovableClock:
    """The wall clock, which tests may move on."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return epoch seconds."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> float:
        """Let time pass at once; return what time it is then."""
        self._ahead += seconds
        return self.now()
