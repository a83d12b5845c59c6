"""Small runs of `make bench-fleet`: the same code and the same promises, fewer environments."""

from __future__ import annotations

import pytest

from tests.support import fleet


def test_a_fleet_that_is_cold_at_once_logs_in_hardly_more_than_once() -> None:
    """Four processes with fifteen environments each; SSM throttled as AWS does."""
    figures = fleet.cold_burst(processes=4, each=15)
    assert figures.hold, figures.text


@pytest.mark.parametrize("seed", [1, 2])
def test_a_fleet_in_steady_use_renews_its_token_about_twice_a_lifetime(seed: int) -> None:
    """A hundred environments on a modelled clock."""
    figures = fleet.steady(environments=100, requests_per_second=20, lifetimes=2, seed=seed)
    assert figures.hold, figures.text
