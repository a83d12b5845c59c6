"""The order of the rooms, and nothing else: what is held, what is shared, what Salesforce gives.

Owns when a token is renewed, and by whom. Does not parse, sign, store or talk: the rooms do.

A token is handed out from memory while it is FRESH. Once STALE, one caller renews it and the others get the one that
still lives; once EXPIRED, all wait for one mint. The same among environments: one has the lease, the others go on with what
lives or wait for what it shares. No background threads: Lambda would freeze them.
"""

from __future__ import annotations

import math
import threading
from dataclasses import replace

from salesforce_broker import __version__, access, observability
from salesforce_broker.access_token import AccessToken, State
from salesforce_broker.announcements import Announcements
from salesforce_broker.answer import Answer, Health, IssuedToken, Outcome, Source, TokenOwner
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.election import Election
from salesforce_broker.errors import (
    BrokerError,
    MinTtlUnsatisfiable,
    SalesforceBusy,
    SalesforceError,
    TokenRefused,
    UserRefused,
)
from salesforce_broker.login import Login
from salesforce_broker.minter import Minter
from salesforce_broker.request import Action, TokenRequest
from salesforce_broker.salesforce import Salesforce
from salesforce_broker.settings import Settings
from salesforce_broker.signing_key import SigningKey, SigningKeySource
from salesforce_broker.token_cache import LEASE_SECONDS, MemoryCache, Shared, SharedCache, TokenIdentity

ANSWER_SECONDS = 0.5
"""Kept back from the invocation's time, so that a deadline that passes still ends in an answer."""

SECONDS_BETWEEN_MINTS = 30
"""For one subject, unless Salesforce itself calls the last token dead: nothing that callers report makes a loop."""


class TokenBroker:
    """Hands out tokens of one app in one org; safe to share between threads."""

    def __init__(  # noqa: PLR0913  the rooms, by their names
        self,
        settings: Settings,
        *,
        keys: SigningKeySource,
        memory: MemoryCache,
        shared: SharedCache | None,
        salesforce: Salesforce,
        announcements: Announcements,
        clock: Clock,
        renewal_point: float,
    ) -> None:
        """`renewal_point`: the share of a token's life after which this environment renews it (0 to 1)."""
        self._settings = settings
        self._keys = keys
        self._memory = memory
        self._shared = shared
        self._salesforce = salesforce
        self._clock = clock
        self._renewal_point = renewal_point
        minter = Minter(keys, salesforce, audience=settings.audience, clock=clock)
        self._login = Login(minter, salesforce, shared, announcements, clock)
        self._election = Election(shared, clock)
        self._last: dict[TokenIdentity, str] = {}
        self._minted: dict[TokenIdentity, float] = {}
        self._renewing: dict[TokenIdentity, threading.Lock] = {}
        self._guard = threading.Lock()

    def warm(self) -> None:
        """Pull the key ahead of the first request; raise what goes wrong."""
        self._keys.current()

    def answer(self, asked: TokenRequest) -> Answer:
        """Answer a request; raise a BrokerError where there is no answer."""
        if asked.action is Action.HEALTH:
            return Health(__version__)
        observability.logger.append_keys(caller=asked.caller, door=asked.door, action=asked.action.value)
        deadline = self._clock.deadline(asked.seconds_left - ANSWER_SECONDS)
        if asked.action is Action.IDENTITY:
            return self._owner(asked, deadline)
        return self._issue(asked, deadline)

    def bridge(self, seconds: float, min_ttl: int) -> None:
        """Share, for every subject, a token that lives for `min_ttl` s; whoever cannot log in is left out. None leaves."""
        deadline = self._clock.deadline(seconds)
        for subject in self._settings.subjects:
            asked = TokenRequest("operator", Action.TOKEN, caller="", seconds_left=seconds, min_ttl=min_ttl)
            try:
                self._find(asked, subject, deadline)
            except BrokerError as error:
                observability.report(error)

    def _owner(self, asked: TokenRequest, deadline: Deadline) -> TokenOwner:
        """Ask Salesforce whose the token is; a token that died at Salesforce is renewed once."""
        issued = self._issue(asked, deadline)
        try:
            return TokenOwner(self._salesforce.identity(issued.token, deadline), issued)
        except TokenRefused:
            issued = self._issue(replace(asked, rejected=issued.token.fingerprint), deadline)
            return TokenOwner(self._salesforce.identity(issued.token, deadline), issued)

    def _issue(self, asked: TokenRequest, deadline: Deadline) -> IssuedToken:
        """Answer with a token or an error, and write down which: without that line no token leaves."""
        try:
            issued = self._decide(asked, deadline)
        except BrokerError as error:
            observability.audit("token refused", subject=asked.subject or self._settings.username, outcome=error.code)
            raise
        observability.count(f"TokenIssued.{issued.source.value}")
        observability.audit(
            "token issued",
            subject=asked.subject or self._settings.username,
            source=issued.source.value,
            outcome=issued.outcome.value,
            degraded=issued.degraded,
            fingerprint=issued.token.fingerprint,
            expires_at=issued.token.expires_at,
        )
        return issued

    def _decide(self, asked: TokenRequest, deadline: Deadline) -> IssuedToken:
        """Check who may have what, and find or mint a token that serves the request."""
        given = self._settings
        subject = access.check(
            asked.subject,
            asked.caller,
            default=given.username,
            allowed=given.allowed_subjects,
            grants=given.subject_grants,
        )
        if asked.min_ttl >= given.token_lifetime_seconds:
            raise _too_long(asked.min_ttl)
        issued = self._find(asked, subject, deadline)
        if issued.token.seconds_left(issued.now) < asked.min_ttl:
            raise _too_long(asked.min_ttl)
        return issued

    def _find(self, asked: TokenRequest, subject: str, deadline: Deadline) -> IssuedToken:
        """Take the held token while it is fresh; else renew it, one caller at a time."""
        key = self._keys.current()
        identity = self._identity(key, subject)
        held = self._memory.get(identity)
        if held and self._serves(held, asked):
            found = Outcome.ISSUED if asked.rejected is None else Outcome.ALREADY_ROTATED
            if self._fresh(held):
                return self._issued(held, Source.MEMORY, found)
            # Who holds a token that still lives does not wait for the one who renews it.
            patience = 0.0
        else:
            found = Outcome.ISSUED if asked.rejected is None else Outcome.ROTATED
            patience = deadline.seconds_left
        with self._guard:
            lock = self._renewing.setdefault(identity, threading.Lock())
        if not lock.acquire(timeout=patience):
            if held and patience == 0:
                return self._issued(held, Source.MEMORY, found)
            raise SalesforceBusy("Another request has been waiting for Salesforce all the time.")
        try:
            return self._renew(key, identity, asked, deadline, found)
        finally:
            lock.release()

    def _renew(
        self, key: SigningKey, identity: TokenIdentity, asked: TokenRequest, deadline: Deadline, outcome: Outcome
    ) -> IssuedToken:
        """Renew; a token that still lives serves whatever goes wrong, but for a user who may not log in any more."""
        held = self._memory.get(identity)
        if held and self._serves(held, asked) and self._fresh(held):
            return self._issued(held, Source.MEMORY, outcome)
        if self._login.failing(identity, key):
            # Somebody may have put a better key, or another app's, into the secret.
            key = self._keys.recheck()
            identity = self._identity(key, identity.subject)
        try:
            self._login.check(identity, key)
            return self._from_others_or_salesforce(key, identity, asked, deadline, outcome)
        except UserRefused:
            self._memory.drop(identity)
            raise
        except SalesforceError as error:
            held = self._memory.get(identity)
            if held is None or not self._serves(held, asked):
                raise
            observability.report(error)
            return replace(self._issued(held, Source.MEMORY, outcome), degraded=True)

    def _from_others_or_salesforce(
        self, key: SigningKey, identity: TokenIdentity, asked: TokenRequest, deadline: Deadline, outcome: Outcome
    ) -> IssuedToken:
        """Take what another environment has shared, else log in, else wait for the environment that does."""
        shared = self._shared.get(identity, key.sealing_key) if self._shared else Shared()
        held, source = self._memory.get(identity), Source.MEMORY
        if shared.token and self._newer(shared.token, held):
            held, source = shared.token, Source.SHARED
            self._hold(identity, held)
        serves = held is not None and self._serves(held, asked)
        if held and source is Source.SHARED and serves and self._fresh(held):
            return self._issued(held, source, outcome)
        reported = held is not None and held.fingerprint == asked.rejected
        if held and self._too_soon(identity) and not (reported and self._login.dead(held, deadline)):
            return replace(self._issued(held, source, Outcome.SUPPRESSED), retry_after=SECONDS_BETWEEN_MINTS)
        self._login.heed(identity, key, shared)
        with self._election.lease(identity, crowded=shared.crowded) as won:
            if not won and held and serves:
                return self._issued(held, source, outcome)
            if not won and self._login.failing(identity, key):
                raise SalesforceBusy("Another environment is trying whether Salesforce is back.", retry_after=LEASE_SECONDS)
            if not won:
                found = self._election.wait(identity, key.sealing_key, lambda each: self._serves(each, asked), deadline)
                if found:
                    self._hold(identity, found)
                    return self._issued(found, Source.SHARED, outcome)
            known = {self._last.get(identity), asked.rejected, shared.token.fingerprint if shared.token else None}
            key, token = self._login.token(self._keys.recheck(), identity, known, deadline)
            identity = self._identity(key, identity.subject)
            self._minted[identity] = self._clock.wall()
            self._hold(identity, token)
            if self._shared:
                self._shared.put(identity, token, key.sealing_key)
        if asked.rejected is not None:
            outcome = Outcome.UNCHANGED if token.fingerprint == asked.rejected else Outcome.ROTATED
        return self._issued(token, Source.SALESFORCE, outcome)

    def _hold(self, identity: TokenIdentity, token: AccessToken) -> None:
        self._memory.put(identity, token)
        self._last[identity] = token.fingerprint

    def _too_soon(self, identity: TokenIdentity) -> bool:
        return 0 <= self._clock.wall() - self._minted.get(identity, -math.inf) < SECONDS_BETWEEN_MINTS

    def _newer(self, token: AccessToken, held: AccessToken | None) -> bool:
        """Tell whether a shared token lives and outlives what is held."""
        lives = token.state(self._clock.wall(), self._renewal_point) is not State.EXPIRED
        return lives and (held is None or token.expires_at > held.expires_at)

    def _identity(self, key: SigningKey, subject: str) -> TokenIdentity:
        return TokenIdentity(self._settings.login_url, self._settings.audience, key.client_id, subject)

    def _serves(self, token: AccessToken, asked: TokenRequest) -> bool:
        """Tell whether `token` lives, lives long enough and is not the one that was refused."""
        now = self._clock.wall()
        return (
            token.fingerprint != asked.rejected
            and token.state(now, self._renewal_point) is not State.EXPIRED
            and token.seconds_left(now) >= asked.min_ttl
        )

    def _fresh(self, token: AccessToken) -> bool:
        return token.state(self._clock.wall(), self._renewal_point) is State.FRESH

    def _issued(self, token: AccessToken, source: Source, outcome: Outcome) -> IssuedToken:
        return IssuedToken(token, self._clock.wall(), source, outcome)


def _too_long(min_ttl: int) -> MinTtlUnsatisfiable:
    return MinTtlUnsatisfiable(
        f"No token has {min_ttl} s left.",
        hint="Ask for less than TOKEN_LIFETIME_SECONDS, or set that to the integration user's real session time-out.",
    )
