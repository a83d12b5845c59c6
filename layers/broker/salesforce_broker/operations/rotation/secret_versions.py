"""The secret's versions, parsed, and the staging labels that say which one is in use.

A rotation works with what is parsed here. The text of a version is never stored again, published or sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError
from cryptography import x509

from salesforce_broker.aws import AWS_ERRORS, error_code
from salesforce_broker.errors import SigningKeyUnavailable, SigningKeyUnusable
from salesforce_broker.keys import pem
from salesforce_broker.keys.generation import STOP_LABEL, STOP_LABEL_SECONDS, stop_label
from salesforce_broker.keys.source import SigningKey, parse_secret

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
STAGES = frozenset({CURRENT, PENDING, PREVIOUS})

FIELDS = frozenset({"client_id", "private_key", "certificate", "kms_key_arn", "sealing_key"})
"""Of a version. Host and users are settings, the same for all versions."""

_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
"""Other names of unknown fields are not repeated: whoever mixed up a file may have made its content a name."""

_NOT_NAMED = "unknown"
"""Stands for the consumer key where neither the version nor a setting has one: a key may be made before its app."""


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """A version of the secret whose key can sign.

    `own_client_id`: the consumer key in the version itself, else empty. `client_id`: that, or the one of the settings.
    `unknown_fields`: names of fields that no key has.
    """

    version_id: str
    key: SigningKey = field(repr=False)
    own_client_id: str
    client_id: str
    unknown_fields: tuple[str, ...] = ()

    @property
    def certificate(self) -> x509.Certificate | None:
        """Return the certificate of the key; None if the version has none."""
        return self.key.certificate


@dataclass(frozen=True, slots=True)
class Labels:
    """Which version has which labels, and whether Secrets Manager rotates the secret."""

    rotated: bool
    by_version: Mapping[str, Collection[str]]

    def version(self, label: str) -> str:
        """Return the version with a label; empty if there is none."""
        return next((version for version, labels in self.by_version.items() if label in labels), "")

    @property
    def in_use(self) -> frozenset[str]:
        """Return the versions that token functions may read: those with one of Secrets Manager's own labels."""
        return frozenset(version for version, labels in self.by_version.items() if STAGES.intersection(labels))


class SecretVersions:
    """One secret's versions."""

    def __init__(self, client: SecretsManagerClient, secret_arn: str, *, client_id: str, kms: Callable[[], KMSClient]) -> None:
        """`client_id` is used for versions that have none; `kms` is called for a key in KMS."""
        self._client = client
        self.secret_arn = secret_arn
        self._client_id = client_id
        self._kms = kms

    def labels(self) -> Labels:
        """Read which labels there are."""
        found = self._call("describe_secret")
        return Labels(found.get("RotationEnabled", False), found.get("VersionIdsToStages", {}))

    def read(self, label: str) -> KeyVersion | None:
        """Read the version with a label; None if there is none or it has no value yet; SigningKeyUnusable."""
        try:
            answer = self._client.get_secret_value(SecretId=self.secret_arn, VersionStage=label)
        except AWS_ERRORS as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise _unavailable(error) from error
        text = answer.get("SecretString", "")
        return self.parse(answer["VersionId"], text) if text else None

    def read_usable(self, label: str) -> KeyVersion | None:
        """Read the version with a label; None also for one that cannot sign."""
        try:
            return self.read(label)
        except SigningKeyUnusable:
            return None

    def parse(self, version_id: str, text: str) -> KeyVersion:
        """Parse a version's value; SigningKeyUnusable."""
        default = self._client_id or _NOT_NAMED
        key = parse_secret(text, version_id=version_id, default_client_id=default, kms=self._kms)
        fields = pem.read_secret_fields(text)
        own = pem.read_client_id(fields.get("client_id"))
        unknown = tuple(sorted(name if _FIELD_NAME.fullmatch(name) else "(not shown)" for name in fields.keys() - FIELDS))
        return KeyVersion(version_id, key, own, own or self._client_id, unknown)

    def put(self, version_id: str, fields: Mapping[str, str], label: str) -> None:
        """Store a version; Secrets Manager refuses another value for an id that has one."""
        self._call("put_secret_value", ClientRequestToken=version_id, SecretString=json.dumps(fields), VersionStages=[label])

    def make_current(self, version_id: str, before: str) -> None:
        """Move AWSCURRENT; Secrets Manager labels the version `before` AWSPREVIOUS by itself."""
        moved = {"MoveToVersionId": version_id, "RemoveFromVersionId": before}
        try:
            self._call("update_secret_version_stage", VersionStage=CURRENT, **moved)
        except SigningKeyUnavailable:
            # The answer may have been lost, and a second attempt refused because the label was moved already.
            if self.labels().version(CURRENT) != version_id:
                raise

    def remove_label(self, label: str, version_id: str) -> None:
        """Take a label off a version."""
        self._call("update_secret_version_stage", VersionStage=label, RemoveFromVersionId=version_id)

    def remove_unused_stop_labels(self, labels: Labels, now: float) -> None:
        """Take labels of emergency stops off versions that nobody uses: Secrets Manager keeps a labelled version for ever."""
        kept = stop_label(now - STOP_LABEL_SECONDS, "")
        for version_id in labels.by_version.keys() - labels.in_use:
            for label in labels.by_version[version_id]:
                if label.startswith(STOP_LABEL) and label < kept:
                    self.remove_label(label, version_id)

    def _call(self, operation: str, **arguments: object) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(SecretId=self.secret_arn, **arguments)
        except AWS_ERRORS as error:
            raise _unavailable(error) from error
        return answer


def _unavailable(error: Exception) -> SigningKeyUnavailable:
    hint = "Check the function's role, the secret's own policy and its KMS key."
    return SigningKeyUnavailable(
        f"Secrets Manager refused: {error_code(error)}.", hint=hint, retryable=isinstance(error, BotoCoreError)
    )
