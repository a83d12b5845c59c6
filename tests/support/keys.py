"""Key material for tests, made anew in each run and never written to disk."""

from __future__ import annotations

import functools
import json

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from local_salesforce import key_material

CLIENT_ID = "3MVG9.only-use-for-unit-tests"


def rsa_key(name: str = "current", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the run's RSA key of that name."""
    return _made(name, bits)


@functools.cache
def _made(_name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(key: PrivateKeyTypes, *, pkcs1: bool = False, password: bytes | None = None) -> str:
    """Write a private key as PEM."""
    form = serialization.PrivateFormat.TraditionalOpenSSL if pkcs1 else serialization.PrivateFormat.PKCS8
    hide = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, hide).decode()


def certificate(name: str = "current") -> str:
    """Return a self-signed certificate (PEM) of the key of that name."""
    return key_material.self_signed(rsa_key(name))


def certificate_ends(name: str = "current") -> float:
    """Tell when it does (epoch seconds)."""
    return x509.load_pem_x509_certificate(certificate(name).encode()).not_valid_after_utc.timestamp()


def secret(name: str = "current", *, client_id: str = CLIENT_ID) -> str:
    """Return the text of a secret with the key of that name."""
    return json.dumps({"client_id": client_id, "private_key": pem(rsa_key(name))})
