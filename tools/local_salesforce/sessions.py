"""Sessions: which user is logged in through which app, with token, idle timer and, where the org wants it, the address."""

from __future__ import annotations

import ipaddress
import secrets
import string
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from local_salesforce.clock import MovableClock
from local_salesforce.world import App, LoginRanges, User, World, long_id

TOKEN_LETTERS = string.ascii_letters + string.digits + "._"
TOKEN_CHARACTERS = 96
"""After the org's id and the exclamation mark; Salesforce's tokens are about as long."""

JWT_KEY_ID = "240"
LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class Session:
    """A session of `user` through `app`, begun from `address`. `ends`: when a JWT-format token expires (epoch seconds)."""

    token: str = field(repr=False)
    user: User
    app: App
    address: str
    began: float
    last_used: float
    ends: float | None = None


class Sessions:
    """All sessions. A login while one lives returns the same token [measured on a Developer Edition org]."""

    def __init__(self, world: World, clock: MovableClock) -> None:
        self._world = world
        self._clock = clock
        self._sessions: list[Session] = []
        self._lock = threading.Lock()

    @cached_property
    def signing_key(self) -> rsa.RSAPrivateKey:
        """The key that signs JWT-format tokens, made when first needed."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def log_in(self, user: User, app: App, address: str) -> Session:
        """Return the living session of this user and app (and address, where the org locks sessions), or a new one."""
        switches = self._world.switches
        locked = self._world.org(user.org).sessions_locked_to_address
        with self._lock:
            now = self._clock.now()
            for session in self._living():
                same = session.user is user and session.app is app and (not locked or session.address == address)
                if same and (session.ends is None or switches.jwt_tokens_are_reused):
                    if switches.exchange_restarts_idle_timer:
                        session.last_used = now
                    return session
            ends = now + 60 * app.jwt_minutes if app.token_format == "jwt" else None  # noqa: S105  a format
            session = Session(self._token(user, app, now, ends), user, app, address, now, now, ends)
            self._sessions.append(session)
            return session

    def find(self, token: str) -> Session | None:
        """Find the session of a token, without using it."""
        with self._lock:
            return next((session for session in self._living() if session.token == token), None)

    def use(self, token: str, address: str = LOOPBACK) -> Session | None:
        """Find the session of a token, if it may be used from this address, and restart its idle timer."""
        session = self.find(token)
        if session is None or not self._admits(session, address):
            return None
        session.last_used = self._clock.now()
        return session

    def _admits(self, session: Session, address: str) -> bool:
        org = self._world.org(session.user.org)
        if org.sessions_locked_to_address and address != session.address:
            return False
        ranges = self._world.profile(session.user.profile).login_ranges if org.login_ranges_on_every_request else []
        return not ranges or in_ranges(address, ranges)

    def living(self) -> list[Session]:
        """Return the sessions that have not ended."""
        with self._lock:
            return list(self._living())

    def end(self, token: str | None = None, username: str | None = None, consumer_key: str | None = None) -> int:
        """End the sessions of a token, of a user, of an app, or (without an argument) all; return how many ended."""
        with self._lock:
            ended = [
                session
                for session in self._living()
                if token in {None, session.token}
                and username in {None, session.user.username}
                and consumer_key in {None, session.app.consumer_key}
            ]
            self._sessions = [session for session in self._sessions if session not in ended]
            return len(ended)

    def idle_seconds(self, session: Session) -> float:
        """Return the session timeout: the app's, else the profile's, else the org's."""
        minutes = session.app.session_minutes or self._world.profile(session.user.profile).session_minutes
        return 60 * (minutes or self._world.org(session.user.org).session_minutes)

    def _living(self) -> list[Session]:
        now = self._clock.now()
        self._sessions = [
            session
            for session in self._sessions
            if now - session.last_used < self.idle_seconds(session)
            and now < (session.ends or now + 1)
            and session.user.state == "active"
            and self._world.org(session.user.org).state == "active"
        ]
        return self._sessions

    def _token(self, user: User, app: App, now: float, ends: float | None) -> str:
        if ends is None:
            org = self._world.org(user.org)
            letters = (secrets.choice(TOKEN_LETTERS) for _ in range(TOKEN_CHARACTERS + app.token_padding))
            return f"{org.id}!{''.join(letters)}"
        return self._sign(user, app, now, ends)

    def tenant_token(self, session: Session, seconds: float) -> str:
        """Return a token of Data 360 for a session."""
        now = self._clock.now()
        return self._sign(session.user, session.app, now, now + seconds)

    def _sign(self, user: User, app: App, now: float, ends: float) -> str:
        org = self._world.org(user.org)
        claims: dict[str, Any] = {
            "iss": org.my_domain,
            "aud": [org.my_domain],
            "sub": f"uid:{long_id(user.id)}",
            "client_id": app.consumer_key,
            "scp": app.scopes,
            "iat": int(now),
            "nbf": int(now),
            "exp": int(ends),
            "jti": secrets.token_hex(16),
        }
        if app.token_padding:
            claims["padding"] = "x" * app.token_padding
        return jwt.encode(claims, self.signing_key, algorithm="RS256", headers={"kid": JWT_KEY_ID})


def in_ranges(address: str, ranges: LoginRanges) -> bool:
    """Tell whether an address is in one of the ranges."""
    return any(ipaddress.ip_address(address) in each for each in ranges)
