"""The admin API takes any input: what is wrong is a 400 or 404 in JSON, and whole worlds are made through it alone."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_salesforce import (
    DEFAULT_CONSUMER_KEY,
    DEFAULT_USERNAME,
    App,
    Fault,
    KeyMaterial,
    Org,
    Profile,
    Switches,
    User,
)
from tests.integration.local_salesforce.conftest import Desk

PATHS = [
    ("POST", "orgs"),
    ("POST", "users"),
    ("POST", "apps"),
    ("POST", "profiles"),
    ("PATCH", "orgs/acme"),
    ("PATCH", f"users/{DEFAULT_USERNAME}"),
    ("PATCH", f"apps/{DEFAULT_CONSUMER_KEY}"),
    ("PATCH", "profiles/Head%20Office"),
    ("PATCH", "switches"),
    ("POST", "clock"),
    ("PUT", "latency"),
    ("POST", "faults"),
]
WRONG: list[tuple[str, str, bytes, str]] = [
    ("POST", "users", b"{", "no JSON"),
    ("POST", "users", b"\xff", "no JSON"),
    ("POST", "users", b"[" * 100_000, "no JSON"),
    ("POST", "users", b"[]", "no JSON object"),
    ("POST", "users", b"{}", "username: Field required"),
    ("POST", "users", b'{"username": "a@b", "id": "005000000000077", "org": "nowhere"}', "there is no org nowhere"),
    ("POST", "users", b'{"username": "a@b", "id": "005000000000077", "org": "acme", "profile": "None"}', "no profile None"),
    (
        "POST",
        "users",
        b'{"username": "ORDERS@acme.example", "id": "005000000000077", "org": "acme"}',
        "user orders@acme.example exists already",
    ),
    ("POST", "apps", b'{"consumer_key": "3MVG9.local.acme.token.broker", "org": "acme"}', "of org acme exists already"),
    ("POST", "orgs", b'{"name": "login", "id": "00D000000000077", "my_domain": "https://x.my.salesforce.com"}', "login host"),
    ("PATCH", "orgs/acme", b'{"name": "other"}', "cannot be changed"),
    ("PATCH", "orgs/acme", b'{"my_domain": "acme.my.salesforce.com"}', "my_domain"),
    ("PATCH", "users/orders@acme.example", b'{"org": "nowhere"}', "there is no org nowhere"),
    ("DELETE", "profiles/Head%20Office", b"", "there is no profile Head Office"),
    ("POST", "clock", b"{}", 'send {"advance": a number}'),
    ("POST", "clock", b'{"advance": "soon"}', 'send {"advance": a number}'),
    ("POST", "clock", b'{"advance": NaN}', "ten years"),
    ("POST", "clock", b'{"advance": 1e300}', "ten years"),
    ("POST", "clock", b'{"advance": 1' + b"0" * 400 + b"}", "too large"),
    ("PUT", "latency", b'{"seconds": -1}', "from 0 to 3600"),
    ("POST", "faults", b'{"kind": "earthquake"}', "there is no fault 'earthquake'"),
    ("POST", "faults", b'{"kind": ["delay"]}', "there is no fault"),
    ("POST", "faults", b'{"status": 99}', "status"),
    ("POST", "faults", b'{"status": 200, "headers": {"X": "a\\r\\nb"}}', "printable ASCII"),
    ("POST", "faults", b'{"delay_seconds": NaN}', "delay_seconds"),
]


def send(desk: Desk, method: str, path: str, body: bytes) -> requests.Response:
    """Send bytes to the admin API."""
    return desk.session.request(method, f"{desk.salesforce.url}/__admin/{path}", data=body, timeout=30)


@pytest.mark.parametrize(("method", "path", "body", "reason"), WRONG, ids=[f"{row[0]} {row[1]} {row[3]}" for row in WRONG])
def test_a_wrong_input_is_named(desk: Desk, method: str, path: str, body: bytes, reason: str) -> None:
    """400, JSON, a reason in plain text; and the world is as it was."""
    before = desk.salesforce.world.model_dump()
    answer = send(desk, method, path, body)
    assert 400 == answer.status_code, answer.text
    assert reason in answer.json()["error"]
    assert before == desk.salesforce.world.model_dump()
    assert [] == desk.salesforce.faults.ordered


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "nothing"), ("POST", "world"), ("PATCH", "users"), ("DELETE", "orgs/acme"), ("PATCH", "users/x")],
)
def test_what_is_not_there_is_a_404(desk: Desk, method: str, path: str) -> None:
    """With the list of what there is."""
    answer = send(desk, method, path, b"{}")
    assert 404 == answer.status_code
    assert "POST /__admin/clock" in answer.json()["resources"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)
MODELS = (Org, Profile, App, User, Switches, Fault)
FIELDS = st.sampled_from([*(field for model in MODELS for field in model.model_fields), "advance", "seconds"])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=st.sampled_from(PATHS), fields=st.dictionaries(FIELDS, JSON_VALUES, max_size=5) | JSON_VALUES)
def test_no_input_breaks_it(desk: Desk, target: tuple[str, str], fields: Any) -> None:
    """Whatever JSON is sent, the answer is JSON; a refusal says why, and the world can still be shown."""
    answer = send(desk, *target, json.dumps(fields).encode())
    assert answer.status_code in {200, 400}, answer.text
    assert answer.status_code == 200 or answer.json()["error"]
    assert send(desk, "GET", "world", b"").ok


@pytest.mark.parametrize(
    "head",
    ["Content-Length: abc", "Content-Length: -1", "Content-Length: 99999999999", "Transfer-Encoding: chunked\r\n\r\nxyz"],
    ids=["no number", "negative", "too large", "broken chunk"],
)
def test_a_request_that_cannot_be_read_is_a_400(desk: Desk, head: str) -> None:
    """Not a dropped connection."""
    address = urlsplit(desk.salesforce.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30) as connection:
        connection.sendall(f"POST /services/oauth2/token HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_a_defect_of_the_emulator_is_a_500(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its traceback on stderr, and not a dropped connection."""

    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(desk.salesforce, "answer", broken)
    answer = desk.log_in()
    assert 500 == answer.status_code
    assert "defect" in answer.text
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_world_is_made_through_it_alone(desk: Desk, salesforce_key: KeyMaterial) -> None:
    """An org with a site, a profile, an app, a user; then a login at the site; then everything but the org is removed."""
    send(
        desk,
        "POST",
        "orgs",
        json.dumps({"name": "shop", "id": "00D000000000077", "my_domain": "https://shop.my.salesforce.com"}).encode(),
    )
    send(desk, "PATCH", "orgs/shop", json.dumps({"sites": ["https://shop.my.site.com/b2b"]}).encode())
    send(desk, "POST", "profiles", json.dumps({"name": "Till", "session_minutes": 15}).encode())
    app = {"consumer_key": "3MVG9.shop", "org": "shop", "certificate": salesforce_key.certificate}
    send(desk, "POST", "apps", json.dumps(app).encode())
    user = {"username": "till@shop.example", "id": "005000000000077", "org": "shop", "profile": "Till"}
    send(desk, "POST", "users", json.dumps(user).encode())
    sites = send(desk, "GET", "", b"").json()["sites"]
    site = "shop.my.site.com/b2b"
    answer = desk.log_in(site=site, iss="3MVG9.shop", sub="till@shop.example", aud=sites[site])
    assert "00D000000000077" == answer.json()["access_token"][:15]
    assert sites["shop"] == answer.json()["instance_url"]
    for path in ("users/till@shop.example", "profiles/Till", "apps/3MVG9.shop?org=shop"):
        assert send(desk, "DELETE", path, b"").ok
    refused = desk.log_in(site=site, iss="3MVG9.shop", sub="till@shop.example", aud=sites[site])
    assert "invalid_client_id" == refused.json()["error"]


def test_it_shows_sessions_without_their_tokens(desk: Desk) -> None:
    """User, app, address, and the fingerprint by which the broker's answers name a token."""
    token = desk.token()
    (session,) = send(desk, "GET", "sessions", b"").json()
    assert (DEFAULT_USERNAME, "127.0.0.1") == (session["username"], session["address"])
    assert 16 == len(session["fingerprint"])
    assert token not in json.dumps(session)


def test_it_sets_the_latency_of_token_requests(desk: Desk) -> None:
    """For a login that takes its time."""
    assert {"seconds": 0.2} == send(desk, "PUT", "latency", b'{"seconds": 0.2}').json()
    assert desk.log_in().elapsed.total_seconds() >= 0.2
