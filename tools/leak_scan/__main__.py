"""`make leak-scan`: prints what was sent and searched; exits with an error on a finding, or if a planted secret is missed."""

from __future__ import annotations

import argparse
import random
import sys
import time

from leak_scan import scan
from local_stack.build import build


def main() -> int:
    """Scan and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--requests", type=int, default=2000, help="in this process; a fiftieth of it in the Lambda runtime besides"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--without-runtime", action="store_true", help="in this process only: no build is needed")
    arguments = parser.parse_args()
    built = None if arguments.without_runtime else build(print)
    print(f"seed {arguments.seed}", flush=True)
    began = time.monotonic()
    report = scan.scan(arguments.requests, seed=arguments.seed, built=built)
    for line in report.lines():
        print(line)
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if report.clean else 1


if __name__ == "__main__":
    sys.exit(main())
