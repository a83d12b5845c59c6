"""The order of the modules: what is asked for where, and how often."""

from __future__ import annotations

import threading

import jwt
import pytest

from salesforce_broker.errors import (
    AccessDenied,
    AppRefused,
    AssertionExpired,
    AssertionRefused,
    InvalidRequest,
    LoginRateExceeded,
    MinTtlUnsatisfiable,
    SalesforceBusy,
    SigningKeyUnavailable,
    TokenRefused,
    UserRefused,
)
from salesforce_broker.tokens.model import Action, Health, Identity, IssuedToken, Source, TokenRequest
from salesforce_broker.tokens.service import TokenService
from tests.support import builders, keys
from tests.support.builders import refusal, reply
from tests.support.clocks import START
from tests.support.stage import Stage
from tests.unit.conftest import Script

A, B = "00D000000000001!first", "00D000000000001!second"


def issue(broker: TokenService, request: TokenRequest | None = None) -> IssuedToken:
    """Ask for a token and insist on getting one."""
    answer = broker.answer(request or builders.request())
    assert isinstance(answer, IssuedToken)
    return answer


def test_a_miss_costs_one_exchange_one_read_and_one_write(stage: Stage, salesforce: Script) -> None:
    """The first request logs in, reads the shared cache once and writes it once; its lease is gone."""
    transport = salesforce(A)
    issued = issue(stage.environment(transport))
    assert (A, Source.SALESFORCE) == (issued.token.value, issued.source)
    assert (1, 1, 1) == (len(transport.assertions), stage.parameters.reads, stage.parameters.tokens_written)
    assert 1 == len(stage.parameters.values)


def test_a_memory_hit_costs_nothing(stage: Stage, salesforce: Script) -> None:
    """The second request of an environment makes no call at all."""
    transport = salesforce(A)
    broker = stage.environment(transport)
    issue(broker)
    issued = issue(broker)
    assert (A, Source.MEMORY) == (issued.token.value, issued.source)
    assert (1, 1, 1) == (len(transport.assertions), stage.parameters.reads, stage.secrets.calls)


def test_another_environment_takes_the_shared_token(stage: Stage, salesforce: Script) -> None:
    """A fresh environment reads SSM once and asks Salesforce nothing."""
    issue(stage.environment(salesforce(A)))
    other = salesforce(SalesforceBusy("not to be asked"))
    issued = issue(stage.environment(other))
    assert (A, Source.SHARED, []) == (issued.token.value, issued.source, other.assertions)


def test_the_assertion_says_who_and_for_how_long(stage: Stage, salesforce: Script) -> None:
    """iss, sub, aud, exp, iat and jti are there, signed with the key of the secret."""
    transport = salesforce(A)
    issue(stage.environment(transport), builders.request(subject=builders.OTHER_USERNAME))
    claims = jwt.decode(
        transport.assertions[0],
        keys.rsa_key().public_key(),
        algorithms=["RS256"],
        audience=builders.LOGIN_URL,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert {"iss", "sub", "aud", "exp", "iat", "jti"} == set(claims)
    assert (keys.CLIENT_ID, builders.OTHER_USERNAME) == (claims["iss"], claims["sub"])
    assert 120 <= claims["exp"] - START <= 180


def test_subjects_never_share_a_token(stage: Stage, salesforce: Script) -> None:
    """Two users of one app have a token each, in memory as in the shared cache."""
    broker = stage.environment(salesforce(A, B))
    issue(broker)
    assert B == issue(broker, builders.request(subject=builders.OTHER_USERNAME)).token.value
    assert A == issue(broker).token.value
    assert 2 == len(stage.parameters.values)


def test_a_subject_that_is_not_allowed_is_denied_before_anything_else(stage: Stage, salesforce: Script) -> None:
    """Neither the key nor Salesforce nor SSM is touched for it."""
    transport = salesforce(A)
    with pytest.raises(AccessDenied):
        issue(stage.environment(transport), builders.request(subject="admin@acme.example"))
    assert (0, 0, []) == (stage.secrets.calls, stage.parameters.reads, transport.assertions)


def test_allowed_subjects_are_compared_exactly(stage: Stage, salesforce: Script) -> None:
    """Another case of the same name is another name."""
    with pytest.raises(AccessDenied):
        issue(stage.environment(salesforce(A)), builders.request(subject=builders.OTHER_USERNAME.upper()))


def test_without_default_user_sub_is_needed(stage: Stage, salesforce: Script) -> None:
    """A broker without SALESFORCE_USERNAME says so by the field's name."""
    broker = stage.environment(salesforce(A), settings=builders.settings(username=""))
    with pytest.raises(InvalidRequest, match="'sub'"):
        issue(broker)


@pytest.mark.parametrize("failure", ["ThrottlingException", "AccessDeniedException", None])
def test_a_broken_shared_cache_costs_no_request(stage: Stage, salesforce: Script, failure: str | None) -> None:
    """SSM may throttle, deny or time out: the token comes from Salesforce."""
    stage.parameters.broken = failure
    issued = issue(stage.environment(salesforce(A)))
    assert (A, Source.SALESFORCE) == (issued.token.value, issued.source)


@pytest.mark.parametrize("poison", ["", "x", "AAAA", "é", "A" * 4096, '{"value":"00D!planted"}'])
def test_a_poisoned_shared_cache_is_a_miss(stage: Stage, salesforce: Script, poison: str) -> None:
    """Whatever else lies in the parameter is not adopted, and is replaced."""
    issue(stage.environment(salesforce(A)))
    (name,) = stage.parameters.values
    stage.parameters.values[name] = poison
    assert (B, Source.SALESFORCE) == _value_and_source(issue(stage.environment(salesforce(B))))
    assert (B, Source.SHARED) == _value_and_source(issue(stage.environment(salesforce())))


def test_without_prefix_there_is_no_ssm(stage: Stage, salesforce: Script) -> None:
    """An empty TOKEN_CACHE_PREFIX makes no call to SSM."""
    issue(stage.environment(salesforce(A), settings=builders.settings(token_cache_prefix="")))
    assert (0, []) == (stage.parameters.reads, stage.parameters.writes)


def test_a_token_too_large_for_ssm_is_issued_all_the_same(stage: Stage, salesforce: Script) -> None:
    """A JWT-format token over 4 KB stays in memory only; the login counts against the shared budget all the same."""
    large = "x" * 5000
    assert large == issue(stage.environment(salesforce(large))).token.value
    assert 1 == stage.parameters.tokens_written
    other = "y" * 5000
    assert other == issue(stage.environment(salesforce(other))).token.value


def test_a_stale_token_is_renewed_by_the_next_caller(stage: Stage, salesforce: Script) -> None:
    """Past its renewal point a token is replaced while it still lives."""
    broker = stage.environment(salesforce(A, B))
    issue(broker)
    stage.clock.advance(700)
    assert B == issue(broker).token.value


def test_a_stale_token_serves_while_salesforce_is_busy(stage: Stage, salesforce: Script) -> None:
    """A failed renewal costs nothing while the token lives, and the answer says that it is degraded."""
    broker = stage.environment(salesforce(A, SalesforceBusy("down")))
    issue(broker)
    stage.clock.advance(700)
    issued = issue(broker)
    assert (A, True) == (issued.token.value, issued.degraded)


def test_an_expired_token_is_never_served(stage: Stage, salesforce: Script) -> None:
    """With Salesforce down and the token expired there is an error, not a token."""
    broker = stage.environment(salesforce(A, SalesforceBusy("down")))
    issue(broker)
    stage.clock.advance(900)
    with pytest.raises(SalesforceBusy):
        issue(broker)


def test_a_frozen_environment_does_not_keep_a_token_alive(stage: Stage, salesforce: Script) -> None:
    """Lambda freezes the monotonic clock: the wall clock alone ends a token."""
    broker = stage.environment(salesforce(A, B))
    issue(broker)
    stage.clock.wall += 3600
    assert B == issue(broker).token.value


def test_a_wall_clock_that_stands_still_does_not_keep_a_token_alive(stage: Stage, salesforce: Script) -> None:
    """The monotonic clock alone ends a token, too."""
    broker = stage.environment(salesforce(A, B), settings=builders.settings(token_cache_prefix=""))
    issue(broker)
    stage.clock.monotonic += 900
    assert B == issue(broker).token.value


def test_a_wall_clock_that_jumped_back_ends_a_token(stage: Stage, salesforce: Script) -> None:
    """A clock set back by an hour cannot tell when a token expires."""
    broker = stage.environment(salesforce(A, B), settings=builders.settings(token_cache_prefix=""))
    issue(broker)
    stage.clock.wall -= 3600
    assert B == issue(broker).token.value


def test_busy_is_tried_again_with_a_fresh_assertion_each_time(stage: Stage, salesforce: Script) -> None:
    """Three posts, three different assertions, pauses between them."""
    transport = salesforce(refusal("unknown_error", "retry your request"), SalesforceBusy("reset"), A)
    assert A == issue(stage.environment(transport)).token.value
    assert 3 == len(set(transport.assertions))
    assert 2 == len(stage.clock.slept)


def test_busy_ends_after_three_posts(stage: Stage, salesforce: Script) -> None:
    """A Salesforce that stays busy is asked three times for one request, not more."""
    transport = salesforce(SalesforceBusy("down"))
    with pytest.raises(SalesforceBusy):
        issue(stage.environment(transport))
    assert 3 == len(transport.assertions)


def test_a_retry_after_that_fits_is_honoured(stage: Stage, salesforce: Script) -> None:
    """Retry-After is the pause, where the deadline allows it."""
    transport = salesforce(reply(b"", status=429, headers={"Retry-After": "4"}), A)
    issue(stage.environment(transport))
    assert [4.0] == stage.clock.slept


def test_a_retry_after_beyond_the_deadline_is_handed_on(stage: Stage, salesforce: Script) -> None:
    """The caller learns when to ask again, at once."""
    transport = salesforce(reply(b"", status=503, headers={"Retry-After": "120"}))
    with pytest.raises(SalesforceBusy) as caught:
        issue(stage.environment(transport))
    assert (120, 1, []) == (caught.value.retry_after, len(transport.assertions), stage.clock.slept)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal("invalid_grant", "audience is invalid"), AppRefused),
        (refusal("invalid_grant", "inactive user"), UserRefused),
        (refusal("rate_limit_exceeded"), LoginRateExceeded),
    ],
)
def test_a_terminal_refusal_is_not_tried_again(stage: Stage, salesforce: Script, answer: object, kind: type) -> None:
    """Only what can pass by itself is posted twice."""
    transport = salesforce(answer)
    with pytest.raises(kind):
        issue(stage.environment(transport))
    assert 1 == len(transport.assertions)


def test_a_locked_user_loses_the_token_that_is_held(stage: Stage, salesforce: Script) -> None:
    """A renewal refused for the user's sake fails closed, though the old token had not expired."""
    broker = stage.environment(salesforce(A, refusal("invalid_grant", "user is locked"), SalesforceBusy("down")))
    issue(broker)
    stage.clock.advance(700)
    with pytest.raises(UserRefused):
        issue(broker)
    with pytest.raises(UserRefused):
        issue(stage.environment(salesforce()))
    with pytest.raises(UserRefused):
        issue(broker)
    stage.clock.advance(30)
    with pytest.raises(SalesforceBusy):
        issue(broker)


def test_an_expired_assertion_is_signed_again_with_salesforces_clock(stage: Stage, salesforce: Script) -> None:
    """A clock five minutes behind is corrected from the Date of the refusal, and stays corrected."""
    date = "Fri, 15 Jan 2027 08:05:00 GMT"  # START + 300 s
    transport = salesforce(refusal("invalid_grant", "expired authorization code", Date=date), A, B)
    broker = stage.environment(transport)
    issue(broker)
    issue(broker, builders.request(subject=builders.OTHER_USERNAME))
    expiries = [_claims(assertion)["exp"] for assertion in transport.assertions]
    assert [START + 150, START + 450, START + 450] == expiries


@pytest.mark.parametrize("date", ["Fri, 15 Jan 2027 10:00:00 GMT", "nonsense", ""])
def test_a_date_that_makes_no_sense_corrects_nothing(stage: Stage, salesforce: Script, date: str) -> None:
    """A skew beyond ten minutes, or none to be read, is not believed."""
    transport = salesforce(refusal("invalid_grant", "expired authorization code", Date=date))
    with pytest.raises(AssertionExpired):
        issue(stage.environment(transport))
    assert 1 == len(transport.assertions)


def test_a_rotated_key_is_found_at_the_first_refusal(stage: Stage, salesforce: Script) -> None:
    """An invalid assertion makes the broker look at the secret once more, and sign with what is there now."""
    transport = salesforce(A, refusal("invalid_grant", "invalid assertion"), B)
    broker = stage.environment(transport)
    issue(broker)
    stage.secrets.text, stage.secrets.version_id = keys.secret("next"), "v2"
    assert B == issue(broker, builders.request(subject=builders.OTHER_USERNAME)).token.value
    jwt.decode(
        transport.assertions[-1],
        keys.rsa_key("next").public_key(),
        algorithms=["RS256"],
        options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
    )


def test_a_key_that_is_still_the_same_is_not_tried_twice(stage: Stage, salesforce: Script) -> None:
    """Without another version the refusal stands: the current one was looked at again, and the two others."""
    transport = salesforce(refusal("invalid_grant", "invalid assertion"))
    with pytest.raises(AssertionRefused):
        issue(stage.environment(transport))
    assert (1, 4) == (len(transport.assertions), stage.secrets.calls)


@pytest.mark.parametrize("stage_name", ["AWSPENDING", "AWSPREVIOUS"])
def test_while_rotating_the_other_version_is_tried_once_and_remembered(
    stage: Stage, salesforce: Script, stage_name: str
) -> None:
    """Which of two certificates Salesforce knows is not certain for minutes."""
    stage.secrets.other_stages[stage_name] = keys.secret("next")
    transport = salesforce(refusal("invalid_grant", "invalid assertion"), A, B)
    broker = stage.environment(transport)
    assert A == issue(broker).token.value
    assert B == issue(broker, builders.request(subject=builders.OTHER_USERNAME)).token.value
    assert 3 == len(transport.assertions)
    for assertion in transport.assertions[1:]:
        jwt.decode(
            assertion,
            keys.rsa_key("next").public_key(),
            algorithms=["RS256"],
            options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
        )


def test_a_rotation_is_noticed_within_minutes(stage: Stage, salesforce: Script) -> None:
    """The secret is looked at again before a login, at most every few minutes."""
    broker = stage.environment(salesforce(A, B, "00D000000000001!third"))
    issue(broker)
    stage.secrets.text, stage.secrets.version_id = keys.secret("next"), "v2"
    issue(broker, builders.request(subject=builders.OTHER_USERNAME))
    assert 1 == stage.secrets.calls
    stage.clock.advance(1000)
    issue(broker)
    assert 2 == stage.secrets.calls


def test_a_secret_that_could_not_be_read_is_read_by_the_next_request(stage: Stage, salesforce: Script) -> None:
    """A failed pull is not remembered."""
    broker = stage.environment(salesforce(A))
    stage.secrets.fails_with = "InternalServiceError"
    with pytest.raises(SigningKeyUnavailable) as caught:
        broker.warm()
    assert caught.value.retryable
    stage.secrets.fails_with = None
    assert A == issue(broker).token.value


def test_min_ttl_renews_a_token_with_less_left(stage: Stage, salesforce: Script) -> None:
    """600 s left are not enough for who needs 800."""
    broker = stage.environment(salesforce(A, B))
    issue(broker)
    stage.clock.advance(300)
    assert B == issue(broker, builders.request(min_ttl=800)).token.value


def test_min_ttl_beyond_the_lifetime_costs_no_exchange(stage: Stage, salesforce: Script) -> None:
    """What cannot be had is refused without asking for it."""
    transport = salesforce(A)
    with pytest.raises(MinTtlUnsatisfiable):
        issue(stage.environment(transport), builders.request(min_ttl=900))
    assert [] == transport.assertions


def test_identity_tells_whose_token_it_is(stage: Stage, salesforce: Script) -> None:
    """The identity URL's path is asked for at the instance, with the token."""
    transport = salesforce(A, reply(builders.identity(mobile_phone="+1")))
    owner = stage.environment(transport).answer(builders.request(action=Action.IDENTITY))
    assert isinstance(owner, Identity)
    assert builders.identity() == owner.document
    assert [A] == transport.bearers
    assert transport.urls[1].startswith(builders.LOGIN_URL + "/id/00D")


def test_identity_renews_a_token_that_died_at_salesforce(stage: Stage, salesforce: Script) -> None:
    """403 Bad_OAuth_Token on a token that the broker held costs one login and one more call."""
    dead = reply(b"Bad_OAuth_Token", status=403)
    transport = salesforce(A, dead, dead, B, reply(builders.identity()))
    stage.environment(transport).answer(builders.request(action=Action.IDENTITY))
    assert (2, B) == (len(transport.assertions), transport.bearers[-1])


def test_identity_gives_up_on_a_second_dead_token(stage: Stage, salesforce: Script) -> None:
    """It does not loop."""
    dead = reply(b"Bad_OAuth_Token", status=403)
    with pytest.raises(TokenRefused):
        stage.environment(salesforce(A, dead, dead, B, dead)).answer(builders.request(action=Action.IDENTITY))


def test_health_touches_nothing(stage: Stage, salesforce: Script) -> None:
    """No key, no shared cache, no Salesforce."""
    transport = salesforce(A)
    assert isinstance(stage.environment(transport).answer(builders.request(action=Action.HEALTH)), Health)
    assert (0, 0, []) == (stage.secrets.calls, stage.parameters.reads, transport.assertions)


def test_no_time_left_is_an_answer(stage: Stage, salesforce: Script) -> None:
    """An invocation at its end gets a retryable error instead of a time-out."""
    transport = salesforce(SalesforceBusy("slow"))
    transport.before_answer = lambda: stage.clock.advance(10)
    with pytest.raises(SalesforceBusy):
        issue(stage.environment(transport), builders.request(seconds_left=5))
    assert 1 == len(transport.assertions)


def test_threads_that_find_nothing_wait_for_one_login(stage: Stage, salesforce: Script) -> None:
    """Fifty cold threads make one exchange."""
    transport = salesforce(A)
    broker = stage.environment(transport)
    together = threading.Barrier(50)
    values: list[str] = []

    def ask() -> None:
        together.wait()
        values.append(issue(broker).token.value)

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([A] * 50, 1) == (values, len(transport.assertions))


def _value_and_source(issued: IssuedToken) -> tuple[str, Source]:
    return issued.token.value, issued.source


def _claims(assertion: str) -> dict[str, float]:
    claims: dict[str, float] = jwt.decode(assertion, options={"verify_signature": False})
    return claims
