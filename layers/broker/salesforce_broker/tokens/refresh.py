"""A token for one subject: from memory, from the shared cache, or by a login at Salesforce.

A FRESH token is handed out from memory. A STALE one is refreshed by one caller while the others get it as it is (advisory
refresh); without a usable one all wait for one refresh (mandatory). No background threads: Lambda would freeze them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from salesforce_broker import observability
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.config import Settings
from salesforce_broker.errors import SalesforceBusy, SalesforceError, UserRefused
from salesforce_broker.events import EventPublisher
from salesforce_broker.keys.source import SigningKey, SigningKeySource
from salesforce_broker.salesforce.access_token import AccessToken, State
from salesforce_broker.salesforce.client import SalesforceClient
from salesforce_broker.salesforce.jwt_bearer import JwtBearerFlow
from salesforce_broker.tokens.circuit_breaker import CircuitBreaker
from salesforce_broker.tokens.envelope import TokenIdentity
from salesforce_broker.tokens.leader_lock import LeaderLock
from salesforce_broker.tokens.login import Login, SubjectState
from salesforce_broker.tokens.memory_cache import MemoryCache
from salesforce_broker.tokens.model import IssuedToken, Outcome, Source
from salesforce_broker.tokens.shared_cache import LEASE_SECONDS, NoSharedCache, SharedCache

MIN_LOGIN_INTERVAL_SECONDS = 30
"""For one subject, unless Salesforce itself calls the last token invalid: no report of a caller causes a loop of logins."""


@dataclass(frozen=True, slots=True)
class Want:
    """What a caller needs: a token with `min_ttl` seconds left whose fingerprint is not `rejected`, by the `deadline`."""

    min_ttl: int
    rejected: str | None
    deadline: Deadline


class TokenSource:
    """Tokens of one app in one org; safe to share between threads."""

    def __init__(  # noqa: PLR0913  the collaborators, by their names
        self,
        settings: Settings,
        *,
        keys: SigningKeySource,
        memory: MemoryCache,
        shared: SharedCache | NoSharedCache,
        salesforce: SalesforceClient,
        events: EventPublisher,
        clock: Clock,
        renewal_point: float,
    ) -> None:
        """`renewal_point`: the share of a token's lifetime after which this environment refreshes it (0 to 1)."""
        self._settings = settings
        self._keys = keys
        self._memory = memory
        self._shared = shared
        self._clock = clock
        self._renewal_point = renewal_point
        flow = JwtBearerFlow(keys, salesforce, audience=settings.audience, clock=clock)
        self._login = Login(flow, salesforce, shared, events, clock)
        self._leader_lock = LeaderLock(shared, clock)
        self._states: dict[TokenIdentity, SubjectState] = {}
        self._states_lock = threading.Lock()

    def get(self, subject: str, want: Want) -> IssuedToken:
        """Return the held token while it is fresh; else refresh it, one caller at a time."""
        state = self._state(self._keys.current(), subject)
        held = self._usable_in_memory(state, want)
        if held and self._is_fresh(held):
            return self._issued(held, Source.MEMORY, want)
        # Advisory: whoever has a usable token does not wait for the refresh of another thread. Mandatory: they wait.
        if not state.lock.acquire(timeout=0 if held else want.deadline.seconds_left):
            if held:
                return self._issued(held, Source.MEMORY, want)
            raise SalesforceBusy("Another request was asking Salesforce until no time was left.")
        try:
            return self._refresh(state, want)
        finally:
            state.lock.release()

    def _refresh(self, state: SubjectState, want: Want) -> IssuedToken:
        """Refresh; a usable token survives every failure but that of a user who may no longer log in."""
        held = self._usable_in_memory(state, want)
        if held and self._is_fresh(held):
            # Another thread has refreshed it meanwhile.
            return self._issued(held, Source.MEMORY, want)
        key = self._keys.current()
        if state.breaker.tripped(key.version_id):
            # Somebody may have put a better key, or another app's, into the secret.
            key = self._keys.recheck()
            state = self._state(key, state.identity.subject)
        try:
            state.breaker.check(key.version_id)
            return self._obtain(state, key, want)
        except UserRefused:
            self._memory.drop(state.identity)
            raise
        except SalesforceError as error:
            held = self._usable_in_memory(state, want)
            if held is None:
                raise
            observability.report(error)
            return replace(self._issued(held, Source.MEMORY, want), degraded=True)

    def _obtain(self, state: SubjectState, key: SigningKey, want: Want) -> IssuedToken:
        """Take what another environment has shared, else log in, else wait for the environment that does."""
        shared = self._shared.read(state.identity, key.sealing_key)
        source = Source.SHARED if shared.token and self._adopt(state, shared.token) else Source.MEMORY
        held = self._memory.get(state.identity)
        usable = held is not None and self._is_usable(held, want)
        if held and usable and source is Source.SHARED and self._is_fresh(held):
            return self._issued(held, source, want)
        if held and self._has_just_logged_in(state) and not self._is_reported_and_invalid(held, want):
            return IssuedToken(held, self._clock.wall(), source, Outcome.SUPPRESSED, retry_after=MIN_LOGIN_INTERVAL_SECONDS)
        self._login.respect_shared_backoff(state, key, shared)
        with self._leader_lock.acquire(state.identity, throttled=shared.throttled) as leader:
            if not leader:
                if held and usable:
                    return self._issued(held, source, want)
                if state.breaker.tripped(key.version_id):
                    raise SalesforceBusy(
                        "Another environment is testing whether Salesforce is back.", retry_after=LEASE_SECONDS
                    )
                found = self._leader_lock.wait_for_token(
                    state.identity, key.sealing_key, lambda token: self._is_usable(token, want), want.deadline
                )
                if found:
                    self._hold(state, found)
                    return self._issued(found, Source.SHARED, want)
            known = {state.last_fingerprint, want.rejected, shared.token.fingerprint if shared.token else None}
            return self._log_in(state, known, want)

    def _log_in(self, state: SubjectState, known: set[str | None], want: Want) -> IssuedToken:
        """Log in, hold the token and share it."""
        key, token = self._login.attempt(state, self._keys.recheck(), known, want.deadline)
        state = self._state(key, state.identity.subject)
        state.logged_in_at = self._clock.wall()
        self._hold(state, token)
        self._shared.write(state.identity, token, key.sealing_key)
        return self._issued(token, Source.SALESFORCE, want)

    def _state(self, key: SigningKey, subject: str) -> SubjectState:
        identity = TokenIdentity(self._settings.login_url, self._settings.audience, key.client_id, subject)
        with self._states_lock:
            if identity not in self._states:
                self._states[identity] = SubjectState(identity, CircuitBreaker(self._clock))
            return self._states[identity]

    def _adopt(self, state: SubjectState, token: AccessToken) -> bool:
        """Hold a shared token if it is valid and outlives the held one; return whether it is held now."""
        held = self._memory.get(state.identity)
        valid = token.state(self._clock.wall(), self._renewal_point) is not State.EXPIRED
        if not valid or (held and token.expires_at <= held.expires_at):
            return False
        self._hold(state, token)
        return True

    def _hold(self, state: SubjectState, token: AccessToken) -> None:
        self._memory.put(state.identity, token)
        state.last_fingerprint = token.fingerprint

    def _has_just_logged_in(self, state: SubjectState) -> bool:
        return 0 <= self._clock.wall() - state.logged_in_at < MIN_LOGIN_INTERVAL_SECONDS

    def _is_reported_and_invalid(self, held: AccessToken, want: Want) -> bool:
        return held.fingerprint == want.rejected and self._login.is_invalid(held, want.deadline)

    def _usable_in_memory(self, state: SubjectState, want: Want) -> AccessToken | None:
        held = self._memory.get(state.identity)
        return held if held and self._is_usable(held, want) else None

    def _is_usable(self, token: AccessToken, want: Want) -> bool:
        """Tell whether `token` is valid, for long enough, and not the one that was rejected."""
        now = self._clock.wall()
        return (
            token.fingerprint != want.rejected
            and token.state(now, self._renewal_point) is not State.EXPIRED
            and token.seconds_left(now) >= want.min_ttl
        )

    def _is_fresh(self, token: AccessToken) -> bool:
        return token.state(self._clock.wall(), self._renewal_point) is State.FRESH

    def _issued(self, token: AccessToken, source: Source, want: Want) -> IssuedToken:
        return IssuedToken(token, self._clock.wall(), source, _outcome(token, source, want.rejected))


def _outcome(token: AccessToken, source: Source, rejected: str | None) -> Outcome:
    if rejected is None:
        return Outcome.ISSUED
    if source is not Source.SALESFORCE:
        return Outcome.ALREADY_ROTATED
    return Outcome.UNCHANGED if token.fingerprint == rejected else Outcome.ROTATED
