"""Runs steps independently: a step that fails keeps none of the others from being done, and is reported at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from salesforce_broker import observability
from salesforce_broker.aws import error_code
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import BrokerError, EmergencyIncomplete

PAUSE_SECONDS = 1.0
"""Between two tries of what AWS is not ready for."""

WAIT_SECONDS = 15.0
"""How long AWS may take to be ready, unless a step says otherwise."""

BUSY = {"ResourceConflictException", "TooManyRequestsException", "ServiceException"}
"""Lambda's codes for: another change is under way, or something is down."""

Result = TypeVar("Result")


class NotReady(Exception):
    """AWS has not completed an earlier call yet: try again."""


class Failed(Exception):
    """AWS reports that an earlier call failed."""


class BestEffort:
    """The steps of one action, with a common deadline; collects those that failed."""

    def __init__(self, clock: Clock, deadline: Deadline) -> None:
        self._clock = clock
        self._failed: dict[str, str] = {}
        self.deadline = deadline

    def run(self, step: str, action: Callable[[], Result]) -> Result | None:
        """Run a step; return None if it failed."""
        try:
            result = action()
        except Exception as error:  # noqa: BLE001  the other steps count more than whatever this is
            self.fail(step, _reason(error))
            return None
        self._failed.pop(step, None)
        return result

    def run_each(
        self, step: str, names: Collection[str], action: Callable[[str], Result], *, seconds: float = WAIT_SECONDS
    ) -> dict[str, Result]:
        """Run a step for each name; return the results of those that succeeded. A step that is not ready is tried again."""
        done: dict[str, Result] = {}
        waiting = list(names)
        until = self._clock.deadline(min(seconds, self.deadline.seconds_left))
        while True:
            for name in list(waiting):
                try:
                    done[name] = action(name)
                except Exception as error:  # noqa: BLE001  the other names count more than whatever this is
                    if _is_transient(error) and until.seconds_left > PAUSE_SECONDS:
                        continue
                    self.fail(f"{step} {name}", _reason(error))
                else:
                    self._failed.pop(f"{step} {name}", None)
                waiting.remove(name)
            if not waiting:
                return done
            self._clock.sleep(PAUSE_SECONDS)

    def fail(self, step: str, reason: str) -> None:
        """Remember a step that failed."""
        self._failed[step] = reason
        observability.logger.warning("step failed", step=step, reason=reason)

    def raise_if_incomplete(self, action: str) -> None:
        """Raise EmergencyIncomplete if any step failed at its last try."""
        if self._failed:
            failed = "; ".join(f"{step}: {reason}" for step, reason in self._failed.items())
            raise EmergencyIncomplete(
                f"Not done of '{action}': {failed}.",
                hint=f"All other steps are done. Invoke with the action '{action}' again for what is left.",
            )


def _is_transient(error: Exception) -> bool:
    """Tell whether a later try may succeed."""
    return isinstance(error, NotReady) or (isinstance(error, ClientError) and error_code(error) in BUSY)


def _reason(error: Exception) -> str:
    """Name what happened, without the message of an exception that is not ours: it may quote anything."""
    if isinstance(error, BrokerError):
        return f"{error.code}, {error.description.rstrip('.')}"
    if not isinstance(error, BotoCoreError | ClientError | NotReady | Failed):
        observability.report(error)
    return error_code(error)
