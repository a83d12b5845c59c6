"""What lies in a key text; and the short way to it for a clean one, which a cold start reads (`key_text` reads all others)."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from salesforce_broker.keys import der, secret_fields
from salesforce_broker.keys.refusals import Kind

_CLEAN = re.compile(
    r"-----BEGIN (CERTIFICATE|(?:RSA )?PRIVATE KEY)-----\n([A-Za-z0-9+/\n]{64,5600}={0,2})\n-----END \1-----\n?",
)
"""A PEM as openssl writes it, up to 4 KB of content."""


@dataclass(frozen=True, slots=True)
class Block:
    """One thing in a text: its kind and, where there is any, its content (DER, or OpenSSH's own)."""

    kind: Kind
    data: bytes = field(default=b"", repr=False)


class Contents:
    """What was found; `beside`: in fields that are meant for the certificate. `forms`: the odd ones, in the order found."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.beside: list[Block] = []
        self.client_ids: list[Any] = []
        self.forms: dict[str, None] = {}


def clean_fields(content: object, forms: dict[str, None]) -> dict[str, Any] | None:
    """Return the fields of what is JSON, or a PEM, at sight; None of anything else. SigningKeyUnusable if JSON is damaged."""
    if isinstance(content, str) and _CLEAN.fullmatch(content):
        return {secret_fields.PRIVATE_KEY: content}
    if not isinstance(content, str) or content[:1] != "{" or content[1:80].lstrip()[:1] != '"' or not content.isascii():
        return None
    fields = secret_fields.read_json(content, forms)
    return None if secret_fields.is_json_web_key(fields) else fields


def clean_contents(content: object) -> Contents | None:
    """Return what lies in JSON with a clean PEM, or in the PEM alone; None if it is anything else."""
    found = Contents()
    fields = clean_fields(content, found.forms)
    if fields is None:
        return None
    key, certificate = fields.get(secret_fields.PRIVATE_KEY), fields.get(secret_fields.CERTIFICATE)
    for pem, kind, blocks in ((key, Kind.RSA, found.blocks), (certificate, Kind.CERTIFICATE, found.beside)):
        if pem and not found.forms:
            block = _clean_block(pem)
            if block is None or block.kind is not kind:
                return None
            blocks.append(block)
    found.client_ids.append(fields.get(secret_fields.CLIENT_ID))
    return found if found.blocks else None


def _clean_block(pem: object) -> Block | None:
    match = _CLEAN.fullmatch(pem) if isinstance(pem, str) else None
    if match is None:
        return None
    try:
        data = binascii.a2b_base64(match[2])
    except ValueError:
        return None
    kind = der.kind(data)
    as_labelled = kind is not Kind.RSA or match[1] == ("PRIVATE KEY" if der.is_pkcs8(data) else "RSA PRIVATE KEY")
    return Block(kind, data) if as_labelled and len(der.split(data)[0]) == len(data) else None
