"""Secrets Manager's four steps of a rotation, each of which it may repeat.

Source: AWS Secrets Manager, "Lambda rotation functions": the steps, their repetition, and the legal end states (AWSPENDING on
no version, or on the one that is AWSCURRENT).
"""

from __future__ import annotations

from collections.abc import Callable

from salesforce_broker.clock import Deadline
from salesforce_broker.errors import InvalidRequest, SigningKeyUnusable
from salesforce_broker.operations.request import DEFAULT_CERTIFICATE_DAYS, DEFAULT_KEY_BITS, RotationStep, Step
from salesforce_broker.operations.rotation.key_change import KeyChange
from salesforce_broker.operations.rotation.secret_versions import CURRENT, PENDING, KeyVersion, SecretVersions


class RotationSteps:
    """The steps of the contract."""

    def __init__(self, versions: SecretVersions, change: KeyChange) -> None:
        self._versions = versions
        self._change = change

    def run(self, request: RotationStep, deadline: Deadline) -> None:
        """Run one step of a rotation; do nothing for a version that is already active, but for its label."""
        active = self._is_active(request)
        current = self._versions.read_usable(CURRENT)
        if current is None:
            raise SigningKeyUnusable("There is no key to change.", hint="Create the first one: the action 'create'.")
        if request.step is Step.CREATE and not active:
            self.create_secret(request.token, current)
            return
        pending = current if active else self._versions.read(PENDING)
        if pending is None:
            raise InvalidRequest("That version has no key yet.")
        if not active:
            self._change.require_activatable(pending, current)
        steps: dict[Step, Callable[[KeyVersion, Deadline], None]] = {
            Step.SET: self.set_secret,
            Step.TEST: self.test_secret,
            Step.FINISH: self.finish_secret,
        }
        if not active or request.step is Step.FINISH:
            steps[request.step](pending, deadline)

    def create_secret(self, version_id: str, current: KeyVersion) -> None:
        """Create the pending key, unless it exists already, and publish its certificate."""
        pending = self._versions.read(PENDING)
        if pending is None:
            bits, days = DEFAULT_KEY_BITS, DEFAULT_CERTIFICATE_DAYS
            pending = self._change.create(version_id, PENDING, current, bits=bits, days=days)
        self._change.require_activatable(pending, current)
        self._change.publish(pending, PENDING)

    def set_secret(self, pending: KeyVersion, deadline: Deadline) -> None:
        """Put the certificate on the app, or announce it to a person; nothing if Salesforce accepts the key already."""
        if not self._change.is_accepted(pending, deadline):
            self._change.upload(pending, deadline)

    def test_secret(self, pending: KeyVersion, deadline: Deadline) -> None:
        """Log in with the pending key."""
        self._change.test(pending, deadline)

    def finish_secret(self, pending: KeyVersion, deadline: Deadline) -> None:
        """Activate the pending key. It is not tested again: while Salesforce's servers differ, that is a matter of luck."""
        self._change.activate(pending, deadline)

    def _is_active(self, request: RotationStep) -> bool:
        """Tell whether the version of a step is in use already; raise if Secrets Manager does not rotate to it."""
        labels = self._versions.labels()
        own = labels.by_version.get(request.token, ())
        if request.secret_arn != self._versions.secret_arn or not labels.rotated:
            raise InvalidRequest("This is not a rotation of the stack's secret.")
        if CURRENT not in own and PENDING not in own:
            raise InvalidRequest("That version is not pending.")
        return CURRENT in own
