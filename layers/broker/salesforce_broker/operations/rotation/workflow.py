"""Key rotation: an operator's actions and the hourly check.

The first key becomes AWSCURRENT at once. A later one is AWSPENDING beside the one in use until Salesforce accepts it, and only
then becomes AWSCURRENT: at every moment there is a key that works. Secrets Manager's own steps are in `steps`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from cryptography import x509

from salesforce_broker import events, observability
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import (
    EmergencyStopActive,
    InvalidRequest,
    SigningKeyUnavailable,
)
from salesforce_broker.events import EventPublisher
from salesforce_broker.keys.pem import read_key_material
from salesforce_broker.operations.config import RotationSettings
from salesforce_broker.operations.model import PublishedKey
from salesforce_broker.operations.request import KeyAction, KeyRequest, RotationStep
from salesforce_broker.operations.rotation.key_change import KeyChange
from salesforce_broker.operations.rotation.secret_versions import (
    CURRENT,
    PENDING,
    PREVIOUS,
    KeyVersion,
    SecretVersions,
)
from salesforce_broker.operations.rotation.steps import RotationSteps

ANSWER_SECONDS = 1.0
"""Kept back from the invocation's time."""

DAY, HOUR = 24 * 3600, 3600
REMINDERS = (30, 14, 3)
"""Days before a certificate's end: Salesforce accepts expired ones, and does not warn."""


class KeyRotation:
    """Creates keys and activates them."""

    def __init__(
        self,
        rotation: RotationSettings,
        *,
        versions: SecretVersions,
        change: KeyChange,
        events: EventPublisher,
        clock: Clock,
    ) -> None:
        self._rotation = rotation
        self._versions = versions
        self._change = change
        self._steps = RotationSteps(versions, change)
        self._events = events
        self._clock = clock

    def answer(self, request: KeyRequest | RotationStep) -> PublishedKey | None:
        """Run an action or a step; return the key that it is about, if any."""
        deadline = self._clock.deadline(request.seconds_left - ANSWER_SECONDS)
        if isinstance(request, RotationStep):
            observability.logger.append_keys(entry_point="secrets manager", action=request.step.value)
            self._steps.run(request, deadline)
            return None
        observability.logger.append_keys(entry_point="operator", action=request.action.value)
        actions: dict[KeyAction, Callable[[], PublishedKey | None]] = {
            KeyAction.CREATE: lambda: self._create(request, deadline),
            KeyAction.IMPORT: lambda: self._import(request.imported, deadline),
            KeyAction.CERTIFICATE: self._certificate,
            KeyAction.FINISH: lambda: self._finish(deadline),
            KeyAction.ROLLBACK: lambda: self._roll_back(deadline),
            KeyAction.CHECK: lambda: self._check(request.at, deadline),
        }
        key = actions[request.action]()
        observability.count(f"Key.{request.action.value}")
        return key

    def _create(self, request: KeyRequest, deadline: Deadline) -> PublishedKey:
        """Create a key."""
        current, label, version_id = self._next_version()
        made = self._change.create(version_id, label, current, bits=request.bits, days=request.days)
        return self._publish_new(made, label, deadline)

    def _import(self, fields: Mapping[str, str], deadline: Deadline) -> PublishedKey:
        """Store an operator's key and certificate, each parsed and encoded again."""
        self._require_import_allowed()
        material = read_key_material(
            fields["private_key"], certificate=fields.get("certificate"), client_id=fields.get("client_id")
        )
        if material.certificate is None:
            raise InvalidRequest("A key is imported with its certificate: give 'certificate'.")
        parsed = {"private_key": material.key_pem(), "certificate": material.certificate_pem()}
        if material.client_id:
            parsed["client_id"] = material.client_id
        current, label, version_id = self._next_version()
        return self._publish_new(self._change.store(version_id, label, current, parsed), label, deadline)

    def _require_import_allowed(self) -> None:
        """Raise where an operator's own key would get access to the org: the function would upload its certificate."""
        if self._rotation.key_store == "kms":
            raise InvalidRequest("Keys cannot be imported into AWS KMS.", hint="Use 'create', or deploy with KeyStore=secret.")
        if self._change.uploads and not self._rotation.allow_import:
            raise InvalidRequest(
                "Import is off: this function uploads certificates, so an imported key would get access to the org.",
                hint="Use 'create'; or set ALLOW_IMPORT=true (template parameter AllowKeyImport) for the first set-up only.",
            )

    def _next_version(self) -> tuple[KeyVersion | None, str, str]:
        """Return the current key, and label and id of the next version; InvalidRequest while another key is pending."""
        current, pending = self._versions.read_usable(CURRENT), self._versions.read_usable(PENDING)
        if current and pending and pending.version_id != current.version_id:
            raise InvalidRequest(
                "There is a pending key already.",
                hint="Upload its certificate (the action 'certificate' returns it), then run 'finish'.",
            )
        return current, PENDING if current else CURRENT, str(uuid.uuid4())

    def _publish_new(self, version: KeyVersion, label: str, deadline: Deadline) -> PublishedKey:
        """Publish a new key's certificate: a first one is uploaded where that is configured, else it is announced."""
        key = self._change.publish(version, label)
        if label == PENDING and self._change.uploads:
            return key  # `finish` uploads it
        try:
            self._change.upload(version, deadline)
        except EmergencyStopActive:
            self._change.announce(version, deadline)
        return key

    def _certificate(self) -> PublishedKey:
        """Publish the certificate of the pending key again, else of the one in use."""
        current, pending = self._versions.read(CURRENT), self._versions.read(PENDING)
        if pending and pending.certificate:
            self._change.require_activatable(pending, current)
            return self._change.publish(pending, PENDING)
        if current and current.certificate:
            return self._change.publish(current, CURRENT)
        raise SigningKeyUnavailable(
            "There is no key with a certificate.", hint="Create one: the action 'create'.", retryable=False
        )

    def _finish(self, deadline: Deadline) -> PublishedKey:
        """Activate the pending key if Salesforce accepts it; else raise its answer (AssertionRefused: not uploaded)."""
        current, pending = self._versions.read_usable(CURRENT), self._versions.read(PENDING)
        if pending is None:
            raise InvalidRequest("There is no pending key.", hint="Create one: the action 'create'.")
        self._change.require_activatable(pending, current)
        if current is None or current.version_id != pending.version_id:
            if self._change.uploads and not self._change.is_accepted(pending, deadline):
                self._change.upload(pending, deadline)
            self._change.test(pending, deadline)
        self._change.activate(pending, deadline)
        return self._change.publish(pending, CURRENT)

    def _roll_back(self, deadline: Deadline) -> PublishedKey:
        """Activate the key before the current one."""
        previous = self._versions.read_usable(PREVIOUS)
        if previous is None:
            raise InvalidRequest("There is no previous key.")
        self._change.activate(previous, deadline)
        return self._change.publish(previous, CURRENT)

    def _check(self, at: float, deadline: Deadline) -> PublishedKey | None:
        """Remind of a certificate's end, and activate a pending key that Salesforce accepts; `at` is on the hour."""
        daily = at % DAY < HOUR
        current, pending = self._versions.read_usable(CURRENT), self._versions.read(PENDING)
        if current and current.certificate:
            self._remind(current.version_id, current.certificate, at, deadline)
        if daily:
            self._change.clean_up(at)
        if pending is None or (current and current.version_id == pending.version_id):
            return None
        self._change.require_activatable(pending, current)
        if self._change.is_accepted(pending, deadline):
            self._change.activate(pending, deadline)
            return self._change.publish(pending, CURRENT)
        observability.gauge("PendingKey", 1)
        if daily:
            self._change.announce(pending, deadline)
        return None

    def _remind(self, version_id: str, certificate: x509.Certificate, at: float, deadline: Deadline) -> None:
        """Publish, in the hour in which it is so many days ahead, that the certificate ends."""
        ends = certificate.not_valid_after_utc.timestamp()
        for days in REMINDERS:
            if at - HOUR < ends - days * DAY <= at:
                self._events.publish(events.EXPIRES, {"days": days, "ends": int(ends), "version_id": version_id}, deadline)
