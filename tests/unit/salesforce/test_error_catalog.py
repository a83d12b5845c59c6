"""Every row of Salesforce's error table has its class and a hint."""

from __future__ import annotations

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
    ("something_new", "never seen", AppRefused),
    ("invalid_grant", "", AppRefused),
]


@pytest.mark.parametrize(("error", "description", "kind"), ROWS)
def test_each_row_has_its_class(error: str, description: str, kind: type[SalesforceError]) -> None:
    """And what needs somebody to act comes with a hint, what passes by itself is retryable."""
    refusal = error_catalog.classify(error, description)
    assert kind is type(refusal)
    assert refusal.retryable == (kind in {SalesforceBusy, LoginRateExceeded})
    assert bool(refusal.hint) or kind is SalesforceBusy


def test_the_rate_limit_says_when_to_come_back() -> None:
    """Minutes, not at once."""
    assert error_catalog.RATE_BLOCK_SECONDS == error_catalog.classify("rate_limit_exceeded", "").retry_after


@given(st.text(), st.text(min_size=6))
def test_what_salesforce_wrote_is_never_repeated(error: str, description: str) -> None:
    """A hostile upstream cannot write into our answers and logs."""
    marked = f"<<{description}>>"
    refusal = error_catalog.classify(error, marked)
    assert marked not in refusal.description + refusal.hint
    assert refusal.description.isprintable()
