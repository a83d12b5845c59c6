"""Steps of which each is done whatever became of the others.

Owns what is tried again, for how long, and what is told of what failed at its last try. Does not know what a step does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from salesforce_broker import observability
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import BrokerError, EmergencyIncomplete

PAUSE_SECONDS = 1.0
"""Between two tries of what AWS is not ready for."""

PATIENCE_SECONDS = 15.0
"""For AWS to be ready, unless a step says otherwise."""

BUSY = {"ResourceConflictException", "TooManyRequestsException", "ServiceException"}
"""Lambda's codes for: another change is under way, or something is down."""

Done = TypeVar("Done")


class NotReady(Exception):
    """AWS has not done yet what it was told to: try again."""


class Failed(Exception):
    """AWS could not do what it was told to."""


class Steps:
    """What is left of one action, until `deadline`."""

    def __init__(self, clock: Clock, deadline: Deadline) -> None:
        self._clock = clock
        self._left: dict[str, str] = {}
        self.deadline = deadline

    def attempt(self, step: str, do: Callable[[], Done]) -> Done | None:
        """Do a step; return None if it failed."""
        try:
            done = do()
        except Exception as error:  # noqa: BLE001  whatever it is, the other steps count more
            self.fail(step, _reason(error))
            return None
        self._left.pop(step, None)
        return done

    def each(
        self, step: str, names: Collection[str], do: Callable[[str], Done], *, seconds: float = PATIENCE_SECONDS
    ) -> dict[str, Done]:
        """Do a step for each name; return what came of those for which it was done. What is not ready is tried again."""
        done: dict[str, Done] = {}
        waiting = list(names)
        until = self._clock.deadline(min(seconds, self.deadline.seconds_left))
        while True:
            for name in list(waiting):
                try:
                    done[name] = do(name)
                except Exception as error:  # noqa: BLE001  likewise
                    if _later(error) and until.seconds_left > PAUSE_SECONDS:
                        continue
                    self.fail(f"{step} {name}", _reason(error))
                else:
                    self._left.pop(f"{step} {name}", None)
                waiting.remove(name)
            if not waiting:
                return done
            self._clock.sleep(PAUSE_SECONDS)

    def fail(self, step: str, reason: str) -> None:
        """Remember a step that failed."""
        self._left[step] = reason
        observability.logger.warning("step failed", step=step, reason=reason)

    def insist_on_all(self, action: str) -> None:
        """Raise EmergencyIncomplete if anything is left."""
        if self._left:
            left = "; ".join(f"{step}: {reason}" for step, reason in self._left.items())
            raise EmergencyIncomplete(
                f"Left of '{action}': {left}.",
                hint=f"All other steps are done. Invoke with the action '{action}' again for what is left.",
            )


def _later(error: Exception) -> bool:
    """Tell whether waiting may help."""
    return isinstance(error, NotReady) or (isinstance(error, ClientError) and error.response["Error"]["Code"] in BUSY)


def _reason(error: Exception) -> str:
    """Name what happened, without a foreign exception's message: that may quote anything."""
    if isinstance(error, BrokerError):
        return f"{error.code}, {error.description.rstrip('.')}"
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    if not isinstance(error, BotoCoreError | NotReady | Failed):
        observability.report(error)
    return type(error).__name__
