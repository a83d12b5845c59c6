"""What the operators' functions answer, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """The public part of a key: its certificate (PEM), its end (epoch seconds), its app and its label.

    `stage`: "AWSPENDING" while the certificate has to be uploaded, else "AWSCURRENT".
    """

    version_id: str
    stage: str
    certificate: str
    not_after: int
    consumer_key: str


@dataclass(frozen=True, slots=True)
class Emergency:
    """The result of an emergency action. `stopped`: by token function, whether Lambda refuses to invoke it.

    `shared`: parameters of the shared cache; of a stop, those that it deleted. `versions`: by function, the one whose
    environments start with an empty memory. `revoked`: fingerprints by subject. `refused`: by subject, the code of the error
    for which Salesforce does not log it in.
    """

    action: str
    stopped: Mapping[str, bool]
    shared: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    revoked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
