"""Wall and monotonic clock: Lambda freezes the monotonic one, NTP moves the other."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """This machine's clocks."""

    def wall(self) -> float:
        """Return epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()


def since(clock: Clock, wall: float, monotonic: float) -> float:
    """Return the seconds since a moment, by whichever clock says more."""
    return max(clock.wall() - wall, clock.monotonic() - monotonic)
