"""The fields of a secret's JSON, by the names that people give them."""

from __future__ import annotations

import json
from typing import Any

from salesforce_broker.errors import SigningKeyUnusable
from salesforce_broker.keys.refusals import Kind, refuse

PRIVATE_KEY, CERTIFICATE, CLIENT_ID = "private_key", "certificate", "client_id"

_NAMES = {
    "privatekey": PRIVATE_KEY,
    "privatekeypem": PRIVATE_KEY,
    "serverkey": PRIVATE_KEY,
    "key": PRIVATE_KEY,
    "pem": PRIVATE_KEY,
    "certificate": CERTIFICATE,
    "certificatepem": CERTIFICATE,
    "servercrt": CERTIFICATE,
    "cert": CERTIFICATE,
    "crt": CERTIFICATE,
    "clientid": CLIENT_ID,
    "consumerkey": CLIENT_ID,
    "kmskeyarn": "kms_key_arn",
    "sealingkey": "sealing_key",
}
"""Compared without case, blanks, "_", "-" and "."; docs/key-text.md lists them. Every other field keeps its name."""

_BETWEEN = str.maketrans("", "", "_-. ")

OTHER_NAME = "another name of a field"


def read_json(text: str, forms: dict[str, None]) -> dict[str, Any]:
    """Parse a JSON object; its objects have the fields' own names. SigningKeyUnusable says where it is damaged.

    A string may have line ends as they are: that is what consoles and here-documents make of a pasted key.
    """
    line, column = 1, 1
    try:
        found: dict[str, Any] = json.loads(text, strict=False, object_pairs_hook=lambda pairs: _fields(pairs, forms))
    except json.JSONDecodeError as error:
        line, column = error.lineno, error.colno
    except (ValueError, RecursionError):
        pass
    else:
        return found
    # Outside of `except`: a JSONDecodeError carries the whole secret, as the context of another error too.
    raise refuse(f"The key text is JSON that is damaged at line {line}, column {column}.", Kind.JSON.cure)


def is_json_web_key(fields: object) -> bool:
    """Tell whether an object is a JSON Web Key or a set of them."""
    return isinstance(fields, dict) and ("kty" in fields or isinstance(fields.get("keys"), list))


def _fields(pairs: list[tuple[str, Any]], forms: dict[str, None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for written, value in pairs:
        name = _NAMES.get(written.translate(_BETWEEN).lower(), written)
        if name != written:
            forms[OTHER_NAME] = None
        found[name] = _both(name, found[name], value) if found.get(name) and value else value or found.get(name, value)
    return found


def _both(name: str, first: Any, second: Any) -> Any:
    """Return the value of a field that is there twice: of a key both, since they may be one key in two forms."""
    if first == second or name not in _NAMES.values():
        return second
    if name in {PRIVATE_KEY, CERTIFICATE} and isinstance(first, str) and isinstance(second, str):
        return f"{first}\n{second}"
    raise _twice(name)


def _twice(name: str) -> SigningKeyUnusable:
    return refuse(f"The key text has '{name}' twice, with different values.", "Keep one of them.")
