"""Runs at the start of an interpreter: resolving the name HANGING_NAME takes an hour."""

import os
import socket
import time

_resolve = socket.getaddrinfo


def _hang(host, *arguments, **rest):  # noqa: ANN001, ANN002, ANN003, ANN202  getaddrinfo's own
    if host == os.environ.get("HANGING_NAME"):
        time.sleep(3600)
    return _resolve(host, *arguments, **rest)


socket.getaddrinfo = _hang
