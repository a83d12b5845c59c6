"""The token endpoint: runs the checks, opens the session, and records the attempt."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Literal

from local_salesforce.addresses import Addresses
from local_salesforce.certificates import Certificates
from local_salesforce.clock import MovableClock
from local_salesforce.login_attempt import Check, LoginAttempt, describe_certificate
from local_salesforce.oauth import assertion
from local_salesforce.oauth.login_checks import Login, LoginChecks, Refused
from local_salesforce.sessions import Session, Sessions
from local_salesforce.wire import Request
from local_salesforce.world import World

GRANT_PARAMETERS = {"grant_type", "assertion"}
CONCURRENCY = "concurrency"
"""The name of the check that no other request for the same user and app is under way; made before all others."""


class TokenEndpoint:
    """Logs users in."""

    def __init__(
        self, world: World, clock: MovableClock, sessions: Sessions, certificates: Certificates, addresses: Addresses
    ) -> None:
        self._world = world
        self._clock = clock
        self._sessions = sessions
        self._checks = LoginChecks(world, clock, certificates, addresses)
        self._under_way: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def log_in(self, request: Request) -> tuple[Session | Refused, LoginAttempt]:
        """Check a request; return the session or the refusal, and the attempt without its answer."""
        login = Login(request, assertion.decode(request.parameters.get("assertion", "")))
        results = [Check(CONCURRENCY, "passed")]
        outcome: Session | Refused
        try:
            for name, check in self._checks.in_order.items():
                try:
                    check(login)
                except Refused as refused:
                    results.append(Check(name, "failed", refused.reason or refused.description))
                    raise
                results.append(Check(name, "passed"))
            outcome = self._sessions.log_in(login.found_user, login.found_app, request.address)
        except Refused as refused:
            outcome = refused
        return outcome, self.attempt(request, results, login)

    def attempt(self, request: Request, results: list[Check], login: Login | None = None) -> LoginAttempt:
        """Record an attempt; checks without a result were not reached."""
        login = login or Login(request, assertion.decode(request.parameters.get("assertion", "")))
        skipped = [CONCURRENCY, *self._checks.in_order][len(results) :]
        return LoginAttempt(
            time=self._clock.now(),
            site=request.site.name,
            address=request.address,
            parameters_in=_place(request),
            header=login.assertion.header,
            claims=login.assertion.claims,
            certificate=describe_certificate(login.certificate) if login.certificate else None,
            checks=(*results, *(Check(name, "not reached") for name in skipped)),
        )

    @contextlib.contextmanager
    def one_at_a_time(self, request: Request) -> Iterator[None]:
        """Refuse a request for a user and app while another one is under way, if that is switched on."""
        decoded = assertion.decode(request.parameters.get("assertion", ""))
        login = (decoded.issuer, decoded.username)
        with self._lock:
            if self._world.switches.concurrent_requests_are_refused and login in self._under_way:
                raise Refused("invalid_grant", "token request is already being processed")
            self._under_way.add(login)
        try:
            yield
        finally:
            self._under_way.discard(login)


def username(request: Request) -> str:
    """Return the user that a token request names, unverified; empty if it names none."""
    decoded = assertion.decode(request.parameters.get("assertion", ""))
    return "" if decoded.claims is None else decoded.username


def _place(request: Request) -> Literal["", "body", "query", "body and query"]:
    in_body = bool(GRANT_PARAMETERS & set(request.form or {}))
    in_query = bool(GRANT_PARAMETERS & set(request.query))
    if in_body and in_query:
        return "body and query"
    return "body" if in_body else "query" if in_query else ""
