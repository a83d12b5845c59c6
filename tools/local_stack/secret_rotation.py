"""What Secrets Manager does when it rotates a secret, on moto's secrets: moto's own way is another one.

Owns the label that it puts on an empty version, and the order of the steps. Does not know the function that it invokes.

Source: AWS Secrets Manager, "Rotate AWS Secrets Manager secrets" and "Lambda rotation functions".
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from moto.backends import get_backend

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
ACCOUNT = "123456789012"

Invoke = Callable[[dict[str, str]], object]


class SecretRotation:
    """One secret that is rotated by a function."""

    def __init__(self, secret_arn: str) -> None:
        self._arn = secret_arn
        accounts: Any = get_backend("secretsmanager")
        self._secret = accounts[ACCOUNT][secret_arn.split(":")[3]].secrets[secret_arn]
        self._secret.rotation_enabled = self._secret.rotation_requested = True

    @property
    def labels(self) -> dict[str, str]:
        """Return the version of each label."""
        versions = self._secret.versions.items()
        return {label: version_id for version_id, version in versions for label in version["version_stages"]}

    @property
    def is_over(self) -> bool:
        """Tell whether this is a legal end: AWSPENDING is nowhere, or on the version that is AWSCURRENT."""
        return self.labels.get("AWSPENDING") in {None, self.labels["AWSCURRENT"]}

    def end(self) -> None:
        """Rotate no more."""
        self._secret.rotation_enabled = False

    def value(self, version_id: str) -> str:
        """Return a version's value; empty if it has none."""
        return str(self._secret.versions[version_id].get("secret_string", ""))

    def begin(self) -> str:
        """Label an empty version AWSPENDING, and return its id; refused while another one waits."""
        if not self.is_over:
            raise RuntimeError("A previous rotation isn't complete.")
        version_id = str(uuid.uuid4())
        self._secret.remove_version_stages_from_old_versions(["AWSPENDING"])
        self._secret.versions[version_id] = {
            "createdate": int(time.time()),
            "version_id": version_id,
            "version_stages": ["AWSPENDING"],
        }
        return version_id

    def run(self, version_id: str, invoke: Invoke) -> None:
        """Invoke the function for each step; raise what it raises."""
        for step in STEPS:
            invoke({"Step": step, "SecretId": self._arn, "ClientRequestToken": version_id})
