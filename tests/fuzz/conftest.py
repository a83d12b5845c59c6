"""How much is tried: a little with all tests, much with `make fuzz` (FUZZ=long). Everything stays on loopback."""

from __future__ import annotations

import os

from tests.integration.conftest import _loopback_only, account, built, stack

__all__ = ["_loopback_only", "account", "built", "stack"]

LONG = os.environ.get("FUZZ") == "long"

REQUESTS = 10_000 if LONG else 400
"""Through the gateway and the real Lambda runtime."""

EVENTS = 100_000 if LONG else 3_000
"""At the handlers, both functions together."""
