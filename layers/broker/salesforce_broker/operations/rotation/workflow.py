"""The order in which a key is created and rotated: by an operator, by Secrets Manager's four steps, by the hourly schedule.

Owns which step follows which, and when a change is given up. Does not do them (see `key_change`).

The first key becomes AWSCURRENT at once. A later one waits as AWSPENDING beside the one in use, until its certificate is on
the app and Salesforce takes it; only then the label moves. At no moment is there no key that works.

Source: AWS Secrets Manager, "Lambda rotation functions": the steps, their repetition, and the legal end states (AWSPENDING on
no version, or on the one that is AWSCURRENT).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from salesforce_broker import events, observability
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import InvalidRequest, SalesforceBusy, SalesforceError, SigningKeyUnavailable, SigningKeyUnusable
from salesforce_broker.events import EventPublisher
from salesforce_broker.operations.model import PublishedKey
from salesforce_broker.operations.request import (
    DEFAULT_CERTIFICATE_DAYS,
    DEFAULT_KEY_BITS,
    KeyAction,
    KeyRequest,
    RotationStep,
    Step,
)
from salesforce_broker.operations.rotation import key_pair
from salesforce_broker.operations.rotation.secret_versions import CURRENT, PENDING, PREVIOUS, SecretVersions, Version
from salesforce_broker.operations.rotation.steps import RotationSteps

ANSWER_SECONDS = 1.0
"""Kept back from the invocation's time."""

RESTORE_SECONDS = 60.0
"""Kept back from a test for bringing the old certificate back."""

PAUSE_SECONDS = 15.0
"""Between two tries while a certificate makes its way (2 to 10 minutes)."""

DAY, HOUR = 24 * 3600, 3600
REMINDERS = (30, 14, 3)
"""Days before a certificate's end: Salesforce accepts expired ones, and nobody else would say so."""


class KeyRotation:
    """Makes keys, and moves on to them."""

    def __init__(self, *, versions: SecretVersions, steps: RotationSteps, events: EventPublisher, clock: Clock) -> None:
        self._versions = versions
        self._steps = steps
        self._events = events
        self._clock = clock

    def answer(self, request: KeyRequest | RotationStep) -> PublishedKey | None:
        """Do what is request."""
        deadline = self._clock.deadline(request.seconds_left - ANSWER_SECONDS)
        if isinstance(request, RotationStep):
            observability.logger.append_keys(entry_point="secrets manager", action=request.step.value)
            self._step(request, deadline)
            return None
        observability.logger.append_keys(entry_point="operator", action=request.action.value)
        actions: dict[KeyAction, Callable[[], PublishedKey | None]] = {
            KeyAction.CREATE: lambda: self._create(request, deadline),
            KeyAction.IMPORT: lambda: self._create(request, deadline),
            KeyAction.CERTIFICATE: self._certificate,
            KeyAction.FINISH: lambda: self._finish(deadline),
            KeyAction.ROLLBACK: lambda: self._roll_back(deadline),
            KeyAction.CHECK: lambda: self._check(request.at, deadline),
        }
        key = actions[request.action]()
        observability.count(f"Key.{request.action.value}")
        return key

    def _create(self, request: KeyRequest, deadline: Deadline) -> PublishedKey:
        """Make a key, or take one that is brought; InvalidRequest while an earlier one still waits to be finished."""
        found = self._versions.read(CURRENT)
        current = found if self._steps.key(found) else None
        if current and self._steps.key(self._versions.read(PENDING)):
            raise InvalidRequest(
                "There is a key already that waits for its certificate to be uploaded.",
                hint="Upload that certificate (action 'certificate' tells it), then finish; or finish what was uploaded.",
            )
        label, version_id = PENDING if current else CURRENT, str(uuid.uuid4())
        if request.fields:
            made = self._steps.store(version_id, label, found, dict(request.fields))
        else:
            made = self._steps.make(version_id, label, found, bits=request.bits, days=request.days)
        key = self._steps.publish(made, label)
        if current is None and self._steps.uploads:
            self._steps.install(made, None, deadline)
        elif not self._steps.uploads:
            self._steps.announce(made, deadline)
        return key

    def _certificate(self) -> PublishedKey:
        """Publish the certificate of the pending key, else of the current one, again."""
        for label in (PENDING, CURRENT):
            version = self._versions.read(label)
            if version and version.fields.get("certificate"):
                return self._steps.publish(version, label)
        raise SigningKeyUnavailable(
            "There is no key that was made here.",
            hint="Make one: invoke this function with the action 'create'.",
            retryable=False,
        )

    def _finish(self, deadline: Deadline) -> PublishedKey:
        """Activate the pending key if Salesforce accepts it; else raise what it says (AssertionRefused: not uploaded)."""
        pending = self._versions.read(PENDING)
        if pending is None or not self._steps.key(pending):
            raise InvalidRequest("There is no key that waits.", hint="Make one: the action 'create'.")
        self._install_and_test(pending, deadline)
        self._steps.switch(pending, deadline)
        return self._certificate()

    def _roll_back(self, deadline: Deadline) -> PublishedKey:
        """Move back to the key before; of one app its certificate goes back, too."""
        previous = self._versions.read(PREVIOUS)
        if previous is None or not self._steps.key(previous):
            raise InvalidRequest("There is no key before this one.")
        self._steps.restore(previous, deadline)
        self._steps.switch(previous, deadline)
        return self._steps.publish(previous, CURRENT)

    def _check(self, at: float, deadline: Deadline) -> PublishedKey | None:
        """Once an hour, `at` its full: remind of a certificate's end, and go on with a key that waits for its upload."""
        current, pending = self._versions.read(CURRENT), self._versions.read(PENDING)
        if current and current.fields.get("certificate"):
            self._remind(current, at, deadline)
        if pending is None or (current and current.version_id == pending.version_id) or self._steps.uploads:
            return None
        key = self._steps.check(pending, current)
        if self._steps.accepted(key, deadline):
            self._steps.switch(pending, deadline)
            return self._certificate()
        observability.gauge("PendingKey", 1)
        if at % DAY < HOUR:
            self._steps.announce(pending, deadline)
        return None

    def _remind(self, current: Version, at: float, deadline: Deadline) -> None:
        """Say that the certificate ends, in the hour in which that is so many days ahead."""
        ends = key_pair.certificate_end(current.fields["certificate"])
        for days in REMINDERS:
            if at - HOUR < ends - days * DAY <= at:
                what = {"days": days, "ends": int(ends), "version_id": current.version_id}
                self._events.publish(events.EXPIRES, what, deadline)

    def _step(self, request: RotationStep, deadline: Deadline) -> None:
        """Do one of Secrets Manager's steps, as often as it asks."""
        moved = self._moved(request)
        current, pending = self._versions.read(CURRENT), self._versions.read(PENDING)
        if current is None or not self._steps.key(current):
            raise SigningKeyUnusable("There is no key to change.", hint="Make the first one with the action 'create'.")
        if moved:
            pending = current
        elif request.step is Step.CREATE:
            bits, days = DEFAULT_KEY_BITS, DEFAULT_CERTIFICATE_DAYS
            pending = pending or self._steps.make(request.token, PENDING, current, bits=bits, days=days)
            self._steps.check(pending, current)
            self._steps.publish(pending, PENDING)
        elif pending is None:
            raise InvalidRequest("That version has no key yet.")
        elif request.step is Step.SET:
            self._steps.install(pending, current, deadline)
        elif request.step is Step.TEST:
            self._test(pending, current, deadline)
        if request.step is Step.FINISH:
            if not moved:
                self._steps.check(pending, current)
            self._steps.switch(pending, deadline)

    def _moved(self, request: RotationStep) -> bool:
        """Tell whether the version of a step is in use already; raise if it is none that Secrets Manager rotates to."""
        labels = self._versions.labels()
        own = labels.by_version.get(request.token, ())
        if request.secret_arn != self._versions.secret_arn or not labels.rotated:
            raise InvalidRequest("This is no rotation of the stack's secret.")
        if CURRENT not in own and PENDING not in own:
            raise InvalidRequest("That version does not wait to be moved to.")
        return CURRENT in own

    def _install_and_test(self, pending: Version, deadline: Deadline) -> None:
        current = self._versions.read(CURRENT)
        if current and current.version_id != pending.version_id:
            if self._steps.uploads:
                self._steps.install(pending, current, deadline)
            self._test(pending, current, deadline)

    def _test(self, pending: Version, current: Version, deadline: Deadline) -> None:
        """Try the key until Salesforce takes it or no time is left; then bring back what was uploaded from here."""
        key = self._steps.check(pending, current)
        while True:
            try:
                self._steps.prove(key, deadline)
            except SalesforceError as error:
                if not self._steps.uploads:
                    raise
                if deadline.seconds_left > RESTORE_SECONDS + PAUSE_SECONDS:
                    self._clock.sleep(PAUSE_SECONDS)
                    continue
                if not isinstance(error, SalesforceBusy):
                    self._steps.give_up(pending, current, error, deadline)
                raise
            else:
                return
