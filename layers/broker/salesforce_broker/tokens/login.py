"""One login for one subject: guarded by its circuit breaker, its failure shared with the other environments and announced."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from salesforce_broker import observability
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import AppRefused, LoginRateExceeded, SalesforceError, TokenRefused, UserRefused
from salesforce_broker.events import EventPublisher
from salesforce_broker.keys.source import SigningKey
from salesforce_broker.salesforce.access_token import AccessToken
from salesforce_broker.salesforce.client import SalesforceClient
from salesforce_broker.salesforce.jwt_bearer import MAX_ATTEMPTS, JwtBearerFlow
from salesforce_broker.tokens.circuit_breaker import CircuitBreaker
from salesforce_broker.tokens.envelope import TokenIdentity
from salesforce_broker.tokens.shared_cache import NoSharedCache, SharedCache, SharedState

MIN_SHARED_BACKOFF_SECONDS = 30
"""A shorter one would be over before the others had read it."""


@dataclass(slots=True)
class SubjectState:
    """Everything that this environment knows of one subject of one app, beside its token."""

    identity: TokenIdentity
    breaker: CircuitBreaker
    lock: threading.Lock = field(default_factory=threading.Lock)
    last_fingerprint: str | None = None
    logged_in_at: float = -math.inf


class Login:
    """Logs in at Salesforce unless that is known to fail."""

    def __init__(
        self,
        flow: JwtBearerFlow,
        salesforce: SalesforceClient,
        shared: SharedCache | NoSharedCache,
        events: EventPublisher,
        clock: Clock,
    ) -> None:
        self._flow = flow
        self._salesforce = salesforce
        self._shared = shared
        self._events = events
        self._clock = clock

    def respect_shared_backoff(self, state: SubjectState, key: SigningKey, shared: SharedState) -> None:
        """Raise if another environment has shared a backoff that is not over."""
        if shared.backoff_until > self._clock.wall():
            error = LoginRateExceeded(
                "Salesforce is not asked yet: another environment was told to back off, or found it down.",
                hint="See the log of the other environments for the reason.",
            )
            state.breaker.hold_open(key.version_id, error, until=shared.backoff_until)
            state.breaker.check(key.version_id)

    def attempt(
        self, state: SubjectState, key: SigningKey, known: Collection[str | None], deadline: Deadline
    ) -> tuple[SigningKey, AccessToken]:
        """Return a token that Salesforce gave now, and the key that it was given for; record what came of it.

        A token whose fingerprint is `known` was given before: it is returned only if Salesforce says that it is valid.
        """
        half_open = state.breaker.tripped(key.version_id)
        try:
            accepted, token = self._flow.login(
                key, state.identity.subject, deadline, max_attempts=1 if half_open else MAX_ATTEMPTS
            )
            if token.fingerprint in known:
                self._confirm(token, deadline)
        except SalesforceError as error:
            self._record_failure(state, key, error, deadline)
            raise
        if state.breaker.record_success():
            self._events.logins_resumed(state.identity.subject, deadline)
        return accepted, token

    def is_invalid(self, token: AccessToken, deadline: Deadline) -> bool:
        """Tell whether Salesforce itself calls the token invalid; where it cannot be asked, it does not."""
        try:
            self._confirm(token, deadline)
        except TokenRefused:
            return True
        except SalesforceError:
            return False
        return False

    def _confirm(self, token: AccessToken, deadline: Deadline) -> None:
        """Have Salesforce say that a token is valid, else raise; the question restarts the session's idle timer.

        While a session lives, Salesforce hands out the same token, and nothing says how much of its time is left.
        """
        try:
            self._salesforce.identity(token, deadline)
        except AppRefused:
            # It lacks the scope for its identity; an invalid one would have been called so.
            return

    def _record_failure(self, state: SubjectState, key: SigningKey, error: SalesforceError, deadline: Deadline) -> None:
        opening = state.breaker.record_failure(key.version_id, error)
        observability.count(f"LoginFailed.{error.code}")
        if isinstance(error, UserRefused):
            self._shared.delete(state.identity)
        elif error.retryable and opening.seconds >= MIN_SHARED_BACKOFF_SECONDS:
            self._shared.write_backoff(state.identity, self._clock.wall() + opening.seconds, key.sealing_key)
        if opening.first:
            self._events.logins_paused(state.identity.subject, error, opening.seconds, deadline)
