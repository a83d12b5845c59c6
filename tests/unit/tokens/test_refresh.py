"""The life of a token: renewed in time, logged in once, used only while valid. Each figure of docs/token-life.md."""

from __future__ import annotations

import io
import json
import threading

import pytest

from salesforce_broker.errors import (
    AppRefused,
    AssertionRefused,
    InternalError,
    LoginRateExceeded,
    MinTtlUnsatisfiable,
    SalesforceBusy,
    SalesforceError,
    TokenRefused,
    UserRefused,
)
from salesforce_broker.keys.source import RECHECK_SECONDS
from salesforce_broker.salesforce.transport import Reply
from salesforce_broker.tokens.circuit_breaker import BUSY_SECONDS
from salesforce_broker.tokens.model import IssuedToken, Outcome, Source
from salesforce_broker.tokens.refresh import MIN_LOGIN_INTERVAL_SECONDS, RECOVERY_SECONDS
from salesforce_broker.tokens.service import TokenService
from salesforce_broker.tokens.shared_cache import MAX_DELAY_SECONDS
from tests.support import builders, keys
from tests.support.builders import refusal, reply
from tests.support.stage import Stage
from tests.support.threads import together
from tests.unit.conftest import Script
from tests.unit.tokens.test_service import issue

A, B, C = "00D000000000001!first", "00D000000000001!second", "00D000000000001!third"
ALIVE = reply(builders.identity())
DEAD = reply(b"Bad_OAuth_Token", status=403)
NO_SCOPE = reply(b"Missing_OAuth_Token", status=403)
DOWN = SalesforceBusy("down")


def fails(broker: TokenService, kind: type[SalesforceError], times: int = 1) -> float | None:
    """Insist that requests fail with that error; return the last `retry_after`."""
    retry_after = None
    for _ in range(times):
        with pytest.raises(kind) as caught:
            issue(broker)
        retry_after = caught.value.retry_after
    return retry_after


# -- One login for all - ------------------------------------------------------------------------------------------------------


def test_fifty_cold_threads_make_one_exchange(stage: Stage, salesforce: Script) -> None:
    """google-auth: 20 of 20 threads; Authlib: 5 to 9."""
    transport = salesforce(A)
    broker = stage.environment(transport)
    answers = together(50, lambda: issue(broker))
    assert ({A}, 50, 1) == ({each.token.value for each in answers}, len(answers), len(transport.assertions))


def test_fifty_threads_in_the_stale_window_make_one_exchange_for_which_one_waits(stage: Stage, salesforce: Script) -> None:
    """The others go on with the token that still lives while it runs."""
    transport = salesforce(A, B)
    broker = stage.environment(transport)
    issue(broker)
    stage.clock.advance(700)
    others_done = threading.Event()
    quick = threading.Semaphore(0)

    def exchange_waits_for_the_others() -> None:
        assert others_done.wait(timeout=30)

    transport.before_answer = exchange_waits_for_the_others

    def ask() -> IssuedToken:
        issued = issue(broker)
        quick.release()
        return issued

    def release_when_49_are_through() -> None:
        for _ in range(49):
            quick.acquire()
        others_done.set()

    threading.Thread(target=release_when_49_are_through).start()
    answers = together(50, ask)
    assert ([A] * 49 + [B], 2) == (sorted(each.token.value for each in answers), len(transport.assertions))


def test_thirty_reports_of_one_refused_token_make_one_exchange(stage: Stage, salesforce: Script) -> None:
    """google-auth: up to 30."""
    transport = salesforce(A, B)
    broker = stage.environment(transport)
    refused = issue(broker).token.fingerprint
    stage.clock.advance(MIN_LOGIN_INTERVAL_SECONDS)
    answers = together(30, lambda: issue(broker, builders.request(rejected=refused)))
    assert ({B}, 2) == ({each.token.value for each in answers}, len(transport.assertions))
    assert {each.outcome for each in answers} <= {Outcome.ROTATED, Outcome.ALREADY_ROTATED}


# -- Compare and refresh ---------------------------------------------------------------------------------------------------


def test_thirty_late_reports_make_none(stage: Stage, salesforce: Script) -> None:
    """Who reports a token that is no longer the current one gets the current one."""
    transport = salesforce(A, B)
    broker = stage.environment(transport)
    old = issue(broker).token.fingerprint
    stage.clock.advance(MIN_LOGIN_INTERVAL_SECONDS)
    assert Outcome.ROTATED is issue(broker, builders.request(rejected=old)).outcome
    late = [issue(broker, builders.request(rejected=old)) for _ in range(30)]
    assert ({(B, Outcome.ALREADY_ROTATED)}, 2) == (
        {(each.token.value, each.outcome) for each in late},
        len(transport.assertions),
    )


def test_random_fingerprints_cost_nothing(stage: Stage, salesforce: Script) -> None:
    """They name no token that we know."""
    transport = salesforce(A)
    broker = stage.environment(transport)
    issue(broker)
    for number in range(100):
        issue(broker, builders.request(rejected=f"{number:016x}"))
    assert 1 == len(transport.assertions)


def test_another_environments_rotation_is_adopted(stage: Stage, salesforce: Script) -> None:
    """A token refused here has been replaced there: no exchange here."""
    mine = salesforce(A)
    here = stage.environment(mine)
    refused = issue(here).token.fingerprint
    stage.clock.advance(MIN_LOGIN_INTERVAL_SECONDS)
    issue(stage.environment(salesforce(B)), builders.request(rejected=refused))
    issued = issue(here, builders.request(rejected=refused))
    assert (B, Source.SHARED, 1) == (issued.token.value, issued.source, len(mine.assertions))


def test_the_same_token_again_is_asked_whether_it_lives_and_then_suppressed(stage: Stage, salesforce: Script) -> None:
    """Salesforce hands out the same token while the session lives: one login for a report, then none for a while."""
    transport = salesforce(A, A, ALIVE)
    broker = stage.environment(transport)
    refused = issue(broker).token.fingerprint
    stage.clock.advance(MIN_LOGIN_INTERVAL_SECONDS)
    assert Outcome.UNCHANGED is issue(broker, builders.request(rejected=refused)).outcome
    again = [issue(broker, builders.request(rejected=refused)) for _ in range(10)]
    assert {(Outcome.SUPPRESSED, MIN_LOGIN_INTERVAL_SECONDS)} == {(each.outcome, each.retry_after) for each in again}
    assert 2 == len(transport.assertions)


def test_a_token_that_salesforce_calls_dead_is_replaced_at_once(stage: Stage, salesforce: Script) -> None:
    """A session killed right after its login: no reason to wait."""
    transport = salesforce(A, DEAD, B)
    broker = stage.environment(transport)
    refused = issue(broker).token.fingerprint
    issued = issue(broker, builders.request(rejected=refused))
    assert (B, Outcome.ROTATED) == (issued.token.value, issued.outcome)


def test_a_dead_token_given_again_is_not_handed_out(stage: Stage, salesforce: Script) -> None:
    """Not as unchanged, and not at the next request."""
    broker = stage.environment(salesforce(A, A, DEAD), settings=builders.settings(token_cache_prefix=""))
    refused = issue(broker).token.fingerprint
    stage.clock.advance(MIN_LOGIN_INTERVAL_SECONDS)
    with pytest.raises(TokenRefused):
        issue(broker, builders.request(rejected=refused))


# -- An identical token at renewal -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", [ALIVE, NO_SCOPE], ids=["alive", "no-scope-to-ask"])
def test_an_identical_token_is_extended_if_it_lives(stage: Stage, salesforce: Script, probe: Reply) -> None:
    """The question restarts the session's idle timer."""
    broker = stage.environment(salesforce(A, A, probe))
    first = issue(broker)
    stage.clock.advance(700)
    renewed = issue(broker)
    assert (A, first.token.expires_at + 700) == (renewed.token.value, renewed.token.expires_at)


@pytest.mark.parametrize("probe", [DEAD, DOWN], ids=["dead", "nobody-knows"])
def test_an_identical_token_is_not_extended_otherwise(stage: Stage, salesforce: Script, probe: object) -> None:
    """Until its end it serves as it did; then there is an error."""
    broker = stage.environment(salesforce(A, A, probe))
    first = issue(broker)
    stage.clock.advance(700)
    kept = issue(broker)
    assert (first.token.expires_at, True) == (kept.token.expires_at, kept.degraded)
    stage.clock.advance(200)
    with pytest.raises(SalesforceError):
        issue(broker)


def test_a_fresh_environment_knows_the_token_from_the_shared_cache(stage: Stage, salesforce: Script) -> None:
    """An expired shared token that Salesforce gives again is asked about, too."""
    issue(stage.environment(salesforce(A)))
    stage.clock.advance(900)
    transport = salesforce(A, ALIVE)
    issue(stage.environment(transport))
    assert [A] == transport.bearers


# -- Circuit breaker -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal("invalid_grant", "audience is invalid"), AppRefused),
        (refusal("invalid_grant", "user is locked"), UserRefused),
        (refusal("invalid_grant", "invalid assertion"), AssertionRefused),
    ],
)
def test_five_calls_with_a_wrong_setup_make_one_post(
    stage: Stage, salesforce: Script, answer: Reply, kind: type[SalesforceError]
) -> None:
    """google-auth, Authlib, Vault plugin: five."""
    transport = salesforce(answer)
    broker = stage.environment(transport)
    assert 30 == fails(broker, kind, times=5)
    assert 1 == len(transport.assertions)


def test_the_circuit_stays_open_for_less_than_a_minute(stage: Stage, salesforce: Script) -> None:
    """30 s, then 45: after a repair in Salesforce a request finds out within a minute. One post each time that it opens."""
    transport = salesforce(refusal("invalid_client"))
    broker = stage.environment(transport)
    pauses = []
    for _ in range(8):
        fails(broker, AppRefused)
        pause = fails(broker, AppRefused)
        assert pause is not None
        pauses.append(pause)
        stage.clock.advance(pause)
    assert [30] + [45] * 7 == pauses
    assert 8 == len(transport.assertions)


def test_the_circuit_closes_when_the_secret_is_rotated(stage: Stage, salesforce: Script) -> None:
    """It is bound to the version that failed; it is read again within five minutes."""
    transport = salesforce(*[refusal("invalid_grant", "invalid assertion")] * 6, A)
    broker = stage.environment(transport)
    for _ in range(5):
        fails(broker, AssertionRefused)
        stage.clock.advance(fails(broker, AssertionRefused) or 0)
    fails(broker, AssertionRefused)
    assert 45 == fails(broker, AssertionRefused)
    stage.secrets.text, stage.secrets.version_id = keys.secret("next"), "v2"
    stage.clock.advance(RECHECK_SECONDS)
    assert A == issue(broker).token.value


def test_the_circuit_does_not_stay_open_longer_when_the_clock_is_set_back(stage: Stage, salesforce: Script) -> None:
    """By a day: the circuit breaker opens instead of staying for a day."""
    broker = stage.environment(salesforce(refusal("invalid_client"), A))
    fails(broker, AppRefused, times=2)
    stage.clock.wall -= 86_400
    assert A == issue(broker).token.value


def test_a_circuit_breaker_belongs_to_one_subject(stage: Stage, salesforce: Script) -> None:
    """A locked user is no reason to refuse another."""
    broker = stage.environment(salesforce(refusal("invalid_grant", "user is locked"), A))
    fails(broker, UserRefused)
    assert A == issue(broker, builders.request(subject=builders.OTHER_USERNAME)).token.value


def test_a_success_closes_the_circuit(stage: Stage, salesforce: Script) -> None:
    """The next failure starts at 30 s again."""
    broker = stage.environment(salesforce(refusal("invalid_client"), A, refusal("invalid_client")))
    fails(broker, AppRefused)
    stage.clock.advance(30)
    issue(broker)
    stage.clock.advance(900)
    fails(broker, AppRefused)
    assert 30 == fails(broker, AppRefused)


def test_the_login_limit_pauses_every_environment(stage: Stage, salesforce: Script) -> None:
    """The one that met it for minutes; the others for 35 s at a time, the most that the shared cache can delay anybody."""
    limited = salesforce(refusal("rate_limit_exceeded"))
    here = stage.environment(limited)
    assert fails(here, LoginRateExceeded, times=3) == 300
    other = salesforce(refusal("rate_limit_exceeded"), A)
    there = stage.environment(other)
    assert fails(there, LoginRateExceeded, times=3) == 35
    assert (1, 0) == (len(limited.assertions), len(other.assertions))
    stage.clock.advance(300)
    fails(there, LoginRateExceeded, times=3)
    assert (1, 1) == (len(limited.assertions), len(other.assertions))


def test_a_blip_heals_with_the_next_request(stage: Stage, salesforce: Script) -> None:
    """The first failure of Salesforce closes nothing."""
    broker = stage.environment(salesforce(DOWN, DOWN, DOWN, A))
    fails(broker, SalesforceBusy)
    assert A == issue(broker).token.value


def test_a_day_of_outage_costs_under_sixty_logins_an_hour(stage: Stage, salesforce: Script) -> None:
    """With a request every second; without a circuit breaker each would post three times."""
    transport = salesforce(DOWN)
    broker = stage.environment(transport)
    posts_by_hour = []
    for _ in range(24):
        before = len(transport.assertions)
        end = stage.clock.wall + 3600
        while stage.clock.wall < end:
            fails(broker, SalesforceError)
            stage.clock.advance(1)
        posts_by_hour.append(len(transport.assertions) - before)
    assert max(posts_by_hour) <= 60


def test_an_unreadable_secret_is_never_remembered(stage: Stage, salesforce: Script) -> None:
    """What AWS refuses is asked for again by the next request."""
    broker = stage.environment(salesforce(A))
    stage.secrets.fails_with = "ThrottlingException"
    for calls in (1, 2, 3):
        with pytest.raises(Exception, match="signing key"):
            issue(broker)
        assert calls == stage.secrets.calls


def test_a_refused_setup_serves_the_token_that_still_lives(stage: Stage, salesforce: Script) -> None:
    """A certificate exchanged too early costs nobody a request before the token ends."""
    broker = stage.environment(salesforce(A, refusal("invalid_grant", "invalid assertion")))
    issue(broker)
    stage.clock.advance(700)
    issued = issue(broker)
    assert (A, True) == (issued.token.value, issued.degraded)


# -- min_ttl ---------------------------------------------------------------------------------------------------------------


def test_min_ttl_beyond_the_lifetime_makes_no_exchange_in_five_calls(stage: Stage, salesforce: Script) -> None:
    """Vault oauthapp: five."""
    transport = salesforce(A)
    broker = stage.environment(transport)
    for _ in range(5):
        with pytest.raises(MinTtlUnsatisfiable):
            issue(broker, builders.request(min_ttl=900))
    assert 0 == len(transport.assertions)


def test_min_ttl_that_a_short_lived_token_cannot_have_does_not_loop(stage: Stage, salesforce: Script) -> None:
    """Salesforce's tokens live shorter than the settings say: one login, then a refusal without one."""
    transport = salesforce(*(reply(builders.answer(access_token=each, expires_in=120)) for each in (A, B, C)))
    broker = stage.environment(transport)
    for _ in range(5):
        with pytest.raises(MinTtlUnsatisfiable):
            issue(broker, builders.request(min_ttl=600))
    assert 1 == len(transport.assertions)


# -- The shared cache among environments -----------------------------------------------------------------------------------


def test_an_environment_without_the_lease_goes_on_with_what_lives(stage: Stage, salesforce: Script) -> None:
    """Stale here, being renewed there."""
    transport = salesforce(A, B)
    broker = stage.environment(transport)
    issue(broker)
    stage.clock.advance(700)
    (name,) = stage.parameters.values
    stage.parameters.values[f"{name}.lease.{int(stage.clock.wall // 10)}"] = "taken"
    assert (A, 1) == (issue(broker).token.value, len(transport.assertions))


def test_an_environment_without_the_lease_waits_for_the_token(stage: Stage, salesforce: Script) -> None:
    """Empty here, being logged in there: found at a look, without an exchange."""
    issue(stage.environment(salesforce(A)))
    (name, value) = next(iter(stage.parameters.values.items()))
    stage.parameters.values = {f"{name}.lease.{int(stage.clock.wall // 10)}": "taken"}
    sleep = stage.clock.sleep

    def appears(seconds: float) -> None:
        sleep(seconds)
        stage.parameters.values[name] = value

    stage.clock.sleep = appears  # type: ignore[method-assign]
    transport = salesforce(B)
    assert (A, 0) == (issue(stage.environment(transport)).token.value, len(transport.assertions))


@pytest.mark.parametrize(("seconds_left", "longest"), [(20, 9), (4, 2)])
def test_the_wait_for_the_leader_ends(stage: Stage, salesforce: Script, seconds_left: float, longest: float) -> None:
    """Whoever had the lease is gone: one login more, for which half of a short time is kept."""
    issue(stage.environment(salesforce(A)))
    (name,) = stage.parameters.values
    stage.parameters.values = {f"{name}.lease.{int(stage.clock.wall // 10)}": "taken"}
    began = stage.clock.wall
    assert B == issue(stage.environment(salesforce(B)), builders.request(seconds_left=seconds_left)).token.value
    assert stage.clock.wall - began <= longest


def test_a_shared_cache_that_was_rolled_back_is_not_adopted(stage: Stage, salesforce: Script) -> None:
    """The token before the last, sealed well and still alive, replaces nothing that outlives it."""
    first = salesforce(A, B, DOWN)
    broker = stage.environment(first)
    issue(broker)
    before = dict(stage.parameters.values)
    stage.clock.advance(700)
    assert B == issue(broker).token.value
    stage.parameters.values = before
    stage.clock.advance(100)
    with pytest.raises(SalesforceBusy):
        issue(broker, builders.request(min_ttl=850))
    assert (B, Source.MEMORY) == ((held := issue(broker)).token.value, held.source)


def test_a_shared_token_that_has_expired_is_not_adopted(stage: Stage, salesforce: Script) -> None:
    """A parameter rolled back to an old version is an old token."""
    issue(stage.environment(salesforce(A)))
    stage.clock.advance(871)
    assert (B, Source.SALESFORCE) == (
        (issued := issue(stage.environment(salesforce(B)))).token.value,
        issued.source,
    )


# -- What the shared cache can do to a login ---------------------------------------------------------------------------------


def test_a_forged_lease_delays_a_probe_by_35_seconds(stage: Stage, salesforce: Script) -> None:
    """Salesforce is back, but somebody creates every lease there could be."""
    broker = stage.environment(salesforce(DOWN, DOWN, DOWN, DOWN, A))
    fails(broker, SalesforceBusy)
    fails(broker, SalesforceBusy)
    stage.clock.advance(BUSY_SECONDS[2])
    stage.parameters.refuse_creation = True
    began = stage.clock.wall
    while True:
        try:
            assert A == issue(broker).token.value
        except SalesforceError:
            stage.clock.advance(1)
        else:
            break
    assert stage.clock.wall - began <= MAX_DELAY_SECONDS + 1


@pytest.mark.parametrize("answer", [refusal("rate_limit_exceeded"), refusal("invalid_client")], ids=["rate", "config"])
def test_a_replayed_failure_delays_by_35_seconds(stage: Stage, salesforce: Script, answer: Reply) -> None:
    """However often the same envelope is put back."""
    fails(stage.environment(salesforce(answer)), SalesforceError)
    replayed = dict(stage.parameters.values)
    began = stage.clock.wall
    broker = stage.environment(salesforce(A))
    while True:
        stage.parameters.values |= replayed
        try:
            assert A == issue(broker).token.value
        except SalesforceError:
            stage.clock.advance(1)
        else:
            break
    assert stage.clock.wall - began <= MAX_DELAY_SECONDS + 1


def test_a_shared_failure_is_raised_as_it_was(stage: Stage, salesforce: Script) -> None:
    """The other environment's callers see the same error, since when, and after how many attempts."""
    here, there = salesforce(refusal("invalid_client")), salesforce(A)
    fails(stage.environment(here), AppRefused)
    began = stage.clock.wall
    stage.clock.advance(10)
    with pytest.raises(AppRefused, match="the app has no certificate") as caught:
        issue(stage.environment(there))
    assert (began, 1, 20) == (caught.value.since, caught.value.attempts, caught.value.retry_after)
    assert "has not been asked again" in caught.value.description
    assert [] == there.assertions


def test_an_environment_whose_circuit_is_open_finds_what_another_one_shared(stage: Stage, salesforce: Script) -> None:
    """Within seconds after the first success of anybody."""
    here = stage.environment(salesforce(refusal("invalid_client")))
    fails(here, AppRefused)
    stage.clock.advance(MAX_DELAY_SECONDS + 1)
    fails(here, AppRefused, times=2)
    stage.clock.advance(MAX_DELAY_SECONDS + 1)
    fails(here, AppRefused)
    assert A == issue(stage.environment(salesforce(A))).token.value
    stage.clock.advance(RECOVERY_SECONDS)
    assert A == issue(here).token.value


def test_a_defect_opens_the_circuit_and_is_audited(
    stage: Stage, salesforce: Script, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    """Not every request meets Salesforce again, and each decision has its line."""
    transport = salesforce(A)
    broker = stage.environment(transport)
    monkeypatch.setattr("salesforce_broker.tokens.login.OwnerPins.check", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        issue(broker)
    for _ in range(5):
        with pytest.raises(InternalError):
            issue(broker)
    assert 1 == len(transport.assertions)
    refused = [line for line in map(json.loads, log.getvalue().splitlines()) if line["message"] == "token refused"]
    assert ["internal_error"] * 6 == [line["outcome"] for line in refused]


# -- Short lives -------------------------------------------------------------------------------------------------------------


def short(seconds: object, **changes: str) -> Reply:
    """Return the reply to a login whose token says how long it lives."""
    return reply(builders.answer(expires_in=seconds, **changes))


@pytest.mark.parametrize("seconds", [20, "20", 60, "60"])
def test_a_short_token_is_no_login_per_request(stage: Stage, salesforce: Script, seconds: object) -> None:
    """Two hundred requests within its life: one login, and none of them gets a token that is over."""
    transport = salesforce(short(seconds), short(seconds, access_token=B), short(seconds, access_token=C))
    broker = stage.environment(transport)
    for _ in range(200):
        assert issue(broker).token.expires_at > stage.clock.wall
        stage.clock.advance(0.05)
    assert 1 == len(transport.assertions)


@pytest.mark.parametrize("seconds", [0, -5, "0", "-5", -1e9])
def test_a_token_that_is_over_is_no_answer(stage: Stage, salesforce: Script, seconds: object) -> None:
    """It is neither believed for fifteen minutes nor called a min_ttl that nobody asked for; Salesforce is spared a loop."""
    transport = salesforce(short(seconds))
    broker = stage.environment(transport)
    for _ in range(200):
        with pytest.raises(SalesforceError):
            issue(broker)
        stage.clock.advance(0.05)
    assert len(transport.assertions) <= 11


@pytest.mark.parametrize("seconds", [True, None, "soon", [], {}, 1e400, float("nan"), "9" * 400])
def test_nonsense_about_a_life_is_ignored(stage: Stage, salesforce: Script, seconds: object) -> None:
    """The configured lifetime counts."""
    issued = issue(stage.environment(salesforce(short(seconds))))
    assert (900, "assumed") == (issued.token.expires_at - int(stage.clock.wall), issued.token.expiry_basis)


def test_a_lease_that_was_lost_long_ago_makes_no_crowd(stage: Stage, salesforce: Script) -> None:
    """An environment that once went on with its token waits for the leader as before, instead of logging in beside it."""
    mine = salesforce(A)
    here = stage.environment(mine)
    issue(here)
    stage.clock.advance(700)
    stage.parameters.refuse_creation = True
    assert A == issue(here).token.value
    stage.parameters.refuse_creation = False
    stage.clock.advance(100)
    issue(stage.environment(salesforce(B), renewal_point=0.1))
    stage.clock.advance(700)
    stage.parameters.refuse_creation = True
    assert B == issue(here).token.value
    assert 1 == len(mine.assertions)
