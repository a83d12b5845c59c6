"""Catalog of Salesforce's refusals: its `error` and `error_description` -> the broker's error, and what to change where.

`error_description` may be missing, and the same `invalid_grant` stands for a dozen different mistakes: every row has a hint.
Codes in capitals are documented for other flows and seen in the JWT bearer flow by some; they are matched without case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from salesforce_broker.errors import (
    AppRefused,
    AssertionExpired,
    AssertionRefused,
    LoginRateExceeded,
    SalesforceBusy,
    SalesforceError,
    UserRefused,
)
from salesforce_broker.salesforce import hints
from salesforce_broker.salesforce.hints import HintContext

RATE_BLOCK_SECONDS = 300
"""Salesforce blocks a user over 3,600 logins for the rest of the hour; a retry within minutes cannot succeed."""

RATE_CODES = frozenset({"rate_limit_exceeded", "login_rate_exceeded"})
_RATE_WORDS = re.compile(r"(?:login|rate)[ _](?:rate|limit)[ _]exceeded")

BUSY_CODES = frozenset({"temporarily_unavailable", "server_error", "unknown_error", "server_unavailable", "unknown_exception"})
BUSY_WORDS = ("already being processed", "retry your request")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: `error` as a regular expression, without case ("" for any), and `words` of which the description contains one.

    Without `words`, any description. `hint` is a text, or makes one of the settings in force.
    """

    error: str
    words: tuple[str, ...]
    kind: type[SalesforceError]
    meaning: str
    hint: str | Callable[[HintContext], str]


_ASSIGN = "Assign the user a permission set or profile selected in the app's policies."
_UNBLOCK = (
    "Setup > Connected Apps OAuth Usage (or External Client App Manager): install or unblock the app, and in its policies admit"
    " the user's permission set or profile. With API Access Control the user may need 'Use Any API Client'."
)
_INSTALL = "the app is not installed in this org"
_RANGES = (
    "Allow the broker's egress address in the login IP ranges of the user's profile, or relax IP restrictions in the app's"
    " policies."
)
_SCOPES = "Add the scopes 'api' (Manage user data via APIs) and 'refresh_token' to the app's OAuth scopes."

RULES = (
    Rule("", ("must be installed", "not installed in this org"), AppRefused, _INSTALL, hints.for_missing_app),
    Rule("app_not_found", (), AppRefused, _INSTALL, hints.for_missing_app),
    Rule("oauth_ec_app_not_found", (), AppRefused, _INSTALL, hints.for_missing_app),
    Rule("oauth_app_not_found", (), AppRefused, _INSTALL, hints.for_missing_app),
    Rule("invalid_grant", ("approved this consumer",), AppRefused,
            "the user is not approved for the app, or no such user exists in this org", hints.for_unapproved_user),
    Rule("invalid_app_access", (), AppRefused, "the user has no profile or permission set that the app admits", _ASSIGN),
    Rule("oauth_app_access_denied", (), AppRefused, "the user has no profile or permission set that the app admits", _ASSIGN),
    Rule("", ("not admin approved",), AppRefused, "the user has no profile or permission set that the app admits", _ASSIGN),
    Rule("oauth_app_blocked", (), AppRefused, "an administrator has blocked the app in this org", _UNBLOCK),
    Rule("oauth_authorization_blocked", (), AppRefused, "the org does not let this user authorize the app", _UNBLOCK),
    Rule("", ("blocked by admin",), AppRefused, "an administrator has blocked the app in this org", _UNBLOCK),
    Rule("oauth_approval_error_generic", (), AppRefused, "the org does not admit the app, for a reason that it keeps to itself",
            lambda context: f"{_UNBLOCK} {hints.for_missing_app(context)}"),
    Rule("invalid_grant", ("audience",), AppRefused, "the audience is invalid", hints.for_audience),
    Rule("invalid_client_id", (), AppRefused, "the consumer key is unknown here", hints.for_client_id),
    Rule("invalid_client", ("client identifier",), AppRefused, "the consumer key is unknown here", hints.for_client_id),
    Rule("invalid_client", (), AppRefused, "the app has no certificate",
            "Upload the certificate that belongs to the broker's key: External Client App > Settings > OAuth Settings >"
            " Enable JWT Bearer Flow (connected app: Use digital signatures)."),
    Rule("unauthorized_client", (), AppRefused, "the app may not use the JWT bearer flow",
            "Enable it: External Client App > Settings > OAuth Settings > Enable JWT Bearer Flow (connected app: Use digital"
            " signatures)."),
    Rule("invalid_grant", ("no valid scopes",), AppRefused, "the app grants no usable scope", _SCOPES),
    Rule("invalid_scope", (), AppRefused, "the app grants no usable scope", _SCOPES),
    Rule("unsupported_grant_type", (), AppRefused, "the host does not offer the JWT bearer flow",
            lambda context: f"Check SALESFORCE_LOGIN_URL ({context.login_url}), and that the JWT bearer flow is enabled for"
            " the app."),
    Rule("invalid_request", (), AppRefused, "Salesforce considers the request malformed", hints.for_malformed_request),
    Rule("api_disabled_for_org", (), AppRefused, "the org's edition has no API",
            "Ask Salesforce to enable API access for the org, or use an edition that has it."),
    Rule("api_currently_disabled", (), AppRefused, "the user has no access to APIs",
            "Give the user the permission 'API Enabled'."),
    Rule("invalid_grant", ("ip restricted", "invalid login hours"), UserRefused,
            "the broker's address or the hour is outside the user's login ranges", _RANGES),
    Rule("login_during_restricted_domain", (), UserRefused, "the broker's address is outside the user's login ranges", _RANGES),
    Rule("login_during_restricted_time", (), UserRefused, "the hour is outside the user's login hours",
            "Change the login hours of the user's profile."),
    Rule("invalid_grant", ("inactive user", "user is locked", "authentication failure"), UserRefused,
            "the user is inactive, frozen or locked",
            "Setup > Users: activate, unfreeze or unlock the user; see its Login History for the reason."),
    Rule("inactive_user", (), UserRefused, "the user is inactive", "Setup > Users: activate the user."),
    Rule("password_lockout", (), UserRefused, "the user is locked", "Setup > Users: unlock the user."),
    Rule("inactive_org", (), UserRefused, "the org is locked, closed or suspended",
            "Log in to the org as an administrator, or ask Salesforce support."),
    Rule("org_locked", (), UserRefused, "the org is locked, closed or suspended",
            "Log in to the org as an administrator, or ask Salesforce support."),
    Rule("invalid_grant", ("invalid assertion",), AssertionRefused,
            "the assertion's signature does not fit the app's certificate",
            "Upload the certificate that belongs to the broker's key; after a change wait up to 10 minutes."),
    Rule("invalid_grant", ("expired authorization code",), AssertionExpired,
            "Salesforce considers the assertion expired (its text speaks of an authorization code)",
            "The clocks of the broker and of Salesforce disagree."),
    Rule("oauth_[a-z_]+", (), AppRefused, "the org does not admit the app", _UNBLOCK),
)  # fmt: skip

_DESCRIPTION = "Salesforce refused the login: {meaning} ({error})."
_RATE_HINT = "Salesforce allows 3,600 logins per user and hour. Find who logs in without caching tokens: Setup > Login History."


def is_rate(text: str) -> bool:
    """Tell whether a code or a text speaks of too many logins."""
    return text.casefold() in RATE_CODES or _RATE_WORDS.search(text.casefold()) is not None


def rate(error: str, retry_after: float | None) -> LoginRateExceeded:
    """Return the error for too many logins of a user, whatever the status said."""
    message = _DESCRIPTION.format(meaning="the user's logins exceed the hourly limit", error=_shown(error))
    return LoginRateExceeded(message, hint=_RATE_HINT, retry_after=retry_after or RATE_BLOCK_SECONDS)


def classify(  # noqa: PLR0913  what an answer has, by its names
    error: str,
    description: str,
    *,
    context: HintContext,
    status: int = HTTPStatus.BAD_REQUEST,
    server_time: float | None = None,
    retry_after: float | None = None,
) -> SalesforceError:
    """Return the error for a refusal of the token endpoint. Salesforce's words are matched, never repeated."""
    code, text = error.casefold(), description.casefold()
    if is_rate(code) or is_rate(text):
        return rate(error, retry_after)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SalesforceBusy(f"Salesforce answered with status {status}.", retry_after=retry_after)
    if code in BUSY_CODES or any(words in text for words in BUSY_WORDS):
        message = _DESCRIPTION.format(meaning="it asks to retry", error=_shown(error))
        return SalesforceBusy(message, retry_after=retry_after)
    for row in RULES:
        if re.fullmatch(row.error or ".*", code, re.DOTALL) and (not row.words or any(words in text for words in row.words)):
            message = _DESCRIPTION.format(meaning=row.meaning, error=_shown(error))
            hint = row.hint if isinstance(row.hint, str) else row.hint(context)
            if row.kind is AssertionExpired:
                return AssertionExpired(message, hint=hint, server_time=server_time)
            return row.kind(message, hint=hint + hints.for_sporadic_refusals(context), retry_after=retry_after)
    return AppRefused(
        _DESCRIPTION.format(meaning="for a reason that it did not explain", error=_shown(error)),
        hint="See Setup > Login History of the integration user for what Salesforce noted."
        + hints.for_sporadic_refusals(context),
    )


def _shown(error: str) -> str:
    return error if re.fullmatch(r"[a-zA-Z_]{1,40}", error) else "unknown error code"
