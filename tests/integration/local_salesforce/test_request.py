"""The request of the JWT bearer flow: which headers and claims are taken (the table of requests, row by row)."""

from __future__ import annotations

from typing import Any

import pytest

from local_salesforce import DEFAULT_USERNAME
from tests.integration.local_salesforce.conftest import GRANT_TYPE, Desk, said

INVALID = (400, "invalid_grant", "invalid assertion")


@pytest.mark.parametrize(
    "headers",
    [{}, {"typ": None}, {"typ": "at+jwt"}, {"kid": "anything"}, {"x5t": "anything"}],
    ids=["typ", "no typ", "typ is ignored", "kid is ignored", "other headers are ignored"],
)
def test_headers_beside_alg_do_not_matter(desk: Desk, headers: dict[str, Any]) -> None:
    """`typ` is optional, `kid` is not looked at."""
    assert desk.log_in(headers=headers).ok


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_only_rs256_is_taken(desk: Desk, algorithm: str) -> None:
    """A valid signature of another algorithm is no signature."""
    assert INVALID == said(desk.log_in(algorithm=algorithm))


def test_an_assertion_that_the_key_did_not_sign_is_refused(desk: Desk) -> None:
    """HS256 with some secret, no signature, no algorithm."""
    assert INVALID == said(desk.log_in(key="x" * 32, algorithm="HS256"))
    head, payload, _ = desk.assertion().split(".")
    for unsigned in (f"{head}.{payload}.", f"eyJhbGciOiJub25lIn0.{payload}."):
        form = {"grant_type": GRANT_TYPE, "assertion": unsigned}
        assert INVALID == said(desk.call("POST", "/services/oauth2/token", "", data=form))


def test_iss_finds_the_app(desk: Desk) -> None:
    """The consumer key."""
    assert (400, "invalid_client_id", "client identifier invalid") == said(desk.log_in(iss="3MVG9.unknown"))


def test_an_assertion_without_iss_is_of_no_app(desk: Desk) -> None:
    """As one with an unknown one."""
    assert (400, "invalid_client_id", "client identifier invalid") == said(desk.log_in(iss=None))


@pytest.mark.parametrize("claims", [{"sub": None}, {"sub": ""}, {"prn": ""}, {"sub": [DEFAULT_USERNAME]}], ids=str)
def test_an_assertion_that_names_nobody_is_of_an_unknown_user(desk: Desk, claims: dict[str, Any]) -> None:
    """Neither claim, an empty one (`prn` wins even so), or one that is no text."""
    assert (400, "invalid_grant", "user hasn't approved this consumer") == said(desk.log_in(**claims))


def test_sub_is_the_username_in_any_case(desk: Desk) -> None:
    """Usernames are compared without case."""
    assert desk.token(sub=DEFAULT_USERNAME.upper()) == desk.token()


def test_prn_is_taken_and_wins(desk: Desk) -> None:
    """The legacy claim, alone and beside `sub`."""
    orders = desk.token(sub="orders@acme.example")
    assert orders == desk.token(sub=None, prn="orders@acme.example")
    assert orders == desk.token(prn="orders@acme.example")


@pytest.mark.parametrize("slash", ["", "/"])
def test_aud_is_the_address_or_the_my_domain(desk: Desk, slash: str) -> None:
    """With or without a slash at its end, which the Salesforce CLI sends."""
    assert desk.log_in(aud=desk.salesforce.url + slash).ok
    assert desk.log_in(aud="https://acme.my.salesforce.com" + slash).ok


def test_aud_is_an_experience_cloud_site(desk: Desk) -> None:
    """By its URL, path included."""
    desk.salesforce.world.org("acme").sites.append("https://acme.my.site.com/partners")
    assert desk.log_in(aud="https://acme.my.site.com/partners").ok
    assert "audience is invalid" == said(desk.log_in(aud="https://acme.my.site.com/others"))[2]


@pytest.mark.parametrize(
    ("site", "audience"), [("login", "https://login.salesforce.com"), ("acme", "https://login.salesforce.com")]
)
def test_aud_is_the_login_host_for_a_connected_app(desk: Desk, site: str, audience: str) -> None:
    """Posted there or to the My Domain."""
    assert desk.connected(site, aud=audience).ok


@pytest.mark.parametrize(
    "audience",
    [
        ["https://acme.my.salesforce.com"],
        "acme.my.salesforce.com",
        "https://acme--dev.sandbox.my.salesforce.com",
        "https://other.my.salesforce.com",
        "",
        42,
        None,
    ],
    ids=["array", "bare host", "another org", "unknown", "empty", "number", "none"],
)
def test_any_other_aud_is_invalid(desk: Desk, audience: object) -> None:
    """One string, with its scheme, of this org."""
    assert (400, "invalid_grant", "audience is invalid") == said(desk.log_in(aud=audience))


def test_exp_is_a_number_or_a_string(desk: Desk) -> None:
    """Both are accepted."""
    soon = int(desk.salesforce.clock.now()) + 120
    for exp in (soon, str(soon), soon + 0.5):
        assert desk.log_in(exp=exp).ok


def test_exp_has_a_grace_of_three_minutes(desk: Desk) -> None:
    """Clients that send exp = now have worked for years."""
    now = int(desk.salesforce.clock.now())
    assert desk.log_in(exp=now - 170).ok
    assert (400, "invalid_grant", "expired authorization code") == said(desk.log_in(exp=now - 190))


def test_the_upper_bound_of_exp_is_a_switch(desk: Desk) -> None:
    """Unenforced, so that milliseconds pass; enforced where it is switched on."""
    now = int(desk.salesforce.clock.now())
    assert desk.log_in(exp=now * 1000).ok
    desk.salesforce.world.switches.max_exp = 180
    assert desk.log_in(exp=now + 170).ok
    assert INVALID == said(desk.log_in(exp=now + 300))


@pytest.mark.parametrize(
    "exp",
    [None, "soon", [1], {}, True, float("nan"), float("inf"), "NaN", "inf", "1_900_000_000", " 1900000000 ", 10**400],
    ids=str,
)
def test_an_exp_that_is_no_time_is_refused(desk: Desk, exp: object) -> None:
    """It is required."""
    assert INVALID == said(desk.log_in(exp=exp))


def test_other_claims_are_accepted(desk: Desk) -> None:
    """`nbf` in the future, no `iat`, no `jti`, anything else."""
    assert desk.log_in(iat=None, jti=None, nbf=9_999_999_999, color="red").ok


def test_replay_of_a_jti_is_a_switch(desk: Desk) -> None:
    """Not checked, or refused."""
    assert desk.log_in(jti="one").ok
    assert desk.log_in(jti="one").ok
    desk.salesforce.world.switches.replayed_jti_is_refused = True
    assert desk.log_in(jti="two").ok
    assert INVALID == said(desk.log_in(jti="two"))


def test_a_chunked_form_is_read(desk: Desk) -> None:
    """As the Salesforce CLI sends it."""
    body = f"grant_type={GRANT_TYPE}&assertion={desk.assertion()}".encode()
    pieces = (body[start : start + 100] for start in range(0, len(body), 100))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert desk.call("POST", "/services/oauth2/token", "", data=pieces, headers=headers).ok
