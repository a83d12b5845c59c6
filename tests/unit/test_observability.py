"""The log says what happened and never what must not be said."""

from __future__ import annotations

import io
import json
import logging

import pytest

from salesforce_broker import observability
from salesforce_broker.api.response import HTTP_STATUS
from salesforce_broker.errors import AccessDenied, AppRefused, NotFound
from salesforce_broker.operations.request import KeyAction
from salesforce_broker.tokens.model import Source


@pytest.mark.parametrize("library", ["botocore.parsers", "boto3.resources", "urllib3.connectionpool", "requests"])
def test_libraries_do_not_talk_whatever_the_level(library: str) -> None:
    """botocore at DEBUG prints the body of GetSecretValue."""
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        assert not logging.getLogger(library).isEnabledFor(logging.INFO)
    finally:
        logging.getLogger().setLevel(logging.WARNING)


def test_a_refusal_is_logged_with_its_code(log: io.StringIO) -> None:
    """One line of JSON: code, description, hint."""
    observability.report(AccessDenied("no", hint="ask"))
    line = json.loads(log.getvalue())
    assert ("access_denied", "no", "ask") == (line["error"], line["error_description"], line["hint"])


def test_a_defect_is_logged_by_place_and_not_by_message(log: io.StringIO) -> None:
    """The type and the lines, not what a library wrote into its exception."""
    try:
        raise ValueError("s3cret")
    except ValueError as error:
        observability.report(error)
    assert "s3cret" not in log.getvalue()
    assert "test_observability.py" in log.getvalue()


def test_a_metric_says_which_function_of_which_stack(capsys: pytest.CaptureFixture[str]) -> None:
    """Two dimensions, both bounded, before and after a flush."""
    observability.metrics.clear_metrics()  # of what other tests counted
    capsys.readouterr()
    for value in (1, 2):
        observability.gauge("KeyAgeDays", value)
        observability.metrics.flush_metrics()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line in lines:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert ("SalesforceTokenBroker", [["function_name", "service"]]) == (
            directive["Namespace"],
            [sorted(names) for names in directive["Dimensions"]],
        )
        assert (observability.FUNCTION_NAME, "salesforce-token-broker") == (line["function_name"], line["service"])
    assert [[1], [2]] == [line["KeyAgeDays"] for line in lines]


@pytest.mark.parametrize(
    ("error", "own"), [(AccessDenied("no"), 1), (NotFound("no"), 1), (AppRefused("no"), 0), (ValueError(), 0)]
)
def test_a_callers_own_fault_is_counted_as_such(monkeypatch: pytest.MonkeyPatch, error: Exception, own: int) -> None:
    """The alarm of the invoke function is about the rest."""
    names: list[str] = []
    monkeypatch.setattr(observability, "_add", lambda name, *_: names.append(name))
    observability.report(error)
    assert own == names.count("CallerFault")


def test_there_is_a_metric_for_every_name_that_the_modules_make() -> None:
    """One that is not in the list cannot be counted."""
    assert {f"TokenIssued.{source.value}" for source in Source} <= observability.METRICS
    assert {f"Key.{action.value}" for action in KeyAction} <= observability.METRICS
    assert {f"Error.{code}" for code in HTTP_STATUS} <= observability.METRICS
    with pytest.raises(AssertionError):
        observability.count("CircuitClosed")
