"""The HTTP side: one listening socket for each site, a thread for each connection, and faults as they look on a socket."""

from __future__ import annotations

import contextlib
import email.utils
import itertools
import selectors
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local_salesforce.faults import Fault
from local_salesforce.wire import Answer, Request, Site

WAITING_CONNECTIONS = 128
"""The backlog: a whole fleet may connect at once."""

MAX_BODY_BYTES = 50_000_000
"""Salesforce takes 50 MB at most; a deployment is the largest request."""

Respond = Callable[[Request], tuple[Answer, Fault]]


class BadRequest(Exception):
    """A request whose body cannot be read; the text is the answer's."""


class HttpServer:
    """Listens on an address for each site and passes each request to `respond`; `now` dates the answers."""

    def __init__(self, respond: Respond, now: Callable[[], float], *, host: str, context: ssl.SSLContext | None) -> None:
        self.respond = respond
        self.now = now
        self.connections = itertools.count(1)
        self._host = host
        self._context = context
        self._listeners: list[_Listener] = []
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def listen(self, port: int = 0) -> tuple[int, Callable[[Site], None]]:
        """Open a listening socket; return its port, and the function that begins to serve a site on it."""
        listener = _Listener((self._host, port), self, self._context)
        self._listeners.append(listener)

        def serve(site: Site) -> None:
            listener.site = site
            self._selector.register(listener, selectors.EVENT_READ)
            self._wake.send(b"+")

        return listener.server_port, serve

    def start(self) -> None:
        """Begin to accept connections."""
        self._thread.start()

    def stop(self) -> None:
        """Close the listening sockets."""
        if self._thread.is_alive():
            self._wake.send(b".")
            self._thread.join()
        for listener in self._listeners:
            listener.server_close()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _accept(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    if b"." in self._woken.recv(WAITING_CONNECTIONS):
                        return
                else:
                    assert isinstance(key.fileobj, _Listener)
                    key.fileobj.handle_request()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = WAITING_CONNECTIONS
    timeout = 0
    site: Site

    def __init__(self, address: tuple[str, int], server: HttpServer, context: ssl.SSLContext | None) -> None:
        super().__init__(address, _Handler)
        self.owner = server
        if context:
            # The connection's own thread does the handshake, or one slow client would keep all others out.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show a defect, but not that a client hung up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self._number = next(self.server.owner.connections)

    def _serve(self) -> None:
        try:
            body = self._body()
        except BadRequest as error:
            self.close_connection = True
            self._send(Answer.text(str(error), HTTPStatus.BAD_REQUEST), Fault())
            return
        parts = urlsplit(self.path)
        request = Request(
            site=self.server.site,
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            address=str(self.client_address[0]),
            connection=self._number,
        )
        answer, fault = self.server.owner.respond(request)
        time.sleep(fault.delay_seconds)
        with contextlib.suppress(OSError):
            self._send(answer, fault)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815  http.server's names

    def _body(self) -> bytes:
        try:
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                return self._chunks()
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            raise BadRequest("Bad Message 400\nreason: Bad Content-Length or chunk") from None
        if not 0 <= length <= MAX_BODY_BYTES:
            raise BadRequest("Bad Message 400\nreason: Bad Content-Length")
        return self.rfile.read(length)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            if size < 0 or len(body) + size > MAX_BODY_BYTES:
                raise ValueError(size)
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def _send(self, answer: Answer, fault: Fault) -> None:
        """Send an answer, as far and as fast as the fault allows."""
        body = b"" if self.command == "HEAD" else answer.body
        head = self._head(answer, fault)
        if fault.reset:
            pieces = {
                "before_head": b"",
                "in_head": head[: len(head) // 2],
                "before_body": head,
                "in_body": head + body[: len(body) // 2],
            }
            self.wfile.write(pieces[fault.reset])
            self._reset()
        elif fault.truncated:
            self.wfile.write(head + body[: len(body) // 2])
            self.close_connection = True
        elif fault.drip:
            self.wfile.write(b"" if fault.drip == "head" else head)
            for place, byte in enumerate(head if fault.drip == "head" else body):
                time.sleep(fault.drip_seconds if place else 0)
                self.wfile.write(bytes([byte]))
            self.wfile.write(body if fault.drip == "head" else b"")
        else:
            # In one write: two would wait for each other's acknowledgement.
            self.wfile.write(head + body)
        if fault.length_off_by:
            self.close_connection = True

    def _head(self, answer: Answer, fault: Fault) -> bytes:
        date = email.utils.formatdate(self.server.owner.now() + fault.clock_off_by, usegmt=True)
        headers = {"Date": date, "Content-Type": answer.content_type}
        if answer.status != HTTPStatus.NO_CONTENT:
            headers["Content-Length"] = str(max(len(answer.body) + fault.length_off_by, 0))
        lines = [f"HTTP/1.1 {int(answer.status)} {responses.get(answer.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in (headers | answer.headers).items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def _reset(self) -> None:
        """Close the connection with a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing: there is the journal."""
