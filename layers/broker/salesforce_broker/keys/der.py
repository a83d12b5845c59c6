"""Tells what a binary structure is from its outer parts, before anything parses it whole.

A library says of most things only that it cannot read them, and checks a giant key for minutes. DER: X.690; keys: RFC 5958
(PKCS #8), RFC 8017 (PKCS #1), RFC 5915 (elliptic curves); PKCS #12: RFC 7292.
"""

from __future__ import annotations

from salesforce_broker.keys.refusals import Kind

INTEGER, BIT_STRING, OCTET_STRING, OBJECT_ID, SEQUENCE, CONTEXT_0 = 0x02, 0x03, 0x04, 0x06, 0x30, 0xA0

_LONG_FORM = 0x80
_MAX_LENGTH_OCTETS = 4


_ALGORITHMS = {
    bytes.fromhex("2a864886f70d010101"): Kind.RSA,
    bytes.fromhex("2a864886f70d01010a"): Kind.RSA_PSS,
    bytes.fromhex("2a8648ce3d0201"): Kind.EC,
    bytes.fromhex("2a8648ce380401"): Kind.DSA,
    bytes.fromhex("2b6570"): Kind.ED25519,
}

_INTEGERS = {2: Kind.PUBLIC, 6: Kind.DSA, 9: Kind.RSA}
"""By how many there are; an RSA key of several primes has more than nine."""

_BEGINNINGS = (
    ([INTEGER, SEQUENCE], Kind.PKCS12),
    ([INTEGER, OCTET_STRING], Kind.EC),
    ([SEQUENCE, OCTET_STRING], Kind.ENCRYPTED),
    ([SEQUENCE, BIT_STRING], Kind.PUBLIC),
    ([OBJECT_ID, CONTEXT_0], Kind.PKCS7),
)

_KEYSTORES = (bytes.fromhex("feedfeed"), bytes.fromhex("cececece"))
"""Of JKS and JCEKS."""

_BER_PKCS12 = bytes.fromhex("30800201033080")
"""Without lengths (BER), as some tools write PKCS #12."""

_OPENSSH = b"openssh-key-v1\0"
_OPENSSH_TYPES = {b"ssh-ed25519": Kind.ED25519, b"ssh-dss": Kind.DSA}

Parts = list[tuple[int, bytes]]


class Truncated(ValueError):
    """A length says more than there is."""


def is_binary(data: bytes) -> bool:
    """Tell whether bytes begin as DER or as a keystore, which no text does."""
    return data.startswith((*_KEYSTORES, _OPENSSH)) or (
        data[:1] == b"\x30" and len(data) > 1 and (data[1] >= _LONG_FORM or data[1] == len(data) - 2)
    )


def split(data: bytes) -> list[bytes]:
    """Return the structures that lie one after another; what is not whole, or no structure, as it is."""
    found: list[bytes] = []
    while data[:1] == bytes([SEQUENCE]):
        try:
            _, end = _bounds(data, 0)
        except ValueError:
            break
        found.append(data[:end])
        data = data[end:]
    return found or [data]


def kind(data: bytes) -> Kind:
    """Tell what a structure is."""
    if data.startswith(_KEYSTORES):
        return Kind.KEYSTORE
    if data.startswith(_BER_PKCS12):
        return Kind.PKCS12
    if data.startswith(_OPENSSH):
        return _openssh_kind(data)
    try:
        return _sequence_kind(_sequence(data))
    except Truncated:
        return Kind.TRUNCATED
    except ValueError:
        return Kind.DAMAGED


def is_pkcs8(data: bytes) -> bool:
    """Tell whether an RSA private key has its algorithm beside it (PKCS #8), or is one of PKCS #1."""
    return _sequence(data)[1][0] == SEQUENCE


def rsa_numbers(data: bytes, found: Kind) -> tuple[int, int]:
    """Return bits of the modulus and the exponent of an RSA private key; ValueError if a number is longer than the modulus.

    Checking a key takes the longer the longer its numbers are, whatever its modulus says.
    """
    if found is Kind.RSA_OPENSSH:
        public, private = _openssh_fields(data)
        modulus, exponent, *others = [public[2], public[1], *private[1:7]]
    else:
        parts = _sequence(data)
        if parts[1][0] == SEQUENCE:
            parts = _sequence(parts[2][1])
        modulus, exponent, *others = [content for tag, content in parts[1:] if tag == INTEGER]
    if any(len(number) > len(modulus) for number in (exponent, *others)):
        raise ValueError
    return int.from_bytes(modulus).bit_length(), int.from_bytes(exponent)


def _sequence_kind(parts: Parts) -> Kind:
    tags = [tag for tag, _ in parts]
    if tags[:3] == [INTEGER, SEQUENCE, OCTET_STRING]:
        return _ALGORITHMS.get(_object_id(parts[1][1]), Kind.OTHER_KEY)
    if tags == [SEQUENCE, SEQUENCE, BIT_STRING]:
        return _signed_kind(_parts(parts[0][1]))
    if set(tags[:9]) == {INTEGER}:
        return _INTEGERS.get(len(tags[:9]), Kind.DAMAGED)
    return next((kind for begin, kind in _BEGINNINGS if tags[: len(begin)] == begin), Kind.DAMAGED)


def _signed_kind(parts: Parts) -> Kind:
    """Tell a certificate from a request for one: a certificate has a validity between two names."""
    tags = [tag for tag, _ in parts]
    if tags[:1] == [CONTEXT_0] or tags[:6] == [INTEGER, *[SEQUENCE] * 5]:
        return Kind.CERTIFICATE
    return Kind.REQUEST if tags[:3] == [INTEGER, SEQUENCE, SEQUENCE] else Kind.DAMAGED


def _openssh_kind(data: bytes) -> Kind:
    try:
        if _string(data, len(_OPENSSH))[0] != b"none":
            return Kind.ENCRYPTED_OPENSSH
        key_type = _openssh_fields(data)[0][0]
    except (ValueError, IndexError):
        return Kind.TRUNCATED
    if key_type == b"ssh-rsa":
        return Kind.RSA_OPENSSH
    return Kind.EC if key_type.startswith(b"ecdsa-") else _OPENSSH_TYPES.get(key_type, Kind.OTHER_KEY)


def _openssh_fields(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the fields of the public and of the private half (OpenSSH's PROTOCOL.key), the type of the key first."""
    at = len(_OPENSSH)
    for _ in ("cipher", "key derivation", "its options"):
        _, at = _string(data, at)
    public, at = _string(data, at + 4)
    private, _ = _string(data, at)
    return _strings(public), _strings(private[8:])


def _strings(data: bytes) -> list[bytes]:
    """Return strings that lie one after another, up to padding."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        try:
            field, at = _string(data, at)
        except Truncated:
            break
        found.append(field)
    return found


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 4 + int.from_bytes(data[at : at + 4])
    if at + 4 > len(data) or end > len(data):
        raise Truncated
    return data[at + 4 : end], end


def _object_id(content: bytes) -> bytes:
    parts = _parts(content)
    return parts[0][1] if parts and parts[0][0] == OBJECT_ID else b""


def _sequence(data: bytes) -> Parts:
    if data[:1] != bytes([SEQUENCE]):
        raise ValueError
    begin, end = _bounds(data, 0)
    return _parts(data[begin:end])


def _parts(content: bytes) -> Parts:
    found, at = [], 0
    while at < len(content):
        begin, end = _bounds(content, at)
        found.append((content[at], content[begin:end]))
        at = end
    return found


def _bounds(data: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the value at `at` begins and ends."""
    if at + 2 > len(data):
        raise Truncated
    length, begin = data[at + 1], at + 2
    if length >= _LONG_FORM:
        octets = length - _LONG_FORM
        if not 0 < octets <= _MAX_LENGTH_OCTETS:
            raise ValueError
        length, begin = int.from_bytes(data[begin : begin + octets]), begin + octets
    if begin + length > len(data):
        raise Truncated
    return begin, begin + length
