"""RSA key pairs with self-signed certificates, made in memory for one run."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

KEY_BITS = 2048
"""The size in Salesforce's own instructions."""

VALID_DAYS = 30


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A private key and its self-signed certificate, both PEM."""

    private_key: str = field(repr=False)
    certificate: str


def make() -> KeyMaterial:
    """Make a new pair."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return KeyMaterial(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain).decode(), self_signed(key))


def self_signed(key: rsa.RSAPrivateKey, *, days_left: float = 1) -> str:
    """Return a self-signed certificate (PEM) for a key; a negative `days_left` makes an expired one."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "only for one run on one machine")])
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days_left)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - datetime.timedelta(days=VALID_DAYS))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
