"""A new generation of the shared cache: what was shared before can no longer be decrypted (see `keys.generation`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from salesforce_broker.keys.generation import STOP_LABEL, stop_label

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


class CacheGeneration:
    """Begins a new generation by labels on the versions of the secret: no value is written, no version is added."""

    def __init__(self, client: SecretsManagerClient, secret_arn: str) -> None:
        self._client = client
        self._secret_arn = secret_arn

    def renew(self, now: float) -> None:
        """Label every version that has labels, and remove the labels of earlier stops: a version can have only 20."""
        versions = self._client.describe_secret(SecretId=self._secret_arn).get("VersionIdsToStages", {})
        for version_id, labels in versions.items():
            label = stop_label(now, version_id)
            if label not in labels:
                self._client.update_secret_version_stage(
                    SecretId=self._secret_arn, VersionStage=label, MoveToVersionId=version_id
                )
            for earlier in labels:
                if earlier.startswith(STOP_LABEL) and earlier != label:
                    self._client.update_secret_version_stage(
                        SecretId=self._secret_arn, VersionStage=earlier, RemoveFromVersionId=version_id
                    )
