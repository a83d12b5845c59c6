"""What a change of the key consists of: create, check, upload the certificate, test, activate. Each can be repeated.

The order is `workflow`'s and `steps`'s. Until a pending key is activated nothing in use is changed: with two apps the idle one
gets the certificate, with one app a person replaces it and the token functions try both keys meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from salesforce_broker import events, observability
from salesforce_broker.aws import AWS_ERRORS, error_code
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.config import Settings
from salesforce_broker.errors import AppRefused, AssertionRefused, BrokerError, InvalidRequest, SigningKeyUnusable
from salesforce_broker.events import EventPublisher
from salesforce_broker.keys.pem import encode_certificate
from salesforce_broker.operations.config import RotationSettings
from salesforce_broker.operations.model import PublishedKey
from salesforce_broker.operations.rotation.app_metadata import Kind
from salesforce_broker.operations.rotation.certificate_upload import CertificateUpload
from salesforce_broker.operations.rotation.key_pair import generate_secret_fields, self_signed_certificate
from salesforce_broker.operations.rotation.kms_keys import KmsKeys
from salesforce_broker.operations.rotation.secret_versions import CURRENT, PENDING, STAGES, KeyVersion, SecretVersions
from salesforce_broker.salesforce.jwt_bearer import JwtBearerFlow

if TYPE_CHECKING:
    from cryptography import x509
    from mypy_boto3_ssm import SSMClient

POLL_SECONDS = 15.0
"""Between two logins while Salesforce makes an uploaded certificate known to its servers, which takes 2 to 10 minutes."""

WHERE: Mapping[Kind, str] = {
    "external": "Setup > External Client App Manager > the app > Settings > OAuth Settings > Enable JWT Bearer Flow",
    "connected": "Setup > App Manager > the app > Edit > Use digital signatures",
}
"""A person uploads a certificate there."""


class KeyChange:
    """The parts of a change of the key."""

    def __init__(  # noqa: PLR0913  its collaborators, by their names
        self,
        settings: Settings,
        rotation: RotationSettings,
        *,
        versions: SecretVersions,
        kms_keys: KmsKeys | None,
        parameters: SSMClient,
        flow: JwtBearerFlow,
        upload: CertificateUpload | None,
        require_running: Callable[[], None],
        events: EventPublisher,
        clock: Clock,
    ) -> None:
        """`kms_keys`: None where keys are made in the secret. `upload`: None where a person uploads.

        `require_running` raises during an emergency stop.
        """
        self._settings = settings
        self._rotation = rotation
        self._versions = versions
        self._kms_keys = kms_keys
        self._parameters = parameters
        self._flow = flow
        self._upload = upload
        self._require_running = require_running
        self._events = events
        self._clock = clock

    @property
    def uploads(self) -> bool:
        """Tell whether certificates are uploaded by this function."""
        return self._upload is not None

    def create(self, version_id: str, label: str, current: KeyVersion | None, *, bits: int, days: int) -> KeyVersion:
        """Make a key for the app whose turn it is, and store it."""
        generate = self._kms_keys.generate_fields if self._kms_keys else generate_secret_fields
        return self.store(version_id, label, current, generate(version_id, bits=bits, days=days, now=self._clock.wall()))

    def store(self, version_id: str, label: str, current: KeyVersion | None, fields: Mapping[str, str]) -> KeyVersion:
        """Store a version; SigningKeyUnusable, before anything is stored, if it could not be activated."""
        client_id = fields.get("client_id") or self._next_client_id(current)
        stored = {**fields, "client_id": client_id} if client_id else dict(fields)
        version = self._versions.parse(version_id, json.dumps(stored))
        self.require_activatable(version, current)
        self._versions.put(version_id, stored, label)
        observability.audit("key made", version_id=version_id, stage=label)
        if self._versions.labels().version(label) != version_id:
            raise InvalidRequest(
                "Another key was stored at the same moment.", hint="The action 'certificate' shows which one is pending."
            )
        return version

    def require_activatable(self, pending: KeyVersion, current: KeyVersion | None) -> None:
        """Raise SigningKeyUnusable unless a version has only a key's fields and is for the app whose turn it is."""
        if pending.unknown_fields:
            raise SigningKeyUnusable(
                f"The pending version has unknown fields: {', '.join(pending.unknown_fields)}.",
                hint="Create or import the key by RotateKeyFunction.",
            )
        if current is None or pending.key.public_key == current.key.public_key:
            # The first one; or a copy of the current one, with which Secrets Manager tests a new schedule.
            return
        before = current.client_id
        known = {app.consumer_key for app in self._rotation.apps} - {before} if len(self._rotation.apps) > 1 else {before}
        if before and pending.client_id not in known:
            raise SigningKeyUnusable(
                "The pending version is for another app.",
                hint="Its 'client_id' must be that of the current version or, with two apps, of the idle one.",
            )

    def upload(self, pending: KeyVersion, deadline: Deadline) -> None:
        """Upload the certificate to the idle app; announce it for a person where uploads are not configured."""
        if self._upload is None:
            self.announce(pending, deadline)
            return
        self._require_running()
        self._upload.upload(pending.client_id, self._certificate(pending), deadline)
        observability.audit("certificate uploaded", version_id=pending.version_id)

    def announce(self, pending: KeyVersion, deadline: Deadline) -> None:
        """Publish the event that says which certificate a person has to upload, and where."""
        detail = {
            "consumer_key": pending.client_id,
            "certificate": encode_certificate(self._certificate(pending)),
            "certificate_parameter": self._rotation.certificate_parameter,
            "version_id": pending.version_id,
            "where": WHERE[self._rotation.apps[0].kind],
        }
        self._events.publish(events.UPLOAD, detail, deadline)

    def is_accepted(self, pending: KeyVersion, deadline: Deadline) -> bool:
        """Tell whether Salesforce accepts a key now; raise what an upload of its certificate would not change."""
        try:
            self._log_in(pending, deadline)
        except (AppRefused, AssertionRefused):
            return False
        return True

    def test(self, pending: KeyVersion, deadline: Deadline) -> None:
        """Log in with a key; raise what Salesforce says (AssertionRefused: the certificate is not there, or not everywhere).

        Where this function uploaded the certificate, it polls until Salesforce knows it or no time is left.
        """
        while True:
            try:
                self._log_in(pending, deadline)
            except (AppRefused, AssertionRefused):
                if self._upload is None or deadline.seconds_left <= POLL_SECONDS:
                    raise
                self._clock.sleep(POLL_SECONDS)
            else:
                return

    def activate(self, version: KeyVersion, deadline: Deadline) -> None:
        """Move AWSCURRENT to a version. Nothing that comes after the move makes this fail: it cannot be undone by an error."""
        self._require_running()
        labels = self._versions.labels()
        before = labels.version(CURRENT)
        if before != version.version_id:
            self._versions.make_current(version.version_id, before)
        if labels.version(PENDING) == version.version_id:
            try:
                self._versions.remove_label(PENDING, version.version_id)
            except BrokerError as error:
                # A legal end of a rotation: AWSPENDING on the version that is AWSCURRENT.
                observability.report(error)
        observability.audit("key in use", version_id=version.version_id, before=before)
        self._events.publish(events.IN_USE, {"version_id": version.version_id}, deadline)

    def clean_up(self, now: float) -> None:
        """Remove what only versions without a label had: labels of emergency stops, and keys in KMS."""
        try:
            labels = self._versions.labels()
            self._versions.remove_unused_stop_labels(labels, now)
            if self._kms_keys:
                found = [self._versions.read(label) for label in STAGES]
                arns = [version.key.signer.key_id for version in found if version]
                self._kms_keys.delete_unused(labels.in_use, arns, now)
        except BrokerError as error:
            # The next day's check does it.
            observability.report(error)

    def publish(self, version: KeyVersion, label: str) -> PublishedKey:
        """Write the certificate, which is public, to the parameter in which administrators look for it."""
        certificate = self._certificate(version)
        text, ends = encode_certificate(certificate), int(certificate.not_valid_after_utc.timestamp())
        try:
            self._parameters.put_parameter(
                Name=self._rotation.certificate_parameter, Value=text, Type="String", Overwrite=True, Tier="Standard"
            )
        except AWS_ERRORS as error:
            # The answer has it too.
            observability.logger.warning("certificate cannot be published", aws_error=error_code(error))
        return PublishedKey(version.version_id, label, text, ends, version.client_id)

    def _log_in(self, version: KeyVersion, deadline: Deadline) -> None:
        self._require_running()
        subject = self._settings.username or next(iter(self._settings.subjects), "")
        if not subject:
            raise InvalidRequest(
                "There is no user to test the new key with.",
                hint="Set SALESFORCE_USERNAME (template parameter SalesforceUsername).",
            )
        self._flow.login(version.key, subject, deadline, other_versions=False)

    def _certificate(self, version: KeyVersion) -> x509.Certificate:
        """Return the certificate; for a key that was stored without one a new one: Salesforce reads only its key."""
        key = version.key
        return version.certificate or self_signed_certificate(key.signer, key.public_key, days=1, now=self._clock.wall())

    def _next_client_id(self, current: KeyVersion | None) -> str:
        """Return the consumer key of the next version: the idle app's, else the one that the current version has itself."""
        if current is None:
            return ""
        if len(self._rotation.apps) > 1:
            return next(app.consumer_key for app in self._rotation.apps if app.consumer_key != current.client_id)
        return current.own_client_id
