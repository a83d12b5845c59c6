"""Small runs of `make bench-fleet`: the same code and the same promises, fewer environments."""

from __future__ import annotations

import pytest

from benchmarks import fleet


def test_a_fleet_that_is_cold_at_once_logs_in_hardly_more_than_once() -> None:
    """Four processes with fifteen environments each; SSM throttled as AWS does."""
    assert fleet.cold_burst(processes=4, each=15)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_fleet_in_steady_use_renews_its_token_about_twice_a_lifetime(seed: int) -> None:
    """A hundred environments on a modelled clock."""
    assert fleet.steady(environments=100, requests_per_second=20, lifetimes=2, seed=seed)
