"""Servers that misbehave at the level of bytes."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest

from salesforce_broker.clock import Clock
from salesforce_broker.salesforce.transport import Reply, Transport

Talk = Callable[[socket.socket], None]

DEADLINE_SECONDS = 0.5
"""Short enough for a suite. A drip below takes ten times as long, so that only a bound that holds ends it early."""


class Peer:
    """A server whose every connection is handled by `talk`, after one request was read; with `tls` by HTTPS."""

    def __init__(self, talk: Talk, tls: ssl.SSLContext | None = None) -> None:
        self._talk = talk
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/"
        self.hold = False
        """While set, connections are accepted and nothing is read from them."""
        self.connections = 0
        self.requests: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        while self.hold:
            time.sleep(0.01)
        with contextlib.suppress(OSError), connection:
            self._converse(self._tls.wrap_socket(connection, server_side=True) if self._tls else connection)

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as received:
            while head := _head(received):
                length = re.search(rb"Content-Length: (\d+)", head)
                received.read(int(length[1]) if length else 0)
                self.requests.append(head)
                self._talk(connection)

    def close(self) -> None:
        """Stop listening."""
        self.hold = False
        self._listener.close()


def _head(received: BinaryIO) -> bytes:
    """Read a request's head, as far as it comes: at the end of a connection readline returns an empty line for ever."""
    lines = []
    while (line := received.readline()) not in {b"\r\n", b""}:
        lines.append(line)
    return b"".join(lines)


def says(head: str, body: bytes = b"") -> Talk:
    """Answer with these bytes."""
    return lambda connection: connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)


def drips(prefix: bytes, drop: bytes) -> Talk:
    """Send `prefix`, then `drop` every 50 ms for ten deadlines: no single read waits for long."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(prefix)
        for _ in range(int(10 * DEADLINE_SECONDS / 0.05)):
            connection.sendall(drop)
            time.sleep(0.05)

    return talk


def ok(body: bytes = b"{}", **headers: str) -> Talk:
    """Answer 200 with a body."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in ({"Content_Length": str(len(body))} | headers).items()]
    return says("\n".join(["HTTP/1.1 200 OK", *lines]), body)


Start = Callable[..., Peer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start peers that end with the test."""
    peers: list[Peer] = []

    def make(talk: Talk, tls: ssl.SSLContext | None = None) -> Peer:
        peers.append(Peer(talk, tls))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


def post(url: str, *, seconds: float = DEADLINE_SECONDS) -> Reply:
    """Post a form with a deadline."""
    return Transport(user_agent="test").post_form(url, {"assertion": "s3cret"}, Clock().deadline(seconds))
