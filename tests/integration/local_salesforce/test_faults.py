"""Faults on order, as bytes: each kind is seen on a bare socket, so often, and by whom it was ordered for."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit

import pytest

from local_salesforce import DEFAULT_USERNAME
from local_salesforce.faults import BOMB_BYTES, KINDS
from tests.integration.local_salesforce.conftest import GRANT_TYPE, Desk

TOKEN = "/services/oauth2/token"


class Raw:
    """What came back on a socket until its end: bytes, when each piece came, and whether it ended with a reset."""

    def __init__(self, desk: Desk) -> None:
        body = urlencode({"grant_type": GRANT_TYPE, "assertion": desk.assertion()})
        head = f"POST {TOKEN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        self.sent, self.pieces, self.reset = time.monotonic(), 0, False
        self.data = b""
        address = urlsplit(desk.salesforce.url)
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30) as connection:
            connection.sendall((head + body).encode())
            try:
                while piece := connection.recv(65536):
                    self.pieces += 1
                    self.data += piece
            except ConnectionResetError:
                self.reset = True
        self.seconds = time.monotonic() - self.sent
        self.head, _, self.body = self.data.partition(b"\r\n\r\n")

    @property
    def status(self) -> int:
        """Of the answer, 0 without one."""
        return int(self.head.split(b" ")[1]) if b" " in self.head else 0

    @property
    def length(self) -> int:
        """What the head says of the body."""
        return int(self.head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])

    @property
    def fields(self) -> dict[str, object]:
        """The JSON in the body, empty if it is none."""
        with contextlib.suppress(ValueError):
            found: dict[str, object] = json.loads(self.body)
            return found
        return {}


def _error(status: int, error: str) -> Callable[[Raw], bool]:
    return lambda raw: (raw.status, raw.fields.get("error")) == (status, error)


def _redirect(status: int, host: str) -> Callable[[Raw], bool]:
    return lambda raw: raw.status == status and f"Location: https://{host}{TOKEN}".encode() in raw.head


SEEN: dict[str, Callable[[Raw], bool]] = {
    "unknown_error": _error(400, "unknown_error"),
    "sporadic_400": _error(400, "unknown_error"),
    "server_error": _error(500, "server_error"),
    "temporarily_unavailable": _error(503, "temporarily_unavailable"),
    "too_many_requests_json": _error(429, "rate_limit_exceeded"),
    "OAUTH_APP_BLOCKED": _error(400, "OAUTH_APP_BLOCKED"),
    "OAUTH_APP_ACCESS_DENIED": _error(400, "OAUTH_APP_ACCESS_DENIED"),
    "OAUTH_EC_APP_NOT_FOUND": _error(400, "OAUTH_EC_APP_NOT_FOUND"),
    "renamed_my_domain": _redirect(301, "acme-renamed.my.salesforce.com"),
    "enhanced_domains": _redirect(302, "acme--dev.sandbox.my.salesforce.com"),
    "maintenance": lambda raw: raw.status == 503 and b"text/html" in raw.head and raw.body.startswith(b"<html>"),
    "empty_500": lambda raw: (raw.status, raw.body) == (500, b""),
    "too_many_requests": lambda raw: raw.status == 429 and b"Retry-After: 1" in raw.head,
    "delay": lambda raw: raw.status == 200 and raw.seconds >= 1,
    "drip_head": lambda raw: raw.status == 200 and raw.pieces > len(raw.head) / 2,
    "drip_body": lambda raw: raw.status == 200 and raw.pieces > len(raw.body) / 2,
    "reset_before_head": lambda raw: raw.reset and raw.data == b"",
    "reset_in_head": lambda raw: raw.reset and b"\r\n\r\n" not in raw.data,
    "reset_before_body": lambda raw: raw.reset and raw.body == b"",
    "reset_in_body": lambda raw: raw.reset and len(raw.body) < raw.length,
    "truncated": lambda raw: not raw.reset and 0 < len(raw.body) < raw.length,
    "length_too_large": lambda raw: raw.length == len(raw.body) + 10,
    "length_too_small": lambda raw: raw.length == len(raw.body) - 10,
    "gzip_bomb": lambda raw: len(raw.body) < BOMB_BYTES / 500 and len(gzip.decompress(raw.body)) == BOMB_BYTES,
    "redirect": lambda raw: raw.status == 302 and b"Location: https://login.salesforce.com/" in raw.head,
    "html": lambda raw: raw.status == 200 and raw.body.startswith(b"<html>"),
    "broken_json": lambda raw: raw.status == 200 and raw.body.startswith(b"{") and not raw.fields,
    "missing_field": lambda raw: raw.status == 200 and "id" in raw.fields and "access_token" not in raw.fields,
    "wrong_type": lambda raw: raw.status == 200 and raw.fields["access_token"] == 42,
    "huge": lambda raw: len(raw.body) == 1_000_000,
    "clock_skew": lambda raw: (
        3500 < parsedate_to_datetime(raw.head.split(b"Date: ")[1][:29].decode()).timestamp() - time.time()
    ),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fault_is_seen_once_and_then_all_is_well(desk: Desk, kind: str) -> None:
    """Ordered once, by its name."""
    faster = {"drip_seconds": 0.002} if kind.startswith("drip") else {}
    desk.salesforce.faults.order(kind, **faster)
    assert SEEN[kind](Raw(desk))
    assert (200, False) == ((after := Raw(desk)).status, after.reset)


def test_a_fault_lasts_as_often_as_ordered_or_until_it_is_cleared(desk: Desk) -> None:
    """Three times; for ever."""
    desk.salesforce.faults.order("empty_500", times=3)
    assert [500, 500, 500, 200] == [desk.log_in().status_code for _ in range(4)]
    desk.salesforce.faults.order("empty_500", times=None)
    assert {500} == {desk.log_in().status_code for _ in range(5)}
    desk.salesforce.faults.clear()
    assert desk.log_in().ok


def test_a_sporadic_fault_hits_every_second_request_until_it_is_cleared(desk: Desk) -> None:
    """As the errors of test.salesforce.com come and go."""
    desk.salesforce.faults.order("sporadic_400")
    assert [400, 200, 400, 200, 400] == [desk.log_in().status_code for _ in range(5)]
    desk.salesforce.faults.clear()
    assert [200, 200] == [desk.log_in().status_code for _ in range(2)]


def test_a_fault_that_changes_fields_leaves_an_answer_without_fields_alone(desk: Desk) -> None:
    """A refusal in plain text has none."""
    desk.salesforce.faults.order("missing_field", path="/id/", times=None)
    assert "Bad_OAuth_Token" == desk.get("/id/00D0000000localEAA/005000000000001AAA", "no token").text


def test_a_fault_is_for_one_user_or_one_org(desk: Desk) -> None:
    """Others go on."""
    desk.salesforce.faults.order("empty_500", user="orders@acme.example")
    assert (200, 500) == (desk.log_in().status_code, desk.log_in(sub="orders@acme.example").status_code)
    desk.salesforce.faults.order("empty_500", org="acme--dev")
    assert (200, 500) == (desk.log_in().status_code, desk.log_in(site="acme--dev").status_code)


def test_a_fault_is_for_any_endpoint(desk: Desk) -> None:
    """By the beginning of its path; for a user, by the session."""
    desk.salesforce.faults.order("maintenance", path="/services/data/", user=DEFAULT_USERNAME)
    assert 200 == desk.get("/services/data/v65.0/limits", desk.token(sub="orders@acme.example")).status_code
    assert 503 == desk.get("/services/data/v65.0/limits").status_code
    desk.salesforce.faults.order(path="/id/", status=200, body="{}")
    assert {} == desk.get("/id/00D0000000localEAA/005000000000001AAA").json()


def test_faults_combine(desk: Desk) -> None:
    """Any field beside the kind: 503 with Retry-After, dripping."""
    desk.salesforce.faults.order("maintenance", headers={"Retry-After": "7"}, drip="body", drip_seconds=0.001)
    raw = Raw(desk)
    assert (503, True) == (raw.status, b"Retry-After: 7" in raw.head)
    assert raw.pieces > len(raw.body) / 2


def test_a_fault_of_no_kind_is_named(desk: Desk) -> None:
    """Rather than to be none."""
    with pytest.raises(KeyError, match="earthquake"):
        desk.salesforce.faults.order("earthquake")
    with pytest.raises(ValueError, match="colour"):
        desk.salesforce.faults.order("html", colour="red")
