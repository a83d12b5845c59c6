"""What files, editors, shells and consoles make of a text, undone: encodings, marks, quotes; and what is no key text at all."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, TypeVar

from salesforce_broker.keys import der
from salesforce_broker.keys.refusals import Kind

Parsed = TypeVar("Parsed", str, list[Any])

UTF_16 = "UTF-16"
BYTE_ORDER_MARK = "byte order mark"
TYPOGRAPHY = "typographic characters"
QUOTES = "quotes around the text"
BASE64 = "base64 of the text"
NO_MARKS = "no header and footer"
BINARY = "DER"
URL_ENCODED = "URL-encoded"

_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"\xef\xbb\xbf": "utf-8"}
_MISREAD_MARKS = "\ufeff\ufffe\ufffdÿþï»¿"

_TYPED = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
        **dict.fromkeys("\u00a0\u2007\u202f", " "),
        **dict.fromkeys("\u2014\u2015", "--"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2018\u2019\u201a", "'"),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\u00ad\ufeff"),
    }
)
"""What word processors and chats put in place of ASCII."""

_QUOTES = "\"'`"
_MAX_QUOTES = 4
"""Pairs around a text: three of a code block, and one."""

_URL_ENCODED = re.compile(r"%(?:0A|0D|2B|2F|3D|20)", re.IGNORECASE)

_BETWEEN_BASE64 = re.compile(r"[\s\\\"',]+")
_FROM_URL_SAFE = str.maketrans("-_", "+/")
_ESCAPED_LINE_END = re.compile(r"\\{1,4}[nrt]")

_MIN_BASE64 = 64
"""Characters: what is shorter is no key, and any word would do as base64."""

_BASE64_OF_TEXT = (b"LS0t", b"eyJ", b"ewo", b"MII")
"""Where base64 of a PEM, of JSON or of DER begins."""

_PUBLIC_LINE = re.compile(r"(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S{1,20}|sk-\S{1,40}) AAAA")
_ARN = re.compile(r"arn:aws[a-z-]{0,10}:\S{1,2048}")
_PATH = re.compile(
    r"(?:fileb?:.{1,1024}|(?:/|~/|\.{1,2}/|[A-Z]:\\|\\\\).{1,1024}|.{1,1024}\.(?:key|pem|crt|cer|der|p12|pfx|jks|ppk|json|txt))",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"<[^<>]{0,200}>|\$\{?.{0,200}|\{\{.{0,200}|%.{0,200}%|\[.{0,200}\]|\.{3,}|…|x+|\*+|-+"
    r"|change.{0,20}|to-?do|tbd|fix-?me|placeholder|example|dummy|secret|none|null|undefined|nil|n/a|test|string"
    r"|.{0,40}\b(?:your|paste|insert|replace)\b.{0,200}|your.{0,200}",
    re.IGNORECASE,
)


def decode(content: bytes, forms: dict[str, None]) -> str | bytes:
    """Return the text that bytes are, or the bytes themselves if they are none."""
    if der.is_binary(content):
        return content
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            forms[UTF_16 if encoding != "utf-8" else BYTE_ORDER_MARK] = None
            return content[len(mark) :].decode(encoding, errors="replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        # Nothing of a key is beyond ASCII: what comments are written in does not matter.
        return content.decode("latin-1")


def clean(text: str, forms: dict[str, None]) -> str | bytes:
    """Return a text without what editors and shells put around and into it; bytes if it is DER that was read as text."""
    if binary := _misread_binary(text):
        return binary
    if "\0" in text:
        forms[UTF_16] = None
        text = text.replace("\0", "").lstrip(_MISREAD_MARKS)
    elif text.startswith(("\ufeff", "ï»¿")):
        forms[BYTE_ORDER_MARK] = None
        text = text.lstrip(_MISREAD_MARKS)
    if not text.isascii():
        plain = text.translate(_TYPED)
        if plain != text:
            forms[TYPOGRAPHY] = None
            text = plain
    return text.strip()


def unquote(text: str, forms: dict[str, None]) -> str:
    """Return a text without the quotes around it; of a JSON string its value."""
    for _ in range(_MAX_QUOTES):
        if len(text) < 2 or text[0] not in _QUOTES or text[0] != text[-1]:  # noqa: PLR2004  a pair of quotes
            break
        forms[QUOTES] = None
        text = (_json(text, str) or text[1:-1]).strip()
    if text.startswith(('{\\"', "{\\n")):
        forms[QUOTES] = None
        text = _json(f'"{text}"', str) or text
    return text


def url_decode(text: str, forms: dict[str, None]) -> str:
    """Return a text without its percent encoding."""
    if not _URL_ENCODED.search(text):
        return text
    import urllib.parse  # noqa: PLC0415  no key but one in a hundred needs it

    forms[URL_ENCODED] = None
    return urllib.parse.unquote_plus(text) if "BEGIN+" in text else urllib.parse.unquote(text)


def from_base64(text: str) -> bytes | None:
    """Return what a text encodes that is base64 as a whole; None if it is not."""
    characters = _BETWEEN_BASE64.sub("", _ESCAPED_LINE_END.sub("", text)).translate(_FROM_URL_SAFE)
    return decode_base64(characters) if len(characters) >= _MIN_BASE64 else None


def decode_base64(characters: str) -> bytes | None:
    """Decode base64 whose padding, or whose end, may be missing; None if anything else is in it."""
    characters = characters.rstrip("=")
    if len(characters) % 4 == 1:
        characters = characters[:-1]
    try:
        return base64.b64decode(characters + "=" * (-len(characters) % 4), validate=True)
    except ValueError:
        return None


def is_text(data: bytes) -> bool:
    """Tell whether bytes that were base64 are a text in which a key may be."""
    plain = data.replace(b"\0", b"").lstrip(b"\xff\xfe\xef\xbb\xbf \t\r\n\"'")
    return b"BEGIN" in plain or plain.startswith((b"{", *_BASE64_OF_TEXT))


def json_list(text: str) -> list[Any] | None:
    """Parse a list; None if the text is none."""
    return _json(text, list)


def name(text: str) -> Kind:
    """Tell what a text without a PEM block is."""
    if text.startswith("PuTTY-User-Key-File"):
        return Kind.PUTTY
    if "<RSAKeyValue" in text or "<RSAParameters" in text:
        return Kind.XML
    if _PUBLIC_LINE.search(text):
        return Kind.PUBLIC
    if _ARN.fullmatch(text):
        return Kind.ARN
    if _PLACEHOLDER.fullmatch(text):
        return Kind.PLACEHOLDER
    return Kind.PATH if _PATH.fullmatch(text) else Kind.NOTHING


def _misread_binary(text: str) -> bytes | None:
    if text.isascii():
        return None
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        return None
    return data if der.is_binary(data) else None


def _json(text: str, kind: type[Parsed]) -> Parsed | None:
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, kind) else None
