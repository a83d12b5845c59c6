"""Calls of AWS end by their deadline, and none fails because others are under way."""

from __future__ import annotations

import threading

import pytest

from salesforce_broker.aws import MAX_CALLS, DeadlineExceeded, call_before
from salesforce_broker.clock import Clock
from tests.support.threads import together


def test_more_calls_at_once_than_there_are_places_are_all_answered() -> None:
    """They wait for each other instead of failing."""
    busy = threading.Semaphore(0)
    threading.Timer(0.05, busy.release, args=(3 * MAX_CALLS,)).start()

    def slow() -> str:
        busy.acquire()
        return "answer"

    assert ["answer"] * 2 * MAX_CALLS == together(2 * MAX_CALLS, lambda: call_before(Clock().deadline(30), slow))


def test_a_call_that_hangs_ends_at_the_deadline() -> None:
    """The caller goes on; the thread is left behind until the call ends."""
    release = threading.Event()
    with pytest.raises(DeadlineExceeded):
        call_before(Clock().deadline(0.05), release.wait)
    release.set()


def test_no_call_is_made_without_time() -> None:
    """The deadline has passed already."""
    with pytest.raises(DeadlineExceeded):
        call_before(Clock().deadline(-1), lambda: pytest.fail("called"))


def test_what_a_call_raises_is_raised() -> None:
    """With its own class."""
    with pytest.raises(ZeroDivisionError):
        call_before(Clock().deadline(30), lambda: 1 / 0)
