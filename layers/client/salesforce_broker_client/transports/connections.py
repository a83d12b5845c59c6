"""When a kept connection is too old to be used again, and the one retry after a connection was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from salesforce_broker_client.clock import Clock, since
from salesforce_broker_client.errors import BrokerUnreachable

Answer = TypeVar("Answer")

IDLE_SECONDS = 30.0
"""How long a kept connection may be idle and still be used. A load balancer may have dropped it while a Lambda was frozen, and
a call over it would wait until its deadline. Tokens are requested every few minutes, so a new connection costs little."""


class ConnectionLost(Exception):
    """The connection ended without an answer; its cause is the library's exception."""


class Connections:
    """The connections of one transport; safe to share between threads."""

    def __init__(self, clock: Clock, close: Callable[[], None]) -> None:
        """`close` ends the idle ones."""
        self._clock = clock
        self._close = close
        self._guard = threading.Lock()
        self._used: tuple[float, float] | None = None

    def ask(self, send: Callable[[float], Answer], seconds: float) -> Answer:
        """Return what `send` (given the seconds that it has) returns; once more if it raises ConnectionLost. BrokerUnreachable.

        Asking for a token twice does no harm.
        """
        ends = self._clock.monotonic() + seconds
        self._use()
        try:
            return send(seconds)
        except ConnectionLost as lost:
            left = ends - self._clock.monotonic()
            if left <= 0:
                raise BrokerUnreachable("The connection ended without an answer.") from lost.__cause__
        try:
            return send(left)
        except ConnectionLost as lost:
            raise BrokerUnreachable("The connection ended without an answer, twice.") from lost.__cause__

    def _use(self) -> None:
        with self._guard:
            if self._used is not None and since(self._clock, *self._used) > IDLE_SECONDS:
                self._close()
            self._used = self._clock.wall(), self._clock.monotonic()
