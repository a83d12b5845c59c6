"""Reads RSA private keys and certificates from PEM text, however its line ends were mangled. Pure: no I/O, no clock."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from salesforce_broker.errors import SigningKeyUnusable

MIN_KEY_BITS = 2048
"""Less is weak, and PyJWT would only warn."""

STORE_HINT = (
    'Put {"client_id": "<consumer key>", "private_key": "<PEM>"} into the secret, with the unencrypted RSA private key'
    " (2048 bits or more) whose certificate is on the app."
)

_PEM_BLOCK = re.compile(r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----(?P<body>.*?)-----END (?P=label)-----", re.DOTALL)

_NOT_A_KEY = {
    "ENCRYPTED PRIVATE KEY": "an encrypted private key",
    "PUBLIC KEY": "a public key",
    "RSA PUBLIC KEY": "a public key",
    "CERTIFICATE": "a certificate",
    "CERTIFICATE REQUEST": "a certificate request",
    "EC PRIVATE KEY": "an elliptic-curve key",
    "OPENSSH PRIVATE KEY": "a key in OpenSSH's own format",
}


def private_key(pem: object) -> rsa.RSAPrivateKey:
    """Read a private key; SigningKeyUnusable says what is wrong with it."""
    if not isinstance(pem, str) or not pem.strip():
        raise SigningKeyUnusable("The secret has no 'private_key'.", hint=STORE_HINT)
    label, block = _pem_block(pem)
    if label in _NOT_A_KEY or "ENCRYPTED" in pem:
        found = _NOT_A_KEY.get(label, "an encrypted private key")
        raise SigningKeyUnusable(f"'private_key' holds {found}, not an RSA private key.", hint=STORE_HINT)
    try:
        key = serialization.load_pem_private_key(block, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without the cause: what a parser says of a key may quote it.
        raise SigningKeyUnusable("'private_key' is damaged: it is no PEM private key.", hint=STORE_HINT) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SigningKeyUnusable("'private_key' is not an RSA key; Salesforce accepts only RS256.", hint=STORE_HINT)
    if key.key_size < MIN_KEY_BITS:
        raise SigningKeyUnusable(f"'private_key' has {key.key_size} bits; at least {MIN_KEY_BITS} are needed.", hint=STORE_HINT)
    return key


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """What a text held, parsed.

    `certificate`: the one that belongs to the key; `client_id`: empty where there was none; `forms`: the unusual forms that
    were accepted, for one log line: which, never what.
    """

    private_key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate | None = field(default=None, repr=False)
    client_id: str = ""
    forms: tuple[str, ...] = ()

    def key_pem(self) -> str:
        """Encode the key anew: PEM of PKCS #8, unencrypted."""
        form = serialization.PrivateFormat.PKCS8
        return self.private_key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

    def certificate_pem(self) -> str:
        """Encode the certificate anew; empty if there is none."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode() if self.certificate else ""


def read_key_material(
    content: str | bytes, *, certificate: str | bytes | None = None, client_id: str | None = None
) -> KeyMaterial:
    """Read a secret's content, or the fields of an import; SigningKeyUnusable says what is wrong with it."""
    fields = read_secret_fields(content)
    key = private_key(fields.get("private_key"))
    found = None
    if given := certificate or fields.get("certificate"):
        found = read_certificate(given)
        if found.public_key() != key.public_key():
            raise SigningKeyUnusable("'certificate' does not belong to 'private_key'.", hint=STORE_HINT)
    return KeyMaterial(key, found, str(client_id or fields.get("client_id") or "").strip())


def read_certificate(content: str | bytes) -> x509.Certificate:
    """Read a certificate of an RSA key; SigningKeyUnusable."""
    try:
        found = x509.load_pem_x509_certificate(_pem_block(_text(content))[1])
        public_key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise SigningKeyUnusable("'certificate' is no PEM certificate.", hint=STORE_HINT) from None
    if not isinstance(public_key, rsa.RSAPublicKey):
        raise SigningKeyUnusable("'certificate' is not one of an RSA key.", hint=STORE_HINT)
    return found


def read_secret_fields(content: str | bytes) -> dict[str, Any]:
    """Return a secret's fields as they stand there; of a bare key `private_key` alone. Nothing in it may go on unparsed."""
    text = _text(content)
    if text.lstrip().startswith("-----BEGIN"):
        return {"private_key": text}
    try:
        fields = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        # Without the cause: JSONDecodeError carries the whole secret.
        raise SigningKeyUnusable("The secret is neither JSON nor a PEM.", hint=STORE_HINT) from None
    if not isinstance(fields, dict):
        raise SigningKeyUnusable("The secret is JSON, but not an object.", hint=STORE_HINT)
    return fields


def _text(content: object) -> str:
    return content.decode(errors="replace") if isinstance(content, bytes) else str(content)


def _pem_block(pem: str) -> tuple[str, bytes]:
    """Return the label and the PEM with clean line ends, however the text was mangled on its way into the secret."""
    found = _PEM_BLOCK.search(pem)
    if found is None:
        raise SigningKeyUnusable("There is no whole PEM block in the secret.", hint=STORE_HINT)
    body = re.sub(r"\\[nr]|\s", "", found["body"])
    try:
        der = base64.b64decode(body, validate=True)
    except ValueError:
        # A legacy PEM has headers in its body ("Proc-Type: 4,ENCRYPTED"): leave it to the callers to name it.
        return found["label"], found[0].encode()
    lines = base64.encodebytes(der).decode()
    return found["label"], f"-----BEGIN {found['label']}-----\n{lines}-----END {found['label']}-----\n".encode()
