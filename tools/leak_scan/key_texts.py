"""Texts in which people bring a private key and its certificate: as they should be, and in many ways in which they are not."""

from __future__ import annotations

import base64
import functools
import json
import random
from typing import Any

from cryptography.hazmat.primitives import serialization

from local_salesforce import DEFAULT_CONSUMER_KEY, KeyMaterial

Form = Any
"""(PEM) -> text."""

MANGLINGS: dict[str, Form] = {
    "as it is": lambda pem: pem,
    "escaped": lambda pem: pem.replace("\n", "\\n"),
    "escaped twice": lambda pem: pem.replace("\n", "\\\\n"),
    "CRLF": lambda pem: pem.replace("\n", "\r\n"),
    "escaped CRLF": lambda pem: pem.replace("\n", "\\r\\n"),
    "blanks": lambda pem: pem.replace("\n", " "),
    "one line": lambda pem: pem.replace("\n", ""),
    "indented": lambda pem: pem.replace("\n", "\n    "),
    "quoted": json.dumps,
    "quoted twice": lambda pem: json.dumps(json.dumps(pem)),
    "single quotes": lambda pem: f"'{pem}'",
    "base64": lambda pem: base64.b64encode(pem.encode()).decode(),
    "base64 lines": lambda pem: base64.encodebytes(pem.encode()).decode(),
    "body alone": lambda pem: "".join(pem.splitlines()[1:-1]),
    "cut": lambda pem: pem[: len(pem) * 2 // 3],
    "cut in front": lambda pem: pem[len(pem) // 3 :],
    "a letter lost": lambda pem: pem[:500] + pem[501:],
    "a letter changed": lambda pem: pem[:700] + ("A" if pem[700] != "A" else "B") + pem[701:],
    "another label": lambda pem: pem.replace("PRIVATE KEY", "CERTIFICATE"),
    "lower case": lambda pem: pem.lower(),
    "BOM": lambda pem: "\ufeff" + pem,
    "bag attributes": lambda pem: "Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n" + pem,
    "words around": lambda pem: f"Here is the key:\n{pem}\nPlease delete.\n",
    "hex": lambda pem: base64.b64decode("".join(pem.splitlines()[1:-1])).hex(),
    "UTF-16": "\0".join,
    "dashes": lambda pem: pem.replace("-----", "\u2014\u2014-"),
    "twice": lambda pem: pem + pem,
    "YAML": lambda pem: "private_key: |\n  " + pem.replace("\n", "\n  "),
}


def private_key(rng: random.Random, pair: KeyMaterial) -> str:
    """Return a private key's text: PKCS #8 or #1, mangled or not."""
    return str(MANGLINGS[rng.choice(sorted(MANGLINGS))](rng.choice((pair.private_key, _pkcs1(pair.private_key)))))


@functools.cache
def _pkcs1(pem: str) -> str:
    key = serialization.load_pem_private_key(pem.encode(), None)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def certificate(rng: random.Random, pair: KeyMaterial) -> str:
    """Return a certificate's text; it may have the key in it, before it or after it, or be the key."""
    mangled = MANGLINGS[rng.choice(sorted(set(MANGLINGS) - {"UTF-16"}))]
    return str(
        rng.choice(
            (
                pair.certificate,
                mangled(pair.certificate),
                pair.certificate + pair.private_key,
                pair.private_key + pair.certificate,
                pair.certificate + mangled(pair.private_key),
                mangled(pair.certificate + pair.private_key),
                pair.private_key,
                mangled(pair.private_key),
            )
        )
    )


def any_key(rng: random.Random, pairs: list[KeyMaterial]) -> dict[str, str]:
    """Return fields for `import`: a pair, or two halves that do not belong together, in the right fields or in others."""
    pair = rng.choice(pairs)
    other = pair if rng.random() < 0.8 else rng.choice(pairs)
    fields = {"private_key": private_key(rng, pair), "certificate": certificate(rng, other)}
    if rng.random() < 0.3:
        fields["client_id"] = rng.choice((DEFAULT_CONSUMER_KEY, "3MVG9.other", private_key(rng, pair), pair.certificate))
    if rng.random() < 0.1:
        fields = {"private_key": fields["certificate"], "certificate": fields["private_key"]}
    return fields


def any_secret(rng: random.Random, pairs: list[KeyMaterial]) -> str:
    """Return the text of a secret: JSON or not, with a key in it that is usable or not."""
    fields: dict[str, Any] = {"client_id": DEFAULT_CONSUMER_KEY, **any_key(rng, pairs)}
    if rng.random() < 0.5:
        del fields["certificate"]
    text = json.dumps(fields)
    return rng.choice(
        (
            text,
            text,
            text,
            str(fields["private_key"]) or " ",
            text[: len(text) // 2],
            json.dumps(text),
            json.dumps([fields]),
            json.dumps({"SecretString": text}),
            json.dumps(fields | {"private_key": {"pem": fields["private_key"]}}),
            json.dumps(fields | {fields["private_key"]: "x"}),
            json.dumps(fields | {"note": fields["private_key"]}),
            json.dumps(fields | {"sealing_key": fields["private_key"], "kms_key_arn": fields["private_key"]}),
            "{}",
        )
    )
