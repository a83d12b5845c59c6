"""The leak scan in small: what `make leak-scan` does with 2,000 requests; and that it would see what it looks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from leak_scan import account, scan
from leak_scan.capture import SINKS
from leak_scan.scan import Report
from local_stack.build import Build

REQUESTS = 150

# pytest's own filters hide the broker's: a health check counts nothing.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")


@pytest.fixture(scope="module")
def report(built: Build) -> Report:
    """Scan once for all tests here."""
    return scan.scan(REQUESTS, seed=14, built=built)


def test_no_sink_holds_a_secret(report: Report) -> None:
    """No key, assertion, token or sealing key, in any shape, whatever failed."""
    assert [] == [dataclasses.asdict(finding) for finding in report.findings]
    assert REQUESTS == report.requests
    assert report.in_runtime


def test_every_planted_secret_is_found(report: Report) -> None:
    """Each shape in each sink, on the way that a function's own output takes."""
    assert {sink: [] for sink in SINKS} == report.missed
    assert report.planted > 10 * len(SINKS)


@pytest.mark.parametrize("sink", ["log", "metrics", "answer", "exception", "event", "parameter", "request to Salesforce"])
def test_there_is_something_to_search(report: Report, sink: str) -> None:
    """A sink into which nothing goes would be searched in vain."""
    assert report.searched[sink] > 1000


def test_a_leak_is_reported_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in a log line: sink, shape and request are named, the token is not."""
    leaked: list[str] = []
    make = account.Account._noting_log_in  # noqa: SLF001  where the scan learns of a token

    def leaking(one: account.Account) -> Callable[..., Any]:
        log_in = make(one)

        def logging_in(*arguments: Any, **rest: Any) -> Any:
            session = log_in(*arguments, **rest)
            leaked.append(session.token)
            print(f"logged in: {session.token}")  # noqa: T201  the leak
            return session

        return logging_in

    monkeypatch.setattr(account.Account, "_noting_log_in", leaking)
    report = scan.scan(20, seed=14, built=None)
    assert not report.clean
    assert {("stdout", "access token")} == {(finding.sink, finding.secret) for finding in report.findings}
    assert not [token for token in leaked if any(token in line for line in report.lines())]
