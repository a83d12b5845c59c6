"""The token endpoint's refusals, each by the condition that causes it, word for word (the table of errors, row by row)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from ipaddress import IPv4Network

import pytest
import requests

from local_salesforce import (
    DEFAULT_CONNECTED_APP_KEY,
    DEFAULT_CONSUMER_KEY,
    DEFAULT_SANDBOX_KEY,
    DEFAULT_SANDBOX_USERNAME,
    DEFAULT_USERNAME,
    key_material,
)
from tests.integration.local_salesforce.conftest import GRANT_TYPE, Desk, said

TOKEN = "/services/oauth2/token"


def _consent(desk: Desk) -> requests.Response:
    desk.salesforce.world.app(DEFAULT_CONSUMER_KEY).permitted_users = "self_authorize"
    return desk.log_in()


def _no_certificate(desk: Desk) -> requests.Response:
    desk.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, None)
    return desk.log_in()


def _no_scope(desk: Desk) -> requests.Response:
    desk.salesforce.world.app(DEFAULT_CONSUMER_KEY).scopes = ""
    return desk.log_in()


def _closed_org(desk: Desk) -> requests.Response:
    desk.salesforce.world.org("acme").state = "inactive"
    return desk.log_in()


def _other_text_of_audience(desk: Desk) -> requests.Response:
    desk.salesforce.world.switches.audience_text = "Audience validation failed"
    return desk.log_in(aud="https://other.my.salesforce.com")


def _other_text_of_inactive(desk: Desk) -> requests.Response:
    desk.salesforce.world.switches.inactive_user_error = "invalid_grant"
    return desk.log_in(sub="inactive@acme.example")


def _too_many_logins(desk: Desk) -> requests.Response:
    desk.salesforce.world.switches.logins_an_hour = 2
    assert desk.log_in().ok
    assert desk.log_in().ok
    return desk.log_in()


NOT_APPROVED = ("invalid_grant", "user hasn't approved this consumer")
NOT_INSTALLED = ("app_not_found", "External client app is not installed in this org")
UNKNOWN_APP = ("invalid_client_id", "client identifier invalid")
INVALID = ("invalid_grant", "invalid assertion")

ROWS: dict[str, tuple[Callable[[Desk], requests.Response], tuple[str, str]]] = {
    "user not approved: no consent": (_consent, NOT_APPROVED),
    "user not approved: unknown username": (lambda d: d.log_in(sub="nobody@acme.example"), NOT_APPROVED),
    "user not approved: a sandbox's user in production": (lambda d: d.log_in(sub=DEFAULT_SANDBOX_USERNAME), NOT_APPROVED),
    "not admin approved: no permission set of the app": (
        lambda d: d.log_in(sub="unassigned@acme.example"),
        ("invalid_app_access", "user is not admin approved to access this app"),
    ),
    "not installed: login host": (lambda d: d.log_in(site="login", aud="https://login.salesforce.com"), NOT_INSTALLED),
    "not installed: login audience": (lambda d: d.log_in(aud="https://login.salesforce.com"), NOT_INSTALLED),
    "not installed: test audience": (lambda d: d.log_in(aud="https://test.salesforce.com"), NOT_INSTALLED),
    "not installed: another org": (lambda d: d.log_in(site="acme--dev", aud=d.salesforce.urls["acme--dev"]), NOT_INSTALLED),
    "audience: unknown": (lambda d: d.log_in(aud="https://other.my.salesforce.com"), ("invalid_grant", "audience is invalid")),
    "audience: production and sandbox mixed": (
        lambda d: d.connected("acme", aud="https://test.salesforce.com"),
        ("invalid_grant", "audience is invalid"),
    ),
    "audience: the other text": (_other_text_of_audience, ("invalid_grant", "Audience validation failed")),
    "client id: unknown": (lambda d: d.log_in(iss="3MVG9.unknown"), UNKNOWN_APP),
    "client id: wrong login server": (lambda d: d.connected("test"), UNKNOWN_APP),
    "client id: a sandbox's app in production": (lambda d: d.connected("login", iss=DEFAULT_SANDBOX_KEY), UNKNOWN_APP),
    "client credentials: no certificate": (_no_certificate, ("invalid_client", "invalid client credentials")),
    "no valid scopes": (_no_scope, ("invalid_grant", "no valid scopes defined")),
    "grant type: wrong": (
        lambda d: d.call("POST", TOKEN, "", data={"grant_type": "password", "assertion": d.assertion()}),
        ("unsupported_grant_type", "grant type not supported"),
    ),
    "grant type: not form-encoded": (
        lambda d: d.call("POST", TOKEN, "", json={"grant_type": GRANT_TYPE, "assertion": d.assertion()}),
        ("unsupported_grant_type", "grant type not supported"),
    ),
    "invalid request: GET": (lambda d: d.get(TOKEN, ""), ("invalid_request", "must use HTTP POST")),
    "invalid request: no assertion": (
        lambda d: d.call("POST", TOKEN, "", data={"grant_type": GRANT_TYPE}),
        ("invalid_request", "missing required parameter: assertion"),
    ),
    "user: frozen": (lambda d: d.log_in(sub="frozen@acme.example"), ("invalid_grant", "inactive user")),
    "user: locked": (lambda d: d.log_in(sub="locked@acme.example"), ("invalid_grant", "user is locked")),
    "user: any other reason": (lambda d: d.log_in(sub="barred@acme.example"), ("invalid_grant", "authentication failure")),
    "user: inactive": (lambda d: d.log_in(sub="inactive@acme.example"), ("inactive_user", "user is inactive")),
    "user: inactive, the other form": (_other_text_of_inactive, ("invalid_grant", "inactive user")),
    "org: inactive": (_closed_org, ("inactive_org", "organization is locked, closed or suspended")),
    "login range": (
        lambda d: d.log_in(sub="elsewhere@acme.example"),
        ("invalid_grant", "ip restricted or invalid login hours"),
    ),
    "assertion: another key": (lambda d: d.log_in(key=key_material.make().private_key), INVALID),
    "assertion: no JWT": (
        lambda d: d.call("POST", TOKEN, "", data={"grant_type": GRANT_TYPE, "assertion": "not.a.jwt"}),
        INVALID,
    ),
    "assertion: expired": (
        lambda d: d.log_in(exp=int(d.salesforce.clock.now()) - 200),
        ("invalid_grant", "expired authorization code"),
    ),
    "logins: too many in an hour": (_too_many_logins, ("rate_limit_exceeded", "login rate exceeded")),
}


@pytest.mark.parametrize(("cause", "refusal"), list(ROWS.values()), ids=list(ROWS))
def test_a_refusal_has_its_condition(desk: Desk, cause: Callable[[Desk], requests.Response], refusal: tuple[str, str]) -> None:
    """Status 400, the literal words, never to be stored, with a Date."""
    answer = cause(desk)
    assert (400, *refusal) == said(answer)
    assert ("no-store", True) == (answer.headers["Cache-Control"], "Date" in answer.headers)


def test_the_description_may_be_missing(desk: Desk) -> None:
    """A switch."""
    desk.salesforce.world.switches.error_descriptions = False
    assert {"error": "invalid_client_id"} == desk.log_in(iss="3MVG9.unknown").json()


def test_consent_is_enough_where_users_authorize_themselves(desk: Desk) -> None:
    """The other half of pre-authorisation."""
    app = desk.salesforce.world.app(DEFAULT_CONSUMER_KEY)
    app.permitted_users, app.approved_by = "self_authorize", ["unassigned@acme.example"]
    assert desk.log_in(sub="unassigned@acme.example").ok


def test_a_profile_is_enough_where_the_app_admits_it(desk: Desk) -> None:
    """As good as a permission set."""
    desk.salesforce.world.app(DEFAULT_CONSUMER_KEY).profiles = ["Salesforce Integration"]
    assert desk.log_in(sub="unassigned@acme.example").ok


def test_a_sandbox_is_logged_in_to_by_its_own_hosts(desk: Desk) -> None:
    """Its My Domain and the test host."""
    for site in ("acme--dev", "test"):
        answer = desk.log_in(
            site=site, iss=DEFAULT_SANDBOX_KEY, sub=DEFAULT_SANDBOX_USERNAME, aud="https://test.salesforce.com"
        )
        assert desk.salesforce.urls["acme--dev"] == answer.json()["instance_url"]
        assert answer.json()["id"].startswith(desk.salesforce.urls["test"])


def test_a_login_range_admits_its_own(desk: Desk) -> None:
    """Loopback is in 127.0.0.0/8."""
    desk.salesforce.world.profile("Head Office").login_ranges = [IPv4Network("127.0.0.0/8")]
    assert desk.log_in(sub="elsewhere@acme.example").ok


def test_who_logs_in_too_often_is_blocked_for_an_hour(desk: Desk) -> None:
    """3,600 an hour for each user; others go on."""
    assert 3600 == desk.salesforce.world.switches.logins_an_hour
    refused = _too_many_logins(desk)
    assert "rate_limit_exceeded" == refused.json()["error"]
    assert desk.log_in(sub="orders@acme.example").ok
    desk.salesforce.clock.advance(3500)
    assert "rate_limit_exceeded" == desk.log_in().json()["error"]
    desk.salesforce.clock.advance(200)
    assert desk.log_in().ok


def test_the_form_of_the_login_limit_is_a_switch(desk: Desk) -> None:
    """JSON, or plain text."""
    desk.salesforce.world.switches.rate_limit_answer = "text"
    answer = _too_many_logins(desk)
    assert (400, "login rate exceeded") == (answer.status_code, answer.text)


def test_a_request_beside_another_is_a_switch(desk: Desk) -> None:
    """Refused as being processed, or served."""
    desk.salesforce.world.switches.concurrent_requests_are_refused = True
    desk.salesforce.latency = 0.3
    answers: list[requests.Response] = []
    other = Desk(desk.salesforce, desk.key)
    threads = [threading.Thread(target=lambda d=d: answers.append(d.log_in())) for d in (desk, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = ("invalid_grant", "token request is already being processed")
    assert [(200, "", ""), (400, *refused)] == sorted(said(answer) for answer in answers)
    assert desk.log_in().ok


def test_transient_trouble_comes_on_order(desk: Desk) -> None:
    """Nobody outside knows its causes: unknown_error."""
    desk.salesforce.faults.order("unknown_error")
    assert (400, "unknown_error", "retry your request") == said(desk.log_in())
    assert desk.log_in().ok


def test_the_connected_app_is_at_home_at_its_hosts(desk: Desk) -> None:
    """Its org's My Domain and the login host, where its users are found."""
    assert DEFAULT_CONNECTED_APP_KEY != DEFAULT_CONSUMER_KEY
    assert desk.connected("acme").ok
    assert desk.connected("login").ok
    assert DEFAULT_USERNAME == desk.salesforce.journal[-1].subject
