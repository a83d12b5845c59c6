"""The token endpoint: a form -> a session, or Salesforce's literal refusal.

Owns the checks, their order and the limit on logins. No HTTP (see `server`).

Texts: Salesforce help, "OAuth 2.0 JWT Bearer Flow" and its error codes; the class each belongs to is the client's business.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from local_stack.salesforce.certificates import Certificates
from local_stack.salesforce.clock import MovableClock
from local_stack.salesforce.sessions import Session, Sessions
from local_stack.salesforce.wire import Request, Site
from local_stack.salesforce.world import App, Org, User, World

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LOGIN_AUDIENCES = {"https://login.salesforce.com": False, "https://test.salesforce.com": True}
"""And whether it is the one of sandboxes."""

HOUR = 3600

_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
"""Neither NaN nor infinity, in which PyJWT sees numbers too."""


class Refused(Exception):
    """A refusal: `error` and `description` as they stand in the answer."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A login that passed every check. `token_id`: the assertion's `jti`."""

    session: Session
    token_id: str


class TokenEndpoint:
    """Logs users in; remembers who has logged in how often, and which assertions it has seen."""

    def __init__(self, world: World, clock: MovableClock, sessions: Sessions, certificates: Certificates) -> None:
        self._world = world
        self._clock = clock
        self._sessions = sessions
        self._certificates = certificates
        self._audiences: dict[str, str] = {}
        self._logins: dict[str, deque[float]] = {}
        self._blocked_until: dict[str, float] = {}
        self._seen: set[tuple[str, str]] = set()
        self._under_way: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def serve_at(self, sites: list[Site]) -> None:
        """Take an org's local address, and those of the login hosts, for what they stand for in an audience."""
        stands_for = {"login": "https://login.salesforce.com", "test": "https://test.salesforce.com"}
        self._audiences = {site.url: site.org.my_domain if site.org else stands_for[site.name] for site in sites}

    @contextlib.contextmanager
    def one_at_a_time(self, request: Request) -> Iterator[None]:
        """Refuse a request for the same user and app while another one is under way, where that is switched on."""
        claims = self.claims(request)
        asked = (str(claims.get("iss")), str(claims.get("prn", claims.get("sub"))))
        with self._lock:
            if self._world.switches.concurrent_requests_are_refused and asked in self._under_way:
                raise Refused("invalid_grant", "token request is already being processed")
            self._under_way.add(asked)
        try:
            yield
        finally:
            self._under_way.discard(asked)

    def log_in(self, request: Request) -> LoggedIn:
        """Check a request as Salesforce does, and log in; raise Refused."""
        if request.method != "POST":
            raise Refused("invalid_request", "must use HTTP POST")
        if (request.form or {}).get("grant_type") != GRANT_TYPE:
            raise Refused("unsupported_grant_type", "grant type not supported")
        assertion = (request.form or {}).get("assertion", "")
        if not assertion:
            raise Refused("invalid_request", "missing required parameter: assertion")
        claims = self.claims(request)
        if not claims:
            raise Refused("invalid_grant", "invalid assertion")
        app = self._app(claims.get("iss"), claims.get("aud"), request.site)
        certificate = self._certificates.seen_by(request.connection, app)
        if certificate is None:
            raise Refused("invalid_client", "invalid client credentials")
        _verify(assertion, certificate)
        org = request.site.org
        self._check_audience(claims.get("aud"), request.site)
        self._check_expiry(claims.get("exp"))
        self._check_replay(app, claims.get("jti"))
        # The legacy claim wins if both are there.
        user = self._user(str(claims.get("prn", claims.get("sub"))), org, sandbox=request.site.sandbox)
        self._check_user(user, app, request.address)
        if not app.scopes.split():
            raise Refused("invalid_grant", "no valid scopes defined")
        self._count(user)
        return LoggedIn(self._sessions.log_in(user, app), str(claims.get("jti", "")))

    @staticmethod
    def claims(request: Request) -> dict[str, Any]:
        """Read the claims unverified, in order to find the app (or whom a fault is for); empty if there are none."""
        try:
            claims: dict[str, Any] = jwt.decode((request.form or {}).get("assertion", ""), options={"verify_signature": False})
        except jwt.PyJWTError:
            return {}
        return claims

    def _app(self, issuer: object, audience: object, site: Site) -> App:
        """Find the app: a connected app is known wherever its kind of org logs in, an External Client App in its org only."""
        try:
            app = self._world.app(str(issuer))
        except KeyError:
            raise Refused("invalid_client_id", "client identifier invalid") from None
        if app.kind == "external_client_app":
            login_audience = isinstance(audience, str) and self._stands_for(audience) in LOGIN_AUDIENCES
            if site.org is None or site.org.name != app.org or login_audience:
                raise Refused("app_not_found", "External client app is not installed in this org")
        elif self._world.org(app.org).sandbox != site.sandbox:
            raise Refused("invalid_client_id", "client identifier invalid")
        return app

    def _stands_for(self, audience: str) -> str:
        bare = audience.rstrip("/")
        return self._audiences.get(bare, bare)

    def _check_audience(self, audience: object, site: Site) -> None:
        """Take one string: the login host of this kind of org, or a My Domain or site of the org that is asked."""
        allowed = {url for url, sandbox in LOGIN_AUDIENCES.items() if sandbox == site.sandbox}
        for org in self._world.orgs:
            if org is site.org or (site.org is None and org.sandbox == site.sandbox):
                allowed |= {org.my_domain, *(url.rstrip("/") for url in org.sites)}
        if not isinstance(audience, str) or self._stands_for(audience) not in allowed:
            raise Refused("invalid_grant", self._world.switches.audience_text)

    def _check_expiry(self, exp: object) -> None:
        """Check a number, or a number in a string."""
        switches = self._world.switches
        expires = float(str(exp)) if _NUMBER.fullmatch(str(exp)) and not isinstance(exp, bool) else None
        now = self._clock.now()
        if expires is None or (switches.longest_exp is not None and expires > now + switches.longest_exp):
            raise Refused("invalid_grant", "invalid assertion")
        if expires + switches.grace_after_exp < now:
            raise Refused("invalid_grant", "expired authorization code")

    def _check_replay(self, app: App, token_id: object) -> None:
        if not self._world.switches.replayed_jti_is_refused or token_id is None:
            return
        used = (app.consumer_key, str(token_id))
        with self._lock:
            if used in self._seen:
                raise Refused("invalid_grant", "invalid assertion")
            self._seen.add(used)

    def _user(self, username: str, org: Org | None, *, sandbox: bool) -> User:
        """Find the user in the org, or (at a login host) in any org of that kind."""
        for each in self._world.orgs:
            if each is org or (org is None and each.sandbox == sandbox):
                with contextlib.suppress(KeyError):
                    return self._world.user(username, each.name)
        raise Refused("invalid_grant", "user hasn't approved this consumer")

    def _check_user(self, user: User, app: App, address: str) -> None:
        if self._world.org(user.org).state != "active":
            raise Refused("inactive_org", "organization is locked, closed or suspended")
        if user.state == "inactive" and self._world.switches.inactive_user_error == "inactive_user":
            raise Refused("inactive_user", "user is inactive")
        if user.state != "active":
            words = {"locked": "user is locked", "barred": "authentication failure"}
            raise Refused("invalid_grant", words.get(user.state, "inactive user"))
        if app.permitted_users == "self_authorize":
            if user.username not in app.approved_by:
                raise Refused("invalid_grant", "user hasn't approved this consumer")
        elif user.profile not in app.profiles and not set(user.permission_sets) & set(app.permission_sets):
            raise Refused("invalid_app_access", "user is not admin approved to access this app")
        ranges = self._world.profile(user.profile).login_ranges
        if ranges and not any(ipaddress.ip_address(address) in each for each in ranges):
            raise Refused("invalid_grant", "ip restricted or invalid login hours")

    def _count(self, user: User) -> None:
        """Count the login; who has too many in an hour is blocked for an hour."""
        now = self._clock.now()
        with self._lock:
            logins = self._logins.setdefault(user.username, deque())
            while logins and logins[0] <= now - HOUR:
                logins.popleft()
            if len(logins) >= self._world.switches.logins_an_hour and now >= self._blocked_until.get(user.username, 0):
                self._blocked_until[user.username] = now + HOUR
            if now < self._blocked_until.get(user.username, 0):
                raise Refused("rate_limit_exceeded", "login rate exceeded")
            logins.append(now)


def _verify(assertion: str, certificate: str) -> None:
    """Verify the RS256 signature; an expired certificate will do, as it does there."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    assert isinstance(key, RSAPublicKey)
    try:
        # The signature alone: times and audience have answers of their own.
        jwt.PyJWS().decode(assertion, key, algorithms=["RS256"])
    except jwt.PyJWTError:
        raise Refused("invalid_grant", "invalid assertion") from None
