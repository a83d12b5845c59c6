"""Changes of the key with callers reading all the time: two apps and one, uploads by the Metadata API and by hand.

    make bench-rotation

Exits with an error if a read fails.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import sys
from unittest import mock

from salesforce_broker import observability
from tests.support.key_life import WAYS, rotate_under_reads


def main() -> None:
    """Print a line for each way of changing the key; fail if one of them costs a read."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reads", type=int, default=100_000)
    reads = parser.parse_args().reads
    failed = 0
    print("strategy  upload    propagation  reads    memory   shared  Salesforce  refused logins  failed")
    for (apps, uploads), minutes in itertools.product(WAYS, (0, 2, 10)):
        with (
            contextlib.redirect_stdout(io.StringIO()),
            mock.patch.object(observability.logger.registered_handler, "stream", io.StringIO()),
        ):
            life = rotate_under_reads(apps=apps, uploads=uploads, propagation=60 * minutes, reads=reads)
        refused = sum(entry.error == "invalid_grant" for entry in life.salesforce.journal)
        way = f"{'two apps' if apps > 1 else 'one app':9} {'metadata' if uploads else 'by hand':9}"
        sources = " ".join(f"{life.reads[source]:>8,}" for source in ("memory", "shared", "salesforce"))
        print(
            f"{way} {minutes:>6} min  {sum(life.reads.values()):>9,} {sources} {refused:>12} {len(life.failures):>12}",
            flush=True,
        )
        failed += len(life.failures)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
