"""The transport's bounds against servers that misbehave at the level of bytes."""

from __future__ import annotations

import functools
import gzip
import random
import resource
import socket
import struct
import time
import zlib

import pytest

from salesforce_broker.clock import Clock
from salesforce_broker.errors import SalesforceBusy
from salesforce_broker.salesforce.transport import MAX_BODY_BYTES, Transport
from tests.support.peers import DEADLINE_SECONDS, Start, Talk, drips, ok, post, says, start

__all__ = ["start"]


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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirects_body_is_neither_read_nor_unpacked(start: Start, status: int) -> None:
    """398 KB of gzip that unpack to 410 MB cost nothing."""
    head = f"HTTP/1.1 {status} Moved\nLocation: /x\nContent-Encoding: gzip\nContent-Length: {len(_bomb())}"
    peer = start(says(head, _bomb()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = post(peer.url, seconds=5)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (status, b"") == (answer.status, answer.body)
    assert kilobytes < 100_000


@functools.cache
def _bomb() -> bytes:
    megabytes = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(megabytes.compress(bytes(1_000_000)) for _ in range(410)) + megabytes.flush()
    assert len(bomb) > 398_000
    return bomb


@pytest.mark.parametrize("location", ["http://[", "//", "\xff", "http://[::1", "https://a:b:c/", "", " ", "x" * 60_000])
@pytest.mark.parametrize("status", [301, 307])
def test_no_location_of_a_redirect_matters(start: Start, status: int, location: str) -> None:
    """Nobody takes it apart here."""
    peer = start(says(f"HTTP/1.1 {status} Moved\nLocation: {location}\nContent-Length: 0"))
    assert status == post(peer.url, seconds=5).status


def test_no_cookie_of_one_exchange_is_sent_with_the_next(start: Start) -> None:
    """Neither to the same path nor to another, and a large one does no harm."""
    peer = start(ok(Set_Cookie="sid=of-one-user; Path=/", set_cookie="BrowserId=" + "x" * 30_000))
    transport = Transport(user_agent="test")
    for path in ("services/oauth2/token", "services/oauth2/token", "id/1/2"):
        transport.post_form(peer.url + path, {"assertion": "x"}, Clock().deadline(5))
    assert 3 == len(peer.requests)
    assert not [head for head in peer.requests if b"cookie" in head.lower()]


def test_heads_that_are_too_long_fail_their_own_exchange_only(start: Start) -> None:
    """Two cookies of 60 KB end one login, and not the next."""
    answers = iter([ok(Set_Cookie="a=" + "x" * 60_000, set_cookie="b=" + "x" * 60_000), ok()])

    def talk(connection: socket.socket) -> None:
        next(answers)(connection)

    peer = start(talk)
    transport = Transport(user_agent="test")
    with pytest.raises(SalesforceBusy):
        transport.post_form(peer.url, {"assertion": "x"}, Clock().deadline(5))
    assert 200 == transport.post_form(peer.url, {"assertion": "x"}, Clock().deadline(5)).status


@pytest.mark.parametrize(
    "extra",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", b"x", b"\r\n", bytes(100_000)],
    ids=["answer", "byte", "line", "much"],
)
def test_bytes_after_an_answer_do_not_begin_the_next(start: Start, extra: bytes) -> None:
    """A connection with something left on it is not used again."""
    peer = start(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" + extra))
    transport = Transport(user_agent="test")
    bodies = [transport.post_form(peer.url, {"assertion": "x"}, Clock().deadline(5)).body for _ in range(3)]
    assert [b"{}"] * 3 == bodies
    assert 3 == peer.connections


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


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_the_body_of_a_refusal_is_cut_at_the_cap(start: Start, status: int) -> None:
    """The status counts; a page of megabytes is not read."""
    page = b"<html>" + bytes(5_000_000)
    peer = start(says(f"HTTP/1.1 {status} No\nContent-Length: {len(page)}", page))
    answer = post(peer.url, seconds=5)
    assert (status, MAX_BODY_BYTES) == (answer.status, len(answer.body))


@pytest.mark.parametrize("status", [400, 503])
def test_a_compressed_refusal_keeps_its_status(start: Start, status: int) -> None:
    """Its body is not unpacked."""
    packed = gzip.compress(b"x" * 1_000_000)
    peer = start(says(f"HTTP/1.1 {status} No\nContent-Encoding: gzip\nContent-Length: {len(packed)}", packed))
    answer = post(peer.url, seconds=5)
    assert (status, b"") == (answer.status, answer.body)


def test_a_long_web_page_is_distinguished_from_a_long_answer(start: Start) -> None:
    """A login page of any length says what it is."""
    assert post(start(ok(b"\n<!DOCTYPE html>" + b"x" * 300_000)).url, seconds=5).body.startswith(b"\n<!DOCTYPE")


def _floods(piece: bytes, begin: bytes = b"") -> Talk:
    """Send `begin`, then `piece` again and again as fast as it is taken, up to 200 MB."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(begin)
        block = piece * (1 + 100_000 // len(piece))
        for _ in range(200_000_000 // len(block)):
            connection.sendall(block)

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        _floods(b"HTTP/1.1 100 Continue\r\n\r\n"),
        _floods(b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 60_000 + b"\r\n\r\n"),
        _floods(b"x", b"HTTP/1.1 200 "),
        _floods(b"X: " + b"x" * 60_000 + b"\r\n", b"HTTP/1.1 200 OK\r\n"),
        _floods(b"X: 1\r\n", b"HTTP/1.1 200 OK\r\n"),
        _floods(b"1;" + b"x" * 60_000 + b"\r\nx\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        _floods(b"X: 1\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"),
    ],
    ids=["continues", "long-continues", "reason", "long-headers", "headers", "chunk-extensions", "trailers"],
)
def test_floods_end_long_before_the_deadline(start: Start, talk: Talk) -> None:
    """By a number of bytes, not by time."""
    peer = start(talk)
    began = time.monotonic()
    with pytest.raises(SalesforceBusy):
        post(peer.url, seconds=60)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("status", [101, 102, 103, 199])
def test_an_interim_answer_is_no_answer(start: Start, status: int) -> None:
    """And what follows it is not taken for the next exchange's."""
    peer = start(says(f"HTTP/1.1 {status} Wait\n\nHTTP/1.1 200 OK\nContent-Length: 2", b"{}"))
    transport = Transport(user_agent="test")
    for _ in range(2):
        with pytest.raises(SalesforceBusy):
            transport.post_form(peer.url, {"assertion": "x"}, Clock().deadline(5))
    assert 2 == peer.connections


@pytest.mark.parametrize("line", ["s3cret-of-the-peer", ": s3cret-of-the-peer", "a b s3cret-of-the-peer: x"])
def test_malformed_headers_are_not_logged(start: Start, caplog: pytest.LogCaptureFixture, line: str) -> None:
    """urllib3 would write what it cannot parse into the log."""
    caplog.set_level(0)
    peer = start(says(f"HTTP/1.1 200 OK\nContent-Length: 2\n{line}\nX: 1", b"{}"))
    with pytest.raises(SalesforceBusy):
        post(peer.url, seconds=5)
    assert "s3cret" not in caplog.text


def test_a_peer_that_does_not_read_is_given_up(start: Start) -> None:
    """Writes have the deadline, too."""
    peer = start(ok())
    peer.hold = True
    began = time.monotonic()
    with pytest.raises(SalesforceBusy):
        Transport(user_agent="test").post_files(
            peer.url, "token", {"file": random.Random(0).randbytes(30_000_000)}, Clock().deadline(DEADLINE_SECONDS)
        )
    assert time.monotonic() - began < 10 * DEADLINE_SECONDS


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Closed for good: the file made of it would keep it open.
    socket.close(connection.detach())


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
