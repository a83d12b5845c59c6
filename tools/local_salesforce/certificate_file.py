"""What may be uploaded as an app's certificate: one X.509 certificate (PEM) of an RSA key, at most 4 KB."""

from __future__ import annotations

import binascii
import re

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

MAX_BYTES = 4096

_LABEL = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_NAMES = {
    "CERTIFICATE REQUEST": "a certificate signing request (CSR), not a certificate",
    "NEW CERTIFICATE REQUEST": "a certificate signing request (CSR), not a certificate",
    "PUBLIC KEY": "a public key without a certificate",
    "RSA PUBLIC KEY": "a public key without a certificate",
    "PKCS7": "a PKCS#7 bundle; Salesforce wants one certificate in PEM form",
    "X509 CRL": "a revocation list, not a certificate",
}


class InvalidCertificate(ValueError):
    """A text that is no usable certificate. `reason` says why, and never repeats the text: it may be a private key."""

    def __init__(self, salesforce_text: str, reason: str) -> None:
        super().__init__(f"{salesforce_text} It is {reason}." if reason else salesforce_text)
        self.salesforce_text = salesforce_text
        """What Salesforce answers, which does not say why."""


def read(text: str) -> x509.Certificate:
    """Return the certificate in a text; raise InvalidCertificate."""
    if len(text.encode()) > MAX_BYTES:
        raise InvalidCertificate("The certificate is larger than 4 KB.", "")
    labels = _LABEL.findall(text)
    if any(label.endswith("PRIVATE KEY") for label in labels):
        raise _invalid("a private key, which Salesforce must never see; upload its certificate")
    if not labels:
        raise _invalid(_unlabelled(text))
    if set(labels) != {"CERTIFICATE"}:
        raise _invalid(next((_NAMES[label] for label in labels if label in _NAMES), f"a PEM file of {labels[0]}"))
    if len(labels) > 1:
        raise _invalid("a chain of certificates; upload the app's own certificate alone")
    try:
        certificate = x509.load_pem_x509_certificate(text.encode())
        key = certificate.public_key()
    except Exception:  # noqa: BLE001  the parser has many errors, and an input that it cannot read is what all of them mean
        raise _invalid("a damaged certificate, which cannot be parsed") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise _invalid("a certificate of another kind of key; RS256 needs RSA")
    return certificate


def read_bytes(content: bytes) -> str:
    """Return the text of a certificate file after a check; raise InvalidCertificate."""
    if len(content) > MAX_BYTES:
        raise InvalidCertificate("The certificate is larger than 4 KB.", "")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise _invalid(_binary(content)) from None
    read(text)
    return text


def _invalid(reason: str) -> InvalidCertificate:
    return InvalidCertificate("The certificate is invalid.", reason)


def _unlabelled(text: str) -> str:
    if not text.strip():
        return "empty"
    try:
        return _binary(binascii.a2b_base64(re.sub(r"\s+", "", text), strict_mode=True))
    except (binascii.Error, ValueError):
        return "text that is no PEM file (no BEGIN CERTIFICATE line)"


def _binary(content: bytes) -> str:
    try:
        x509.load_der_x509_certificate(content)
    except Exception:  # noqa: BLE001  as above
        return "binary data that is no PEM file"
    return "a certificate in DER form; convert it with `openssl x509 -inform DER -in FILE -out server.crt`"
