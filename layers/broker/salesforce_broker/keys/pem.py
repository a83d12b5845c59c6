"""The one reader of key text: of secrets, of imports and of the administrator's connection.

Whatever carries one usable RSA key is taken, in any form that people have it in; everything is parsed, and only what was parsed
and encoded again goes on. Pure: no I/O, no clock.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from salesforce_broker.errors import SigningKeyUnusable
from salesforce_broker.keys import der
from salesforce_broker.keys.contents import Block, Contents, clean_contents, clean_fields
from salesforce_broker.keys.refusals import (
    NEW_KEY,
    OTHER_PRIVATE_KEYS,
    STORE_HINT,
    Kind,
    not_a_certificate,
    not_a_key,
    refuse,
    unusable_numbers,
)

MAX_CONTENT = 64 * 1024
"""Characters or bytes: as many as Secrets Manager takes."""

_CLIENT_ID = re.compile(r"[A-Za-z0-9._~+/=-]{1,256}")
"""Salesforce makes them of letters, digits, "." and "_"; an administrator may choose up to 256 characters."""

ODD_CLIENT_ID = "blanks or quotes around the consumer key"

_KEEP_ONE = "Keep the one whose certificate is on the app: openssl pkey -in server.key -out one.key writes the first of a file."

_COMPARE = (
    "Of a pair these print the same: openssl pkey -in server.key -pubout, and openssl x509 -in server.crt -noout -pubkey."
)


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """What a text held, parsed.

    `certificate`: the one that belongs to the key; `client_id`: empty where there was none; `forms`: the unusual forms that
    were accepted, for one log line: which, never what.
    """

    private_key: RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate | None = field(default=None, repr=False)
    client_id: str = ""
    forms: tuple[str, ...] = ()

    def key_pem(self) -> str:
        """Encode the key anew: PEM of PKCS #8, unencrypted."""
        return encode_key(self.private_key)

    def certificate_pem(self) -> str:
        """Encode the certificate anew; empty if there is none."""
        return encode_certificate(self.certificate) if self.certificate else ""


def encode_key(key: RSAPrivateKey) -> str:
    """Encode a private key as PEM (PKCS #8), unencrypted: for the secret alone."""
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def encode_certificate(certificate: x509.Certificate) -> str:
    """Encode one certificate as PEM (under 4 KB)."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def read_key_material(
    content: str | bytes, *, certificate: str | bytes | None = None, client_id: str | None = None
) -> KeyMaterial:
    """Read a secret's content, or the fields of an import; SigningKeyUnusable says what is wrong with it."""
    text = _contents(content, certificate)
    if not text.blocks and not text.beside:
        what = "The key text has no 'private_key'." if content else "The key text is empty."
        raise SigningKeyUnusable(what, hint=STORE_HINT)
    key = _one_key([*text.blocks, *text.beside])
    if any(block.kind not in {Kind.RSA, Kind.RSA_OPENSSH, Kind.CERTIFICATE} for block in text.blocks):
        text.forms["other things beside the key"] = None
    found = _certificate_of(key, text)
    client_ids = {read_client_id(each, text.forms) for each in (client_id, *text.client_ids)} - {""}
    if len(client_ids) > 1:
        raise refuse("There are two different consumer keys ('client_id').", "Keep one of them.")
    return KeyMaterial(key, found, "".join(client_ids), tuple(text.forms))


def read_certificate(content: str | bytes) -> x509.Certificate:
    """Read a certificate of an RSA key, of several the one that issued none of the others; SigningKeyUnusable."""
    text = _contents(None, content)
    found = _certificates(text.beside)
    if not found:
        raise not_a_certificate(block.kind for block in text.beside)
    issuers = {each.issuer for each in found if each.issuer != each.subject}
    leaves = [each for each in found if each.subject not in issuers] or found
    if len(leaves) > 1:
        raise refuse("'certificate' holds several certificates.", "Send one: openssl x509 -in server.crt prints the first.")
    public_key = _rsa_public_key(leaves[0])
    if public_key is None:
        raise refuse("'certificate' is not one of an RSA key.", NEW_KEY)
    if unusable := unusable_numbers(public_key.key_size, public_key.public_numbers().e):
        raise unusable
    return leaves[0]


def read_secret_fields(content: str | bytes) -> dict[str, Any]:
    """Return a secret's fields as they stand there, by their own names; of a key alone `private_key`.

    Nothing of it may be stored, published or sent on: `read_key_material` parses it.
    """
    found = clean_fields(_bounded(content), {})
    if found is not None:
        return found
    from salesforce_broker.keys.key_text import KeyText  # noqa: PLC0415  see _contents

    return KeyText().fields(content)


def read_client_id(text: object, forms: dict[str, None] | None = None) -> str:
    """Return a consumer key without blanks and quotes around it; empty if there is none; SigningKeyUnusable."""
    if text is None or text == "":
        return ""
    client_id = text.strip(" \t\r\n\f\v\0\u00a0\ufeff\"'`,;").removesuffix("\\n") if isinstance(text, str) else ""
    if not _CLIENT_ID.fullmatch(client_id):
        raise refuse(
            "The consumer key ('client_id') is not one: it has blanks, control characters or others that no consumer key has.",
            "Copy it from the app: Settings > OAuth Settings > Consumer Key and Secret.",
        )
    if client_id != text and forms is not None:
        forms[ODD_CLIENT_ID] = None
    return client_id


def _contents(content: object, certificate: object = None) -> Contents:
    found = None if certificate else clean_contents(_bounded(content))
    if found is not None:
        return found
    # Not at the top: a cold start does not need it, unless the key's text is in an odd form.
    from salesforce_broker.keys.key_text import KeyText  # noqa: PLC0415

    text = KeyText()
    text.add(_bounded(content))
    text.add_certificate(_bounded(certificate))
    return text


def _bounded(content: object) -> object:
    if isinstance(content, str | bytes | bytearray) and len(content) > MAX_CONTENT:
        raise SigningKeyUnusable("The key text is longer than 64 KB.", hint=STORE_HINT)
    return content


def _one_key(blocks: Sequence[Block]) -> RSAPrivateKey:
    """Return the key; SigningKeyUnusable if there is none, or another beside it."""
    keys = [_rsa_key(block) for block in blocks if block.kind in {Kind.RSA, Kind.RSA_OPENSSH}]
    kinds = {block.kind for block in blocks}
    if keys and not kinds & {Kind.TRUNCATED, Kind.DAMAGED}:
        if kinds & OTHER_PRIVATE_KEYS or any(key.public_key() != keys[0].public_key() for key in keys):
            raise refuse("The key text holds two different private keys.", _KEEP_ONE)
        return keys[0]
    raise not_a_key(kinds - {Kind.RSA, Kind.RSA_OPENSSH})


def _rsa_key(block: Block) -> RSAPrivateKey:
    try:
        bits, exponent = der.rsa_numbers(block.data, block.kind)
    except (ValueError, IndexError):
        bits, exponent = 0, 0
    if not bits:
        raise not_a_key([Kind.DAMAGED])
    if unusable := unusable_numbers(bits, exponent):
        raise unusable
    key = _load_key(block)
    if key is None:
        raise not_a_key([Kind.DAMAGED])
    return key


def _load_key(block: Block) -> RSAPrivateKey | None:
    """Parse a key; None if that fails, so that no exception is left that quotes it."""
    try:
        if block.kind is Kind.RSA_OPENSSH:
            lines = base64.encodebytes(block.data)
            pem = b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + lines + b"-----END OPENSSH PRIVATE KEY-----\n"
            key: object = serialization.load_ssh_private_key(pem, password=None)
        else:
            key = serialization.load_der_private_key(block.data, password=None)
    except Exception:  # noqa: BLE001  whatever a parser raises may quote the key
        return None
    return key if isinstance(key, RSAPrivateKey) else None


def _certificates(blocks: Sequence[Block]) -> list[x509.Certificate]:
    found: list[x509.Certificate] = []
    for block in blocks:
        with contextlib.suppress(ValueError, UnsupportedAlgorithm):
            if block.kind is Kind.CERTIFICATE and (each := x509.load_der_x509_certificate(block.data)) not in found:
                found.append(each)
    return found


def _certificate_of(key: RSAPrivateKey, text: Contents) -> x509.Certificate | None:
    """Return the certificate that belongs to the key, of several the one that ends last; None if there is none at all."""
    blocks = [block for block in (*text.beside, *text.blocks) if block.kind is Kind.CERTIFICATE]
    if text.beside and not blocks:
        raise not_a_certificate(block.kind for block in text.beside)
    found = _certificates(blocks)
    if blocks and not found:
        raise not_a_certificate([Kind.DAMAGED])
    own = [each for each in found if _rsa_public_key(each) == key.public_key()]
    if found and not own:
        raise refuse("The certificate does not belong to the private key.", _COMPARE)
    return max(own, key=lambda each: each.not_valid_after_utc, default=None)


def _rsa_public_key(certificate: x509.Certificate) -> RSAPublicKey | None:
    try:
        public_key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return public_key if isinstance(public_key, RSAPublicKey) else None
