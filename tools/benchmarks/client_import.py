"""What importing the client costs a caller, beside simple_salesforce: fresh interpreters, in turns.

    make bench

Prints medians and ratios; the milliseconds are this machine's.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TURNS = 15
CANDIDATES = {
    "nothing": "pass",
    "salesforce_broker_client": "from salesforce_broker_client import Broker; Broker('f')",
    "... and its first call's imports (boto3)": (
        "from salesforce_broker_client import Broker; b = Broker('f', region='eu-central-1'); b._transport._make_client()"
    ),
    "... and requests, for broker.session()": "from salesforce_broker_client import Broker; Broker('f').session()",
    "simple_salesforce": "from simple_salesforce import Salesforce",
}
MEASURE = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


def seconds(code: str) -> float:
    """Run code in a fresh interpreter; return how long it took."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "layers" / "client"),
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "PYTHONDONTWRITEBYTECODE": "",
    }
    command = [sys.executable, "-c", MEASURE.format(code)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603  ours
    return float(ended.stdout)


def main() -> None:
    """Measure in turns, after one that writes byte code and warms the disk."""
    taken: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    for turn in range(TURNS + 1):
        for name, code in CANDIDATES.items():
            measured = seconds(code)
            if turn:
                taken[name].append(measured)
    base = statistics.median(taken["simple_salesforce"])
    print(f"\nImports in a fresh interpreter, Python {sys.version.split()[0]}, medians of {TURNS}:")
    for name, each in taken.items():
        print(f"  {name:<42}{statistics.median(each) * 1000:8.1f} ms   {statistics.median(each) / base:5.2f}")


if __name__ == "__main__":
    main()
