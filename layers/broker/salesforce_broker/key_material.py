"""Key pairs: a private key that is made here, and a certificate that it signs of itself. Pure: no I/O, no clock.

Owns what a certificate says. Does not store anything (see `key_versions`).
"""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

COMMON_NAME = "salesforce-token-broker"

BACKDATED = datetime.timedelta(minutes=5)
"""Of a certificate's beginning: clocks differ."""


def make(bits: int) -> rsa.RSAPrivateKey:
    """Make a private key; one of 4096 bits takes seconds."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(key: rsa.RSAPrivateKey) -> str:
    """Write a private key as PEM (PKCS #8), unencrypted: for the secret alone."""
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def certificate(key: rsa.RSAPrivateKey, *, days: int, now: float) -> str:
    """Sign a certificate of the key's own (PEM, under 4 KB), from `now`; Salesforce heeds neither its name nor its end."""
    begins = datetime.datetime.fromtimestamp(now, datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins - BACKDATED)
        .not_valid_after(begins + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def ends(certificate_pem: str) -> float:
    """Tell when a certificate ends (epoch seconds)."""
    return x509.load_pem_x509_certificate(certificate_pem.encode()).not_valid_after_utc.timestamp()
