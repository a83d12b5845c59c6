"""The order of the rooms, and nothing else: what is held, what is shared, what Salesforce gives.

Owns when a token is renewed and what is tried again. Does not parse, sign, store or talk: the rooms do.

A token is handed out from memory while it is FRESH. Once STALE, one caller renews it and the others get the one that still
lives; once EXPIRED, all wait for one mint. No background threads: Lambda would freeze them.
"""

from __future__ import annotations

import random
import secrets
import threading
from dataclasses import replace

from salesforce_broker import __version__, access, assertion, observability
from salesforce_broker.access_token import AccessToken, State
from salesforce_broker.answer import Answer, Health, IssuedToken, Outcome, Source, TokenOwner
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import (
    AssertionExpired,
    AssertionRefused,
    BrokerError,
    LoginRateExceeded,
    MinTtlUnsatisfiable,
    SalesforceBusy,
    TokenRefused,
    UserRefused,
)
from salesforce_broker.request import Action, TokenRequest
from salesforce_broker.salesforce import Salesforce
from salesforce_broker.settings import Settings
from salesforce_broker.signing_key import SigningKey, SigningKeySource
from salesforce_broker.token_cache import MemoryCache, SharedCache, TokenIdentity

ANSWER_SECONDS = 0.5
"""Kept back from the invocation's time, so that a deadline that passes still ends in an answer."""

MOST_POSTS = 3
"""Of one request, while Salesforce is busy; a fourth would only add to what keeps it busy."""

LONGEST_PAUSES = (0.5, 1.5)
"""Seconds before the second and the third post; the pause is drawn from zero up to this (full jitter)."""

LARGEST_CLOCK_SKEW_SECONDS = 600
"""A `Date` further off than this says more about the answer than about our clock."""


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
        self._skew = 0.0
        self._minting: dict[TokenIdentity, threading.Lock] = {}
        self._minting_guard = threading.Lock()

    def warm(self) -> None:
        """Pull the key ahead of the first request; raise what goes wrong."""
        self._keys.current()

    def answer(self, asked: TokenRequest) -> Answer:
        """Answer a request; raise a BrokerError where there is no answer."""
        if asked.action is Action.HEALTH:
            return Health(__version__)
        observability.logger.append_keys(caller=asked.caller, action=asked.action.value)
        deadline = self._clock.deadline(asked.seconds_left - ANSWER_SECONDS)
        if asked.action is Action.IDENTITY:
            return self._owner(asked, deadline)
        return self._issue(asked, deadline)

    def _owner(self, asked: TokenRequest, deadline: Deadline) -> TokenOwner:
        """Ask Salesforce whose the token is; a token that died at Salesforce is renewed once."""
        issued = self._issue(asked, deadline)
        try:
            return TokenOwner(self._salesforce.identity(issued.token, deadline), issued)
        except TokenRefused:
            issued = self._issue(replace(asked, rejected=issued.token.fingerprint), deadline)
            return TokenOwner(self._salesforce.identity(issued.token, deadline), issued)

    def _issue(self, asked: TokenRequest, deadline: Deadline) -> IssuedToken:
        """Find or mint a token that serves the request, and leave a line about it in the log."""
        subject = access.check(asked.subject, default=self._settings.username, allowed=self._settings.allowed_subjects)
        observability.logger.append_keys(subject=subject)
        if asked.min_ttl >= self._settings.token_lifetime_seconds:
            raise _too_long(asked.min_ttl)
        issued = self._find(asked, subject, deadline)
        if issued.token.seconds_left(issued.now) < asked.min_ttl:
            raise _too_long(asked.min_ttl)
        observability.count(f"TokenIssued.{issued.source.value}")
        observability.logger.info(
            "token issued",
            source=issued.source.value,
            outcome=issued.outcome.value,
            degraded=issued.degraded,
            fingerprint=issued.token.fingerprint,
            expires_at=issued.token.expires_at,
        )
        return issued

    def _find(self, asked: TokenRequest, subject: str, deadline: Deadline) -> IssuedToken:
        key = self._keys.current()
        identity = self._identity(key, subject)
        held = self._serving(self._memory.get(identity), asked)
        if held and self._fresh(held):
            return self._issued(held, Source.MEMORY, asked)
        with self._minting_guard:
            lock = self._minting.setdefault(identity, threading.Lock())
        # Who holds a token that still lives does not wait for the one who renews it.
        if not lock.acquire(timeout=0 if held else deadline.seconds_left):
            if held:
                return self._issued(held, Source.MEMORY, asked)
            raise SalesforceBusy("Another request has been waiting for Salesforce all the time.")
        try:
            return self._renew(key, identity, asked, deadline)
        finally:
            lock.release()

    def _renew(self, key: SigningKey, identity: TokenIdentity, asked: TokenRequest, deadline: Deadline) -> IssuedToken:
        """Take a token from another thread, from another environment or from Salesforce, in this order."""
        held = self._serving(self._memory.get(identity), asked)
        if held and self._fresh(held):
            return self._issued(held, Source.MEMORY, asked)
        source = Source.MEMORY
        found = self._serving(self._shared.get(identity, key.sealing_key), asked) if self._shared else None
        if found and (held is None or found.expires_at > held.expires_at):
            held, source = found, Source.SHARED
            self._memory.put(identity, found)
            if self._fresh(found):
                return self._issued(found, Source.SHARED, asked)
        try:
            key, token = self._mint(key, identity.subject, deadline)
        except (SalesforceBusy, LoginRateExceeded) as error:
            if held is None:
                raise
            observability.report(error)
            return replace(self._issued(held, source, asked), degraded=True)
        except UserRefused:
            # Whoever may not log in any more shall not go on with what was handed out before.
            self._memory.drop(identity)
            raise
        identity = self._identity(key, identity.subject)
        self._memory.put(identity, token)
        if self._shared:
            self._shared.put(identity, token, key.sealing_key)
        return self._issued(token, Source.SALESFORCE, asked)

    def _mint(self, key: SigningKey, subject: str, deadline: Deadline) -> tuple[SigningKey, AccessToken]:
        """Exchange assertions, each of them fresh, until one is accepted or nothing speaks for another try.

        Busy is tried again up to MOST_POSTS in all, a clock that is off and a key that was rotated once each.
        """
        posts, corrected, looked_again = 0, False, False
        while True:
            signed = assertion.mint(
                issuer=key.client_id,
                subject=subject,
                audience=self._settings.audience,
                key=key.private_key,
                now=self._clock.wall() + self._skew,
                token_id=secrets.token_hex(16),
            )
            posts += 1
            try:
                return key, self._salesforce.exchange(signed, deadline)
            except SalesforceBusy as busy:
                pause = busy.retry_after or random.uniform(0, LONGEST_PAUSES[min(posts, MOST_POSTS - 1) - 1])  # noqa: S311  jitter
                if posts >= MOST_POSTS or pause >= deadline.seconds_left:
                    raise
                self._clock.sleep(pause)
            except AssertionExpired as expired:
                if corrected or expired.server_time is None:
                    raise
                skew = expired.server_time - self._clock.wall()
                if abs(skew) > LARGEST_CLOCK_SKEW_SECONDS:
                    raise
                self._skew, corrected = skew, True
            except AssertionRefused as refused:
                if looked_again:
                    raise
                key, looked_again = self._rotated(key, refused), True

    def _rotated(self, key: SigningKey, refused: AssertionRefused) -> SigningKey:
        """Look whether the secret holds another key by now; raise `refused` if not."""
        try:
            current = self._keys.refresh()
        except BrokerError as error:
            observability.report(error)
            raise refused from error
        if current.version_id == key.version_id:
            raise refused
        return current

    def _identity(self, key: SigningKey, subject: str) -> TokenIdentity:
        return TokenIdentity(self._settings.login_url, self._settings.audience, key.client_id, subject)

    def _serving(self, token: AccessToken | None, asked: TokenRequest) -> AccessToken | None:
        """Return `token` if it lives, lives long enough and is not the one that was refused."""
        if token is None or token.fingerprint == asked.rejected:
            return None
        now = self._clock.wall()
        if token.state(now, self._renewal_point) is State.EXPIRED or token.seconds_left(now) < asked.min_ttl:
            return None
        return token

    def _fresh(self, token: AccessToken) -> bool:
        return token.state(self._clock.wall(), self._renewal_point) is State.FRESH

    def _issued(self, token: AccessToken, source: Source, asked: TokenRequest) -> IssuedToken:
        if asked.rejected is None:
            outcome = Outcome.ISSUED
        elif token.fingerprint == asked.rejected:
            outcome = Outcome.UNCHANGED
        elif source is Source.SALESFORCE:
            outcome = Outcome.ROTATED
        else:
            outcome = Outcome.ALREADY_ROTATED
        return IssuedToken(token, self._clock.wall(), source, outcome)


def _too_long(min_ttl: int) -> MinTtlUnsatisfiable:
    return MinTtlUnsatisfiable(
        f"No token has {min_ttl} s left.",
        hint="Ask for less than TOKEN_LIFETIME_SECONDS, or set that to the integration user's real session time-out.",
    )
