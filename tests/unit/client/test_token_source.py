"""When the broker is asked, by which thread, and what serves meanwhile."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from salesforce_broker_client import (
    AccessDenied,
    AnswerInvalid,
    Broker,
    BrokerError,
    BrokerUnreachable,
    MinTtlUnsatisfiable,
    SalesforceRefused,
    Token,
)
from salesforce_broker_client.token_cache import MARGIN_SECONDS
from salesforce_broker_client.token_source import PAUSE_AFTER_FAILURE_SECONDS, SUPPRESSED_SECONDS
from tests.support.broker_answers import ORGANIZATION, answer, raised
from tests.support.threads import together
from tests.unit.client.conftest import DOWN, Caller, FakeLambda, Start

A, B = answer("00D!first"), answer("00D!second")


def pause(inside: threading.Event, go: threading.Event) -> None:
    """Say that the broker is being asked, and have it answer when told."""
    inside.set()
    assert go.wait(10)


def test_a_token_is_asked_for_once(start: Start) -> None:
    """Then it comes from memory."""
    caller = start(A)
    tokens = {caller.broker.token() for _ in range(5)}
    assert (1, ["00D!first"]) == (caller.requests, [token.access_token for token in tokens])
    assert [{"action": "token"}] == caller.lambda_.calls


def test_each_user_has_a_token_of_its_own(start: Start) -> None:
    """Named to the broker."""
    caller = start(A, B)
    assert caller.broker.token() != caller.broker.token("orders@acme.example")
    assert {"action": "token", "sub": "orders@acme.example"} == caller.lambda_.calls[1]


def test_a_token_hides_itself() -> None:
    """From repr, and so from logs."""
    token = Token("secret", "https://acme.my.salesforce.com", 1, "f", 900.0, "a@acme.example", "00D000000000001EAA")
    assert "secret" not in repr(token)


def test_fifty_threads_make_one_call(start: Start) -> None:
    """With nothing in memory."""
    caller = start(A)
    caller.lambda_.before_answer = lambda: time.sleep(0.05)
    tokens = together(50, caller.broker.token)
    assert (50, 1) == (len(tokens), caller.requests)


def test_a_token_is_renewed_ahead_of_its_end_by_one_thread(start: Start) -> None:
    """The others go on with the one that lives."""
    caller = start(A, B)
    caller.broker.token()
    caller.clock.advance(0.9 * 900)
    inside, go = threading.Event(), threading.Event()
    caller.lambda_.before_answer = lambda: pause(inside, go)
    renewing = threading.Thread(target=caller.broker.token)
    renewing.start()
    assert inside.wait(10)
    assert "00D!first" == caller.broker.token().access_token
    go.set()
    renewing.join()
    assert ("00D!second", 2) == (caller.broker.token().access_token, caller.requests)


def test_renewal_is_jittered(start: Start) -> None:
    """Between 0.6 and 0.9 of what is left: no two callers alike."""

    def renews_at() -> int:
        caller = start(A)
        caller.broker.token()
        for second in range(900):
            caller.clock.advance(1)
            caller.broker.token()
            if caller.requests == 2:
                return second
        raise AssertionError

    moments = [renews_at() for _ in range(12)]
    assert 0.6 * 900 - 2 <= min(moments) < max(moments) <= 0.9 * 900
    assert len(set(moments)) > 3


@pytest.mark.parametrize("hand", ["wall", "monotonic"])
def test_a_token_has_ended_if_either_clock_says_so(start: Start, hand: str) -> None:
    """A Lambda may thaw after an hour; a wall clock may stand."""
    caller = start(A, B)
    caller.broker.token()
    setattr(caller.clock, hand, getattr(caller.clock, hand) + 900 - MARGIN_SECONDS)
    assert "00D!second" == caller.broker.token().access_token


def test_a_wall_clock_that_was_set_back_ends_a_token(start: Start) -> None:
    """By more than five minutes."""
    caller = start(A, B)
    caller.broker.token()
    caller.clock.wall -= 301
    assert "00D!second" == caller.broker.token().access_token


def test_min_ttl_asks_for_a_longer_life(start: Start) -> None:
    """Where the one in memory has less left."""
    caller = start(A, B)
    caller.broker.token()
    caller.clock.advance(500)
    assert "00D!first" == caller.broker.token(min_ttl=300).access_token
    assert "00D!second" == caller.broker.token(min_ttl=600).access_token
    assert {"action": "token", "min_ttl": 600} == caller.lambda_.calls[-1]


def test_a_refused_token_is_reported_once_by_thirty_threads(start: Start) -> None:
    """All get the next one."""
    caller = start(A, answer("00D!second", outcome="rotated"))
    refused = caller.broker.token()
    tokens = together(30, lambda: caller.broker.token(rejected=refused))
    assert ({"00D!second"}, 2) == ({token.access_token for token in tokens}, caller.requests)
    assert {"action": "token", "rejected": "of 00D!first"} == caller.lambda_.calls[1]


@pytest.mark.parametrize(("outcome", "after"), [("unchanged", None), ("suppressed", 30)])
def test_the_same_token_again_is_not_reported_again_at_once(start: Start, outcome: str, after: float | None) -> None:
    """The refusal has another cause: thirty threads must not ask thirty times."""
    caller = start(A, answer("00D!first", outcome=outcome, **({"retry_after": after} if after else {})))
    refused = caller.broker.token()
    tokens = together(30, lambda: caller.broker.token(rejected=refused))
    assert ({"00D!first"}, 2) == ({token.access_token for token in tokens}, caller.requests)
    caller.clock.advance(SUPPRESSED_SECONDS)
    caller.broker.token(rejected=refused)
    assert 3 == caller.requests


@pytest.mark.parametrize("failure", [DOWN, raised("salesforce_busy", retryable=True), raised("salesforce_config"), b"?"])
def test_a_token_that_lives_serves_while_the_broker_is_down(start: Start, failure: object) -> None:
    """Without waiting for it at each call; when the token is over, the failure is raised."""
    caller = start(A, failure)
    caller.broker.token()
    caller.clock.advance(0.9 * 900)
    for _ in range(5):
        assert "00D!first" == caller.broker.token().access_token
    assert 2 == caller.requests
    caller.clock.advance(PAUSE_AFTER_FAILURE_SECONDS)
    caller.broker.token()
    assert 3 == caller.requests
    caller.clock.advance(900)
    with pytest.raises(BrokerError):
        caller.broker.token()


@pytest.mark.parametrize(("code", "kind"), [("salesforce_user", SalesforceRefused), ("access_denied", AccessDenied)])
def test_a_user_who_may_not_any_more_fails_closed(start: Start, code: str, kind: type[Exception]) -> None:
    """Though the token had not expired; and not from memory afterwards."""
    caller = start(A, raised(code), DOWN)
    caller.broker.token()
    caller.clock.advance(0.9 * 900)
    with pytest.raises(kind):
        caller.broker.token()
    with pytest.raises(BrokerUnreachable):
        caller.broker.token()


def test_it_heals_with_the_next_request(start: Start) -> None:
    """A failure is not kept."""
    caller = start(DOWN, A)
    with pytest.raises(BrokerUnreachable):
        caller.broker.token()
    assert "00D!first" == caller.broker.token().access_token


def test_a_thread_that_waits_for_another_gives_up_in_time(start: Start) -> None:
    """By its own timeout."""
    caller = start(A)
    inside, go = threading.Event(), threading.Event()
    caller.lambda_.before_answer = lambda: pause(inside, go)
    thread = threading.Thread(target=caller.broker.token)
    thread.start()
    assert inside.wait(10)
    with pytest.raises(BrokerUnreachable):
        caller.broker.token(timeout=0.05)
    go.set()
    thread.join()


@pytest.mark.parametrize("timeout", [0.05, None])
def test_a_call_ends_at_its_timeout(timeout: float | None) -> None:
    """Whatever it waits for; the timeout is the call's, else the broker object's."""
    lambda_, go = FakeLambda(A), threading.Event()
    lambda_.before_answer = lambda: go.wait(10)
    broker = Broker("broker", session=lambda_, timeout=0.1)
    with pytest.raises(BrokerUnreachable, match="did not answer within 0"):
        broker.token(timeout=timeout)
    go.set()


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, 10**30])
def test_a_timeout_can_be_without_an_end(start: Start, timeout: float) -> None:
    """As some write it."""
    assert "00D!first" == start(A).broker.token(timeout=timeout).access_token


@pytest.mark.parametrize("timeout", [0, -1, float("-inf")])
def test_no_time_is_no_time(start: Start, timeout: float) -> None:
    """A Lambda's context may have nothing left; the call is an error of the tree."""
    caller = start(A)
    caller.lambda_.before_answer = lambda: time.sleep(0.05)
    with pytest.raises(BrokerUnreachable, match="within 0 s"):
        caller.broker.token(timeout=timeout)


def test_which_broker_is_said_once(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    """By an argument or by the environment; neither and both are mistakes."""
    del start
    for name in ("SALESFORCE_BROKER_FUNCTION", "SALESFORCE_BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    for function_name, url in ((None, None), ("f", "https://x")):
        with pytest.raises(ValueError, match="function_name or url"):
            Broker(function_name, url=url)
    monkeypatch.setenv("SALESFORCE_BROKER_FUNCTION", "named")
    assert Broker()
    with pytest.raises(ValueError, match="https"):
        Broker(url="http://broker.example")


class Queue:
    """A lock that knows when so many have come to it."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._guard = threading.Lock()
        self._missing = count
        self.release = self._lock.release
        self.whole = threading.Event()

    def acquire(self, *, timeout: float) -> bool:
        """Come, and wait."""
        with self._guard:
            self._missing -= 1
            if self._missing == 0:
                self.whole.set()
        return self._lock.acquire(timeout=timeout)


def test_threads_that_wait_for_a_failure_share_it(start: Start) -> None:
    """Or each would wait for a time-out of its own, one after the other; who comes later asks again."""
    caller, queue = start(DOWN, A), Queue(20)
    caller.broker._subject(None).lock = cast("Any", queue)  # noqa: SLF001  so that nobody comes too late
    caller.lambda_.before_answer = lambda: queue.whole.wait(10)

    def ask() -> str:
        try:
            return caller.broker.token().access_token
        except BrokerUnreachable as error:
            return error.code

    assert ["broker_unreachable"] * 20 == together(20, ask)
    assert 1 == caller.requests
    assert "00D!first" == caller.broker.token().access_token


def test_a_failure_is_shared_only_by_who_asked_for_the_same(start: Start) -> None:
    """A life that no token has is one thread's own mistake."""
    caller, queue = start(raised("min_ttl_unsatisfiable"), A), Queue(2)
    caller.broker._subject(None).lock = cast("Any", queue)  # noqa: SLF001  so that the second waits for the first
    inside = threading.Event()
    caller.lambda_.before_answer = lambda: pause(inside, queue.whole)
    with ThreadPoolExecutor(2) as pool:
        greedy = pool.submit(caller.broker.token, min_ttl=5000)
        assert inside.wait(10)
        modest = pool.submit(caller.broker.token)
        assert isinstance(greedy.exception(), MinTtlUnsatisfiable)
        assert "00D!first" == modest.result().access_token


def test_what_is_held_is_returned_without_a_request(start: Start) -> None:
    """For code that must not wait: nothing, a token, and nothing again when it is time to renew."""
    caller = start(A)
    assert caller.broker.held() is None
    token = caller.broker.token()
    assert token == caller.broker.held()
    caller.clock.advance(0.9 * 900)
    assert caller.broker.held() is None
    assert 1 == caller.requests


@pytest.mark.parametrize(
    ("function_name", "region", "expected"),
    [
        ("broker", None, None),
        ("broker", "eu-west-1", "eu-west-1"),
        ("arn:aws:lambda:sa-east-1:123456789012:function:broker", None, "sa-east-1"),
        ("arn:aws-cn:lambda:cn-north-1:123456789012:function:broker:live", None, "cn-north-1"),
        ("arn:aws:lambda:sa-east-1:123456789012:function:broker", "eu-west-1", "eu-west-1"),
        ("123456789012:function:broker", None, None),
        ("arn:", None, None),
    ],
)
def test_an_arn_says_in_which_region_the_broker_is(function_name: str, region: str | None, expected: str | None) -> None:
    """Whatever the caller's own is; an argument outranks it."""
    lambda_ = FakeLambda(A)
    Broker(function_name, session=lambda_, region=region).token()
    assert [expected] == lambda_.regions


def test_tokens_that_are_over_are_not_kept(start: Start) -> None:
    """A service with many users would hold all of them."""
    caller = start(A)
    for number in range(20):
        caller.broker.token(f"{number}@acme.example")
    caller.clock.advance(900)
    caller.broker.token()
    assert [None] == list(caller.broker._cache._held)  # noqa: SLF001  what is in memory


def test_identity_is_handed_on(start: Start) -> None:
    """What Salesforce says of whose the token is."""
    caller: Caller = start({"user_id": "005", "username": "integration@acme.example", "organization_id": ORGANIZATION})
    assert "integration@acme.example" == caller.broker.identity("integration@acme.example")["username"]
    assert [{"action": "identity", "sub": "integration@acme.example"}] == caller.lambda_.calls


def test_an_answer_says_whose_it_is(start: Start) -> None:
    """The user and the org, whose id is brought to 18 characters."""
    token = start(answer(organization_id="00D5g0000000abZ")).broker.token()
    assert "integration@acme.example" == token.sub
    assert "00D5g0000000abZEAQ" == token.organization_id


def test_usernames_are_compared_as_salesforce_does(start: Start) -> None:
    """Without regard to case."""
    caller = start(answer(sub="Orders@ACME.example"))
    assert "Orders@ACME.example" == caller.broker.token("orders@acme.example").sub


@pytest.mark.parametrize("call", ["token", "identity"])
def test_an_answer_for_somebody_else_is_refused(start: Start, call: str) -> None:
    """Than was asked for; it is not used and not kept."""
    caller = start(answer(sub="other@acme.example", user_id="005"))
    with pytest.raises(AnswerInvalid, match=r"answered for other@acme\.example, not for orders@acme\.example"):
        getattr(caller.broker, call)("orders@acme.example")
    assert caller.broker.held("orders@acme.example") is None


@pytest.mark.parametrize("first", ["token", "identity"])
def test_the_default_user_is_the_first_answers(start: Start, first: str) -> None:
    """A later answer for another one is refused: a mixed-up connection, or another setting of the broker."""
    caller = start(answer(user_id="005"), answer(sub="other@acme.example"))
    getattr(caller.broker, first)()
    caller.clock.advance(900)
    with pytest.raises(AnswerInvalid, match=r"default user is other@acme\.example, before it was integration@acme\.example"):
        caller.broker.token()


def test_the_org_is_the_first_answers(start: Start) -> None:
    """Whatever the user; the forms of 15 and of 18 characters are the same org."""
    short = answer(organization_id=ORGANIZATION[:15])
    caller = start(A, short, answer(organization_id="00D000000000002EAA"))
    caller.broker.token()
    assert ORGANIZATION == caller.broker.token("orders@acme.example").organization_id
    with pytest.raises(AnswerInvalid, match="answered for the org 00D000000000002EAA, before for 00D000000000001EAA"):
        caller.broker.token("third@acme.example")


def test_a_token_in_memory_outlives_an_answer_for_somebody_else(start: Start) -> None:
    """As it does any other failure."""
    caller = start(A, answer("00D!other", sub="other@acme.example"))
    caller.broker.token()
    caller.clock.advance(0.9 * 900)
    assert "00D!first" == caller.broker.token().access_token


def test_an_identity_is_of_the_user_that_the_answer_is_for(start: Start) -> None:
    """Not another one's document."""
    caller = start({"user_id": "005", "username": "other@acme.example", "organization_id": ORGANIZATION})
    with pytest.raises(AnswerInvalid, match="with the identity of other@acme"):
        caller.broker.identity("integration@acme.example")
