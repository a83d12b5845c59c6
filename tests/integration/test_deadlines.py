"""The deadline matrix in small: what `make deadlines` does with every dependency, point and misbehaviour."""

from __future__ import annotations

import pytest

from deadline_matrix import matrix
from deadline_matrix.faulty_peer import Misbehaviour
from deadline_matrix.matrix import Cell, Matrix
from deadline_matrix.points import POINTS
from local_stack.build import Build


def sample() -> list[Cell]:
    """Return a cell of every point, and so that there is one of every misbehaviour; both functions in turns."""
    ways = [*Misbehaviour, None]
    chosen = []
    for number, point in enumerate(POINTS):
        function = matrix.FUNCTIONS[0 if point.setup == "gateway" else number % 2]
        way = ways[number % len(ways)]
        # What hangs at a cold start takes its time there, too: once is enough here.
        chosen.append(Cell(point, Misbehaviour.STALL if way is None and point.trigger.after else way, function))
    return chosen


def test_whatever_hangs_is_answered_and_audited_in_time(built: Build) -> None:
    """A token, or an error of the closed set, before the request's deadline; and one audit line."""
    with Matrix(built) as running:
        results = list(running.run(sample()))
    assert {} == {str(result.cell): result.fault for result in results if result.fault}
    assert all(result.seconds < result.of_seconds for result in results)
    assert len(POINTS) == len(results)


@pytest.mark.parametrize("misbehaviour", Misbehaviour)
def test_the_sample_has_every_misbehaviour(misbehaviour: Misbehaviour) -> None:
    """And every point, once."""
    assert misbehaviour in {cell.misbehaviour for cell in sample()}
    assert set(POINTS) == {cell.point for cell in sample()}
