"""Which clock an assertion is signed by, and what becomes of a difference that was learned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, cast

import jwt
import pytest

from salesforce_broker.errors import AssertionExpired, AssertionRefused
from salesforce_broker.keys.source import SigningKeySource
from salesforce_broker.salesforce.client import SalesforceClient
from salesforce_broker.salesforce.jwt_bearer import BACKDATE_SECONDS, JwtBearerFlow
from salesforce_broker.salesforce.server_clock import CLOCK_SKEW_AGE_SECONDS, MAX_CLOCK_SKEW_SECONDS
from salesforce_broker.salesforce.transport import Reply
from tests.support import builders, keys
from tests.support.clocks import START, ManualClock
from tests.support.fakes import FakeSecretsManager, FakeTransport, no_kms

OK = builders.reply(builders.answer())


class Salesforce:
    """A flow against answers of a script, by a clock that can be set."""

    def __init__(self, *answers: Reply) -> None:
        self.clock = ManualClock()
        self.transport = FakeTransport(*answers)
        clock = self.clock.clock()
        self.keys = SigningKeySource(
            cast("Any", FakeSecretsManager(keys.secret())),
            secret_arn=builders.SECRET_ARN,
            client_id="",
            kms=no_kms,
            clock=clock,
        )
        client = SalesforceClient(
            cast("Any", self.transport), login_url=builders.LOGIN_URL, token_lifetime_seconds=900, clock=clock
        )
        self.flow = JwtBearerFlow(self.keys, client, audience=builders.LOGIN_URL, clock=clock)

    def login(self) -> None:
        """Log in."""
        self.flow.login(self.keys.current(self.clock.clock().deadline(60)), builders.USERNAME, self.clock.clock().deadline(60))

    @property
    def signed_at(self) -> Sequence[float]:
        """Return how far from START the clock was by which each assertion was signed."""
        claims = [jwt.decode(each, options={"verify_signature": False}) for each in self.transport.assertions]
        return [each["iat"] + BACKDATE_SECONDS - START for each in claims]


def expired(seconds: float | None = 0) -> Reply:
    """Refuse an assertion as expired, with a Date that many seconds after START; None: without one."""
    date = {} if seconds is None else {"Date": format_datetime(datetime.fromtimestamp(START + seconds, UTC), usegmt=True)}
    return builders.refusal("invalid_grant", "expired authorization code", **date)


INVALID = builders.refusal("invalid_grant", "invalid assertion")


@pytest.mark.parametrize("skew", [300, -300, MAX_CLOCK_SKEW_SECONDS])
def test_a_difference_is_kept_once_a_login_succeeded_with_it(skew: int) -> None:
    """The next login needs one post."""
    salesforce = Salesforce(expired(skew), OK, OK)
    salesforce.login()
    salesforce.login()
    assert [0, skew, skew] == salesforce.signed_at


@pytest.mark.parametrize("after", [[expired(500)], [INVALID, INVALID]], ids=["expired", "invalid"])
def test_a_date_that_does_not_help_is_not_kept(after: list[Reply]) -> None:
    """One bad Date: later logins succeed at the first post."""
    salesforce = Salesforce(expired(500), *after, OK)
    with pytest.raises((AssertionExpired, AssertionRefused)):
        salesforce.login()
    assert [0, 500] == salesforce.signed_at[:2]
    posts = len(salesforce.signed_at)
    salesforce.login()
    assert [0] == salesforce.signed_at[posts:]


def test_a_difference_that_no_longer_helps_is_dropped_within_the_login() -> None:
    """The broker's clock was set right: what is signed by the old difference is called invalid, and signed again without."""
    salesforce = Salesforce(expired(500), OK, INVALID, OK, OK)
    for _ in range(3):
        salesforce.login()
    assert [0, 500, 500, 0, 0] == salesforce.signed_at


def test_a_difference_that_is_too_small_by_now_is_measured_again() -> None:
    """Salesforce calls the assertion expired, and the new Date counts."""
    salesforce = Salesforce(expired(200), OK, expired(500), OK, OK)
    for _ in range(3):
        salesforce.login()
    assert [0, 200, 200, 500, 500] == salesforce.signed_at


def test_a_difference_ages() -> None:
    """After an hour the broker's own clock is tried first again."""
    salesforce = Salesforce(expired(300), OK, OK, OK)
    salesforce.login()
    salesforce.clock.advance(CLOCK_SKEW_AGE_SECONDS - 1)
    salesforce.login()
    salesforce.clock.advance(1)
    salesforce.login()
    assert [0, 300, CLOCK_SKEW_AGE_SECONDS + 299, CLOCK_SKEW_AGE_SECONDS] == salesforce.signed_at


def test_a_clock_that_was_set_back_ends_a_difference() -> None:
    """It was measured against another one."""
    salesforce = Salesforce(expired(300), OK, OK)
    salesforce.login()
    salesforce.clock.wall -= 300
    salesforce.login()
    assert [0, 300, -300] == salesforce.signed_at


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2_820, "47 minutes ahead of the broker's clock"),
        (-2_820, "47 minutes behind the broker's clock"),
        (86_400, "24 hours ahead of the broker's clock"),
        (601, "10 minutes ahead of the broker's clock"),
    ],
)
def test_the_hint_for_a_clock_beyond_ten_minutes_names_the_difference(seconds: int, words: str) -> None:
    """One post, and no promise of a retry."""
    salesforce = Salesforce(expired(seconds))
    with pytest.raises(AssertionExpired) as caught:
        salesforce.login()
    assert words in caught.value.hint
    assert "no retry helps" in caught.value.hint
    assert not caught.value.retryable
    assert [0] == salesforce.signed_at


def test_a_refusal_without_a_date_says_so() -> None:
    """There is nothing to correct by."""
    with pytest.raises(AssertionExpired) as caught:
        Salesforce(expired(None)).login()
    assert "no Date" in caught.value.hint


def test_a_date_by_which_the_assertion_is_refused_again_is_named() -> None:
    """With the difference that was tried."""
    with pytest.raises(AssertionExpired) as caught:
        Salesforce(expired(90)).login()
    assert "90 s ahead of the broker's clock, and an assertion by that Date was refused, too" in caught.value.hint
