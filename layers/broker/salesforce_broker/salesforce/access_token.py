"""The access token as a value: what Salesforce gave, and until when the broker considers it valid.

Salesforce's JWT bearer answer has no `expires_in`; a session is an idle timer of 15 minutes to 24 hours set by an admin. So the
end of a token's life is the earliest of everything that is known about it. The value is left out of the repr.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

REQUIRED_FIELDS = ("access_token", "token_type", "instance_url", "id", "scope")
"""The five fields of a JWT bearer answer [Salesforce help: "OAuth 2.0 JWT Bearer Flow"]."""

OPTIONAL_FIELDS = (
    "issued_at",
    "signature",
    "api_instance_url",
    "sfdc_community_url",
    "sfdc_community_id",
    "id_token",
    "token_format",
)
"""Fields seen in other flows of Salesforce, handed on when they are there."""

EXPIRY_MARGIN_SECONDS = 30
"""A token with less than this left counts as expired: it must survive the way back and the call it was asked for.
Reporting expiry early avoids a loop of 401s and renewals."""

MAX_MARGIN_SHARE = 0.25
"""Of a token's lifetime: one that lives for less than two minutes is used for three quarters of it, not logged in for each
request."""

MAX_LIFETIME_SECONDS = 24 * 3600
"""The longest session time-out an admin can set; a larger number in an answer or a JWT is nonsense and ignored."""


_PLAIN = re.compile(r"[!-~]{1,32768}")
"""What an optional field may hold: nothing that breaks a line or a header."""

MAX_NUMBER = 10**15
"""Beyond this, nothing is a time; NaN and infinities compare as beyond it, too."""


class State(enum.Enum):
    """FRESH: hand out. STALE: valid, but time to renew. EXPIRED: never hand out."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """One token of one user. `issued_at` and `expires_at` are epoch seconds by the broker's wall clock."""

    value: str = field(repr=False)
    token_type: str
    instance_url: str
    id: str
    scope: str
    issued_at: int
    expires_at: int
    expiry_basis: str
    optional: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def fingerprint(self) -> str:
        """Return the first 16 hex digits of the token's SHA-256: names a token without giving it away."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:16]

    @property
    def organization_id(self) -> str:
        """Return the org's id (18 characters, as Salesforce's identity URL has it)."""
        return self.id.rsplit("/", 2)[-2]

    @property
    def margin(self) -> float:
        """Return the seconds before its end from which on the token counts as expired."""
        return min(EXPIRY_MARGIN_SECONDS, MAX_MARGIN_SHARE * (self.expires_at - self.issued_at))

    def is_over(self, now: float) -> bool:
        """Tell whether the end has come, without any margin."""
        return self.expires_at <= now

    def bounded(self, lifetime_seconds: int) -> AccessToken:
        """Return the token with at most this lifetime: it may have been shared while a longer one was assumed."""
        end = self.issued_at + lifetime_seconds
        return self if self.expires_at <= end else dataclasses.replace(self, expires_at=end, expiry_basis="assumed")

    def seconds_left(self, now: float) -> int:
        """Tell how many whole seconds remain at `now`; 0 or less: expired."""
        return math.floor(self.expires_at - now)

    def state(self, now: float, renewal_point: float) -> State:
        """Tell the state at `now`; stale from `renewal_point` (a share of the lifetime, 0 to 1) on."""
        if self.expires_at - now <= self.margin:
            return State.EXPIRED
        lifetime = self.expires_at - self.issued_at
        return State.FRESH if now < self.issued_at + renewal_point * lifetime else State.STALE


def from_answer(answer: Mapping[str, object], *, now: float, assumed_lifetime: int) -> AccessToken:
    """Make a token of Salesforce's answer, whose five required fields the caller has checked to be strings.

    It may be over already, by its own word: see `AccessToken.is_over`.
    """
    value = str(answer["access_token"])
    ends = {"assumed": now + assumed_lifetime}
    expires_in = _number(answer.get("expires_in"))
    if expires_in is not None and expires_in <= MAX_LIFETIME_SECONDS:
        ends["expires_in"] = now + expires_in
    exp = _jwt_exp(value)
    if exp is not None and exp <= now + MAX_LIFETIME_SECONDS:
        ends["jwt_exp"] = exp
    basis = min(ends, key=lambda name: ends[name])
    return AccessToken(
        value=value,
        token_type=str(answer["token_type"]),
        instance_url=str(answer["instance_url"]),
        id=str(answer["id"]),
        scope=str(answer["scope"]),
        issued_at=math.floor(now),
        expires_at=math.floor(ends[basis]),
        expiry_basis=basis,
        optional={
            name: text for name in OPTIONAL_FIELDS if isinstance(text := answer.get(name), str) and _PLAIN.fullmatch(text)
        },
    )


def _number(value: object) -> float | None:
    """Return `value` if it is a finite number, or digits in a string; else None: an answer may hold anything."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,15}", value, re.ASCII):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= MAX_NUMBER else None


def _jwt_exp(token: str) -> float | None:
    """Read `exp` of a JWT-format token without verifying it: it can only shorten a life, so nothing rests on it."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  header.payload.signature, RFC 7519 section 3
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return _number(claims.get("exp")) if isinstance(claims, dict) else None
