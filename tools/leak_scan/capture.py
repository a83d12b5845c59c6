"""Collects what leaves the functions, by sink, and learns every secret of the run where it comes into being.

Nothing of the functions' own code is replaced: standard streams and loggers are caught, the calls of boto3 and the bytes on
HTTP connections are copied on their way.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import logging
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import jwt.api_jws
from botocore.client import BaseClient
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import aead

from leak_scan import allowed, shapes
from leak_scan.search import Index
from leak_scan.streams import Stream, caught, root_at_debug
from salesforce_broker import observability
from salesforce_broker.tokens import envelope

SINKS = (
    "stdout",
    "stderr",
    "log",
    "library logs",
    "metrics",
    "answer",
    "exception",
    "event",
    "parameter",
    "other call of AWS",
    "request to Salesforce",
    "upload",
    "file",
)

OPERATIONS = {"PutEvents": "event", "PutParameter": "parameter"}
"""The sinks of AWS calls."""

AwsHook = Callable[[str, str, dict[str, Any]], Any]
"""(service, operation, parameters) -> an answer in AWS's place, or None."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one request left in one sink."""

    sink: str
    request: str
    data: bytes = field(repr=False)


class Capture:
    """Everything that leaves while the `with` block lasts; `request` names the one that is running."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.index = Index()
        self.request = ""
        self.aws: AwsHook = lambda *_: None
        self.on = False
        self._streams: dict[str, Stream] = {}
        self._log, self._library_logs = io.StringIO(), io.StringIO()

    @property
    def bytes_by_sink(self) -> Counter[str]:
        """Count what was collected."""
        sizes = Counter(dict.fromkeys(SINKS, 0))
        for entry in self.entries:
            sizes[entry.sink] += len(entry.data)
        return sizes

    def add(self, sink: str, data: bytes | str) -> None:
        """Collect something."""
        assert sink in SINKS, sink
        if data:
            content = data if isinstance(data, bytes) else data.encode(errors="surrogatepass")
            self.entries.append(Entry(sink, self.request, content))

    def add_exception(self, error: BaseException) -> None:
        """Collect what can be read off an exception: text, repr and fields of it and of its causes, shown or not."""
        self.add("exception", "".join(traceback.format_exception(error)))
        seen: list[BaseException] = []
        following: list[BaseException | None] = [error]
        while following:
            one = following.pop()
            if one is None or one in seen:
                continue
            seen.append(one)
            following += [one.__cause__, None if one.__suppress_context__ else one.__context__]
            self.add("exception", f"{one}\n{one!r}\n{one.args!r}\n{getattr(one, '__dict__', {})!r}")

    def learn_token(self, value: str) -> None:
        """Search for an access token from now on."""
        self.index.add(shapes.of_token(value))

    def learn_key(self, key: rsa.RSAPrivateKey) -> None:
        """Search for a private key from now on."""
        self.index.add(shapes.of_private_key(key))

    @contextlib.contextmanager
    def running(self, request: str) -> Iterator[None]:
        """Collect while one request runs."""
        self.request, self.on = request, True
        try:
            yield
        finally:
            self.on = False
            self.flush()

    @contextlib.contextmanager
    def everything(self) -> Iterator[None]:
        """Catch streams, loggers, calls and new secrets."""
        handler = observability.logger.registered_handler
        assert isinstance(handler, logging.StreamHandler)
        with contextlib.ExitStack() as stack:
            for number, name in ((1, "stdout"), (2, "stderr")):
                stack.enter_context(caught(number, name, self._streams))
            level = observability.logger.log_level
            stack.callback(handler.setStream, handler.setStream(self._log))
            stack.callback(observability.logger.setLevel, level)
            observability.logger.setLevel(logging.DEBUG)
            stack.enter_context(root_at_debug(self._library_logs))
            stack.enter_context(self.hooks())
            yield

    def flush(self) -> None:
        """Take what the streams and loggers have got since."""
        for name, stream in self._streams.items():
            getattr(sys, name).flush()
            written = stream.read()
            lines = written.splitlines(keepends=True)
            metrics = [line for line in lines if line.startswith(b'{"_aws"')]
            self.add("metrics", b"".join(metrics))
            self.add(name, b"".join(line for line in lines if line not in metrics))
        for sink, text in (("log", self._log), ("library logs", self._library_logs)):
            self.add(sink, text.getvalue())
            text.seek(0)
            text.truncate()

    def add_files(self, folder: Path) -> None:
        """Collect the names and contents of all files below a folder, and remove them."""
        for path in sorted(folder.rglob("*")):
            self.add("file", str(path.relative_to(folder)))
            if path.is_file():
                self.add("file", path.read_bytes())
                path.unlink()

    @contextlib.contextmanager
    def hooks(self) -> Iterator[None]:
        """Copy what goes to AWS and to Salesforce while a request runs, and learn every secret that is made or verified."""
        client: Any = BaseClient  # its types leave out the one method through which all calls pass
        call, send = client._make_api_call, http.client.HTTPConnection.send  # noqa: SLF001  the one place where all calls pass
        encode, decode = jwt.api_jws.PyJWS.encode, jwt.api_jws.PyJWS.decode_complete
        generate, sealing = rsa.generate_private_key, aead.AESGCM

        def noted_call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            if not self.on:
                return call(client, operation, parameters)
            service = client.meta.service_model.service_name
            self.add(
                OPERATIONS.get(operation, "other call of AWS"),
                json.dumps([service, operation, allowed.in_aws_call(operation, parameters)], default=repr),
            )
            answer = self.aws(service, operation, parameters)
            return call(client, operation, parameters) if answer is None else answer

        def noted_send(connection: Any, data: Any) -> None:
            if self.on and isinstance(data, bytes):
                for sink, content in allowed.in_http_request(data):
                    self.add(sink, content)
            send(connection, data)

        def noted_encode(jws: Any, *arguments: Any, **rest: Any) -> str:
            token = encode(jws, *arguments, **rest)
            self.index.add(shapes.of_assertion(token))
            return token

        def noted_decode(jws: Any, token: Any, *arguments: Any, **rest: Any) -> Any:
            self.index.add(shapes.of_assertion(token if isinstance(token, str) else token.decode()))
            return decode(jws, token, *arguments, **rest)

        def noted_generate(*arguments: Any, **rest: Any) -> rsa.RSAPrivateKey:
            key = generate(*arguments, **rest)
            self.learn_key(key)
            return key

        def noted_sealing(key: bytes) -> Any:
            self.index.add(shapes.of_sealing_key(key))
            return sealing(key)

        with (
            mock.patch.object(client, "_make_api_call", noted_call),
            mock.patch.object(http.client.HTTPConnection, "send", noted_send),
            mock.patch.object(jwt.api_jws.PyJWS, "encode", noted_encode),
            mock.patch.object(jwt.api_jws.PyJWS, "decode_complete", noted_decode),
            mock.patch.object(rsa, "generate_private_key", noted_generate),
            mock.patch.object(envelope, "AESGCM", noted_sealing),
        ):
            yield
