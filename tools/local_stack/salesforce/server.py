"""The HTTP side of the local Salesforce: endpoints, headers, and a journal of what was asked.

Owns wire forms. Does not decide about logins (see `token_endpoint`). Keeps no token or assertion in the journal.
"""

from __future__ import annotations

import email.utils
import json
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from local_stack.salesforce.sessions import MovableClock, Session, Sessions
from local_stack.salesforce.token_endpoint import Refused, decide
from local_stack.salesforce.world import User, World, long_id

POLL_SECONDS = 0.05
"""How soon the server notices that it is to end."""

API_VERSION = "65.0"
TOKEN_PATH = "/services/oauth2/token"  # noqa: S105  a path


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, as far as it may be remembered."""

    method: str
    path: str
    status: int
    subject: str = ""
    token_id: str = ""
    error: str = ""


@dataclass(slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes
    content_type: str = "application/json;charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    subject: str = ""
    token_id: str = ""
    error: str = ""


@dataclass(slots=True)
class _Fault:
    answer: Answer
    times: int


class LocalSalesforce:
    """Serves a world on a loopback port while the `with` block lasts."""

    def __init__(self, world: World, *, port: int = 0) -> None:
        """`port` 0 takes a free one; `latency` may be set to the seconds that a token request takes."""
        self.world = world
        self.clock = MovableClock()
        self.sessions = Sessions(self.clock)
        self.journal: list[Entry] = []
        self.latency = 0.0
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()

        class Handler(_Handler):
            salesforce = self

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def user(self, username: str) -> User:
        """Return a user, to be changed."""
        return next(user for user in self.world.users if user.username == username)

    def set_certificate(self, consumer_key: str, certificate_pem: str | None) -> None:
        """Replace an app's certificate, as an administrator does."""
        app = self.world.app(consumer_key)
        assert app is not None
        app.certificate = certificate_pem

    def answer_token_requests_with(
        self, status: int, body: bytes | dict[str, Any], *, times: int = 1, headers: dict[str, str] | None = None
    ) -> None:
        """Answer the next token requests with this instead of deciding."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self._lock:
            self._faults.append(_Fault(Answer(status, raw, headers=headers or {}), times))

    def exchanges(self) -> int:
        """Count the token requests received."""
        return sum(entry.path == TOKEN_PATH for entry in self.journal)

    def logins(self) -> int:
        """Count the token requests that were granted: signature, audience, expiry and user were checked."""
        return sum(entry.path == TOKEN_PATH and entry.status == HTTPStatus.OK for entry in self.journal)

    def fault(self) -> Answer | None:
        """Take the next fault on order."""
        with self._lock:
            for fault in self._faults:
                if fault.times > 0:
                    fault.times -= 1
                    return fault.answer
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    salesforce: LocalSalesforce

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        answer = self._answer(path, raw)
        self.salesforce.journal.append(Entry(self.command, path, answer.status, answer.subject, answer.token_id, answer.error))
        self.send_response_only(answer.status)
        self.send_header("Date", email.utils.formatdate(self.salesforce.clock.now(), usegmt=True))
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = _serve  # noqa: N815  http.server's names

    def _answer(self, path: str, raw: bytes) -> Answer:
        if path == TOKEN_PATH:
            return self.salesforce.fault() or self._token(raw)
        if path == "/services/oauth2/revoke":
            return self._revoke(raw)
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        session = self.salesforce.sessions.use(bearer)
        if path.startswith("/id/") or path == "/services/oauth2/userinfo":
            return self._identity(session, path)
        return self._data(session, path)

    def _token(self, raw: bytes) -> Answer:
        no_store = {"Cache-Control": "no-store", "Pragma": "no-cache"}
        form_encoded = self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
        form = {name: values[0] for name, values in parse_qs(raw.decode(errors="replace")).items()} if form_encoded else {}
        salesforce = self.salesforce
        time.sleep(salesforce.latency)
        try:
            if self.command != "POST":
                raise Refused("invalid_request", "must use HTTP POST")
            login = decide(form, salesforce.world, own_url=salesforce.url, now=salesforce.clock.now())
        except Refused as refused:
            answer = _json({"error": refused.error, "error_description": refused.description}, HTTPStatus.BAD_REQUEST, no_store)
            answer.error = refused.error
            return answer
        session = salesforce.sessions.log_in(login.user, login.app)
        answer = _json(
            {
                "access_token": session.token,
                "scope": login.app.scopes,
                "instance_url": salesforce.url,
                "id": _identity_url(salesforce.url, login.user),
                "token_type": "Bearer",
            },
            HTTPStatus.OK,
            no_store,
        )
        answer.subject, answer.token_id = login.user.username, login.token_id
        return answer

    def _revoke(self, raw: bytes) -> Answer:
        token = parse_qs(raw.decode(errors="replace")).get("token", [""])[0]
        if self.salesforce.sessions.end(token=token):
            return Answer(HTTPStatus.OK, b"")
        return _json({"error": "invalid_token", "error_description": "invalid token"}, HTTPStatus.BAD_REQUEST)

    def _identity(self, session: Session | None, path: str) -> Answer:
        if session is None:
            return Answer(HTTPStatus.FORBIDDEN, b"Bad_OAuth_Token", "text/html;charset=UTF-8")
        user = session.user
        own = _identity_url(self.salesforce.url, user)
        if path.startswith("/id/") and not own.endswith(path):
            return Answer(HTTPStatus.FORBIDDEN, b"Wrong_Org", "text/html;charset=UTF-8")
        return _json(
            {
                "id": own,
                "sub": own,
                "user_id": long_id(user.id),
                "organization_id": long_id(user.org.id),
                "username": user.username,
                "preferred_username": user.username,
                "display_name": user.username.partition("@")[0].title(),
                "email": user.username,
                "user_type": "STANDARD",
                "active": user.state == "active",
                "language": "en_US",
                "locale": "en_US",
                "mobile_phone": "+1 555 0100",
                "urls": {"rest": f"{self.salesforce.url}/services/data/v{{version}}/"},
            }
        )

    def _data(self, session: Session | None, path: str) -> Answer:
        if session is None:
            return _json(
                [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}], HTTPStatus.UNAUTHORIZED
            )
        if path == f"/services/data/v{API_VERSION}/query":
            record = {
                "attributes": {"type": "Organization", "url": f"/services/data/v{API_VERSION}/sobjects/Organization/"},
                "Id": long_id(session.user.org.id),
                "Name": "Acme",
            }
            return _json({"totalSize": 1, "done": True, "records": [record]})
        if path == "/services/data/":
            return _json([{"label": "Winter '26", "url": f"/services/data/v{API_VERSION}", "version": API_VERSION}])
        return _json([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}], HTTPStatus.NOT_FOUND)

    def log_message(self, *_: object) -> None:
        """Say nothing: there is the journal."""


def _json(body: object, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(body).encode(), headers=headers or {})


def _identity_url(url: str, user: User) -> str:
    return f"{url}/id/{long_id(user.org.id)}/{long_id(user.id)}"
