"""The assertion of a token request, decoded before it is verified: the app is found by what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

MAX_CHARACTERS = 16_384
"""Of an assertion that is decoded; a real one has about 700."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A JWT with its header and claims; both are None if it is no JWT."""

    text: str = field(repr=False)
    header: dict[str, Any] | None
    claims: dict[str, Any] | None

    @property
    def issuer(self) -> str:
        """The consumer key."""
        return str((self.claims or {}).get("iss"))

    @property
    def username(self) -> str:
        """The user; of the two claims the legacy one wins."""
        claims = self.claims or {}
        return str(claims.get("prn", claims.get("sub")))


def decode(text: str) -> Assertion:
    """Decode an assertion without verifying it."""
    if len(text) > MAX_CHARACTERS:
        return Assertion(text, None, None)
    try:
        parts = jwt.decode_complete(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return Assertion(text, None, None)
    return Assertion(text, parts["header"], parts["payload"] or None)


def is_signed_by(assertion: Assertion, certificate: x509.Certificate) -> bool:
    """Tell whether an RS256 signature is of the certificate's key; whether the certificate has expired does not matter."""
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    try:
        # The signature alone: expiry and audience are checks of their own.
        jwt.PyJWS().decode(assertion.text, key, algorithms=["RS256"])
    except jwt.PyJWTError:
        return False
    return True
