"""Every row of Salesforce's error table has its class and a hint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_broker.errors import (
    AppRefused,
    AssertionExpired,
    AssertionRefused,
    LoginRateExceeded,
    SalesforceBusy,
    SalesforceError,
    UserRefused,
)
from salesforce_broker.salesforce import error_catalog
from salesforce_broker.salesforce.hints import HintContext
from salesforce_broker.salesforce.hosts import is_generic

ROWS = [
    ("invalid_grant", "user hasn't approved this consumer", AppRefused),
    ("invalid_app_access", "user is not admin approved to access this app", AppRefused),
    ("app_not_found", "External client app is not installed in this org", AppRefused),
    ("invalid_grant", "audience is invalid", AppRefused),
    ("invalid_grant", "Audience validation failed", AppRefused),
    ("invalid_client_id", "client identifier invalid", AppRefused),
    ("invalid_client", "invalid client credentials", AppRefused),
    ("invalid_grant", "no valid scopes defined", AppRefused),
    ("unsupported_grant_type", "grant type not supported", AppRefused),
    ("invalid_request", "anything", AppRefused),
    ("invalid_grant", "inactive user", UserRefused),
    ("invalid_grant", "user is locked", UserRefused),
    ("invalid_grant", "authentication failure", UserRefused),
    ("inactive_user", "user is inactive", UserRefused),
    ("inactive_org", "organization is locked, closed or suspended", UserRefused),
    ("invalid_grant", "ip restricted or invalid login hours", UserRefused),
    ("invalid_grant", "invalid assertion", AssertionRefused),
    ("invalid_grant", "expired authorization code", AssertionExpired),
    ("unknown_error", "retry your request", SalesforceBusy),
    ("invalid_grant", "token request is already being processed", SalesforceBusy),
    ("rate_limit_exceeded", "", LoginRateExceeded),
    ("invalid_grant", "login rate exceeded", LoginRateExceeded),
    ("LOGIN_RATE_EXCEEDED", "Login Rate Exceeded", LoginRateExceeded),
    ("LOGIN_RATE_EXCEEDED", "", LoginRateExceeded),
    ("invalid_request", "Rate limit exceeded", LoginRateExceeded),
    ("temporarily_unavailable", "", SalesforceBusy),
    ("server_error", "an unexpected error", SalesforceBusy),
    ("SERVER_UNAVAILABLE", "", SalesforceBusy),
    ("OAUTH_APP_BLOCKED", "this app is blocked by admin", AppRefused),
    ("OAUTH_APP_ACCESS_DENIED", "user is not admin approved to access this app", AppRefused),
    ("OAUTH_EC_APP_NOT_FOUND", "External client app is not installed in this org", AppRefused),
    ("OAUTH_APPROVAL_ERROR_GENERIC", "An unexpected error has occurred during authentication. Please try again.", AppRefused),
    ("OAUTH_AUTHORIZATION_BLOCKED", "", AppRefused),
    ("OAUTH_SOMETHING_NEW", "", AppRefused),
    ("invalid_client", "app must be installed into org", AppRefused),
    ("invalid_client", "client identifier invalid", AppRefused),
    ("unauthorized_client", "", AppRefused),
    ("invalid_scope", "the requested scope is not allowed", AppRefused),
    ("API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner", AppRefused),
    ("LOGIN_DURING_RESTRICTED_DOMAIN", "", UserRefused),
    ("LOGIN_DURING_RESTRICTED_TIME", "", UserRefused),
    ("PASSWORD_LOCKOUT", "", UserRefused),
    ("ORG_LOCKED", "", UserRefused),
    ("something_new", "never seen", AppRefused),
    ("invalid_grant", "", AppRefused),
]


MY_DOMAIN = "https://acme.my.salesforce.com"
SANDBOX = "https://acme--dev.sandbox.my.salesforce.com"
LOGIN = "https://login.salesforce.com"
TEST = "https://test.salesforce.com"
SITE = "https://acme.my.site.com/partners"

CONTEXTS = [
    HintContext(login_url, audience, client_id_is_set=client_id_is_set)
    for login_url in (MY_DOMAIN, SANDBOX, LOGIN, TEST, SITE)
    for audience in (login_url, LOGIN, TEST, MY_DOMAIN)
    for client_id_is_set in (False, True)
]
"""Settings in which a refusal can come."""


def classify(error: str, description: str, context: HintContext = CONTEXTS[0], **kwargs: Any) -> SalesforceError:
    """Classify with settings that make sense."""
    return error_catalog.classify(error, description, context=context, **kwargs)


@pytest.mark.parametrize(("error", "description", "kind"), ROWS)
def test_each_row_has_its_class(error: str, description: str, kind: type[SalesforceError]) -> None:
    """And what needs somebody to act comes with a hint, what passes by itself is retryable."""
    refusal = classify(error, description)
    assert kind is type(refusal)
    assert refusal.retryable == (kind in {SalesforceBusy, LoginRateExceeded})
    assert bool(refusal.hint) or kind is SalesforceBusy


@pytest.mark.parametrize(("error", "description", "kind"), ROWS)
@pytest.mark.parametrize("change", [str.upper, str.lower, str.title])
def test_case_changes_nothing(error: str, description: str, kind: type[SalesforceError], change: Callable[[str], str]) -> None:
    """Codes are seen in capitals and without."""
    refusal, written = classify(error, description), classify(change(error), change(description))
    assert (kind, refusal.hint) == (type(written), written.hint)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize(("error", "description", "kind"), ROWS)
def test_by_some_statuses_everything_is_busy_but_too_many_logins(
    error: str, description: str, kind: type[SalesforceError], status: int
) -> None:
    """Whatever JSON they carry."""
    refusal = classify(error, description, status=status)
    assert (LoginRateExceeded if kind is LoginRateExceeded else SalesforceBusy) is type(refusal)


@pytest.mark.parametrize("context", CONTEXTS, ids=repr)
def test_no_hint_contradicts_the_settings(context: HintContext) -> None:
    """It neither removes what is not set, nor sets what is, nor sends whoever is at the My Domain to it."""
    for error, description, kind in ROWS:
        hint = classify(error, description, context).hint
        assert "leave SALESFORCE_AUDIENCE empty" not in hint
        assert context.audience_is_set or "emove SALESFORCE_AUDIENCE" not in hint
        assert context.audience_is_set or "or remove it" not in hint
        assert f"set SALESFORCE_AUDIENCE to {context.audience}" not in hint
        assert ("'client_id' in the secret" if context.client_id_is_set else "SALESFORCE_CLIENT_ID") not in hint
        assert is_generic(context.login_url) or "to the org's My Domain" not in hint
        assert is_generic(context.login_url) or f"{context.login_url} does not know" not in hint
        assert ("sporadic" in hint) == (context.login_url == TEST and kind in {AppRefused, UserRefused, AssertionRefused})


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (HintContext(MY_DOMAIN, MY_DOMAIN), ["Government Cloud, Trailhead", f"set SALESFORCE_AUDIENCE to {LOGIN}"]),
        (HintContext(SANDBOX, SANDBOX), ["Government Cloud, Trailhead", f"set SALESFORCE_AUDIENCE to {TEST}"]),
        (HintContext(SANDBOX, LOGIN), ["is a sandbox", f"set SALESFORCE_AUDIENCE to {TEST}, or remove it"]),
        (HintContext(MY_DOMAIN, TEST), ["is a production org", f"set SALESFORCE_AUDIENCE to {LOGIN}, or remove it"]),
        (HintContext(MY_DOMAIN, LOGIN), [f"Remove SALESFORCE_AUDIENCE, so that it is {MY_DOMAIN}"]),
        (HintContext(LOGIN, TEST), [f"Remove SALESFORCE_AUDIENCE, so that it is {LOGIN}"]),
        (HintContext(LOGIN, LOGIN), ["set SALESFORCE_LOGIN_URL to the org's My Domain"]),
        (HintContext(SITE, SITE), ["the site's URL with its path"]),
    ],
    ids=repr,
)
def test_a_refused_audience_is_answered_by_the_one_to_try(context: HintContext, words: list[str]) -> None:
    """The one in use is named."""
    hint = classify("invalid_grant", "audience is invalid", context).hint
    assert hint.startswith(f"The audience in use is {context.audience}.")
    for each in words:
        assert each in hint


@pytest.mark.parametrize("error", ["app_not_found", "OAUTH_EC_APP_NOT_FOUND"])
@pytest.mark.parametrize(
    ("context", "words"),
    [
        (HintContext(LOGIN, LOGIN), "Set SALESFORCE_LOGIN_URL to the org's My Domain"),
        (HintContext(MY_DOMAIN, LOGIN), f"Remove SALESFORCE_AUDIENCE, so that it is {MY_DOMAIN}"),
        (HintContext(MY_DOMAIN, MY_DOMAIN), f"Install the app in the org of {MY_DOMAIN}"),
    ],
    ids=repr,
)
def test_an_app_that_is_not_found_is_answered_by_where_it_was_looked_for(error: str, context: HintContext, words: str) -> None:
    """By generic hosts External Client Apps are not found at all."""
    assert words in classify(error, "External client app is not installed in this org", context).hint


def test_the_scope_that_some_orgs_want_is_named() -> None:
    """refresh_token, beside api."""
    assert "refresh_token" in classify("invalid_grant", "user hasn't approved this consumer").hint


def test_the_rate_limit_says_when_to_come_back() -> None:
    """Minutes, not at once."""
    assert error_catalog.RATE_BLOCK_SECONDS == classify("rate_limit_exceeded", "").retry_after


@given(st.text(), st.text(min_size=6), st.integers(100, 599), st.sampled_from(CONTEXTS))
def test_what_salesforce_wrote_is_never_repeated(error: str, description: str, status: int, context: HintContext) -> None:
    """A hostile upstream cannot write into our answers and logs."""
    marked = f"<<{description}>>"
    refusal = classify(error, marked, context, status=status)
    assert marked not in refusal.description + refusal.hint
    assert refusal.description.isprintable()
