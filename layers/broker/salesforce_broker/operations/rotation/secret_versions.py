"""The secret's versions and their labels, for who changes the key: as values, by Secrets Manager's rules.

Owns the calls that write the secret. Does not decide which key comes next (see `rotation`), nor read it to sign tokens (see
`signing_key`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from salesforce_broker.errors import SigningKeyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"


@dataclass(frozen=True, slots=True)
class Version:
    """A version that has a value. `fields`: those of its JSON; of a bare PEM the private key alone."""

    version_id: str
    text: str = field(repr=False)

    @property
    def fields(self) -> dict[str, Any]:
        """Return the fields; none of what is neither JSON nor a PEM."""
        if self.text.lstrip().startswith("-----BEGIN"):
            return {"private_key": self.text}
        try:
            found = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Labels:
    """Which version has which labels, and whether Secrets Manager rotates the secret."""

    rotated: bool
    by_version: Mapping[str, Collection[str]]

    def version(self, label: str) -> str:
        """Return the version with a label; empty if there is none."""
        return next((version for version, labels in self.by_version.items() if label in labels), "")


class SecretVersions:
    """One secret's versions."""

    def __init__(self, client: SecretsManagerClient, secret_arn: str) -> None:
        self._client = client
        self.secret_arn = secret_arn

    def labels(self) -> Labels:
        """Look which labels there are."""
        try:
            found = self._client.describe_secret(SecretId=self.secret_arn)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error
        return Labels(found.get("RotationEnabled", False), found.get("VersionIdsToStages", {}))

    def read(self, label: str) -> Version | None:
        """Read the version with a label; None if there is none, or if it has no value yet."""
        try:
            answer = self._client.get_secret_value(SecretId=self.secret_arn, VersionStage=label)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error
        text = answer.get("SecretString", "")
        return Version(answer["VersionId"], text) if text else None

    def put(self, version_id: str, fields: Mapping[str, str], label: str) -> None:
        """Store a version; Secrets Manager refuses another value for an id that has one."""
        self._call("put_secret_value", ClientRequestToken=version_id, SecretString=json.dumps(fields), VersionStages=[label])

    def make_current(self, version_id: str, before: str) -> None:
        """Move AWSCURRENT; Secrets Manager labels the version `before` AWSPREVIOUS by itself."""
        self._call("update_secret_version_stage", VersionStage=CURRENT, MoveToVersionId=version_id, RemoveFromVersionId=before)

    def end_pending(self, version_id: str) -> None:
        """Take AWSPENDING off a version: nothing waits any more."""
        self._call("update_secret_version_stage", VersionStage=PENDING, RemoveFromVersionId=version_id)

    def _call(self, operation: str, **arguments: object) -> None:
        try:
            getattr(self._client, operation)(SecretId=self.secret_arn, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> SigningKeyUnavailable:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    hint = "Check the function's role, the secret's own policy and its KMS key."
    return SigningKeyUnavailable(f"Secrets Manager refused: {code}.", hint=hint, retryable=isinstance(error, BotoCoreError))
