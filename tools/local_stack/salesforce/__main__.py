"""`python -m local_stack.salesforce`: a local Salesforce, left running until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from pydantic import ValidationError

from local_stack.salesforce.admin import PREFIX
from local_stack.salesforce.server import LocalSalesforce
from local_stack.salesforce.world import World

INTERRUPTED = 130
"""The shell's own exit status for Ctrl-C."""


def main() -> int:
    """Serve; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local_stack.salesforce", description=__doc__)
    parser.add_argument("--world", type=Path, help="a YAML or JSON file with orgs, profiles, apps, users, switches")
    parser.add_argument("--certificate", type=Path, help="server.crt (PEM), to be put on every app that has none")
    parser.add_argument("--port", type=int, default=8443, help="of the first org (8443); the others take free ones")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--public-host", default="", help="what answers call it, for clients in a container")
    parser.add_argument("--tls", type=Path, metavar="CA.PEM", help="serve HTTPS; write the made CA's certificate there")
    given = parser.parse_args()
    # Ctrl-C ends it where a shell started it with SIGINT ignored, too; and so does a plain kill.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        world = World.load(given.world) if given.world else World.default()
        certificate = given.certificate.read_text() if given.certificate else None
        for app in world.apps:
            app.certificate = app.certificate or certificate
        salesforce = LocalSalesforce(
            world, port=given.port, host=given.host, public_host=given.public_host, tls=given.tls is not None
        )
        if given.tls:
            given.tls.write_bytes(salesforce.ca_pem)
        with salesforce:
            _show(salesforce)
            threading.Event().wait()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (OSError, ValidationError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


def _show(salesforce: LocalSalesforce) -> None:
    for name, url in salesforce.urls.items():
        print(f"{name:<12}{url}")
    for app in salesforce.world.apps:
        without = "" if app.certificate else ", no certificate yet"
        print(f"app         {app.consumer_key} ({app.kind} of {app.org}{without})")
    for user in salesforce.world.users:
        print(f"user        {user.username} ({user.org}, {user.state})")
    print(f"admin       {salesforce.url}{PREFIX} (not Salesforce's)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
