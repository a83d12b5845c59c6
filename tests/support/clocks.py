"""A clock that moves only when told."""

from __future__ import annotations

from salesforce_broker.clock import Clock

START = 1_800_000_000.0


class ManualClock:
    """Two hands, moved together by `advance` and `sleep`, or singly, as freezes and clock steps do."""

    def __init__(self) -> None:
        self.wall = START
        self.monotonic = 5_000.0
        self.slept: list[float] = []

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.monotonic += seconds

    def sleep(self, seconds: float) -> None:
        """Pass the time of a pause at once, and note it."""
        self.slept.append(seconds)
        self.advance(seconds)

    def clock(self) -> Clock:
        """Return it in the form in which the broker takes it."""
        return Clock(wall=lambda: self.wall, monotonic=lambda: self.monotonic, sleep=self.sleep)
