"""The shapes that a secret can have in a text or in bytes: what to search for.

Only the secret part of each: of a private key what its certificate does not tell, of an opaque token what follows the org's id,
of a JWT its signature. White space and escapes are the search's business (see `search`).
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

MIN_FRAGMENT = 16
"""Characters or bytes: any part of a shape that is at least so long is a finding."""

_LINE_ENDS = {"LF": "\n", "CRLF": "\r\n", "an escaped LF": "\\n", "none": ""}

_PEM_LINE = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of a secret of that kind."""

    secret: str
    name: str
    content: bytes = field(repr=False)


def of_private_key(key: RSAPrivateKey) -> Iterator[Shape]:
    """Yield the shapes of a private key: DER, PEM, numbers, and their encodings."""
    numbers = key.private_numbers()
    secret = {"d": numbers.d, "p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    first = numbers.d.to_bytes((numbers.d.bit_length() + 7) // 8)
    for name, number in secret.items():
        yield Shape("private key", f"number {name}", str(number).encode())
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        der = key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
        begin = der.index(first)
        if form is serialization.PrivateFormat.PKCS8:
            # The other form's tail is the same.
            yield from _of_bytes("private key", "DER", der[begin:])
        body = base64.b64encode(der).decode()[begin * 4 // 3 :]
        lines = [body[at : at + _PEM_LINE] for at in range((-(begin * 4 // 3)) % _PEM_LINE, len(body), _PEM_LINE)]
        for name, end in _LINE_ENDS.items():
            yield from _base64("private key", f"PEM, line end {name}", end.join(lines).encode())
        yield Shape("private key", "PEM reversed", body[::-1].encode())


def of_token(value: str) -> Iterator[Shape]:
    """Yield the shapes of an access token."""
    yield from _of_text("access token", "token", value.rpartition("!" if "!" in value else ".")[2])


def of_assertion(value: str) -> Iterator[Shape]:
    """Yield the shapes of a signed assertion."""
    yield from _of_text("assertion", "signature", value.rpartition(".")[2])


def of_gateway_token(value: str) -> Iterator[Shape]:
    """Yield the shapes of what API Gateway proves itself with."""
    yield from _of_text("gateway token", "token", value)


def of_sealing_key(key: bytes) -> Iterator[Shape]:
    """Yield the shapes of the key under which tokens are shared."""
    yield from _of_bytes("sealing key", "key", key)


def _of_text(secret: str, name: str, value: str) -> Iterator[Shape]:
    content = value.encode()
    yield Shape(secret, name, content)
    yield Shape(secret, f"{name} reversed", content[::-1])
    yield from _hex(secret, name, content)
    yield from _base64(secret, name, content)


def _of_bytes(secret: str, name: str, content: bytes) -> Iterator[Shape]:
    yield Shape(secret, name, content)
    yield Shape(secret, f"{name} as text", content.decode("latin-1").encode())
    yield from _hex(secret, name, content)
    yield from _base64(secret, name, content)


def _hex(secret: str, name: str, content: bytes) -> Iterator[Shape]:
    for text in (content.hex(), content.hex(":")):
        yield Shape(secret, f"{name} in hex", text.encode())
        yield Shape(secret, f"{name} in hex", text.upper().encode())


def _base64(secret: str, name: str, content: bytes) -> Iterator[Shape]:
    """Yield it in base64 and its variant for URLs, at each of the three places within what may be around it."""
    for start, encode in itertools.product(range(3), (base64.b64encode, base64.urlsafe_b64encode)):
        yield Shape(secret, f"{name} in base64", encode(content[start:]).rstrip(b"="))
