"""The assertion: a JWT, signed with the app's key, that says who logs in (RFC 7523 section 3). Pure: no I/O, no clock.

Owns the claims and their times. Does not send it (see `salesforce`) and does not read the key (see `signing_key`).
"""

from __future__ import annotations

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ALGORITHM = "RS256"
"""The only one that Salesforce accepts [help: "OAuth 2.0 JWT Bearer Flow"]; never a parameter."""

BACKDATE_SECONDS = 30
"""`iat` lies in the past, so that a clock that runs ahead does not make an assertion from the future."""

LIFE_SECONDS = 150
"""Salesforce documents `exp` "within 3 minutes": this leaves 30 s for a clock that runs ahead, and 150 s (and
Salesforce's grace) for one that runs behind."""


def mint(  # noqa: PLR0913  the claims, by their names
    *, issuer: str, subject: str, audience: str, key: RSAPrivateKey, now: float, token_id: str
) -> str:
    """Sign an assertion that `issuer` (the consumer key) logs in `subject` (a username) at `audience`.

    `now` is epoch seconds by Salesforce's clock as far as it is known; `token_id` must be fresh for each attempt.
    """
    issued_at = int(now)
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "exp": issued_at + LIFE_SECONDS,
        "iat": issued_at - BACKDATE_SECONDS,
        "jti": token_id,
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM)
