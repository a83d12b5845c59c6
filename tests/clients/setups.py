"""Wrong set-ups, each with the refusal that it must lead to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_salesforce import DEFAULT_CONNECTED_APP_KEY, DEFAULT_CONSUMER_KEY, key_material

if TYPE_CHECKING:
    from tests.clients.conftest import Bench

Change = Callable[["Bench"], dict[str, str]]

LOGIN = "https://login.salesforce.com"


def _user(username: str) -> Change:
    return lambda _: {"username": username}


def _apps(**changes: Any) -> Change:
    def change(bench: Bench) -> dict[str, str]:
        for key in (DEFAULT_CONSUMER_KEY, DEFAULT_CONNECTED_APP_KEY):
            for name, value in changes.items():
                setattr(bench.salesforce.world.app(key), name, value)
        return {}

    return change


def _other_key(bench: Bench) -> dict[str, str]:
    path = Path(bench.home) / "other.key"
    path.write_text(key_material.make().private_key)
    return {"key_file": str(path)}


def _closed(bench: Bench) -> dict[str, str]:
    bench.salesforce.world.org("acme").state = "inactive"
    return {}


def _later(bench: Bench) -> dict[str, str]:
    # salesforce-cdp-connector's assertions live for an hour.
    bench.salesforce.clock.advance(2 * 3600)
    return {}


def _other_audience(bench: Bench) -> dict[str, str]:
    """Have each client send an audience that is not this org's, by what it makes its audience of.

    Two send the address that they post to: this one the org is not known by. aiosalesforce sends the test host's for a
    sandbox's My Domain, here to a production org.
    """
    return {
        "url": bench.salesforce.url.replace("127.0.0.1", "localhost"),
        "audience": "https://other.sandbox.my.salesforce.com",
    }


def _fault(**fault: Any) -> Change:
    """Have every login end with what nobody can set up."""

    def change(bench: Bench) -> dict[str, str]:
        bench.salesforce.faults.order(times=None, **fault)
        return {}

    return change


def _switches(**changes: Any) -> Change:
    def change(bench: Bench) -> dict[str, str]:
        for name, value in changes.items():
            setattr(bench.salesforce.world.switches, name, value)
        return {}

    return change


def _at_the_login_host(bench: Bench) -> dict[str, str]:
    return {"url": bench.salesforce.urls["login"], "audience": LOGIN, "consumer_key": DEFAULT_CONSUMER_KEY}


NOT_APPROVED = ("invalid_grant", "user hasn't approved this consumer")

SETUPS: dict[str, tuple[Change, str, str]] = {
    "unknown username": (_user("nobody@acme.example"), *NOT_APPROVED),
    "no consent": (_apps(permitted_users="self_authorize"), *NOT_APPROVED),
    "no permission set of the app": (
        _user("unassigned@acme.example"),
        "invalid_app_access",
        "user is not admin approved to access this app",
    ),
    "External Client App at the login host": (
        _at_the_login_host,
        "app_not_found",
        "External client app is not installed in this org",
    ),
    "another org's audience": (
        _other_audience,
        "invalid_grant",
        "audience is invalid",
    ),
    "unknown consumer key": (
        lambda _: {"consumer_key": "3MVG9.unknown"},
        "invalid_client_id",
        "client identifier invalid",
    ),
    "no certificate": (_apps(certificate=None), "invalid_client", "invalid client credentials"),
    "no scopes": (_apps(scopes=""), "invalid_grant", "no valid scopes defined"),
    "frozen user": (_user("frozen@acme.example"), "invalid_grant", "inactive user"),
    "locked user": (_user("locked@acme.example"), "invalid_grant", "user is locked"),
    "user who may not for another reason": (_user("barred@acme.example"), "invalid_grant", "authentication failure"),
    "inactive user": (_user("inactive@acme.example"), "inactive_user", "user is inactive"),
    "inactive org": (_closed, "inactive_org", "organization is locked, closed or suspended"),
    "outside the login range": (
        _user("elsewhere@acme.example"),
        "invalid_grant",
        "ip restricted or invalid login hours",
    ),
    "another key": (_other_key, "invalid_grant", "invalid assertion"),
    "expired assertion": (_later, "invalid_grant", "expired authorization code"),
    "trouble at Salesforce": (_fault(kind="unknown_error"), "unknown_error", "retry your request"),
    "a request beside another": (
        _fault(status=400, body='{"error":"invalid_grant","error_description":"token request is already being processed"}'),
        "invalid_grant",
        "token request is already being processed",
    ),
    "too many logins": (_switches(logins_an_hour=0), "rate_limit_exceeded", "login rate exceeded"),
}
"""A row each of the token endpoint's errors; a wrong grant type, or a GET, no client sends."""

UNREACHABLE = {("Salesforce CLI", "expired assertion"): "its exp is in milliseconds: never in the past"}

ODD_ANSWERS: dict[str, Change] = {
    "no description": lambda bench: _switches(error_descriptions=False)(bench) | {"username": "nobody@acme.example"},
    "login limit in plain text": _switches(logins_an_hour=0, rate_limit_answer="text"),
    "maintenance page": _fault(kind="maintenance"),
}
"""Refusals that are not in the form of OAuth, or not all of it."""
