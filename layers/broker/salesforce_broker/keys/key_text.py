r"""Finds what lies in a key text, whatever files, consoles, shells and editors made of it: its layers, peeled off.

Bytes become text, JSON its fields, base64 what it encodes, PEM blocks their content in DER. Nothing is judged here (`pem`
does), and each odd form that is met is noted by its name.

Every regular expression is bounded or has one run only, so that a text of the greatest size is read in linear time.
"""

from __future__ import annotations

import re
from typing import Any

from salesforce_broker.keys import der, secret_fields, text_forms
from salesforce_broker.keys.contents import Block, Contents
from salesforce_broker.keys.refusals import Kind, refuse

MAX_LAYERS = 6
"""A PEM in base64 in JSON in a JSON string has four; more is nobody's mistake."""

_MARK = re.compile(r"-\s{0,4}(BEGIN|END)\s{0,4}([A-Z0-9][A-Z0-9\s]{0,60}?)\s{0,4}-", re.IGNORECASE)
"""One dash is enough on each side: the first and the last are lost where somebody marks a text with the mouse."""

_CLIENT_ID = re.compile(
    r"^[ \t]{0,8}(?:export[ \t]{1,4})?[\"']?\w{0,30}?(?:client[_-]?id|consumer[_-]?key)[\"']?[ \t]{0,4}[:=](.{1,300})$",
    re.IGNORECASE | re.MULTILINE,
)
"""A line beside a PEM, in a file of settings."""

_ENCRYPTED = re.compile(r"Proc-Type\s{0,4}:\s{0,4}4\s{0,4},\s{0,4}ENCRYPTED", re.IGNORECASE)
_LINE_END = re.compile(r"\\{1,4}[nrt]|</?(?:br|p|div|span|pre)\s{0,2}/?>", re.IGNORECASE)
_AROUND_A_LINE = " \t\f\v'\"`,;>|\\"
_CONCATENATED = re.compile(r"[\"'][ \t]{0,8}[+.&][ \t]{0,8}$")
_BASE64_LINE = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_ELLIPSIS = re.compile(r"\.\.|…|<|xxxx", re.IGNORECASE)

_MIN_BLOCK = 48
"""Bytes: no key is shorter; what is, is an example in a comment or a placeholder."""

_LABELS = {
    "ENCRYPTEDPRIVATEKEY": Kind.ENCRYPTED,
    "ECPARAMETERS": Kind.PARAMETERS,
    "DSAPARAMETERS": Kind.PARAMETERS,
    "DHPARAMETERS": Kind.PARAMETERS,
    "SSH2PUBLICKEY": Kind.PUBLIC,
    "SSH2ENCRYPTEDPRIVATEKEY": Kind.ENCRYPTED,
    "PGPPRIVATEKEYBLOCK": Kind.PGP,
    "PGPPUBLICKEYBLOCK": Kind.PGP,
    "PGPMESSAGE": Kind.PGP,
    "PKCS7": Kind.PKCS7,
    "CMS": Kind.PKCS7,
}
"""What they alone tell where the content does not, compared without blanks."""

_UNKNOWN = (Kind.DAMAGED, Kind.TRUNCATED, Kind.OTHER_KEY)


class KeyText(Contents):
    """Finds what lies in one text or several."""

    def add(self, content: object) -> None:
        """Find what lies in the text of a secret or of a private key."""
        self._add(content, self.blocks, MAX_LAYERS)

    def add_certificate(self, content: object) -> None:
        """Find what lies in the text of a certificate."""
        self._add(content, self.beside, MAX_LAYERS)

    def fields(self, content: object) -> dict[str, Any]:
        """Return a secret's fields as they stand there; of a key alone `private_key`."""
        found = self._peel(content, MAX_LAYERS)
        if isinstance(found, dict):
            return {secret_fields.PRIVATE_KEY: found} if secret_fields.is_json_web_key(found) else found
        return {secret_fields.PRIVATE_KEY: found} if found else {}

    def _add(self, content: object, into: list[Block], layers: int) -> None:
        found = self._peel(content, layers)
        if isinstance(found, dict):
            if secret_fields.is_json_web_key(found):
                into.append(Block(Kind.JWK))
            elif layers:
                self._add(found.get(secret_fields.PRIVATE_KEY), into, layers - 1)
                self._add(found.get(secret_fields.CERTIFICATE), self.beside, layers - 1)
                self.client_ids.append(found.get(secret_fields.CLIENT_ID))
        elif isinstance(found, bytes):
            self.forms[text_forms.BINARY] = None
            into.extend(Block(der.kind(each), each) for each in der.split(found))
        elif found:
            self.client_ids.extend(_CLIENT_ID.findall(found))
            blocks = self._pem_blocks(found)
            into.extend(blocks or [Block(text_forms.name(found))])

    def _peel(self, content: object, layers: int) -> str | bytes | dict[str, Any]:
        """Return fields, the text of PEM blocks, or what is binary."""
        if isinstance(content, list):
            content = self._lines(content)
        if isinstance(content, bytes | bytearray | memoryview):
            content = text_forms.decode(bytes(content), self.forms)
        if isinstance(content, str):
            content = text_forms.clean(content, self.forms)
        if isinstance(content, bytes | dict):
            return content
        if not isinstance(content, str):
            return ""
        text = text_forms.unquote(content, self.forms)
        if text.startswith("{") and not text.startswith("{{"):
            return secret_fields.read_json(text, self.forms)
        if text.startswith("[") and (lines := text_forms.json_list(text)) is not None:
            text = self._lines(lines)
        return self._peel_base64(text_forms.url_decode(text, self.forms), layers)

    def _lines(self, lines: list[Any]) -> str:
        if not lines or not all(isinstance(line, str) for line in lines):
            raise refuse("The key text is a JSON list, not an object.", Kind.JSON.cure)
        self.forms["list of lines"] = None
        return "\n".join(lines)

    def _peel_base64(self, text: str, layers: int) -> str | bytes | dict[str, Any]:
        if not layers or _MARK.search(text) or not (data := text_forms.from_base64(text)):
            return text
        if der.is_binary(data):
            self.forms[text_forms.NO_MARKS] = None
            return data
        if not text_forms.is_text(data):
            return text
        self.forms[text_forms.BASE64] = None
        return self._peel(data, layers - 1)

    def _pem_blocks(self, text: str) -> list[Block]:
        found: list[Block] = []
        begun: re.Match[str] | None = None
        last = 0
        for mark in _MARK.finditer(text):
            begins = mark[1].upper() == "BEGIN"
            if begun:
                found += self._block(begun[2], text[last : mark.start()], footer=not begins)
            elif not begins:
                found += self._block(mark[2], text[last : mark.start()], header=False)
            elif text[last : mark.start()].strip("-\\nr \t\r\n"):
                self.forms["text around the block"] = None
            begun, last = (mark if begins else None), mark.end()
        if begun:
            found += self._block(begun[2], text[last:], footer=False)
        elif found and text[last:].strip("-\\nr \t\r\n"):
            self.forms["text around the block"] = None
        return found

    def _block(self, given_label: str, body: str, *, header: bool = True, footer: bool = True) -> list[Block]:
        """Return what a block holds: one thing, or none if the block is an example in a comment."""
        label, body = "".join(given_label.split()).upper(), body.strip("-")
        if _ENCRYPTED.search(body):
            return [Block(Kind.ENCRYPTED)]
        data = text_forms.decode_base64("".join(_base64_lines(body, header=header, footer=footer)))
        if data is None or len(data) < _MIN_BLOCK:
            unread = Kind.PLACEHOLDER if _ELLIPSIS.search(body) or len(body) < _MIN_BLOCK else Kind.DAMAGED
            return [Block(_LABELS.get(label, unread))]
        self._note_forms(body, header=header, footer=footer)
        kind = der.kind(data)
        if kind in _UNKNOWN:
            kind = _LABELS.get(label, kind)
        if kind is Kind.CERTIFICATE and label != "CERTIFICATE":
            self.forms["another label"] = None
        if kind is Kind.RSA and label != ("PRIVATEKEY" if der.is_pkcs8(data) else "RSAPRIVATEKEY"):
            self.forms["another label"] = None
        return [Block(kind, der.split(data)[0])]

    def _note_forms(self, body: str, *, header: bool, footer: bool) -> None:
        odd = {
            "no header": not header,
            "no footer": not footer,
            r"line ends written as \n": "\\n" in body or "\\r" in body,
            "line ends CR LF": "\r\n" in body,
            "line ends CR": "\r" in body.replace("\r\n", ""),
            "one line": not any(end in body.strip() for end in ("\n", "\r", "\\n", "\\r")),
        }
        self.forms.update(dict.fromkeys(form for form, met in odd.items() if met))


def _base64_lines(body: str, *, header: bool, footer: bool) -> list[str]:
    """Return the lines of a block's base64, without headers (RFC 1421) and comments.

    Where the block's end is unknown, as many as are base64 from its beginning; where its beginning is, from its end.
    """
    lines = [_base64_line(line) for line in _LINE_END.sub("\n", body).splitlines()]
    lines = [line for line in lines if line and ":" not in line and not line.startswith("#")]
    if header and footer:
        return lines
    run: list[str] = []
    for line in lines if header else reversed(lines):
        if not _BASE64_LINE.fullmatch(line):
            break
        run.append(line)
    return run if header else run[::-1]


def _base64_line(line: str) -> str:
    return "".join(_CONCATENATED.sub("", line).strip(_AROUND_A_LINE).split())
