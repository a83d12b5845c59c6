"""A server before another one, on loopback: passes requests on, and misbehaves from a given one on."""

from __future__ import annotations

import contextlib
import enum
import http.client
import io
import json
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HEAD_SECONDS = 0.5
"""Between two bytes of a head that drips: no read waits for long."""

BODY_SECONDS = 1.0
"""Between two bytes of a body that drips."""

MAX_FILLERS = 16
"""Connections that fill the backlog; with backlog 0 Linux takes one or two."""


class Misbehaviour(enum.Enum):
    """What a peer can do to a request."""

    REFUSE = "refuses connections"
    BACKLOG = "never accepts: its backlog is full"
    SILENT = "accepts and never answers"
    DRIP_HEAD = "drips the head"
    DRIP_BODY = "drips the body, a byte a second"
    STALL = "stalls after half of the body"
    RESET = "resets the connection"


AT_CONNECT = {Misbehaviour.REFUSE, Misbehaviour.BACKLOG}


@dataclass(frozen=True, slots=True)
class Trigger:
    """The requests that are hit: those of an operation, but for the first `skip`.

    What happens at the connection cannot wait for the request: it begins when `after` has been answered, or at once.
    """

    operation: str
    after: str = ""
    skip: int = 0


class FaultyPeer:
    """Listens while the `with` block lasts; `misbehaviour` None passes everything on."""

    def __init__(self, backend: str, misbehaviour: Misbehaviour | None = None, trigger: Trigger | None = None) -> None:
        """`backend` is an origin; in its answers it is replaced by the peer's own."""
        self._backend = backend
        self._misbehaviour = misbehaviour
        self._trigger = trigger
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._over = threading.Event()
        self._unreachable = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._seen = 0
        self.hit = False

    def __enter__(self) -> Self:
        if self._misbehaviour in AT_CONNECT and self._trigger and not self._trigger.after:
            self._become_unreachable()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._listener.close()
        with self._lock:
            for connection in self._open:
                connection.close()

    def _accept(self) -> None:
        while not self._unreachable.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _become_unreachable(self) -> None:
        """Stop accepting; end every connection that is idle, so that the next request needs a new one."""
        self.hit = True
        self._unreachable.set()
        if self._misbehaviour is Misbehaviour.REFUSE:
            # A thread that is in accept keeps a closed listener listening.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            return
        self._listener.listen(0)
        for _ in range(MAX_FILLERS):
            filler = socket.socket()
            filler.settimeout(0.2)
            with self._lock:
                self._open.add(filler)
            try:
                filler.connect(self._listener.getsockname())
            except TimeoutError:
                return

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException), connection.makefile("rb") as reader:
            while head := _head(reader):
                method, path, headers = head
                body = reader.read(int(headers.get("content-length", 0)))
                operation = _operation(method, path, headers, body)
                if self._is_hit(operation):
                    self.hit = True
                    self._misbehave(connection, *self._forward(method, path, headers, body))
                    return
                last = self._misbehaviour in AT_CONNECT and self._trigger is not None and operation == self._trigger.after
                if last:
                    self._become_unreachable()
                connection.sendall(b"".join(self._forward(method, path, headers, body, close=last)))
                if last:
                    break
        connection.close()

    def _is_hit(self, operation: str) -> bool:
        if self._misbehaviour in AT_CONNECT or self._trigger is None or operation != self._trigger.operation:
            return False
        with self._lock:
            self._seen += 1
            return self._seen > self._trigger.skip

    def _forward(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, close: bool = False
    ) -> tuple[bytes, bytes]:
        """Pass a request on; return head and body of the answer."""
        there = http.client.HTTPConnection(urlsplit(self._backend).netloc, timeout=30)
        with contextlib.closing(there):
            there.request(method, path, body, {name: value for name, value in headers.items() if name != "host"})
            answer = there.getresponse()
            content = answer.read().replace(self._backend.encode(), self.url.encode())
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        kept |= {"Content-Length": str(len(content))} | ({"Connection": "close"} if close else {})
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in kept.items()), "", ""]
        return "\r\n".join(lines).encode(), content

    def _misbehave(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        match self._misbehaviour:
            case Misbehaviour.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            case Misbehaviour.DRIP_HEAD:
                self._drip(connection, head, HEAD_SECONDS)
            case Misbehaviour.DRIP_BODY:
                connection.sendall(head)
                self._drip(connection, body, BODY_SECONDS)
            case Misbehaviour.STALL:
                connection.sendall(head + body[: len(body) // 2])
            case _:
                pass
        self._over.wait()

    def _drip(self, connection: socket.socket, data: bytes, seconds: float) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            if self._over.wait(seconds):
                return


_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive"}


def _head(reader: io.BufferedReader) -> tuple[str, str, dict[str, str]] | None:
    """Read the request line and the headers; None at the end of the connection."""
    line = reader.readline().decode()
    if not line.strip():
        return None
    method, path, _ = line.split(" ", 2)
    headers: dict[str, str] = {}
    while text := reader.readline().decode().strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    return method, path, headers


def _operation(method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
    """Name what is asked for: AWS's operation (a parameter's kind with it), else method and path up to the second slash."""
    target = headers.get("x-amz-target", "").rpartition(".")[2]
    if target == "PutParameter":
        return f"{target} {json.loads(body).get('Type')}"
    return target or f"{method} /{urlsplit(path).path.split('/')[1]}"
