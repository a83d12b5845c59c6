"""Catalog of Salesforce's refusals: its `error` and `error_description` -> the broker's error, and what to change where.

`error_description` may be missing, and the same `invalid_grant` stands for a dozen different mistakes: every row has a hint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from salesforce_broker.errors import (
    AppRefused,
    AssertionExpired,
    AssertionRefused,
    LoginRateExceeded,
    SalesforceBusy,
    SalesforceError,
    UserRefused,
)

RATE_BLOCK_SECONDS = 300
"""Salesforce blocks a user over 3,600 logins for the rest of the hour; a retry within minutes cannot succeed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: `error` as sent ("" for any), `words` of which the description contains one (none: any description)."""

    error: str
    words: tuple[str, ...]
    kind: type[SalesforceError]
    meaning: str
    hint: str


RULES = (
    Rule("rate_limit_exceeded", (), LoginRateExceeded, "the user's logins exceed the hourly limit",
            "Salesforce allows 3,600 logins per user and hour. Find who logs in without caching tokens:"
            " Setup > Login History."),
    Rule("", ("login rate exceeded", "login_rate_exceeded"), LoginRateExceeded,
            "the user's logins exceed the hourly limit",
            "Salesforce allows 3,600 logins per user and hour. Find who logs in without caching tokens:"
            " Setup > Login History."),
    Rule("unknown_error", (), SalesforceBusy, "Salesforce asks to retry", ""),
    Rule("", ("already being processed", "retry your request"), SalesforceBusy, "Salesforce asks to retry", ""),
    Rule("invalid_grant", ("approved this consumer",), AppRefused,
            "the user is not approved for the app, or no such user exists in this org",
            "In the app's policies set Permitted Users to 'Admin approved users are pre-authorized' and give it a"
            " permission set or profile of the user; check the username (not the e-mail) and that the login URL is the"
            " user's org. After a change wait up to 10 minutes."),
    Rule("invalid_app_access", (), AppRefused, "the user has no profile or permission set that the app admits",
            "Assign the user a permission set or profile selected in the app's policies."),
    Rule("app_not_found", (), AppRefused, "the app is not installed in this org",
            "Use the org's My Domain for SALESFORCE_LOGIN_URL and leave SALESFORCE_AUDIENCE empty: login.salesforce.com"
            " and test.salesforce.com do not know External Client Apps."),
    Rule("invalid_grant", ("audience",), AppRefused, "the audience is invalid",
            "Leave SALESFORCE_AUDIENCE empty with a My Domain login URL; otherwise https://login.salesforce.com for"
            " production, https://test.salesforce.com for a sandbox."),
    Rule("invalid_client_id", (), AppRefused, "the consumer key is unknown here",
            "Compare 'client_id' in the secret (or SALESFORCE_CLIENT_ID) with the app's consumer key, and the login URL"
            " with the app's org."),
    Rule("invalid_client", (), AppRefused, "the app has no certificate",
            "Upload the certificate that belongs to the private key: External Client App > Settings > OAuth Settings >"
            " Enable JWT Bearer Flow (connected app: Use digital signatures)."),
    Rule("invalid_grant", ("no valid scopes",), AppRefused, "the app grants no usable scope",
            "Add the scope 'api' (Manage user data via APIs) to the app's OAuth scopes."),
    Rule("unsupported_grant_type", (), AppRefused, "the host does not offer the JWT bearer flow",
            "Check SALESFORCE_LOGIN_URL, and that the JWT bearer flow is enabled for the app."),
    Rule("invalid_request", (), AppRefused, "Salesforce considers the request malformed",
            "Check SALESFORCE_LOGIN_URL and SALESFORCE_AUDIENCE."),
    Rule("invalid_grant", ("ip restricted", "invalid login hours"), UserRefused,
            "the broker's address or the hour is outside the user's login ranges",
            "Allow the broker's egress address in the login IP ranges of the user's profile, or relax IP restrictions"
            " in the app's policies."),
    Rule("invalid_grant", ("inactive user", "user is locked", "authentication failure"), UserRefused,
            "the user is inactive, frozen or locked",
            "Setup > Users: activate, unfreeze or unlock the user; see its Login History for the reason."),
    Rule("inactive_user", (), UserRefused, "the user is inactive", "Setup > Users: activate the user."),
    Rule("inactive_org", (), UserRefused, "the org is locked, closed or suspended",
            "Log in to the org as an administrator, or ask Salesforce support."),
    Rule("invalid_grant", ("invalid assertion",), AssertionRefused,
            "the assertion's signature does not fit the app's certificate",
            "Upload the certificate that belongs to the private key in the secret; after a change wait up to 10"
            " minutes."),
    Rule("invalid_grant", ("expired authorization code",), AssertionExpired,
            "Salesforce considers the assertion expired (its text speaks of an authorization code)",
            "The clocks of the broker and of Salesforce disagree by minutes; a retry uses Salesforce's."),
)  # fmt: skip

_DESCRIPTION = "Salesforce refused the login: {meaning} ({error})."


def classify(
    error: str, description: str, *, server_time: float | None = None, retry_after: float | None = None
) -> SalesforceError:
    """Return the error for a refusal of the token endpoint. Salesforce's words are matched, never repeated."""
    text = description.casefold()
    shown = error if re.fullmatch(r"[a-z_]{1,40}", error) else "unknown error code"
    for row in RULES:
        if row.error in {"", error} and (not row.words or any(words in text for words in row.words)):
            message = _DESCRIPTION.format(meaning=row.meaning, error=shown)
            if row.kind is AssertionExpired:
                return AssertionExpired(message, hint=row.hint, server_time=server_time)
            if row.kind is LoginRateExceeded:
                return LoginRateExceeded(message, hint=row.hint, retry_after=retry_after or RATE_BLOCK_SECONDS)
            return row.kind(message, hint=row.hint, retry_after=retry_after)
    return AppRefused(
        _DESCRIPTION.format(meaning="for a reason that it did not explain", error=shown),
        hint="See Setup > Login History of the integration user for what Salesforce noted.",
    )
