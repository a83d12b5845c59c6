"""The emergency stop: no token leaves any more, none is remembered, and if told to, none works.

Owns the order of its steps, and that a step that fails keeps none of the others from being done. Does not talk to Lambda about
the doors (see `lambda_doors`) nor find the tokens to revoke (see `revocation`).

Nothing is asked on the way of a request: Lambda itself refuses to invoke the doors. What was under way at that moment may
still share a token until the doors' own time-out, so what is shared is swept twice: at once, and when nothing can be under
way any more.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from salesforce_broker import observability
from salesforce_broker.answer import Emergency
from salesforce_broker.clock import Clock
from salesforce_broker.lambda_doors import LambdaDoors
from salesforce_broker.operator_request import EmergencyAction, EmergencyRequest
from salesforce_broker.operator_settings import EmergencySettings
from salesforce_broker.revocation import Revocation
from salesforce_broker.steps import Steps

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

LONGEST_REQUEST_SECONDS = 20.0
"""The doors' time-out in the template: a request that had begun when they were stopped is over by then."""

SUBJECT_SECONDS = 10.0
"""For one subject at Salesforce, which may be down."""

SWEEP_SECONDS = 120.0
"""For all of them at once: what comes after must not wait for a Salesforce that is down."""

ANSWER_SECONDS = 2.0
"""Kept back from the invocation's time."""

MOST_NAMES = 10
"""Of one DeleteParameters."""


class EmergencyStop:
    """Does what an operator says in an emergency; the same action again does what was left."""

    def __init__(
        self,
        settings: EmergencySettings,
        *,
        doors: LambdaDoors,
        parameters: SSMClient,
        revocation: Callable[[], Revocation],
        clock: Clock,
    ) -> None:
        """`revocation` is called for each stop that is to revoke."""
        self._settings = settings
        self._doors = doors
        self._parameters = parameters
        self._revocation = revocation
        self._clock = clock

    def answer(self, asked: EmergencyRequest) -> Emergency:
        """Do what is asked; raise EmergencyIncomplete, which tells what is left, if any of it failed."""
        observability.logger.append_keys(door="operator", action=asked.action.value)
        steps = Steps(self._clock, self._clock.deadline(asked.seconds_left - ANSWER_SECONDS))
        actions: dict[EmergencyAction, Callable[[], Emergency]] = {
            EmergencyAction.STOP: lambda: self._stop(steps, revoke=asked.revoke),
            EmergencyAction.RESUME: lambda: self._resume(steps),
            EmergencyAction.STATUS: lambda: self._status(steps),
        }
        ended = actions[asked.action]()
        steps.insist_on_all(asked.action.value)
        return ended

    def _stop(self, steps: Steps, *, revoke: bool) -> Emergency:
        # A line that cannot be written prevents no stop; it is told as a step that failed.
        steps.attempt("write the audit line", lambda: observability.audit("emergency stop", door="operator", revoke=revoke))
        doors = self._settings.doors
        steps.each("give up warm environments of", doors, self._doors.release)
        stopped = steps.each("stop", doors, self._doors.stop)
        quiet = self._clock.deadline(LONGEST_REQUEST_SECONDS)
        revocation = steps.attempt("prepare the revocation", self._revocation) if revoke else None
        deleted = self._sweep(steps, revocation)
        versions = self._renew(steps)
        self._clock.sleep(min(quiet.seconds_left, steps.deadline.seconds_left))
        if quiet.seconds_left:
            steps.fail("sweep once more", "no time was left")
        deleted += self._sweep(steps, revocation)
        revoked, refused = (revocation.revoked, revocation.refused) if revocation else ({}, {})
        return Emergency("stop", {door: door in stopped for door in doors}, deleted, versions, revoked, refused)

    def _sweep(self, steps: Steps, revocation: Revocation | None) -> int:
        """Delete what is shared, and revoke; return how many parameters were deleted."""
        if revocation:
            steps.attempt("open the shared tokens", revocation.open_shared_copies)
        deleted = steps.attempt("delete the shared tokens", self._delete_shared) or 0
        if revocation:
            until = self._clock.deadline(min(SWEEP_SECONDS, steps.deadline.seconds_left))
            for subject in revocation.subjects:
                deadline = self._clock.deadline(min(SUBJECT_SECONDS, until.seconds_left))
                steps.attempt(f"revoke the tokens of {subject}", functools.partial(revocation.revoke, subject, deadline))
        return deleted

    def _renew(self, steps: Steps) -> dict[str, str]:
        """Have the doors start with an empty memory; return their new versions."""
        patience = steps.deadline.seconds_left - 2 * LONGEST_REQUEST_SECONDS
        now = self._clock.wall()
        marked = steps.each("mark", self._settings.doors, lambda door: self._doors.mark(door, now))
        versions = steps.each("publish", marked, self._doors.publish)
        pointed = steps.each("point", versions, lambda door: self._doors.point(door, versions[door]), seconds=patience)
        return {door: versions[door] for door in pointed}

    def _resume(self, steps: Steps) -> Emergency:
        observability.audit("emergency over", door="operator")
        doors = self._settings.doors
        opened = steps.each("open", doors, self._doors.open)
        steps.each("keep warm", opened, self._doors.keep_warm)
        return Emergency("resume", {door: door not in opened for door in doors})

    def _status(self, steps: Steps) -> Emergency:
        stopped = steps.each("look at", self._settings.doors, self._doors.is_stopped)
        return Emergency("status", stopped, len(steps.attempt("look at the shared tokens", self._shared) or ()))

    def _shared(self) -> list[str]:
        """Return the names of all parameters that environments share."""
        if not self._settings.token_cache_prefix:
            return []
        pages = self._parameters.get_paginator("get_parameters_by_path").paginate(Path=self._settings.token_cache_prefix)
        return [found["Name"] for page in pages for found in page["Parameters"]]

    def _delete_shared(self) -> int:
        names = self._shared()
        batches = (names[first : first + MOST_NAMES] for first in range(0, len(names), MOST_NAMES))
        return sum(len(self._parameters.delete_parameters(Names=batch)["DeletedParameters"]) for batch in batches)
