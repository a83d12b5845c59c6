"""A key pair for one run: made in memory, gone with the process.

Owns making them. Stores nothing (see `stack`).
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

KEY_BITS = 2048
"""What Salesforce's own instructions use."""

CERTIFICATE_DAYS = 1
"""Of a certificate for one run."""


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A private key and its self-signed certificate, both PEM."""

    private_key: str = field(repr=False)
    certificate: str


def make() -> KeyMaterial:
    """Make a fresh pair."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "salesforce-token-broker local stack")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=CERTIFICATE_DAYS))
        .sign(key, hashes.SHA256())
    )
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return KeyMaterial(
        key.private_bytes(serialization.Encoding.PEM, pkcs8, plain).decode(),
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
    )
