"""What the token endpoint remembers: how often each user logged in, and which assertions it has seen."""

from __future__ import annotations

import threading
from collections import deque

from local_salesforce.clock import MovableClock

HOUR = 3600


class LoginCounter:
    """Logins of the last hour for each user, and the ids of assertions."""

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock
        self._logins: dict[str, deque[float]] = {}
        self._blocked_until: dict[str, float] = {}
        self._seen: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def count(self, username: str, limit: int) -> bool:
        """Count a login unless the user is blocked: beyond the limit within an hour, for one hour."""
        now = self._clock.now()
        with self._lock:
            logins = self._logins.setdefault(username, deque())
            while logins and logins[0] <= now - HOUR:
                logins.popleft()
            if len(logins) >= limit and now >= self._blocked_until.get(username, 0):
                self._blocked_until[username] = now + HOUR
            if now < self._blocked_until.get(username, 0):
                return False
            logins.append(now)
            return True

    def is_first_use(self, consumer_key: str, token_id: str) -> bool:
        """Remember an assertion of an app by its `jti`; tell whether it is new."""
        with self._lock:
            if (consumer_key, token_id) in self._seen:
                return False
            self._seen.add((consumer_key, token_id))
            return True
