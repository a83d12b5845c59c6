"""Generates key pairs: a private key, and the certificate that it signs of itself."""

from __future__ import annotations

import datetime
import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from salesforce_broker.clock import Clock
from salesforce_broker.keys.pem import encode_certificate, encode_key
from salesforce_broker.keys.signer import RsaSigner, Signer

COMMON_NAME = "salesforce-token-broker"

BACKDATED = datetime.timedelta(minutes=5)
"""Of a certificate's beginning: clocks differ."""

MAX_SIGN_SECONDS = 10.0
"""A signature by KMS takes some ten milliseconds."""

_SHA256_WITH_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")
"""The signature's AlgorithmIdentifier in DER (RFC 8017 appendix A.2.4)."""


def generate_key(bits: int) -> rsa.RSAPrivateKey:
    """Generate a private key; one of 4096 bits takes seconds."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def generate_secret_fields(version_id: str, *, bits: int, days: int, now: float) -> dict[str, str]:
    """Generate a key that lies in the secret; return the fields of the secret's version `version_id`."""
    key = generate_key(bits)
    certificate = self_signed_certificate(RsaSigner(key, version_id), key.public_key(), days=days, now=now)
    return {"private_key": encode_key(key), "certificate": encode_certificate(certificate)}


def self_signed_certificate(signer: Signer, public_key: rsa.RSAPublicKey, *, days: int, now: float) -> x509.Certificate:
    """Return a certificate valid from `now` (epoch seconds); Salesforce reads neither its name nor its end.

    The builder of `cryptography` signs only with a private key in memory. So a key of no other use signs a draft, and its
    signature is replaced by the signer's (RFC 5280 section 4.1).
    """
    begins = datetime.datetime.fromtimestamp(now, datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    draft = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins - BACKDATED)
        .not_valid_after(begins + datetime.timedelta(days=days))
        .sign(_draft_key(), hashes.SHA256())
    )
    signed_part = draft.tbs_certificate_bytes
    signature = _der(0x03, b"\x00" + signer.sign(signed_part, Clock().deadline(MAX_SIGN_SECONDS)))
    return x509.load_der_x509_certificate(_der(0x30, signed_part + _SHA256_WITH_RSA + signature))


@functools.cache
def _draft_key() -> rsa.RSAPrivateKey:
    return generate_key(2048)


def _der(tag: int, content: bytes) -> bytes:
    """Encode a value: tag, length (X.690 section 8.1.3), content."""
    length = len(content)
    if length < 0x80:  # noqa: PLR2004  the short form's limit
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(octets)]) + octets + content
