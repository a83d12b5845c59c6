"""`timeout` is the time of a whole call, by both transports, whatever it is that takes too long."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import pytest

from salesforce_broker_client import Broker, BrokerUnreachable
from tests.support.broker_endpoint import BrokerEndpoint, caller

PACE_SECONDS = 0.02
MAX_STREAM_SECONDS = 30
"""For which a server goes on: a call that ends before has ended by its own timeout."""


def forever(first: bytes, again: bytes) -> Callable[[], Iterator[bytes]]:
    """Return what makes a stream: `first`, then `again` until nobody listens any more."""
    return lambda: itertools.chain([first], itertools.repeat(again))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"
STREAMS = {
    "silence": forever(b"", b""),
    "a head, byte by byte": forever(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "a status line, byte by byte": forever(b"HTTP/1.1 200 ", b"O"),
    "headers without an end": forever(b"HTTP/1.1 200 OK\r\n", b"\r"),
    "a body, byte by byte": forever(HEAD, b" "),
    "a body without a length": forever(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "chunks, byte by byte": forever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a flood of 100 Continue": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


class Slow:
    """Reads a request, then sends a stream, a piece at a time. `hung_up`: the caller has closed the connection."""

    def __init__(self, stream: Callable[[], Iterator[bytes]], *, pace: float = PACE_SECONDS) -> None:
        self._stream = stream
        self._pace = pace
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.hung_up = threading.Event()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listening.close()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            connection.recv(65536)
            ends = time.monotonic() + MAX_STREAM_SECONDS
            connection.settimeout(self._pace)
            for piece in self._stream():
                if time.monotonic() > ends:
                    return
                try:
                    connection.sendall(piece)
                    if connection.recv(65536) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            self.hung_up.set()


def ready(transport: str, url: str, monkeypatch: pytest.MonkeyPatch) -> Broker:
    """Return a client that has made what it calls with, which would take its part of a short timeout."""
    broker = caller(transport, url, monkeypatch)
    made: Any = broker._transport  # noqa: SLF001  what is made
    if transport == "invoke":
        made._client = made._make_client()  # noqa: SLF001  likewise
    else:
        made._signed(f"{url}/token", b"")  # noqa: SLF001  likewise
    return broker


@pytest.mark.parametrize("transport", ["invoke", "https"])
@pytest.mark.parametrize("stream", sorted(STREAMS))
def test_an_answer_that_does_not_end_ends_at_the_timeout(transport: str, stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the connection with it, so that no thread is left behind."""
    with Slow(STREAMS[stream]) as slow:
        broker = ready(transport, slow.url, monkeypatch)
        with pytest.raises(BrokerUnreachable):
            broker.token(timeout=0.6)
        assert slow.hung_up.wait(MAX_STREAM_SECONDS / 3)


@pytest.mark.parametrize("transport", ["invoke", "https"])
def test_a_flood_as_fast_as_it_can_ends_too(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no read ever waits."""
    with Slow(forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000), pace=0.0001) as slow:
        broker = ready(transport, slow.url, monkeypatch)
        with pytest.raises(BrokerUnreachable):
            broker.token(timeout=0.6)
        assert slow.hung_up.wait(MAX_STREAM_SECONDS / 3)


@pytest.mark.parametrize("transport", ["invoke", "https"])
def test_a_name_that_takes_for_ever_is_not_waited_for(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver knows no timeout; the error says what the time went to."""
    go = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: go.wait(MAX_STREAM_SECONDS))
    broker = ready(transport, "http://localhost:9", monkeypatch)
    with pytest.raises(BrokerUnreachable, match=r"within 0\.5 s: the time ran out while waiting for localhost"):
        broker.token(timeout=0.5)
    go.set()


class SlowCredentials:
    """A session whose provider of credentials hangs, as one does that asks an unreachable metadata service."""

    region_name = "eu-west-3"

    def __init__(self) -> None:
        self.go = threading.Event()

    def get_credentials(self) -> None:
        """Hang."""
        assert self.go.wait(MAX_STREAM_SECONDS)

    def client(self, *_: Any, **__: Any) -> None:
        """Hang likewise."""
        self.get_credentials()


@pytest.mark.parametrize("transport", ["invoke", "https"])
def test_credentials_that_take_for_ever_are_not_waited_for(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor by who comes next."""
    session = SlowCredentials()
    broker = caller(transport, "http://127.0.0.1:9", monkeypatch, session=session)
    for _ in range(2):
        with pytest.raises(BrokerUnreachable, match="while getting AWS credentials"):
            broker.token(timeout=0.3)
    session.go.set()


@pytest.mark.parametrize("transport", ["invoke", "https"])
def test_a_tls_handshake_that_does_not_end_ends_at_the_timeout(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of 16 KB, byte by byte."""
    with Slow(forever(b"\x16\x03\x03\x40\x00", b"\x02")) as slow:
        broker = ready(transport, slow.url.replace("http:", "https:"), monkeypatch)
        with pytest.raises(BrokerUnreachable):
            broker.token(timeout=0.6)
        assert slow.hung_up.wait(MAX_STREAM_SECONDS / 3)


@pytest.mark.parametrize("transport", ["invoke", "https"])
def test_a_call_after_a_timeout_works(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was ended leaves nothing behind that the next call could trip over."""
    first = threading.Event()

    def take_too_long(_: object) -> bool:
        if not first.is_set():
            first.set()
            time.sleep(1)
        return False

    with BrokerEndpoint(take_too_long) as endpoint:
        broker = ready(transport, endpoint.url, monkeypatch)
        with pytest.raises(BrokerUnreachable):
            broker.token(timeout=0.3)
        assert "00D!a@acme.example" == broker.token("a@acme.example").access_token
