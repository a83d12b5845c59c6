"""What signs assertions: an interface of two members, and the implementation for a private key in memory."""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from salesforce_broker.clock import Deadline


class Signer(Protocol):
    """Signs with one key, wherever that is."""

    @property
    def key_id(self) -> str:
        """Name the key for people: never any part of it."""

    def sign(self, message: bytes, deadline: Deadline) -> bytes:
        """Return the RSASSA-PKCS1-v1_5 signature over SHA-256 (JWT's RS256); SigningKeyUnavailable."""


class RsaSigner:
    """Signs with a private key in memory."""

    def __init__(self, private_key: RSAPrivateKey, key_id: str) -> None:
        self._private_key = private_key
        self.key_id = key_id

    def sign(self, message: bytes, deadline: Deadline) -> bytes:
        """Sign as the interface says; it takes a millisecond."""
        del deadline
        return self._private_key.sign(message, padding.PKCS1v15(), hashes.SHA256())
