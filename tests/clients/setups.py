"""Wrong set-ups, each with the refusal that it must lead to, and how each client words a refusal.

Owns every contact of these tests with the local Salesforce's world.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_stack.salesforce import DEFAULT_CONNECTED_APP_KEY, DEFAULT_CONSUMER_KEY, key_material

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
    bench.salesforce.clock.advance(3600)
    return {}


def _no_logins(bench: Bench) -> dict[str, str]:
    bench.salesforce.world.switches.logins_an_hour = 0
    return {}


def _self_authorize(bench: Bench) -> dict[str, str]:
    return _apps(permitted_users="self_authorize")(bench)


def _at_the_login_host(bench: Bench) -> dict[str, str]:
    return {"url": bench.salesforce.urls["login"], "audience": LOGIN, "consumer_key": DEFAULT_CONSUMER_KEY}


NOT_APPROVED = ("invalid_grant", "user hasn't approved this consumer")

SETUPS: dict[str, tuple[Change, str, str]] = {
    "unknown username": (_user("nobody@acme.example"), *NOT_APPROVED),
    "no consent": (_self_authorize, *NOT_APPROVED),
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
        lambda _: {"audience": "https://other.my.salesforce.com"},
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
    "too many logins": (_no_logins, "rate_limit_exceeded", "login rate exceeded"),
}
"""A row each of the token endpoint's errors; a wrong grant type, or a GET, no client sends."""

UNREACHABLE = {
    ("aiosalesforce", "another org's audience"): "its audience is always a login host's",
    ("salesforce-jwt-bearer-token-flow", "another org's audience"): "it posts to its audience",
    ("Salesforce CLI", "another org's audience"): "it goes on with other audiences, of which the right one is the next",
    ("Salesforce CLI", "expired assertion"): "its exp is in milliseconds: never in the past",
}


def words_of(client: str, error: str, description: str) -> list[str]:
    """Return what a client's message holds of a refusal, in its own form."""
    forms = {
        "simple-salesforce": [f"Authentication failed (code: {error}): {description}"],
        "aiosalesforce": [f"[{error}] {description}"],
        "CumulusCI": ["Error retrieving access token: ", f'"error": "{error}"', f'"error_description": "{description}"'],
        "jsforce": [error, description],
        "salesforce-jwt-bearer-token-flow": [f'"error":"{error}"', f'"error_description":"{description}"'],
        "Salesforce CLI": [description],
    }
    return forms[client]
