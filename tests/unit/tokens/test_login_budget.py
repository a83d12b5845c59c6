"""The login budget: its arithmetic, and that no fleet of callers gets more logins out of the broker."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_broker.errors import LoginRateExceeded, SalesforceError
from salesforce_broker.salesforce.transport import Reply
from salesforce_broker.tokens.login_budget import BURST, SECONDS_PER_LOGIN, LoginBudget, stricter
from salesforce_broker.tokens.model import IssuedToken, Outcome
from salesforce_broker.tokens.refresh import MIN_LOGIN_INTERVAL_SECONDS
from salesforce_broker.tokens.service import TokenService
from tests.support import builders
from tests.support.clocks import START
from tests.support.fakes import FakeTransport
from tests.support.stage import Stage

MAX_LOGINS_PER_HOUR, MAX_LOGINS_PER_MINUTE = 115, 11


class EverNewTokens(FakeTransport):
    """A Salesforce that gives another token at each login, and calls tokens valid, invalid or what `alive` says."""

    def __init__(self, stage: Stage, alive: Callable[[], bool]) -> None:
        super().__init__()
        self.logins: list[float] = []
        self.identity_calls = 0
        self._stage, self._alive = stage, alive

    def post_form(self, *_: object) -> Reply:
        """Log in."""
        self.logins.append(self._stage.clock.wall)
        return builders.reply(builders.answer(access_token=f"00D000000000001!{len(self.logins)}"))

    def get(self, *_: object) -> Reply:
        """Answer at the identity URL."""
        self.identity_calls += 1
        if self._alive():
            return builders.reply(builders.identity())
        return builders.reply(b"Bad_OAuth_Token", status=403)

    def worst(self, seconds: float) -> int:
        """Return the most logins within any window of `seconds`."""
        return max(sum(start <= login < start + seconds for login in self.logins) for start in self.logins)


def report(broker: TokenService, fingerprint: str | None) -> IssuedToken | None:
    """Report a token as rejected; return the answer, None for a refusal."""
    try:
        issued = broker.answer(builders.request(rejected=fingerprint))
    except SalesforceError:
        return None
    assert isinstance(issued, IssuedToken)
    return issued


@pytest.mark.parametrize(
    "alive", [lambda: True, lambda: False, lambda: random.random() < 0.5], ids=["valid", "invalid", "either"]
)
def test_forty_hostile_environments_get_115_logins_an_hour(stage: Stage, alive: Callable[[], bool]) -> None:
    """Each reports the token that it was given last, whatever Salesforce says of it (tools/benchmarks/fleet.py: faster)."""
    transport = EverNewTokens(stage, alive)
    fleet = [stage.environment(transport) for _ in range(40)]
    known: list[str | None] = [None] * len(fleet)
    chance = random.Random(14)
    end = stage.clock.wall + 1.1 * 3600
    requests = 0
    while stage.clock.wall < end:
        number = chance.randrange(len(fleet))
        issued = report(fleet[number], known[number])
        known[number] = issued.token.fingerprint if issued else known[number]
        requests += 1
        stage.clock.advance(2)
    assert requests > 1_500
    assert transport.worst(3600) <= MAX_LOGINS_PER_HOUR
    assert transport.worst(60) <= MAX_LOGINS_PER_MINUTE


def test_a_valid_token_is_not_replaced_within_thirty_seconds_by_any_environment(stage: Stage) -> None:
    """Whoever reports it, wherever."""
    transport = EverNewTokens(stage, lambda: True)
    first = report(stage.environment(transport), None)
    assert first is not None
    for _ in range(MIN_LOGIN_INTERVAL_SECONDS - 1):
        stage.clock.advance(1)
        issued = report(stage.environment(transport), first.token.fingerprint)
        assert issued is not None
        assert Outcome.SUPPRESSED is issued.outcome
    assert 1 == len(transport.logins)


def test_one_environment_asks_salesforce_every_five_seconds_whether_a_reported_token_is_valid(stage: Stage) -> None:
    """Not at each report."""
    transport = EverNewTokens(stage, lambda: True)
    broker = stage.environment(transport)
    first = report(broker, None)
    assert first is not None
    for _ in range(290):
        stage.clock.advance(0.1)
        report(broker, first.token.fingerprint)
    assert transport.identity_calls <= 6


def test_an_empty_budget_is_an_error_that_says_when_to_come_back(stage: Stage) -> None:
    """Retryable, with the seconds until the next login."""
    broker = stage.environment(EverNewTokens(stage, lambda: False))
    issued = report(broker, None)
    for _ in range(BURST - 1):
        assert issued is not None
        issued = report(broker, issued.token.fingerprint)
    assert issued is not None
    with pytest.raises(LoginRateExceeded) as caught:
        broker.answer(builders.request(rejected=issued.token.fingerprint))
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= SECONDS_PER_LOGIN
    stage.clock.advance(caught.value.retry_after)
    assert report(broker, issued.token.fingerprint) is not None


def test_who_resets_the_shared_budget_does_not_widen_an_environments_own(stage: Stage) -> None:
    """A principal that deletes or replays parameters gets at most the budget of each environment."""
    transport = EverNewTokens(stage, lambda: False)
    broker = stage.environment(transport)
    known = None
    for _ in range(3600):
        stage.parameters.values.clear()
        issued = report(broker, known)
        known = issued.token.fingerprint if issued else known
        stage.clock.advance(1)
    assert transport.worst(3600) <= MAX_LOGINS_PER_HOUR


@given(st.lists(st.floats(0, 100), max_size=400))
def test_no_schedule_spends_more_than_the_budget(pauses: list[float]) -> None:
    """However logins are spread over time."""
    budget, now, spent = LoginBudget(), START, 0
    for pause in pauses:
        now += pause
        if not budget.seconds_to_next(now):
            budget = budget.spend(now)
            spent += 1
    assert spent <= BURST + (now - START) / SECONDS_PER_LOGIN + 1


def test_a_clock_that_is_set_back_adds_nothing() -> None:
    """The level stays as it was."""
    assert 3.0 == LoginBudget(3.0, START).available(START - 86_400)


def test_the_stricter_budget_counts() -> None:
    """Of the own one and the shared one; an absent one widens nothing."""
    low, high = LoginBudget(1, START), LoginBudget(9, START)
    assert low == stricter(low, high, START) == stricter(high, low, START) == stricter(low, None, START)
