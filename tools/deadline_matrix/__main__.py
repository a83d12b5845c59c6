"""`make deadlines`: runs all cells, prints what came of each point; exits with an error if one is not as it must be."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from deadline_matrix import matrix
from deadline_matrix.matrix import Matrix, Result
from local_stack.build import build


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cells whose name contains this")
    chosen = [cell for cell in matrix.cells() if parser.parse_args().only in str(cell)]
    built = build(print)
    began = time.monotonic()
    with Matrix(built) as running:
        results = list(running.run(chosen))
    report(results)
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if any(result.fault for result in results) else 0


def report(results: list[Result]) -> None:
    """Print a table of the points, then every cell that is not as it must be."""
    print("\n| Dependency | Point | cells | answers | slowest, s | of |\n|---|---|---|---|---|---|")
    for point in dict.fromkeys(result.cell.point for result in results):
        some = [result for result in results if result.cell.point == point]
        answers = ", ".join(f"{number} {answer}" for answer, number in Counter(result.answer for result in some).most_common())
        slowest = max(some, key=lambda result: result.seconds)
        print(
            f"| {point.dependency} | {point.name} | {len(some)} | {answers} | {slowest.seconds:.1f} | {slowest.of_seconds} s |"
        )
    faulty = [result for result in results if result.fault]
    start = max(result.start_seconds for result in results)
    print(f"\n{len(results)} cells, {len(results) - len(faulty)} answered and audited before the deadline;")
    share = max(result.seconds / result.of_seconds for result in results)
    print(f"slowest answer at {share:.0%} of its time, slowest cold start {start:.1f} s")
    for result in faulty:
        print(f"  NOT SO: {result.cell}: {result.fault} (answer {result.answer}, {result.seconds:.1f} s)")


if __name__ == "__main__":
    sys.exit(main())
