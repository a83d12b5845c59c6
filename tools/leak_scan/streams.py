"""Standard streams and the root logger, caught while a scan runs."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import IO
from unittest import mock

STAND_INS = ("moto", "responses", "werkzeug")
"""Loggers of what plays AWS here: no part of the product, and they print what they are sent."""


class Stream:
    """A file that is written to, read from where the last reading ended."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0

    def read(self) -> bytes:
        """Return what is new."""
        new = os.pread(self._file.fileno(), os.fstat(self._file.fileno()).st_size - self._at, self._at)
        self._at += len(new)
        return new


@contextlib.contextmanager
def caught(number: int, name: str, streams: dict[str, Stream]) -> Iterator[None]:
    """Send a standard stream into a file: by its number and by its name, which under pytest are two ways.

    It is in `streams` meanwhile.
    """
    with tempfile.TemporaryFile("w+b") as file, os.fdopen(os.dup(number), "w") as before:
        os.dup2(file.fileno(), number)
        writer = io.TextIOWrapper(io.FileIO(number, "w", closefd=False), errors="backslashreplace", write_through=True)
        streams[name] = Stream(file)
        try:
            with mock.patch.object(sys, name, writer):
                yield
        finally:
            os.dup2(before.fileno(), number)
            del streams[name]


@contextlib.contextmanager
def root_at_debug(written: io.StringIO) -> Iterator[None]:
    """Write what any library logs, at any level, that reaches the root logger."""
    handler, root = logging.StreamHandler(written), logging.getLogger()
    handler.addFilter(lambda record: not record.name.startswith(STAND_INS))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
