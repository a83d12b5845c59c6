"""Runs at the start of an interpreter: resolving the name HANGING_NAME takes an hour."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

_resolve = socket.getaddrinfo


def _hang(host: Any, *arguments: Any, **rest: Any) -> Any:
    if host == os.environ.get("HANGING_NAME"):
        time.sleep(3600)
    return _resolve(host, *arguments, **rest)


socket.getaddrinfo = _hang
