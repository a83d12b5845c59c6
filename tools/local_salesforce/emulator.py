"""Salesforce without its sockets: from a request to the answer, with faults and journals."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import quote

from local_salesforce.addresses import Addresses
from local_salesforce.certificates import Certificates
from local_salesforce.clock import MovableClock
from local_salesforce.data.metadata_api import MetadataApi
from local_salesforce.data.records import Records
from local_salesforce.data.rest_api import DataApi
from local_salesforce.faults import Fault, Faults
from local_salesforce.journal import MAX_LOGIN_ATTEMPTS, Journal, Log
from local_salesforce.login_attempt import LoginAttempt
from local_salesforce.oauth.endpoints import OAuth
from local_salesforce.oauth.token_endpoint import TokenEndpoint, username
from local_salesforce.sessions import Sessions
from local_salesforce.wire import HTML, TOKEN_PATH, Answer, Request
from local_salesforce.world import User, World

NO_SUCH_PAGE = "<html><body><h1>URL No Longer Exists</h1></body></html>"


class Emulator:
    """A world with its clock, sessions, records, faults and journals; all of them may be used and changed at any time."""

    def __init__(self, world: World, *, seed: int = 0) -> None:
        """`seed` decides which connections see an old certificate while a change propagates."""
        self.world = world
        self.clock = MovableClock()
        self.sessions = Sessions(world, self.clock)
        self.records = Records(world, self.clock)
        self.faults = Faults()
        self.journal = Journal()
        self.login_attempts: Log[LoginAttempt] = Log(MAX_LOGIN_ATTEMPTS)
        self._addresses = Addresses()
        self._certificates = Certificates(self.clock, seed=seed)
        self._token_endpoint = TokenEndpoint(world, self.clock, self.sessions, self._certificates, self._addresses)
        self._oauth = OAuth(world, self.clock, self.sessions, self._token_endpoint, self._addresses)
        metadata = MetadataApi(world, self.sessions, self._certificates)
        self._data = DataApi(self.sessions, self.records, metadata, self._addresses)

    @property
    def urls(self) -> dict[str, str]:
        """The address of each site by its name."""
        return self._addresses.urls

    @property
    def latency(self) -> float:
        """Seconds that a token request takes."""
        return self._oauth.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._oauth.latency = seconds

    def user(self, username: str) -> User:
        """Return a user, which may be changed."""
        return self.world.user(username)

    def set_certificate(self, consumer_key: str, certificate_pem: str | None, *, org: str | None = None) -> None:
        """Replace an app's certificate; the change propagates for `switches.certificate_propagation`. ValueError."""
        switches = self.world.switches
        app = self.world.app(consumer_key, org)
        self._certificates.replace(app, certificate_pem, propagation_seconds=switches.certificate_propagation)
        if switches.certificate_swap_ends_sessions:
            self.sessions.end(consumer_key=consumer_key)

    def exchanges(self) -> int:
        """Return the number of token requests since the journal was last cleared."""
        return self.journal.exchanges

    def logins(self) -> int:
        """Return how many of the token requests were granted."""
        return self.journal.logins

    def respond(self, request: Request) -> tuple[Answer, Fault]:
        """Return the answer to a request, the injected fault applied, and the fault."""
        path = request.path
        if path.startswith(request.site.path + "/"):
            request = replace(request, path=path.removeprefix(request.site.path))
        elif request.site.path:
            return Answer(HTTPStatus.NOT_FOUND, NO_SUCH_PAGE.encode(), HTML, error="no such page"), Fault()
        injected = self._fault(request)
        fault = injected or Fault()
        real = Answer() if fault.status is not None else self._answer_or_defect(request)
        answer = fault.apply(real)
        self.journal.note(request, answer)
        if request.path == TOKEN_PATH and _serves_tokens(request):
            self._note_attempt(request, real, answer, injected)
        return answer, fault

    def answer(self, request: Request) -> Answer:
        """Return Salesforce's answer to a request."""
        if not _serves_tokens(request):
            return self._to_my_domain(request)
        return self._oauth.answer(request) or self._data.answer(request)

    def _answer_or_defect(self, request: Request) -> Answer:
        try:
            return self.answer(request)
        except Exception:  # noqa: BLE001  a defect of the emulator is shown and answered, and never a dropped connection
            traceback.print_exc()
            return Answer.text("The local Salesforce has a defect: see its stderr", 500)

    def _fault(self, request: Request) -> Fault | None:
        session = self.sessions.find(request.bearer) if request.bearer else None
        user = session.user.username if session else username(request) if request.path == TOKEN_PATH else ""
        return self.faults.take(request.path, request.site.org.name if request.site.org else request.site.name, user)

    def _to_my_domain(self, request: Request) -> Answer:
        """Answer for a Lightning or Setup host, which knows no OAuth and sends everybody to the org's login page."""
        assert request.site.org
        url = f"{self._addresses.my_domain(request.site.org.name).url}/?ec=302&startURL={quote(request.path, safe='')}"
        if self.world.switches.lightning_answer == "redirect":
            return Answer(HTTPStatus.FOUND, b"", HTML, {"Location": url}, error="not a login host")
        page = f"<html><head><script>window.location.replace({json.dumps(url)});</script></head><body></body></html>"
        return Answer(HTTPStatus.OK, page.encode(), HTML, error="not a login host")

    def _note_attempt(self, request: Request, real: Answer, answer: Answer, fault: Fault | None) -> None:
        attempt = real.attempt or self._token_endpoint.attempt(request, [])
        error, description = _error(answer)
        kind = "" if fault is None else fault.kind or "by its fields"
        attempt = replace(attempt, status=answer.status, error=error, error_description=description, fault=kind)
        self.login_attempts.append(attempt)


def _serves_tokens(request: Request) -> bool:
    return request.site.kind not in {"lightning", "setup"}


def _error(answer: Answer) -> tuple[str, str]:
    """Return the OAuth error in an answer, else what the journal calls it."""
    try:
        fields = json.loads(answer.body)
    except ValueError:
        fields = None
    if isinstance(fields, dict) and "error" in fields:
        return str(fields["error"]), str(fields.get("error_description", ""))
    return answer.error, ""
