"""Sessions: one per user and app while it lives, found by its token.

Owns tokens and their idle timer. Does not check who may have one (see `token_endpoint`).
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field

from local_stack.salesforce.world import SESSION_SECONDS, App, User


class MovableClock:
    """The wall clock, which tests may move on."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return epoch seconds."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self._ahead += seconds


@dataclass(slots=True)
class Session:
    """A login of `user` through `app`."""

    token: str = field(repr=False)
    user: User
    app: App
    last_used: float


class Sessions:
    """All sessions. An exchange while one lives returns the same token [measured on a Developer Edition org]."""

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock
        self._sessions: list[Session] = []
        self._lock = threading.Lock()

    def log_in(self, user: User, app: App) -> Session:
        """Return the living session of this user and app, or a new one; does not restart its timer."""
        with self._lock:
            for session in self._living():
                if session.user is user and session.app is app:
                    return session
            session = Session(f"{user.org.id}!{secrets.token_urlsafe(72)}", user, app, self._clock.now())
            self._sessions.append(session)
            return session

    def use(self, token: str) -> Session | None:
        """Find the session of a token and restart its idle timer, as any use of an API does."""
        with self._lock:
            for session in self._living():
                if secrets.compare_digest(session.token, token):
                    session.last_used = self._clock.now()
                    return session
        return None

    def end(self, token: str | None = None, username: str | None = None) -> int:
        """End the sessions of a token, of a user, or (without either) all; return how many there were."""
        with self._lock:
            ended = [
                session
                for session in self._living()
                if token in {None, session.token} and username in {None, session.user.username}
            ]
            self._sessions = [session for session in self._sessions if session not in ended]
            return len(ended)

    def _living(self) -> list[Session]:
        now = self._clock.now()
        self._sessions = [
            session
            for session in self._sessions
            if now - session.last_used < SESSION_SECONDS and session.user.state == "active"
        ]
        return self._sessions
