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
from salesforce_broker.errors import AppRefused, BrokerError, SalesforceBusy, SalesforceError, UserRefused
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
from salesforce_broker.tokens.ownership import OwnerPins
from salesforce_broker.tokens.shared_cache import LEASE_SECONDS, MAX_DELAY_SECONDS, NoSharedCache, SharedCache, SharedState

MIN_LOGIN_INTERVAL_SECONDS = 30
"""A token is not replaced earlier, whichever environment logged in, unless Salesforce itself calls it invalid."""

RECOVERY_SECONDS = 5
"""How often an environment whose circuit is open looks whether another one has shared a token."""


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
        owners = OwnerPins(settings.organization_id)
        self._login = Login(flow=flow, salesforce=salesforce, shared=shared, events=events, owners=owners, clock=clock)
        self._leader_lock = LeaderLock(shared, clock)
        self._states: dict[TokenIdentity, SubjectState] = {}
        self._states_lock = threading.Lock()

    def get(self, subject: str, want: Want) -> IssuedToken:
        """Return the held token while it is fresh; else refresh it, one caller at a time."""
        state = self._state(self._keys.current(want.deadline), subject)
        held = self._usable_in_memory(state, want)
        if held and self._is_fresh(held):
            return self._issued(state, held, Source.MEMORY, want)
        # Advisory: whoever has a usable token does not wait for the refresh of another thread. Mandatory: they wait.
        if not state.lock.acquire(timeout=0 if held else want.deadline.seconds_left):
            if held:
                return self._issued(state, held, Source.MEMORY, want)
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
            return self._issued(state, held, Source.MEMORY, want)
        key = self._keys.current(want.deadline)
        if state.breaker.tripped(key.version_id):
            # Somebody may have put a better key, or another app's, into the secret.
            key = self._keys.recheck(want.deadline)
            state = self._state(key, state.identity.subject)
        try:
            return self._despite_open_circuit(state, key, want) or self._obtain(state, key, want)
        except UserRefused:
            self._memory.drop(state.identity)
            raise
        except SalesforceError as error:
            held = self._usable_in_memory(state, want)
            if held is None:
                raise
            observability.report(error)
            return replace(self._issued(state, held, Source.MEMORY, want), degraded=True)

    def _despite_open_circuit(self, state: SubjectState, key: SigningKey, want: Want) -> IssuedToken | None:
        """Return None unless the circuit is open; then a token that another environment has shared, else raise."""
        try:
            state.breaker.check(key.version_id)
        except BrokerError:
            now = self._clock.wall()
            if 0 <= now - state.looked_at < RECOVERY_SECONDS:
                raise
            state.looked_at = now
            shared = self._shared.read(state.identity, key.sealing_key, want.deadline)
            if not (shared.token and self._is_usable(shared.token, want) and self._adopt(state, key, shared.token)):
                raise
            return self._issued(state, shared.token, Source.SHARED, want)
        return None

    def _obtain(self, state: SubjectState, key: SigningKey, want: Want) -> IssuedToken:
        """Take what another environment has shared, else log in, else wait for the environment that does."""
        shared = self._shared.read(state.identity, key.sealing_key, want.deadline)
        if issued := self._without_login(state, key, shared, want):
            return issued
        with self._leader_lock.acquire(state.identity, want.deadline, throttled=shared.throttled) as leader:
            if not leader:
                if held := self._usable_in_memory(state, want):
                    return self._issued(state, held, Source.MEMORY, want)
                if not state.breaker.tripped(key.version_id):
                    shared = self._leader_lock.wait_for_leader(
                        state.identity,
                        key.sealing_key,
                        lambda shared: shared.token is not None and self._is_usable(shared.token, want),
                        want.deadline,
                    )
                    if issued := self._without_login(state, key, shared, want, waited=True):
                        return issued
                elif not self._is_blocked_too_long(state):
                    raise SalesforceBusy(
                        "Another environment is testing whether Salesforce is back.", retry_after=LEASE_SECONDS
                    )
            return self._log_in(state, shared, want)

    def _without_login(
        self, state: SubjectState, key: SigningKey, shared: SharedState, want: Want, *, waited: bool = False
    ) -> IssuedToken | None:
        """Return what makes a login needless, or raise what forbids it: a shared token, a token to keep, a shared failure."""
        source = Source.SHARED if shared.token and self._adopt(state, key, shared.token) else Source.MEMORY
        held = self._memory.get(state.identity)
        if held and self._is_usable(held, want) and (waited or (source is Source.SHARED and self._is_fresh(held))):
            return self._issued(state, held, source, want)
        if held and (seconds := self._seconds_to_keep(state, shared, held, want)):
            issued = self._issued(state, held, source, want)
            if held.fingerprint != want.rejected:
                return issued
            return replace(issued, outcome=Outcome.SUPPRESSED, retry_after=seconds)
        self._login.respect_shared_failure(state, key, shared)
        return None

    def _seconds_to_keep(self, state: SubjectState, shared: SharedState, held: AccessToken, want: Want) -> float:
        """Return for how long the held token must not be replaced: it is too new, or the login budget is used up; else 0."""
        age = self._clock.wall() - held.issued_at
        too_new = MIN_LOGIN_INTERVAL_SECONDS - age if 0 <= age < MIN_LOGIN_INTERVAL_SECONDS else 0.0
        seconds = max(too_new, self._login.seconds_to_next(state, shared))
        invalid = seconds and held.fingerprint == want.rejected and self._login.is_invalid(state, held, want.deadline)
        return 0.0 if invalid else seconds

    def _is_blocked_too_long(self, state: SubjectState) -> bool:
        """Tell whether leases of others, of whom nothing is heard, have kept this environment back for MAX_DELAY_SECONDS."""
        now = self._clock.wall()
        if state.blocked_since is None:
            state.blocked_since = now
        return not 0 <= now - state.blocked_since < MAX_DELAY_SECONDS

    def _log_in(self, state: SubjectState, shared: SharedState, want: Want) -> IssuedToken:
        """Log in, and hold the token."""
        state.blocked_since = None
        known = {state.last_fingerprint, want.rejected, shared.token.fingerprint if shared.token else None}
        key, token = self._login.attempt(state, self._keys.recheck(want.deadline), shared, known, want.deadline)
        state = self._state(key, state.identity.subject)
        self._hold(state, token)
        return self._issued(state, token, Source.SALESFORCE, want)

    def _state(self, key: SigningKey, subject: str) -> SubjectState:
        identity = TokenIdentity(self._settings.login_url, self._settings.audience, key.client_id, subject)
        with self._states_lock:
            if identity not in self._states:
                self._states[identity] = SubjectState(identity, CircuitBreaker(self._clock))
            return self._states[identity]

    def _adopt(self, state: SubjectState, key: SigningKey, token: AccessToken) -> bool:
        """Hold a shared token if it is valid, the pinned owner's and outlives the held one; return whether it is held now."""
        held = self._memory.get(state.identity)
        valid = token.state(self._clock.wall(), self._renewal_point) is not State.EXPIRED
        if not valid or (held and token.expires_at <= held.expires_at):
            return False
        try:
            self._login.check_owner(state, key, token)
        except AppRefused as error:
            observability.report(error)
            return False
        self._hold(state, token)
        return True

    def _hold(self, state: SubjectState, token: AccessToken) -> None:
        self._memory.put(state.identity, token)
        state.last_fingerprint = token.fingerprint
        state.blocked_since = None

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

    def _issued(self, state: SubjectState, token: AccessToken, source: Source, want: Want) -> IssuedToken:
        outcome = _outcome(token, source, want.rejected)
        return IssuedToken(state.identity.subject, token, self._clock.wall(), source, outcome)


def _outcome(token: AccessToken, source: Source, rejected: str | None) -> Outcome:
    if rejected is None:
        return Outcome.ISSUED
    if source is not Source.SALESFORCE:
        return Outcome.ALREADY_ROTATED
    return Outcome.UNCHANGED if token.fingerprint == rejected else Outcome.ROTATED
