"""Fleets: environments that share a cache, cold at once (processes and sockets) and in steady use (modelled clock); an outage.

    make bench-fleet

Exits with an error if a figure is worse than docs/token-life.md promises.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
from collections.abc import Iterator
from unittest import mock

from salesforce_broker import observability
from tests.support import fleet


def main() -> int:
    """Run all three; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--environments", type=int, default=500)
    parser.add_argument("--lifetimes", type=int, default=4)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    observability.logger.setLevel(logging.CRITICAL)
    # Metrics are flushed at the end of an invocation, or all 100: here nothing is invoked. A Mock would keep every call.
    silent = mock.patch.multiple(observability, count=lambda _name: None, audit=lambda _event, **_fields: None)
    good = True
    with silent:
        for figures in _runs(arguments):
            print(f"\n{figures.text}", flush=True)
            good = good and figures.hold
    print("\nAll figures hold." if good else "\nA figure does not hold.")
    return 0 if good else 1


def _runs(arguments: argparse.Namespace) -> Iterator[fleet.Figures]:
    yield fleet.cold_burst(arguments.processes, arguments.each)
    yield fleet.steady(arguments.environments, 100, arguments.lifetimes, arguments.seed)
    yield fleet.outage(arguments.hours, 50)


if __name__ == "__main__":
    sys.exit(main())
