"""The transport's bounds against servers that misbehave at the level of bytes."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from salesforce_broker.clock import Clock
from salesforce_broker.errors import SalesforceBusy
from salesforce_broker.salesforce.transport import MAX_BODY_BYTES, Reply, Transport

Talk = Callable[[socket.socket], None]

DEADLINE_SECONDS = 0.5
"""Short enough for a suite. A drip below takes ten times as long, so that only a bound that holds ends it early."""


class Peer:
    """A server whose every connection is handled by `talk`, after one request was read."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
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
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as received:
            while head := b"".join(iter(received.readline, b"\r\n")):
                length = re.search(rb"Content-Length: (\d+)", head)
                received.read(int(length[1]) if length else 0)
                self.requests.append(head)
                self._talk(connection)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


Start = Callable[[Talk], Peer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start peers that end with the test."""
    peers: list[Peer] = []

    def make(talk: Talk) -> Peer:
        peers.append(Peer(talk))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


def post(url: str, *, seconds: float = DEADLINE_SECONDS) -> Reply:
    """Post a form with a deadline."""
    return Transport(user_agent="test").post_form(url, {"assertion": "s3cret"}, Clock().deadline(seconds))


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


@pytest.mark.parametrize(
    "talk",
    [
        drips(b"", b"H"),
        drips(b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n"),
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        drips(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda _: time.sleep(10 * DEADLINE_SECONDS),
    ],
    ids=["status-line", "headers", "body", "chunks", "continues", "silence"],
)
def test_the_deadline_is_total(start: Start, talk: Talk) -> None:
    """A peer that keeps sending a little is cut off, in the head as in the body."""
    peer = start(talk)
    began = time.monotonic()
    with pytest.raises(SalesforceBusy) as caught:
        post(peer.url)
    # The drip lasts ten deadlines; half of that leaves a noisy machine its module.
    assert time.monotonic() - began < 5 * DEADLINE_SECONDS
    assert caught.value.__cause__ is None


def test_a_deadline_that_has_passed_sends_nothing(start: Start) -> None:
    """No connection is made."""
    peer = start(ok())
    with pytest.raises(SalesforceBusy):
        post(peer.url, seconds=0)
    assert 0 == peer.connections


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(start: Start, status: int) -> None:
    """A 307 would post the assertion to any host."""
    elsewhere = start(ok())
    peer = start(says(f"HTTP/1.1 {status} Moved\nLocation: {elsewhere.url}\nContent-Length: 0"))
    assert status == post(peer.url, seconds=5).status
    assert 0 == elsewhere.connections


def test_connections_are_kept_alive(start: Start) -> None:
    """Two requests, one connection."""
    peer = start(ok())
    transport = Transport(user_agent="test")
    for _ in range(2):
        transport.post_form(peer.url, {"assertion": "x"}, Clock().deadline(5))
    assert (1, 2) == (peer.connections, len(peer.requests))


def test_a_body_at_the_cap_is_read_and_one_beyond_is_refused(start: Start) -> None:
    """64 KB."""
    assert MAX_BODY_BYTES == len(post(start(ok(b"x" * MAX_BODY_BYTES)).url, seconds=5).body)
    with pytest.raises(SalesforceBusy, match="longer than"):
        post(start(ok(b"x" * (MAX_BODY_BYTES + 1))).url, seconds=5)


def test_a_compressed_body_is_not_unpacked(start: Start) -> None:
    """48 KB of gzip can be 50 MB."""
    peer = start(ok(gzip.compress(b"x" * 1_000_000), Content_Encoding="gzip"))
    with pytest.raises(SalesforceBusy, match="compressed"):
        post(peer.url, seconds=5)
    assert b"Accept-Encoding: identity" in peer.requests[0]


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize(
    "talk",
    [
        _reset,
        lambda connection: connection.shutdown(socket.SHUT_RDWR),
        lambda connection: (ok(b"{}", Content_Length="100")(connection), connection.shutdown(socket.SHUT_RDWR)),
        says("SMTP ready"),
        says("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"zz\r\n"),
        says("HTTP/1.1 200 OK\n" + "\n".join(f"X-{n}: 1" for n in range(500)), b""),
    ],
    ids=["reset", "closed", "truncated", "not-http", "bad-chunk", "many-headers"],
)
def test_a_broken_answer_is_busy(start: Start, talk: Talk) -> None:
    """Worth another attempt, and without the library's exception, which holds the request."""
    with pytest.raises(SalesforceBusy) as caught:
        post(start(talk).url, seconds=5)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_nobody_there_is_busy() -> None:
    """A refused connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with pytest.raises(SalesforceBusy):
        post(url, seconds=5)


def test_the_environment_is_not_asked(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable would see the assertion."""
    proxy = start(ok())
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    peer = start(ok())
    assert 200 == post(peer.url, seconds=5).status
    assert 0 == proxy.connections
