"""The certificate that verifies an app's assertions, while a change of it propagates.

For some minutes after a change, some connections see the new certificate and others the old one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from local_salesforce.clock import MovableClock
from local_salesforce.world import App

_SHARE_OF_OLD_NODES = 0.5


@dataclass(frozen=True, slots=True)
class _Change:
    before: str | None
    until: float


class Certificates:
    """Changes of certificates that are still propagating; `seed` decides which connections see the old certificate."""

    def __init__(self, clock: MovableClock, *, seed: int) -> None:
        self._clock = clock
        self._seed = seed
        self._changes: dict[tuple[str, str], _Change] = {}

    def replace(self, app: App, pem: str | None, *, propagation_seconds: float) -> None:
        """Set an app's certificate; half of the connections see the old one until the time is over."""
        before = app.certificate
        app.certificate = pem
        self._changes[app.consumer_key, app.org] = _Change(before, self._clock.now() + propagation_seconds)

    def seen_by(self, connection: int, app: App) -> str | None:
        """Return the certificate that this connection sees."""
        change = self._changes.get((app.consumer_key, app.org))
        if change and self._clock.now() < change.until:
            chance = random.Random(f"{self._seed} {connection}").random()  # noqa: S311  a schedule, with a seed
            if chance < _SHARE_OF_OLD_NODES:
                return change.before
        return app.certificate
