"""Values of the token service: what is asked for and what is answered."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from salesforce_broker.salesforce.access_token import AccessToken


class Action(enum.Enum):
    """What can be asked for."""

    TOKEN = "token"  # noqa: S105  a verb of the contract, not a secret
    IDENTITY = "identity"
    HEALTH = "health"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request: `caller` is the principal as AWS reports it, `seconds_left` the time in which to answer.

    `entry_point`: "api" or "invoke".
    """

    entry_point: str
    action: Action
    caller: str
    seconds_left: float
    subject: str | None = None
    min_ttl: int = 0
    rejected: str | None = None


class Source(enum.Enum):
    """Where the token came from."""

    MEMORY = "memory"
    SHARED = "shared"
    SALESFORCE = "salesforce"


class Outcome(enum.Enum):
    """What became of the request; all but ISSUED answer a `rejected` fingerprint."""

    ISSUED = "issued"
    ALREADY_ROTATED = "already_rotated"  # the rejected token was not the current one any more
    ROTATED = "rotated"  # Salesforce gave another one
    UNCHANGED = "unchanged"  # Salesforce gave the same one again, and says that it is valid
    SUPPRESSED = "suppressed"  # reported again too soon; Salesforce does not call it invalid


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token of `subject` on its way to a caller at `now` (epoch seconds). `degraded`: its renewal failed, but it is valid.

    `retry_after` (seconds): when it makes sense to report a suppressed token again.
    """

    subject: str
    token: AccessToken
    now: float
    source: Source
    outcome: Outcome
    degraded: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token belongs to, as Salesforce's identity URL tells."""

    document: Mapping[str, Any]
    issued: IssuedToken


@dataclass(frozen=True, slots=True)
class Health:
    """The function runs and its settings are valid; says nothing about the key or Salesforce."""

    version: str


Answer = IssuedToken | Identity | Health
