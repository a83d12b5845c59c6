"""Cold start to the first token, and the warm call, in the Lambda runtime: ours beside what a user would pick instead.

All candidates run in one process tree on one machine, in turns, over the same layer; read the ratios, not the milliseconds.
AWS and Salesforce are on loopback: on a real network each of their calls costs tens of milliseconds more, which is to the
disadvantage of whoever makes more of them.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from local_stack.build import build
from local_stack.runtime import Code, LambdaRuntime
from local_stack.stack import LocalStack

HERE = Path(__file__).parent
ROUNDS = 7
WARM_CALLS = 200

NOTHING = "a handler that does nothing"
BY_HAND = "by hand: boto3 + PyJWT + requests, nothing cached"
BY_HAND_AS_BUILT = "the same as SAM's own builder ships it (no byte code)"
MISS = "token broker, nothing in the shared cache"
SHARED = "token broker, token in the shared cache"


def main() -> int:
    """Measure and print a table in Markdown."""
    built = build(_say)
    code = built.code("TokenFunction")
    with tempfile.TemporaryDirectory() as folder:
        candidates = {
            NOTHING: replace(code, function=HERE / "nothing", layers=()),
            BY_HAND: replace(code, function=HERE / "by_hand"),
            BY_HAND_AS_BUILT: replace(code, function=HERE / "by_hand", layers=tuple(_bare(code.layers, Path(folder)))),
            MISS: code,
            SHARED: code,
        }
        cold: dict[str, list[float]] = {name: [] for name in candidates}
        warm: dict[str, list[float]] = {name: [] for name in candidates}
        with LocalStack(built) as stack:
            for number in range(ROUNDS):
                _say(f"round {number + 1} of {ROUNDS} ...")
                for name, candidate in candidates.items():
                    first, later = _measure(stack, name, candidate)
                    cold[name].append(first)
                    warm[name].append(later)
    _report(cold, warm)
    return 0


def _measure(stack: LocalStack, name: str, code: Code) -> tuple[float, float]:
    """Return seconds to the first answer of a fresh environment, and the median of its later ones."""
    environment = stack.variables() | ({} if name == SHARED else {"TOKEN_CACHE_PREFIX": f"/bench/{time.monotonic_ns()}"})
    with LambdaRuntime("bench", code, environment) as runtime:
        began = time.perf_counter()
        runtime.invoke({})
        first = time.perf_counter() - began
        calls = []
        for _ in range(WARM_CALLS):
            began = time.perf_counter()
            runtime.invoke({})
            calls.append(time.perf_counter() - began)
    return first, statistics.median(calls)


def _bare(layers: tuple[Path, ...], folder: Path) -> Iterator[Path]:
    """Copy layers without their byte code."""
    for number, layer in enumerate(layers):
        yield Path(shutil.copytree(layer, folder / str(number), ignore=shutil.ignore_patterns("__pycache__")))


def _report(cold: dict[str, list[float]], warm: dict[str, list[float]]) -> None:
    def row(name: str) -> str:
        first, later = statistics.median(cold[name]), statistics.median(warm[name])
        ours_first, ours_later = statistics.median(cold[MISS]), statistics.median(warm[MISS])
        times = f"{first * 1000:.0f} | {first / ours_first:.2f} | {later * 1000:.2f} | {later / ours_later:.2f}"
        return f"| {name} | {times} |"

    _say(f"\nMedians of {ROUNDS} environments each; warm: of {WARM_CALLS} calls each. Python {sys.version.split()[0]}.\n")
    _say("| | cold start to first answer, ms | ratio | warm call, ms | ratio |\n|---|---|---|---|---|")
    for name in cold:
        _say(row(name))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
