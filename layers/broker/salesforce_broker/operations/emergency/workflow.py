"""The emergency stop: no token is handed out any more, none is remembered and, if asked for, none is valid.

Requests check nothing for it: Lambda itself refuses to invoke the token functions. A request that was running then may still
share a token until its time-out, so shared tokens are deleted twice: at once, and when no request can be running.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from salesforce_broker import observability
from salesforce_broker.clock import Clock
from salesforce_broker.operations.config import EmergencySettings
from salesforce_broker.operations.emergency.best_effort import BestEffort
from salesforce_broker.operations.emergency.generation import CacheGeneration
from salesforce_broker.operations.emergency.lambda_functions import LambdaFunctions
from salesforce_broker.operations.emergency.revocation import Revocation
from salesforce_broker.operations.model import Emergency
from salesforce_broker.operations.request import EmergencyAction, EmergencyRequest

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

MAX_REQUEST_SECONDS = 20.0
"""The token functions' time-out in the template: a request that was running when they were stopped is over by then."""

SUBJECT_SECONDS = 10.0
"""For one subject at Salesforce, which may be down."""

ALL_SUBJECTS_SECONDS = 120.0
"""For all of them at once: what comes after must not wait for a Salesforce that is down."""

ANSWER_SECONDS = 2.0
"""Kept back from the invocation's time."""

MAX_NAMES = 10
"""Of one DeleteParameters."""


class EmergencyStop:
    """Runs an operator's action; the same action again completes what failed."""

    def __init__(  # noqa: PLR0913  its collaborators, by their names
        self,
        settings: EmergencySettings,
        *,
        functions: LambdaFunctions,
        generation: CacheGeneration,
        parameters: SSMClient,
        revocation: Callable[[], Revocation],
        clock: Clock,
    ) -> None:
        """`revocation` is called for each stop that is to revoke."""
        self._settings = settings
        self._functions = functions
        self._generation = generation
        self._parameters = parameters
        self._revocation = revocation
        self._clock = clock

    def answer(self, request: EmergencyRequest) -> Emergency:
        """Run the action; raise EmergencyIncomplete, which names what failed."""
        observability.logger.append_keys(entry_point="operator", action=request.action.value)
        steps = BestEffort(self._clock, self._clock.deadline(request.seconds_left - ANSWER_SECONDS))
        actions: dict[EmergencyAction, Callable[[], Emergency]] = {
            EmergencyAction.STOP: lambda: self._stop(steps, revoke=request.revoke),
            EmergencyAction.RESUME: lambda: self._resume(steps),
            EmergencyAction.STATUS: lambda: self._status(steps),
        }
        ended = actions[request.action]()
        steps.raise_if_incomplete(request.action.value)
        return ended

    def _stop(self, steps: BestEffort, *, revoke: bool) -> Emergency:
        # An audit line that cannot be written prevents no stop; it is reported as a failed step.
        steps.run("write the audit line", lambda: observability.audit("emergency stop", entry_point="operator", revoke=revoke))
        names = self._settings.functions
        steps.run_each("delete provisioned concurrency of", names, self._functions.delete_provisioned_concurrency)
        stopped = steps.run_each("stop", names, self._functions.stop)
        quiet = self._clock.deadline(MAX_REQUEST_SECONDS)
        revocation = steps.run("prepare the revocation", self._revocation) if revoke else None
        deleted = self._discard_shared_tokens(steps, revocation)
        versions = self._renew_memory(steps)
        self._clock.sleep(min(quiet.seconds_left, steps.deadline.seconds_left))
        if quiet.seconds_left:
            steps.fail("delete the shared tokens again", "no time was left")
        deleted += self._discard_shared_tokens(steps, revocation)
        # Last: an environment that was starting may have read the secret until now. A copy of what was shared before is then of
        # no use after the stop: nobody can decrypt it.
        steps.run("begin a new generation of the shared cache", lambda: self._generation.renew(self._clock.wall()))
        revoked, refused = (revocation.revoked, revocation.refused) if revocation else ({}, {})
        return Emergency("stop", {name: name in stopped for name in names}, deleted, versions, revoked, refused)

    def _discard_shared_tokens(self, steps: BestEffort, revocation: Revocation | None) -> int:
        """Delete what is shared, and revoke; return how many parameters were deleted."""
        if revocation:
            steps.run("decrypt the shared tokens", functools.partial(revocation.decrypt_shared_tokens, steps.deadline))
        deleted = steps.run("delete the shared tokens", self._delete_shared) or 0
        if revocation:
            until = self._clock.deadline(min(ALL_SUBJECTS_SECONDS, steps.deadline.seconds_left))
            for subject in revocation.subjects:
                deadline = self._clock.deadline(min(SUBJECT_SECONDS, until.seconds_left))
                steps.run(f"revoke the tokens of {subject}", functools.partial(revocation.revoke, subject, deadline))
        return deleted

    def _renew_memory(self, steps: BestEffort) -> dict[str, str]:
        """Start the functions with an empty memory, as new versions; return those."""
        wait = steps.deadline.seconds_left - 2 * MAX_REQUEST_SECONDS
        now = self._clock.wall()
        touched = steps.run_each("touch", self._settings.functions, lambda name: self._functions.touch_description(name, now))
        versions = steps.run_each("publish", touched, self._functions.publish_version)
        updated = steps.run_each(
            "update the alias of", versions, lambda name: self._functions.update_alias(name, versions[name]), seconds=wait
        )
        return {name: versions[name] for name in updated}

    def _resume(self, steps: BestEffort) -> Emergency:
        observability.audit("emergency over", entry_point="operator")
        names = self._settings.functions
        started = steps.run_each("start", names, self._functions.start)
        steps.run_each("restore provisioned concurrency of", started, self._functions.restore_provisioned_concurrency)
        return Emergency("resume", {name: name not in started for name in names})

    def _status(self, steps: BestEffort) -> Emergency:
        stopped = steps.run_each("look at", self._settings.functions, self._functions.is_stopped)
        return Emergency("status", stopped, len(steps.run("look at the shared tokens", self._shared) or ()))

    def _shared(self) -> list[str]:
        """Return the names of all parameters that environments share."""
        if not self._settings.token_cache_prefix:
            return []
        pages = self._parameters.get_paginator("get_parameters_by_path").paginate(Path=self._settings.token_cache_prefix)
        return [found["Name"] for page in pages for found in page["Parameters"]]

    def _delete_shared(self) -> int:
        names = self._shared()
        batches = (names[first : first + MAX_NAMES] for first in range(0, len(names), MAX_NAMES))
        return sum(len(self._parameters.delete_parameters(Names=batch)["DeletedParameters"]) for batch in batches)
