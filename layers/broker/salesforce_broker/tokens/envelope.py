"""The sealed envelope in which a token lies in the shared cache.

AES-256-GCM under a key derived from the app's private key, bound (as associated data) to everything that changes a token's
power. A principal that can write the parameter but has no signing key can neither plant a token nor move one from another
subject, org or app; one that can read it sees no token.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = "2"
"""Of the envelope's content; part of the associated data, so that another format is a miss."""

NONCE_BYTES = 12
"""What AES-GCM is defined for; random, far below the number of writes at which that would matter."""


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """Everything that changes a token's power: two tokens are interchangeable only if all of it is equal."""

    login_url: str
    audience: str
    client_id: str
    subject: str

    def encode(self, purpose: str = "token") -> bytes:
        """Return it unambiguously as bytes (a JSON array: no separator that a value could contain)."""
        return json.dumps([FORMAT, purpose, self.login_url, self.audience, self.client_id, self.subject]).encode()


def seal(content: Mapping[str, Any], associated_data: bytes, sealing_key: bytes) -> str:
    """Encrypt `content` (JSON) under a key of 32 bytes, bound to `associated_data`; return base64."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(sealing_key).encrypt(nonce, json.dumps(content).encode(), associated_data)
    return base64.b64encode(nonce + sealed).decode()


def open_envelope(envelope: str, associated_data: bytes, sealing_key: bytes) -> dict[str, Any] | None:
    """Return the content; None unless a holder of the same signing key sealed it for the same `associated_data`."""
    try:
        raw = base64.b64decode(envelope, validate=True)
        content: dict[str, Any] = json.loads(AESGCM(sealing_key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], associated_data))
    except (ValueError, InvalidTag):
        return None
    return content
