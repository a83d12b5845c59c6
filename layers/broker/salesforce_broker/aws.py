"""What every call of an AWS API has in common: its deadline, and how its failure is named."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from salesforce_broker.clock import Deadline

AWS_ERRORS = (BotoCoreError, ClientError)
"""Everything that a call of boto3 raises: the service refused, or never answered."""

THROTTLING_CODES = frozenset({"ThrottlingException", "TooManyUpdates", "RequestLimitExceeded"})
"""SSM's codes for too many calls [Systems Manager API Reference, "Common Errors", PutParameter]."""

MAX_CALLS = 32
"""At a time. One that hangs beyond its deadline keeps its thread and its place; others wait for a place until their own."""

_Answer = TypeVar("_Answer")
_places = threading.BoundedSemaphore(MAX_CALLS)


class DeadlineExceeded(BotoCoreError):
    """AWS had not answered by the deadline."""

    fmt = "The deadline passed before AWS answered"


def call_before(deadline: Deadline, call: Callable[..., _Answer], **arguments: Any) -> _Answer:
    """Return the answer of a boto3 method; DeadlineExceeded if there is none by the deadline.

    boto3's time-outs are per address and per read, and resolving a name has none: the call runs in a thread of its own, which
    is left behind when the time is over.
    """
    if deadline.seconds_left <= 0 or not _places.acquire(timeout=deadline.seconds_left):
        raise DeadlineExceeded
    future: Future[_Answer] = Future()

    def run() -> None:
        try:
            future.set_result(call(**arguments))
        except BaseException as error:  # noqa: BLE001  raised where the result is read
            future.set_exception(error)
        finally:
            _places.release()

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(deadline.seconds_left)
    except TimeoutError:
        raise DeadlineExceeded from None


def error_code(error: Exception) -> str:
    """Return AWS's code for an error, or the class of an exception that never reached AWS; never its message."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__
