"""When a kept connection is too old to be used, and what happens after one was lost."""

from __future__ import annotations

from typing import Any, cast

import pytest

from salesforce_broker_client import BrokerUnreachable
from salesforce_broker_client.transports.connections import IDLE_SECONDS, ConnectionLost, Connections
from tests.support.clocks import ManualClock


class Line:
    """A way to the broker that loses its first connections, each after `takes` seconds."""

    def __init__(self, *, loses: int = 0, takes: float = 0) -> None:
        self.clock = ManualClock()
        self.seconds: list[float] = []
        self.closed = 0
        self._loses = loses
        self._takes = takes
        self.connections = Connections(cast("Any", self.clock.clock()), self._close)

    def _close(self) -> None:
        self.closed += 1

    def send(self, seconds: float) -> str:
        """Take the seconds that there are."""
        self.seconds.append(seconds)
        self.clock.advance(self._takes)
        if len(self.seconds) <= self._loses:
            raise ConnectionLost from ConnectionResetError()
        return "answer"


def test_an_answer_is_asked_for_once() -> None:
    """With all the time that there is."""
    line = Line()
    assert ("answer", [5.0]) == (line.connections.ask(line.send, 5.0), line.seconds)


def test_after_a_lost_connection_it_is_tried_once_more() -> None:
    """With the time that is left."""
    line = Line(loses=1, takes=2)
    assert ("answer", [5.0, 3.0]) == (line.connections.ask(line.send, 5.0), line.seconds)


@pytest.mark.parametrize(("takes", "times"), [(0, 2), (5, 1)])
def test_after_that_the_broker_is_unreachable(takes: float, times: int) -> None:
    """Lost twice, or no time left; the library's exception is the cause."""
    line = Line(loses=9, takes=takes)
    with pytest.raises(BrokerUnreachable) as caught:
        line.connections.ask(line.send, 5.0)
    assert (times, ConnectionResetError) == (len(line.seconds), type(caught.value.__cause__))


@pytest.mark.parametrize("hand", ["wall", "monotonic"])
@pytest.mark.parametrize(("idle", "closed"), [(IDLE_SECONDS, 0), (IDLE_SECONDS + 1, 1)])
def test_idle_connections_are_closed_before_they_are_used_again(hand: str, idle: float, closed: int) -> None:
    """By either clock: a freeze stops the one, a step moves the other."""
    line = Line()
    line.connections.ask(line.send, 5.0)
    setattr(line.clock, hand, getattr(line.clock, hand) + idle)
    line.connections.ask(line.send, 5.0)
    assert closed == line.closed
    line.connections.ask(line.send, 5.0)
    assert closed == line.closed
