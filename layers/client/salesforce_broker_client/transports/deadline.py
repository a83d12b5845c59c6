"""A deadline for a whole call: it runs on a thread of its own, whose sockets are shut down when the time is over.

A socket's timeout is one for each read, so that an answer that comes byte by byte never ends; name resolution and providers of
credentials know none at all. The caller gets its error at the deadline whatever the call is waiting for.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from salesforce_broker_client.errors import BrokerUnreachable

if TYPE_CHECKING:
    import socket

Answer = TypeVar("Answer")


class Call:
    """One call: the time it has left, what it is doing, and the sockets that it uses."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._sockets: list[socket.socket] = []
        self._cancelled = False
        self.step = "starting"

    @property
    def seconds_left(self) -> float:
        """Return the seconds that are left; 0 when the time is over."""
        return 0.0 if self._cancelled else max(self._ends - time.monotonic(), 0.0)

    def watch(self, connection: socket.socket) -> None:
        """Have the connection shut down at the deadline. A copy is kept: libraries close theirs before a body is read."""
        import socket  # noqa: PLC0415  no call, no import

        with contextlib.suppress(OSError):  # closed already
            self._sockets.append(socket.fromfd(connection.fileno(), connection.family, connection.type))
        if self._cancelled:
            self.cancel()

    def cancel(self) -> None:
        """End what the call is waiting for."""
        import socket  # noqa: PLC0415  likewise

        self._cancelled = True
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):  # the other side was faster
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Forget the sockets."""
        while self._sockets:
            self._sockets.pop().close()


_current: contextvars.ContextVar[Call] = contextvars.ContextVar("salesforce_broker_client_call")


def current() -> Call:
    """Return the call that this thread is making."""
    return _current.get()


class _Result(Generic[Answer]):
    """What a call returned or raised."""

    def __init__(self, call: Call, work: Callable[[], Answer]) -> None:
        self._call = call
        self._work = work
        self._error: BaseException | None = None
        self._answer: list[Answer] = []
        self.finished = threading.Event()

    def run(self) -> None:
        """Do the work."""
        _current.set(self._call)
        try:
            self._answer.append(self._work())
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            self._error = error
        finally:
            self._call.close()
            self.finished.set()

    def get(self) -> Answer:
        """Return or raise it."""
        try:
            if self._error is not None:
                raise self._error
            return self._answer[0]
        finally:
            self._error = None  # its traceback has this frame: a circle


def run_within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """Return what `work` returns, or raise what it raises; BrokerUnreachable when the seconds are over."""
    seconds = max(seconds, 0.0)
    call = Call(seconds)
    result = _Result(call, work)
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(result.run,), name="salesforce-broker-call", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        # The interpreter is shutting down, or there are too many threads: then only the sockets' timeouts hold.
        context.run(result.run)
    try:
        finished = result.finished.wait(call.seconds_left)
    except BaseException:  # such as KeyboardInterrupt
        call.cancel()
        raise
    if not finished:
        step = call.step
        call.cancel()
        raise BrokerUnreachable(f"The broker did not answer within {seconds:.3g} s: the time ran out while {step}.")
    return result.get()
