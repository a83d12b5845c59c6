"""`python -m local_stack run` (the main job, once) and `serve` (left running). Everything that was started ends with it."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from local_salesforce import DEFAULT_USERNAME
from local_stack import demo
from local_stack.build import Build, BuildFailed, build
from local_stack.runtime import FunctionError
from local_stack.stack import LocalStack

INTERRUPTED = 130
"""The shell's own exit status for Ctrl-C."""


def main() -> int:
    """Run a command; return the exit status."""
    parser = argparse.ArgumentParser(prog="local_stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="do the main job once")
    serve = commands.add_parser("serve", help="leave the stack running")
    serve.add_argument("--port", type=int, default=5000)
    for command in (run, serve):
        command.add_argument("--built", type=Path, help="a tree that `sam build` made (default: make one)")
    arguments = parser.parse_args()
    # A plain kill ends what was started, too; and Ctrl-C does so where a shell started this with it ignored.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        built = build(_say, arguments.built)
        if arguments.command == "serve":
            return _serve(built, arguments.port)
        with LocalStack(built) as stack:
            demo.run(stack, _say)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BuildFailed, demo.StepFailed, FunctionError, OSError) as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(built: Build, port: int) -> int:
    with LocalStack(built) as stack:
        api = stack.gateway(port=port)
        _say(
            f"""
The broker answers on {api.url} (Ctrl-C ends it). Try, in another terminal:

  curl -d '{{"sub":"{DEFAULT_USERNAME}"}}' {api.url}/api/jwtauth
  curl -X POST {api.url}/token
  curl {api.url}/identity
  curl {api.url}/health

Salesforce is {stack.salesforce.url} (its emulator's own endpoint: {stack.salesforce.url}/__admin/), AWS is {stack.aws.url}."""
        )
        threading.Event().wait()
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
