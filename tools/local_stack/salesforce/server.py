"""The HTTP side: an address for each org and login host, the way from a request to its endpoint, and a journal of both.

Owns sockets and how a fault looks on them. Does not decide about logins (see `token_endpoint`). Keeps no token, assertion or
query in the journal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import itertools
import socket
import ssl
import struct
import sys
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import trustme

from local_stack.salesforce import admin
from local_stack.salesforce.certificates import Certificates
from local_stack.salesforce.clock import MovableClock
from local_stack.salesforce.data_api import DataApi
from local_stack.salesforce.faults import Fault, Faults
from local_stack.salesforce.metadata_api import MetadataApi
from local_stack.salesforce.oauth import TOKEN_PATH, OAuth
from local_stack.salesforce.records import Records
from local_stack.salesforce.sessions import Sessions
from local_stack.salesforce.token_endpoint import TokenEndpoint
from local_stack.salesforce.wire import Answer, Request, Site
from local_stack.salesforce.world import User, World

POLL_SECONDS = 0.02
"""How soon a server notices that it is to end."""

WAITING_CONNECTIONS = 128
"""A fleet may come at once."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, as far as it may be remembered."""

    site: str
    method: str
    path: str
    status: int
    subject: str = ""
    token_id: str = ""
    error: str = ""

    def shown(self) -> dict[str, Any]:
        """Return it as a dictionary."""
        return dataclasses.asdict(self)


class LocalSalesforce:
    """Serves a world while the `with` block lasts: `url` is the first org's My Domain, `urls` has all addresses by name.

    `world`, `clock`, `sessions`, `records`, `faults`, `journal` and `latency` (seconds that a token request takes) may be used
    and changed meanwhile.
    """

    def __init__(  # noqa: PLR0913  each has its default
        self, world: World, *, port: int = 0, host: str = "127.0.0.1", public_host: str = "", tls: bool = False, seed: int = 0
    ) -> None:
        """`port`: of the first org; 0 takes a free one. `public_host`: what answers call `host`. `seed`: of propagation.

        With `tls`, `ca_pem` is what clients have to trust.
        """
        self.world = world
        self.clock = MovableClock()
        self.sessions = Sessions(world, self.clock)
        self.faults = Faults()
        self.journal: list[Entry] = []
        self.ca_pem = b""
        self._certificates = Certificates(self.clock, seed=seed)
        self._token_endpoint = TokenEndpoint(world, self.clock, self.sessions, self._certificates)
        self._oauth = OAuth(world, self.clock, self.sessions, self._token_endpoint)
        metadata = MetadataApi(world, self.sessions, self._certificates)
        self.records = Records(world, self.clock)
        self._data = DataApi(self.sessions, self.records, metadata, self._oauth.identity_url)
        self._connections = itertools.count(1)
        named = public_host or host
        context = self._context(named) if tls else None
        self._servers = [_Server((host, port), self, context)]
        self._servers += [_Server((host, 0), self, context) for _ in (*world.orgs[1:], "login", "test")]
        names = [*((org.name, org) for org in world.orgs), ("login", None), ("test", None)]
        for server, (name, org) in zip(self._servers, names, strict=True):
            server.site = Site(name, f"http{'s' if tls else ''}://{named}:{server.server_port}", org)
        self.urls = {server.site.name: server.site.url for server in self._servers}
        self.url = self._servers[0].site.url
        self._oauth.serve_at([server.site for server in self._servers])

    def __enter__(self) -> Self:
        for server in self._servers:
            server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for server in self._servers:
            server.stop()

    @property
    def latency(self) -> float:
        """Seconds that a token request takes."""
        return self._oauth.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._oauth.latency = seconds

    def user(self, username: str) -> User:
        """Return a user, to be changed."""
        return self.world.user(username)

    def set_certificate(self, consumer_key: str, certificate_pem: str | None) -> None:
        """Replace an app's certificate, as an administrator does: known everywhere after `switches.certificate_propagation`."""
        switches = self.world.switches
        app = self.world.app(consumer_key)
        self._certificates.replace(app, certificate_pem, propagation_seconds=switches.certificate_propagation)
        if switches.certificate_swap_ends_sessions:
            self.sessions.end(consumer_key=consumer_key)

    def exchanges(self) -> int:
        """Count the token requests received."""
        return sum(entry.path == TOKEN_PATH for entry in self.journal)

    def logins(self) -> int:
        """Count the token requests that were granted: signature, audience, expiry and user were checked."""
        return sum(entry.path == TOKEN_PATH and entry.status == HTTPStatus.OK for entry in self.journal)

    def fault(self, request: Request) -> Fault | None:
        """Take the fault on order for a request; it may be for one user only."""
        claims = self._token_endpoint.claims(request) if request.path == TOKEN_PATH else {}
        session = self.sessions.find(request.bearer) if request.bearer else None
        user = session.user.username if session else str(claims.get("prn", claims.get("sub", "")))
        return self.faults.take(request.path, request.site.org.name if request.site.org else request.site.name, user)

    def answer(self, request: Request) -> Answer:
        """Answer a request as Salesforce does."""
        return self._oauth.answer(request) or self._data.answer(request)

    def note(self, request: Request, answer: Answer) -> None:
        """Keep of a request what may be kept."""
        self.journal.append(
            Entry(request.site.name, request.method, request.path, answer.status, answer.subject, answer.token_id, answer.error)
        )

    def next_connection(self) -> int:
        """Return a number for another connection."""
        return next(self._connections)

    def _context(self, named: str) -> ssl.SSLContext:
        authority = trustme.CA()
        self.ca_pem = authority.cert_pem.bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(named, "localhost").configure_cert(context)
        return context


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = WAITING_CONNECTIONS
    site: Site

    def __init__(self, address: tuple[str, int], salesforce: LocalSalesforce, context: ssl.SSLContext | None) -> None:
        super().__init__(address, _Handler)
        self.salesforce = salesforce
        if context:
            # The handshake is the connection's own thread's business, or one slow client would keep all others out.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self.serve_forever, args=(POLL_SECONDS,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up; a defect is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._number = self.server.salesforce.next_connection()

    def _serve(self) -> None:
        salesforce = self.server.salesforce
        parts = urlsplit(self.path)
        request = Request(
            self.server.site,
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self._body(),
            str(self.client_address[0]),
            self._number,
        )
        if request.path.startswith(admin.PREFIX):
            self._send(admin.answer(request, salesforce), Fault())
            return
        fault = salesforce.fault(request) or Fault()
        answer = fault.apply(Answer() if fault.status is not None else salesforce.answer(request))
        salesforce.note(request, answer)
        time.sleep(fault.delay_seconds)
        with contextlib.suppress(OSError):
            self._send(answer, fault)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815  http.server's names

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
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
            # In one piece: two would wait for each other's acknowledgement.
            self.wfile.write(head + body)
        if fault.length_off_by:
            self.close_connection = True

    def _head(self, answer: Answer, fault: Fault) -> bytes:
        date = email.utils.formatdate(self.server.salesforce.clock.now() + fault.clock_off_by, usegmt=True)
        status = HTTPStatus(answer.status)
        headers = {"Date": date, "Content-Type": answer.content_type}
        if status != HTTPStatus.NO_CONTENT:
            headers["Content-Length"] = str(max(len(answer.body) + fault.length_off_by, 0))
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in (headers | answer.headers).items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def _reset(self) -> None:
        """End the connection with a reset instead of a farewell."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing: there is the journal."""
