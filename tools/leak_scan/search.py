"""Finds any fragment of any shape in any amount of text: an index of short pieces of the shapes, looked up along the text.

A piece of GRAM bytes at every STEP-th place of a shape is in the index; whatever has MIN_FRAGMENT bytes in common with the
shape contains one of them whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from leak_scan.shapes import MIN_FRAGMENT, Shape

GRAM = 8
STEP = MIN_FRAGMENT - GRAM + 1

MAX_ROUNDS = 3
"""Of unescaping: a JSON text in a JSON text in a log line of JSON."""

_RUN = re.compile(rb"[A-Za-z0-9+/=_.!:~-]{%d,}" % MIN_FRAGMENT)
"""Where a secret in the form of text can be: no word is that long."""

_NOT_TEXT = re.compile(rb"[^\t\n\r -~]")

_ESCAPE = re.compile(rb"\\+(?:u00([0-9a-fA-F]{2})|x([0-9a-fA-F]{2})|([nrt])|([\"'/]))|%([0-9a-fA-F]{2})")

_MARKERS = {
    re.compile(rb"eyJ(?:hbGciOi|0eXAiOi|raWQiOi)"): Shape("JWT", "beginning of its header", b""),
    re.compile(rb"BEGIN[ +](?:RSA |EC |ENCRYPTED |OPENSSH )?PRIVATE"): Shape("private key", "first line of PEM", b""),
    re.compile(rb"LS0tLS1CRUdJTiB(?:QUklWQVRF|SU0EgUFJJVkFUR)"): Shape("private key", "base64 of PEM", b""),
}
"""What gives a secret away that nobody has recorded."""


@dataclass(frozen=True, slots=True)
class Found:
    """A shape of which `length` bytes were found; 0 for a marker."""

    shape: Shape
    length: int


class Index:
    """The shapes of all secrets of a run."""

    def __init__(self) -> None:
        self._shapes: list[Shape] = []
        self._known: set[bytes] = set()
        self._grams: dict[bytes, int] = {}
        self._others: dict[bytes, list[int]] = {}

    def __len__(self) -> int:
        return len(self._shapes)

    def add(self, shapes: Iterable[Shape]) -> None:
        """Search for these, too."""
        for shape in shapes:
            if shape.content in self._known or len(shape.content) < MIN_FRAGMENT:
                continue
            self._known.add(shape.content)
            number = len(self._shapes)
            self._shapes.append(shape)
            for at in range(0, len(shape.content) - GRAM + 1, STEP):
                gram = shape.content[at : at + GRAM]
                if self._grams.setdefault(gram, number) != number:
                    self._others.setdefault(gram, []).append(number)

    def find(self, data: bytes) -> list[Found]:
        """Return what is in there: each shape once, with its longest fragment."""
        found: dict[Shape, int] = {}
        for view in views(data):
            for pattern, shape in _MARKERS.items():
                if pattern.search(view):
                    found.setdefault(shape, 0)
            runs: Iterable[bytes] = _RUN.findall(view)
            if _NOT_TEXT.search(view):
                runs = [*runs, view]
            for run in runs:
                for shape, length in self._find_in(run):
                    found[shape] = max(found.get(shape, 0), length)
        return [Found(shape, length) for shape, length in found.items()]

    def _find_in(self, run: bytes) -> Iterator[tuple[Shape, int]]:
        grams = self._grams
        end = 0
        for at in [at for at in range(len(run) - GRAM + 1) if run[at : at + GRAM] in grams]:
            if at + GRAM <= end:
                # Within what was found last: a further shape of it tells nothing more.
                continue
            gram = run[at : at + GRAM]
            for number in (grams[gram], *self._others.get(gram, ())):
                shape = self._shapes[number]
                before, after = _common(run, at, shape.content, shape.content.index(gram))
                if before + after >= MIN_FRAGMENT:
                    end = max(end, at + after)
                    yield shape, before + after


def views(data: bytes) -> Iterator[bytes]:
    """Yield the data as they are and, if there are escapes of JSON, of Python or of URLs in them, without those."""
    yield data
    for _ in range(MAX_ROUNDS):
        plain = _ESCAPE.sub(_character, data)
        if plain == data:
            return
        yield plain
        data = plain


def _character(escape: re.Match[bytes]) -> bytes:
    in_json, in_python, white, itself, in_url = escape.groups()
    if code := in_json or in_python or in_url:
        return bytes([int(code, 16)])
    return b"\n" if white else bytes(itself)


def _common(run: bytes, at: int, content: bytes, begin: int) -> tuple[int, int]:
    """Return how many bytes before and after two places are equal."""
    left = 0
    while left < min(at, begin) and run[at - left - 1] == content[begin - left - 1]:
        left += 1
    right = 0
    while right < min(len(run) - at, len(content) - begin) and run[at + right] == content[begin + right]:
        right += 1
    return left, right
