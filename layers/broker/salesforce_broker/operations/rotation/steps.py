"""What a change of the key consists of: a version is made, checked, installed at Salesforce, tried, and moved to.

Owns what each of these does, and that doing it once more changes nothing. Does not decide their order (see `rotation`).

With one app its certificate is replaced: until that is known everywhere, Salesforce's nodes accept the one key or the other,
and a token that was shared before bridges it. With two apps the idle one gets the certificate, and nothing in use is touched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from salesforce_broker import events, observability
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.config import Settings
from salesforce_broker.errors import AppRefused, AssertionRefused, InvalidRequest, SalesforceError, SigningKeyUnusable
from salesforce_broker.events import EventPublisher
from salesforce_broker.keys.signer import RsaSigner
from salesforce_broker.keys.source import SigningKey, parse_secret
from salesforce_broker.operations.config import RotationSettings
from salesforce_broker.operations.model import PublishedKey
from salesforce_broker.operations.rotation import key_pair
from salesforce_broker.operations.rotation.app_metadata import Kind
from salesforce_broker.operations.rotation.certificate_upload import CertificateUpload
from salesforce_broker.operations.rotation.secret_versions import CURRENT, PENDING, SecretVersions, Version
from salesforce_broker.salesforce.jwt_bearer import JwtBearerFlow

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_ssm import SSMClient

FIELDS = {"client_id", "private_key", "certificate", "kms_key_arn", "sealing_key"}
"""Of a version. Host and users are settings, the same for all versions: a version that brings more is not ours."""

WHERE: Mapping[Kind, str] = {
    "external": "Setup > External Client App Manager > the app > Settings > OAuth Settings > Enable JWT Bearer Flow",
    "connected": "Setup > App Manager > the app > Edit > Use digital signatures",
}
"""A person uploads a certificate there."""

GenerateFields = Callable[..., dict[str, str]]
"""(version_id, bits=, days=, now=) -> the fields of a version: in the secret, or with the key in KMS."""


def generate_secret_fields(version_id: str, *, bits: int, days: int, now: float) -> dict[str, str]:
    """Make a key that lies in the secret."""
    key = key_pair.generate_key(bits)
    certificate = key_pair.self_signed_certificate(RsaSigner(key, version_id), key.public_key(), days=days, now=now)
    return {"private_key": key_pair.encode_key(key), "certificate": certificate}


class RotationSteps:
    """BestEffort of a change; each can be repeated."""

    def __init__(  # noqa: PLR0913  the collaborators, by their names
        self,
        settings: Settings,
        rotation: RotationSettings,
        *,
        versions: SecretVersions,
        generate: GenerateFields,
        kms: Callable[[], KMSClient],
        parameters: SSMClient,
        flow: JwtBearerFlow,
        upload: CertificateUpload | None,
        preload: Callable[[Deadline], None],
        events: EventPublisher,
        clock: Clock,
    ) -> None:
        """`upload`: None where a person uploads. `preload` has tokens shared that outlive a certificate's propagation."""
        self._settings = settings
        self._rotation = rotation
        self._versions = versions
        self._generate = generate
        self._kms = kms
        self._parameters = parameters
        self._flow = flow
        self._upload = upload
        self._preload = preload
        self._events = events
        self._clock = clock

    @property
    def uploads(self) -> bool:
        """Tell whether certificates are uploaded from here."""
        return self._upload is not None

    def make(self, version_id: str, label: str, current: Version | None, *, bits: int, days: int) -> Version:
        """Make a key and store it."""
        fields = self._generate(version_id, bits=bits, days=days, now=self._clock.wall())
        return self.store(version_id, label, current, fields)

    def store(self, version_id: str, label: str, current: Version | None, fields: dict[str, str]) -> Version:
        """Store a version for the app whose turn it is; SigningKeyUnusable if its halves are no pair."""
        self._parse(Version(version_id, json.dumps(fields)))
        client_id = fields.get("client_id") or self._next_client_id(current)
        if client_id:
            fields = fields | {"client_id": client_id}
        self._versions.put(version_id, fields, label)
        observability.audit("key made", version_id=version_id, stage=label)
        stored = self._versions.read(label)
        if stored is None or stored.version_id != version_id:
            raise InvalidRequest("Another key was stored at the same moment.", hint="Look which with the action 'certificate'.")
        return stored

    def key(self, version: Version | None) -> SigningKey | None:
        """Return the key of a version; None if there is none, or nothing that can sign."""
        try:
            return self._parse(version) if version else None
        except SigningKeyUnusable:
            return None

    def check(self, pending: Version, current: Version | None) -> SigningKey:
        """Return the pending key; SigningKeyUnusable if this stack must not activate it."""
        if set(pending.fields) - FIELDS:
            raise SigningKeyUnusable("The version that waits has fields that no key has.", hint="Have it made here.")
        key = self._parse(pending)
        if current is None or pending.text == current.text:
            # The first one; or a copy, with which Secrets Manager tries a new schedule.
            return key
        before = self._client_id(current)
        known = {app.consumer_key for app in self._rotation.apps} - {before} if len(self._rotation.apps) > 1 else {before}
        if before and key.client_id not in known:
            raise SigningKeyUnusable(
                "The version that waits is for another app.",
                hint="Its 'client_id' must be that of the current version or, with two apps, of the idle one.",
            )
        return key

    def install(self, pending: Version, current: Version | None, deadline: Deadline) -> None:
        """Upload the certificate, or say what is to be uploaded where; nothing if Salesforce takes the key already."""
        key = self.check(pending, current)
        if current and self.accepted(key, deadline):
            return
        certificate = self._certificate(pending)
        if self._upload is None:
            self.announce(pending, deadline)
            return
        if current and len(self._rotation.apps) == 1:
            # What keeps the key in use from logging in, its certificate aside, would keep the new one too.
            self.accepted(self._parse(current), deadline)
            self._preload(deadline)
        self._upload.upload(key.client_id, certificate, deadline)
        observability.audit("certificate uploaded", version_id=pending.version_id)

    def announce(self, pending: Version, deadline: Deadline) -> None:
        """Say what has to be uploaded where."""
        what: dict[str, Any] = {
            "consumer_key": self._client_id(pending),
            "certificate": self._certificate(pending),
            "certificate_parameter": self._rotation.certificate_parameter,
            "version_id": pending.version_id,
            "where": WHERE[self._rotation.apps[0].kind],
        }
        self._events.publish(events.UPLOAD, what, deadline)

    def accepted(self, key: SigningKey, deadline: Deadline) -> bool:
        """Tell whether Salesforce takes a key now; raise what an upload of its certificate would not change."""
        try:
            self.prove(key, deadline)
        except (AppRefused, AssertionRefused):
            return False
        return True

    def prove(self, key: SigningKey, deadline: Deadline) -> None:
        """Log in with a key; raise what Salesforce says (AssertionRefused: the certificate is not there, or not everywhere)."""
        subject = self._settings.username or next(iter(self._settings.subjects), "")
        if not subject:
            raise InvalidRequest(
                "There is no user to try the new key with.",
                hint="Set SALESFORCE_USERNAME (template parameter SalesforceUsername).",
            )
        self._flow.login(key, subject, deadline, other_versions=False)

    def switch(self, pending: Version, deadline: Deadline) -> None:
        """Move on to a version; what was moved already stays so."""
        labels = self._versions.labels()
        before = labels.version(CURRENT)
        if before != pending.version_id:
            self._versions.make_current(pending.version_id, before)
        if labels.version(PENDING) == pending.version_id:
            self._versions.end_pending(pending.version_id)
        observability.audit("key in use", version_id=pending.version_id, before=before)
        self._events.publish(events.IN_USE, {"version_id": pending.version_id}, deadline)

    def give_up(self, pending: Version, current: Version, error: SalesforceError, deadline: Deadline) -> None:
        """Bring back how it was: the certificate before, of one app, and no key that waits."""
        self.restore(current, deadline)
        self._versions.end_pending(pending.version_id)
        what = {
            "version_id": pending.version_id,
            "error": error.code,
            "error_description": error.description,
            "hint": error.hint,
        }
        self._events.publish(events.FAILED, what, deadline)

    def restore(self, version: Version, deadline: Deadline) -> None:
        """Have the one app, if it is one, hold a version's certificate again."""
        if self._upload and len(self._rotation.apps) == 1:
            self._upload.upload(self._client_id(version), self._certificate(version), deadline)

    def publish(self, version: Version, label: str) -> PublishedKey:
        """Write the certificate, which is no secret, where administrators find it."""
        certificate = self._certificate(version)
        try:
            self._parameters.put_parameter(
                Name=self._rotation.certificate_parameter, Value=certificate, Type="String", Overwrite=True, Tier="Standard"
            )
        except (BotoCoreError, ClientError) as error:
            # The answer has it too.
            observability.logger.warning("certificate cannot be published", aws_error=type(error).__name__)
        return PublishedKey(
            version.version_id, label, certificate, int(key_pair.certificate_end(certificate)), self._client_id(version)
        )

    def _certificate(self, version: Version) -> str:
        """Return a version's certificate; for a key that came without one, another of its own: Salesforce wants its key."""
        found = version.fields.get("certificate")
        if found:
            return str(found)
        key = self._parse(version)
        return key_pair.self_signed_certificate(key.signer, key.public_key, days=1, now=self._clock.wall())

    def _parse(self, version: Version) -> SigningKey:
        # A key waits for its app to be named, too: it is a key all the same.
        default = self._settings.client_id or "unknown"
        return parse_secret(version.text, version_id=version.version_id, default_client_id=default, kms=self._kms)

    def _client_id(self, version: Version | None) -> str:
        own: Mapping[str, Any] = version.fields if version else {}
        return str(own.get("client_id") or self._settings.client_id)

    def _next_client_id(self, current: Version | None) -> str:
        """Return the consumer key of the next version: the idle app's, else the one that the current version has itself."""
        if current and len(self._rotation.apps) > 1:
            before = self._client_id(current)
            return next(app.consumer_key for app in self._rotation.apps if app.consumer_key != before)
        return str(current.fields.get("client_id") or "") if current else ""
