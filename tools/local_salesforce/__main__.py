"""A local Salesforce, left running until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from pydantic import ValidationError
from yaml import YAMLError

from local_salesforce import certificate_file
from local_salesforce.admin import PREFIX
from local_salesforce.server import LocalSalesforce
from local_salesforce.world import World

INTERRUPTED = 130
"""The shell's exit status for Ctrl-C."""


def main() -> int:
    """Serve; return the exit status."""
    parser = argparse.ArgumentParser(prog="local-salesforce", description=__doc__)
    parser.add_argument("--world", type=Path, help="a YAML or JSON file with orgs, profiles, apps, users, switches")
    parser.add_argument("--certificate", type=Path, help="server.crt (PEM), for every app that has no certificate")
    parser.add_argument("--port", type=int, default=8443, help="of the first org (8443); the other addresses take free ports")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--public-host", default="", help="the host in answers, for clients in a container")
    parser.add_argument("--tls", type=Path, metavar="CA.PEM", help="serve HTTPS; write the certificate of its new CA there")
    arguments = parser.parse_args()
    # Ctrl-C and a plain kill end it, also where a shell started it with SIGINT ignored.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        world = World.load(arguments.world) if arguments.world else World.default()
        if arguments.certificate:
            _put_on_apps(world, arguments.certificate)
        salesforce = LocalSalesforce(
            world, port=arguments.port, host=arguments.host, public_host=arguments.public_host, tls=arguments.tls is not None
        )
        if arguments.tls:
            arguments.tls.write_bytes(salesforce.ca_pem)
        with salesforce:
            _show(salesforce)
            threading.Event().wait()
    except KeyboardInterrupt:
        return INTERRUPTED
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        reasons = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in errors]
        print(f"FAILED: {arguments.world}: {'; '.join(reasons)}", file=sys.stderr)
        return 1
    except (OSError, OverflowError, ValueError, YAMLError) as error:
        print(f"FAILED: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _put_on_apps(world: World, path: Path) -> None:
    try:
        certificate = certificate_file.read_bytes(path.read_bytes())
    except certificate_file.InvalidCertificate as error:
        raise ValueError(f"{path}: {error}") from None
    for app in world.apps:
        app.certificate = app.certificate or certificate


def _show(salesforce: LocalSalesforce) -> None:
    for name, url in salesforce.urls.items():
        print(f"{name:<36}{url}")
    for app in salesforce.world.apps:
        without = "" if app.certificate else ", no certificate yet"
        print(f"{'app':<36}{app.consumer_key} ({app.kind} of {app.org}{without})")
    for user in salesforce.world.users:
        print(f"{'user':<36}{user.username} ({user.org}, {user.state})")
    print(f"{'admin':<36}{salesforce.url}{PREFIX} (not Salesforce's)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
