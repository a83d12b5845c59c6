"""One login for one subject: within its budget, guarded by its circuit breaker, its result shared and announced."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from salesforce_broker import observability
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import (
    AppRefused,
    BrokerError,
    InternalError,
    LoginRateExceeded,
    SalesforceError,
    TokenRefused,
    UserRefused,
)
from salesforce_broker.events import EventPublisher
from salesforce_broker.keys.source import SigningKey
from salesforce_broker.salesforce.access_token import AccessToken
from salesforce_broker.salesforce.client import SalesforceClient
from salesforce_broker.salesforce.jwt_bearer import MAX_ATTEMPTS, JwtBearerFlow
from salesforce_broker.tokens.circuit_breaker import CircuitBreaker, Failure
from salesforce_broker.tokens.envelope import TokenIdentity
from salesforce_broker.tokens.login_budget import LoginBudget, stricter
from salesforce_broker.tokens.ownership import OwnerPins, check_identity
from salesforce_broker.tokens.shared_cache import MAX_DELAY_SECONDS, NoSharedCache, SharedCache, SharedFailure, SharedState

MIN_SHARED_SECONDS = 30
"""A failure that opens the circuit for less is not shared: it would be over before the others had read it."""

CONFIRMED_SECONDS = 5
"""For which Salesforce is not asked again whether a token is valid, however often callers report it."""

_ERRORS = {error.code: error for error in SalesforceError.__subclasses__()}


@dataclass(slots=True)
class SubjectState:
    """Everything that this environment knows of one subject of one app, beside its token.

    `blocked_since`: since when leases of other environments have kept this one from logging in. `looked_at`: when the shared
    cache was last read although the circuit was open. `confirmed`: the fingerprint that Salesforce last called valid, and when
    (all epoch seconds).
    """

    identity: TokenIdentity
    breaker: CircuitBreaker
    lock: threading.Lock = field(default_factory=threading.Lock)
    budget: LoginBudget = field(default_factory=LoginBudget)
    last_fingerprint: str | None = None
    blocked_since: float | None = None
    looked_at: float = -math.inf
    confirmed: tuple[str, float] = ("", -math.inf)


class Login:
    """Logs in at Salesforce unless that is known to fail, or was done too often."""

    def __init__(  # noqa: PLR0913  the collaborators, by their names
        self,
        *,
        flow: JwtBearerFlow,
        salesforce: SalesforceClient,
        shared: SharedCache | NoSharedCache,
        events: EventPublisher,
        owners: OwnerPins,
        clock: Clock,
    ) -> None:
        self._flow = flow
        self._salesforce = salesforce
        self._shared = shared
        self._events = events
        self._owners = owners
        self._clock = clock

    def respect_shared_failure(self, state: SubjectState, key: SigningKey, shared: SharedState) -> None:
        """Raise the failure that another environment shared, for MAX_DELAY_SECONDS from when it happened."""
        failure = shared.failure
        if failure is None or failure.code not in _ERRORS:
            return
        until = min(failure.until, failure.at + MAX_DELAY_SECONDS)
        if failure.at <= self._clock.wall() < until:
            error = _ERRORS[failure.code](failure.description, hint=failure.hint)
            since, attempts, at = failure.since, failure.attempts, failure.at
            # Another environment has announced it, and is not silent.
            state.blocked_since = None
            state.breaker.adopt(Failure(error, key.version_id, since, attempts, at, until, announced=False))
            state.breaker.check(key.version_id)

    def seconds_to_next(self, state: SubjectState, shared: SharedState) -> float:
        """Return in how many seconds the login budget allows another login; 0: now."""
        now = self._clock.wall()
        return stricter(state.budget, shared.budget, now).seconds_to_next(now)

    def attempt(
        self, state: SubjectState, key: SigningKey, shared: SharedState, known: Collection[str | None], deadline: Deadline
    ) -> tuple[SigningKey, AccessToken]:
        """Return a token that Salesforce gave now, and the key that it was given for; share and record what came of it.

        A token whose fingerprint is `known` was given before: it is returned only if Salesforce says that it is valid.
        """
        wait, now = self.seconds_to_next(state, shared), self._clock.wall()
        if wait:
            raise LoginRateExceeded(
                "The broker's login budget for this user is used up.",
                hint="Logins come faster than tokens expire: look in the audit log who reports tokens as rejected, and in"
                " Salesforce who ends the sessions.",
                retry_after=wait,
            )
        state.budget = stricter(state.budget, shared.budget, now).spend(now)
        max_attempts = 1 if state.breaker.tripped(key.version_id) else MAX_ATTEMPTS
        try:
            accepted, token = self._flow.login(key, state.identity.subject, deadline, max_attempts=max_attempts)
            self._owners.check(accepted.version_id, state.identity.subject, token)
            if token.fingerprint in known:
                self._confirm(state, token, deadline)
        except SalesforceError as error:
            self._record_failure(state, key, shared, error, deadline)
            raise
        except BrokerError:
            raise
        except Exception:
            # A defect: without this, every request would meet Salesforce again.
            self._record_failure(state, key, shared, InternalError("The broker failed during a login."), deadline)
            raise
        self._shared.write(state.identity, SharedState(token, budget=state.budget), accepted.sealing_key, deadline)
        if state.breaker.record_success():
            self._events.logins_resumed(state.identity.subject, deadline)
        return accepted, token

    def is_invalid(self, state: SubjectState, token: AccessToken, deadline: Deadline) -> bool:
        """Tell whether Salesforce itself calls the token invalid; where it cannot be asked, it does not."""
        fingerprint, at = state.confirmed
        if fingerprint == token.fingerprint and 0 <= self._clock.wall() - at < CONFIRMED_SECONDS:
            return False
        try:
            self._confirm(state, token, deadline)
        except TokenRefused:
            return True
        except SalesforceError:
            return False
        return False

    def check_owner(self, state: SubjectState, key: SigningKey, token: AccessToken) -> None:
        """Compare a shared token's owner with the pinned one; AppRefused."""
        self._owners.check(key.version_id, state.identity.subject, token)

    def _confirm(self, state: SubjectState, token: AccessToken, deadline: Deadline) -> None:
        """Have Salesforce say that a token is valid, else raise; the question restarts the session's idle timer.

        While a session lives, Salesforce hands out the same token, and nothing says how much of its time is left.
        """
        try:
            document = self._salesforce.identity(token, deadline)
        except AppRefused:
            # It lacks the scope for its identity; an invalid one would have been called so.
            return
        check_identity(document, token, state.identity.subject)
        state.confirmed = (token.fingerprint, self._clock.wall())

    def _record_failure(
        self, state: SubjectState, key: SigningKey, shared: SharedState, error: BrokerError, deadline: Deadline
    ) -> None:
        failure, first = state.breaker.record_failure(key.version_id, error)
        seconds = failure.until - failure.at
        if isinstance(error, SalesforceError):
            observability.count(f"LoginFailed.{error.code}")
        if isinstance(error, SalesforceError) and seconds >= MIN_SHARED_SECONDS:
            to_share = SharedFailure(
                error.code, error.description, error.hint, failure.since, failure.attempts, failure.at, failure.until
            )
            token = None if isinstance(error, UserRefused) else shared.token
            self._shared.write(
                state.identity, replace(shared, token=token, failure=to_share, budget=state.budget), key.sealing_key, deadline
            )
        if first:
            self._events.logins_paused(state.identity.subject, error, seconds, deadline)
