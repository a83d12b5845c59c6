"""Logins that are paused, and go on: said once, to the bus and in metrics, and never at a request's cost."""

from __future__ import annotations

import io
import json

import pytest

from salesforce_broker import observability
from salesforce_broker.errors import AppRefused, BrokerError, LoginRateExceeded, SalesforceBusy
from tests.support import builders
from tests.support.stage import Stage
from tests.unit.conftest import Script

TOKEN = "00D000000000001!first"
REFUSED = AppRefused("no such app", hint="look")


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names of metrics."""
    names: list[str] = []
    monkeypatch.setattr(observability, "_add", lambda name, *_: names.append(name))
    return names


def fail(broker: object, kind: type[BrokerError] = BrokerError, **fields: object) -> None:
    """Ask, and insist on an error."""
    with pytest.raises(kind):
        broker.answer(builders.request(**fields))  # type: ignore[attr-defined]


def said(stage: Stage) -> list[tuple[str, str]]:
    """Return kind and subject of every event on the bus."""
    return [(event["DetailType"], event["Detail"]["subject"]) for event in stage.bus.events]


def test_a_refusal_pauses_and_a_success_goes_on(stage: Stage, salesforce: Script, counted: list[str]) -> None:
    """One event each, however often it fails meanwhile."""
    broker = stage.environment(salesforce(REFUSED, REFUSED, REFUSED, TOKEN))
    for _ in range(3):
        fail(broker)
        fail(broker)  # answered by the circuit breaker
        stage.clock.advance(901)
    assert [("Logins Paused", builders.USERNAME)] == said(stage)
    broker.answer(builders.request())
    assert ("Logins Resumed", builders.USERNAME) == said(stage)[-1]
    assert (2, 1, 1) == (len(said(stage)), counted.count("LoginsPaused"), counted.count("LoginsResumed"))
    assert 4 == counted.count("LoginAttempt")


def test_an_event_says_who_why_and_for_how_long(stage: Stage, salesforce: Script) -> None:
    """In the form of EventBridge, with nothing secret in it."""
    fail(stage.environment(salesforce(LoginRateExceeded("too often", hint="wait", retry_after=300))))
    (event,) = stage.bus.events
    assert ("salesforce-token-broker", "default") == (event["Source"], event["EventBusName"])
    assert {
        "subject": builders.USERNAME,
        "login_url": builders.LOGIN_URL,
        "function_name": observability.FUNCTION_NAME,
        "error": "salesforce_rate",
        "error_description": "too often",
        "hint": "wait",
        "seconds": 300,
    } == event["Detail"]


def test_a_blip_pauses_nobody(stage: Stage, salesforce: Script) -> None:
    """The first failure by an outage closes nothing, and what follows it well is no resumption."""
    busy = SalesforceBusy("down")
    broker = stage.environment(salesforce(busy, busy, busy, TOKEN))
    fail(broker)
    broker.answer(builders.request())
    assert [] == said(stage)


def test_an_outage_pauses_at_its_second_failure(stage: Stage, salesforce: Script) -> None:
    """For two seconds first; that it lasts longer and longer is not said again."""
    broker = stage.environment(salesforce(SalesforceBusy("down")))
    for _ in range(6):
        fail(broker)
        stage.clock.advance(100)
    assert [("Logins Paused", builders.USERNAME)] == said(stage)
    assert 2 == stage.bus.events[0]["Detail"]["seconds"]


def test_each_subject_is_paused_for_itself(stage: Stage, salesforce: Script) -> None:
    """Two users, two events."""
    broker = stage.environment(salesforce(REFUSED))
    fail(broker)
    fail(broker, subject=builders.OTHER_USERNAME)
    assert [("Logins Paused", builders.USERNAME), ("Logins Paused", builders.OTHER_USERNAME)] == said(stage)


def test_an_environment_that_respects_anothers_backoff_is_silent(stage: Stage, salesforce: Script) -> None:
    """A fleet of a hundred says it once; nor does a follower say that logins go on."""
    limited = LoginRateExceeded("too often", retry_after=300)
    fail(stage.environment(salesforce(limited)))
    follower = stage.environment(salesforce(TOKEN))
    fail(follower, LoginRateExceeded)
    stage.clock.advance(301)
    follower.answer(builders.request())
    assert [("Logins Paused", builders.USERNAME)] == said(stage)


@pytest.mark.parametrize("failure", ["AccessDeniedException", None, "refuses"])
def test_a_bus_that_fails_costs_no_request(
    stage: Stage, salesforce: Script, counted: list[str], log: io.StringIO, failure: str | None
) -> None:
    """The caller gets Salesforce's error, the log the bus's; AWS's message is not repeated."""
    stage.bus.refuses = failure == "refuses"
    stage.bus.fails_with = False if stage.bus.refuses else failure
    broker = stage.environment(salesforce(REFUSED, TOKEN))
    fail(broker, AppRefused)
    stage.clock.advance(31)
    broker.answer(builders.request())
    assert 2 == counted.count("EventNotSent")
    reasons = [
        line["reason"] for line in map(json.loads, log.getvalue().splitlines()) if line["message"] == "event was not sent"
    ]
    assert [{"refuses": "InternalFailure", None: "ConnectTimeoutError"}.get(failure, failure)] * 2 == reasons
    assert "must not be repeated" not in log.getvalue()


def test_with_little_time_left_the_caller_comes_first(stage: Stage, salesforce: Script, counted: list[str]) -> None:
    """The metric is there, the event is not."""
    fail(stage.environment(salesforce(REFUSED)), seconds_left=2)
    assert ([], 1, 1) == (said(stage), counted.count("LoginsPaused"), counted.count("EventNotSent"))


def test_without_a_bus_no_client_is_made(stage: Stage, salesforce: Script, counted: list[str]) -> None:
    """Nor while all is well."""
    stage.make_bus = lambda: pytest.fail("a client was made")
    stage.environment(salesforce(TOKEN)).answer(builders.request())
    stage.parameters.values.clear()
    fail(stage.environment(salesforce(REFUSED), settings=builders.settings(event_bus_name="")))
    assert (1, 0) == (counted.count("LoginsPaused"), counted.count("EventNotSent"))
