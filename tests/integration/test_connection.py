"""Connecting: names, addresses and TLS, all within one deadline, and each failure by its own name."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from salesforce_broker.clock import Clock
from salesforce_broker.errors import AppRefused, BrokerError, SalesforceBusy
from salesforce_broker.salesforce import addresses, connection
from salesforce_broker.salesforce.addresses import MAX_LOOKUPS, Resolver, connect_to_any
from salesforce_broker.salesforce.connection import MAX_CONNECT_SECONDS
from salesforce_broker.salesforce.transport import Transport
from tests.support.peers import DEADLINE_SECONDS, Start, ok, post, says, start

__all__ = ["start"]

HOST = "acme.my.salesforce.com"


def at(*ports: int) -> list[Any]:
    """Return what getaddrinfo would, for these ports of this machine."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Return a function that sets what a lookup of a name does."""

    def answer(look_up: Callable[[], Any]) -> None:
        monkeypatch.setattr(connection, "_RESOLVER", Resolver())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: look_up())

    return answer


@pytest.fixture
def silent() -> Iterator[list[int]]:
    """Yield ports that take no connection and refuse none: their queues are full."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(4):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            ports.append(listener.getsockname()[1])
            for _ in range(3):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)  # noqa: FBT003  the method's own
                filler.connect_ex(("127.0.0.1", ports[-1]))
        yield ports


def closed_port() -> int:
    """Return a port that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def failure(url: str, *, seconds: float = DEADLINE_SECONDS) -> tuple[BrokerError, float]:
    """Post, and return what came of it and how long that took."""
    began = time.monotonic()
    with pytest.raises(BrokerError) as caught:
        post(url, seconds=seconds)
    assert caught.value.__cause__ is None
    return caught.value, time.monotonic() - began


@pytest.mark.parametrize(
    ("look_up", "words"),
    [
        (lambda: _raise(socket.gaierror(socket.EAI_NONAME, "Name or service not known")), "cannot be resolved"),
        (lambda: _raise(socket.gaierror(socket.EAI_AGAIN, "Temporary failure")), "cannot be resolved"),
        (lambda: _raise(UnicodeError("label too long")), "cannot be resolved"),
        (lambda: time.sleep(30), "was not resolved in time"),
        (list, "There is no route"),
    ],
    ids=["no-such-name", "no-resolver", "no-name-at-all", "slow", "no-address"],
)
def test_a_name_that_does_not_resolve_is_said_to_be_one(
    names: Callable[[Callable[[], Any]], None], look_up: Callable[[], Any], words: str
) -> None:
    """By the deadline, whatever the resolver does."""
    names(look_up)
    error, seconds = failure(f"https://{HOST}/", seconds=10)
    assert isinstance(error, SalesforceBusy)
    assert words in error.description
    assert HOST in error.description
    assert "VPC" in error.hint
    assert seconds < 10


def _raise(error: Exception) -> None:
    raise error


def test_resolvers_that_hang_keep_a_bounded_number_of_threads(names: Callable[[Callable[[], Any]], None]) -> None:
    """Twelve requests meet a resolver that hangs, and all are answered in time."""
    hang, before = threading.Event(), set(threading.enumerate())
    names(hang.wait)
    callers = [threading.Thread(target=failure, args=(f"http://{HOST}/",)) for _ in range(12)]
    for caller in callers:
        caller.start()
    most = 0
    while any(caller.is_alive() for caller in callers):
        most = max(most, sum(thread.name == "resolver" and thread not in before for thread in threading.enumerate()))
        time.sleep(0.01)
    hang.set()
    assert MAX_LOOKUPS == most


def test_a_lookup_that_ends_late_frees_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is served by it."""
    hang = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hang.wait() and at(1))
    resolver = Resolver(1)
    with pytest.raises(TimeoutError):
        resolver.resolve(HOST, 443, time.monotonic() + 0.1)
    with pytest.raises(TimeoutError):
        resolver.resolve(HOST, 443, time.monotonic() + 0.1)
    hang.set()
    assert at(1) == resolver.resolve(HOST, 443, time.monotonic() + 5)


@pytest.mark.parametrize("count", [1, 4])
def test_addresses_that_never_answer_share_one_time(
    names: Callable[[Callable[[], Any]], None], silent: list[int], count: int
) -> None:
    """Four take no longer than one."""
    names(lambda: at(*silent[:count]))
    error, seconds = failure(f"http://{HOST}/", seconds=20)
    assert isinstance(error, SalesforceBusy)
    assert f"No connection to {HOST} came about in time." == error.description
    assert "NAT" in error.hint
    assert MAX_CONNECT_SECONDS - 0.1 < seconds < 2 * MAX_CONNECT_SECONDS


def test_the_deadline_ends_connecting_before_its_own_bound(
    names: Callable[[Callable[[], Any]], None], silent: list[int]
) -> None:
    """What is left of the request counts."""
    names(lambda: at(*silent))
    _, seconds = failure(f"http://{HOST}/")
    assert seconds < 4 * DEADLINE_SECONDS


def test_one_address_that_answers_is_enough(
    names: Callable[[Callable[[], Any]], None], silent: list[int], start: Start
) -> None:
    """Behind three that swallow packets and one that refuses."""
    peer = start(ok())
    names(lambda: at(*silent[:3], closed_port(), peer.port))
    assert 200 == post(f"http://{HOST}/", seconds=20).status


def test_no_socket_is_left_of_a_race(silent: list[int], start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The winner is kept, all others are closed."""
    made: list[socket.socket] = []
    begin = addresses._start_connecting  # noqa: SLF001  what it makes is what must be closed

    def noted(*args: Any) -> socket.socket:
        made.append(begin(*args))
        return made[-1]

    monkeypatch.setattr(addresses, "_start_connecting", noted)
    winner = connect_to_any(at(*silent, start(ok()).port), time.monotonic() + 10)
    with winner:
        assert [winner] == [sock for sock in made if sock.fileno() != -1]
    assert 5 == len(made)


def test_a_refused_connection_says_so(names: Callable[[Callable[[], Any]], None]) -> None:
    """From all addresses."""
    port = closed_port()
    names(lambda: at(port, port))
    error, _ = failure(f"http://{HOST}/", seconds=5)
    assert isinstance(error, SalesforceBusy)
    assert f"The connection to {HOST} was refused." == error.description
    assert "firewall" in error.hint


def test_an_unreachable_network_says_so(names: Callable[[Callable[[], Any]], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """No route, as in a subnet without a NAT gateway."""
    names(lambda: at(1))
    monkeypatch.setattr(addresses, "_start_connecting", lambda *_: _raise(OSError(101, "Network is unreachable")))
    error, _ = failure(f"http://{HOST}/", seconds=5)
    assert f"There is no route to {HOST}." == error.description
    assert "NAT" in error.hint


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """Return the authority that the broker trusts."""
    trusted = trustme.CA()
    trusted.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setattr("certifi.where", lambda: str(tmp_path / "ca.pem"))
    return trusted


def server(authority: trustme.CA, name: str = HOST, **settings: Any) -> ssl.SSLContext:
    """Return a server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **settings).configure_cert(context)
    return context


def test_tls_is_spoken_with_who_has_the_name(
    authority: trustme.CA, start: Start, names: Callable[[Callable[[], Any]], None]
) -> None:
    """And kept for the next exchange."""
    peer = start(ok(), server(authority))
    names(lambda: at(peer.port))
    transport = Transport(user_agent="test")
    for _ in range(2):
        assert 200 == transport.post_form(f"https://{HOST}/", {"assertion": "x"}, Clock().deadline(5)).status
    assert (1, 2) == (peer.connections, len(peer.requests))


def test_bytes_that_tls_has_decrypted_do_not_begin_the_next_answer(
    authority: trustme.CA, start: Start, names: Callable[[Callable[[], Any]], None]
) -> None:
    """They are nowhere on the socket any more."""
    body = b"x" * 9_000
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    # One write, so one TLS record, of more than is read at a time.
    peer = start(says(f"HTTP/1.1 200 OK\nContent-Length: {len(body)}", body + forged), server(authority))
    names(lambda: at(peer.port))
    transport = Transport(user_agent="test")
    bodies = [transport.post_form(f"https://{HOST}/", {"assertion": "x"}, Clock().deadline(5)).body for _ in range(3)]
    assert [body] * 3 == bodies
    assert 3 == peer.connections


@pytest.mark.parametrize("kind", ["other-name", "unknown-issuer", "expired", "plain-http"])
def test_a_peer_that_cannot_be_salesforce_is_recognised_by_what_it_shows(
    authority: trustme.CA, start: Start, names: Callable[[Callable[[], Any]], None], kind: str
) -> None:
    """A wrong set-up: no further attempt helps."""
    day = datetime.timedelta(days=1)
    then = datetime.datetime.now(datetime.UTC) - 10 * day
    contexts: dict[str, Callable[[], ssl.SSLContext | None]] = {
        "other-name": lambda: server(authority, "elsewhere.example"),
        "unknown-issuer": lambda: server(trustme.CA()),
        "expired": lambda: server(authority, not_before=then, not_after=then + day),
        "plain-http": lambda: None,
    }
    words = {
        "other-name": "no TLS certificate for that name",
        "unknown-issuer": "from an issuer that the broker does not trust",
        "expired": "expired or is not valid yet",
        "plain-http": "does not speak TLS as expected",
    }
    # A peer without TLS answers at once, whatever it is sent.
    peer = start(ok(), contexts[kind]())
    port = peer.port if kind != "plain-http" else _answers_at_once()
    names(lambda: at(port))
    error, _ = failure(f"https://{HOST}/", seconds=5)
    assert isinstance(error, AppRefused)
    assert words[kind] in error.description
    assert error.hint
    assert not peer.requests


def _answers_at_once(answer: bytes = b"HTTP/1.1 400 Bad Request\r\n\r\n", *, reset: bool = False) -> int:
    """Start a listener that sends bytes to whoever connects; return its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError), listener, listener.accept()[0] as connection:
            connection.recv(1)
            connection.sendall(answer)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                connection.recv(100_000)

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


@pytest.mark.parametrize("reset", [False, True])
def test_a_handshake_that_breaks_off_is_busy(
    authority: trustme.CA, names: Callable[[Callable[[], Any]], None], *, reset: bool
) -> None:
    """By a peer or a firewall in between; the next attempt may succeed."""
    del authority
    port = _answers_at_once(b"", reset=reset)
    names(lambda: at(port))
    error, _ = failure(f"https://{HOST}/", seconds=5)
    assert isinstance(error, SalesforceBusy)
    assert f"The TLS handshake with {HOST} failed." == error.description
    assert "firewall" in error.hint


def test_a_handshake_that_never_ends_has_the_time_for_connecting(
    authority: trustme.CA, names: Callable[[Callable[[], Any]], None], start: Start
) -> None:
    """Name resolution, TCP and TLS share it."""
    del authority
    peer = start(ok())
    peer.hold = True
    names(lambda: at(peer.port))
    error, seconds = failure(f"https://{HOST}/", seconds=20)
    assert f"The TLS handshake with {HOST} did not end in time." == error.description
    assert seconds < 3 * MAX_CONNECT_SECONDS
