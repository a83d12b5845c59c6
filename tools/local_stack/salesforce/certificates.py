"""Which certificate an app's assertions are verified with, while a change makes its way to every node.

Owns propagation: for some minutes after a change one connection meets a node that knows of it, another one that does not.
Does not verify anything (see `token_endpoint`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from local_stack.salesforce.clock import MovableClock
from local_stack.salesforce.world import App


@dataclass(frozen=True, slots=True)
class _Change:
    before: str | None
    until: float


class Certificates:
    """Changes of apps' certificates on their way. `seed` decides which connection meets which node."""

    def __init__(self, clock: MovableClock, *, seed: int) -> None:
        self._clock = clock
        self._seed = seed
        self._changes: dict[str, _Change] = {}

    def replace(self, app: App, pem: str | None, *, propagation_seconds: float) -> None:
        """Set an app's certificate; some nodes go on with the one before until the time is over."""
        self._changes[app.consumer_key] = _Change(app.certificate, self._clock.now() + propagation_seconds)
        app.certificate = pem

    def seen_by(self, connection: int, app: App) -> str | None:
        """Return the certificate that the node at the other end of a connection knows."""
        change = self._changes.get(app.consumer_key)
        if change and self._clock.now() < change.until and random.Random(f"{self._seed} {connection}").random() < 0.5:  # noqa: S311, PLR2004
            return change.before
        return app.certificate
