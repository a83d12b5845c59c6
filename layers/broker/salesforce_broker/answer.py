"""What the broker answers with, as values: a token, its owner, or a sign of life.

Owns what is known of an answer beside the token itself. Does not shape JSON (see `response`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from salesforce_broker.access_token import AccessToken


class Source(enum.Enum):
    """Where the token came from."""

    MEMORY = "memory"
    SHARED = "shared"
    SALESFORCE = "salesforce"


class Outcome(enum.Enum):
    """What became of the request; all but ISSUED answer a `rejected` fingerprint."""

    ISSUED = "issued"
    ALREADY_ROTATED = "already_rotated"  # the refused token was not the current one any more
    ROTATED = "rotated"  # Salesforce gave another one
    UNCHANGED = "unchanged"  # Salesforce gave the same one again, and says that it lives
    SUPPRESSED = "suppressed"  # reported again too soon; Salesforce does not call it dead


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token on its way to a caller at `now` (epoch seconds); `degraded`: its renewal failed, but it still lives.

    `retry_after` (seconds): when it makes sense to report a suppressed token again.
    """

    token: AccessToken
    now: float
    source: Source
    outcome: Outcome
    degraded: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """Who a token belongs to, as Salesforce's identity URL tells."""

    document: Mapping[str, Any]
    issued: IssuedToken


@dataclass(frozen=True, slots=True)
class Health:
    """The function runs and its settings make sense; says nothing of the key or of Salesforce."""

    version: str


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """What may be known of a key: its certificate (PEM), until when (epoch seconds), for which app, and where it stands.

    `stage`: "AWSPENDING" while the certificate has to be uploaded, else "AWSCURRENT".
    """

    version_id: str
    stage: str
    certificate: str
    not_after: int
    consumer_key: str


@dataclass(frozen=True, slots=True)
class Emergency:
    """How an operator's action ended: `stopped` tells of each door whether Lambda refuses to invoke it.

    `shared`: copies of tokens, leases and pauses that lie in SSM, of a stop those that it deleted. `versions`: by door, the one
    whose environments start with an empty memory. `revoked`: fingerprints by subject. `refused`: by subject, why Salesforce
    does not log it in (an error's code).
    """

    action: str
    stopped: Mapping[str, bool]
    shared: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    revoked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


Answer = IssuedToken | TokenOwner | Health
