"""Tokens from memory where possible, else from the broker: when it is called, and by which thread."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import Any

from salesforce_broker_client import fork
from salesforce_broker_client import token as answers
from salesforce_broker_client.clock import Clock
from salesforce_broker_client.errors import AnswerInvalid, BrokerError, BrokerUnreachable
from salesforce_broker_client.ownership import Ownership
from salesforce_broker_client.token import Token
from salesforce_broker_client.token_cache import Held, TokenCache
from salesforce_broker_client.transports import Transport

PAUSE_AFTER_FAILURE_SECONDS = 5.0
"""After a failed call, how long a token that is still valid is used before the broker is called again."""

MAX_TIMEOUT_SECONDS = 86400.0
"""More is this: locks and sockets overflow at some number, infinity included."""

SUPPRESSED_SECONDS = 30.0
"""How long the same token is not reported again, where the broker does not say for how long."""

FAILS_CLOSED = {"access_denied", "salesforce_user"}
"""Errors that end the use of a token that is still valid: this user, or this caller, is not to have one any more."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What a thread wants of the broker. `failures`: the subject's count when the thread began to wait."""

    sub: str | None
    min_ttl: int
    rejected: str | None
    ends: float
    failures: int

    @property
    def fields(self) -> dict[str, Any]:
        """Return the fields to send."""
        fields = {"sub": self.sub, "min_ttl": self.min_ttl, "rejected": self.rejected}
        return {name: value for name, value in fields.items() if value}


@dataclass(slots=True)
class _Subject:
    """What is known of a user beside the token. `failure`: the fields of the last failed request, and its error."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    failures: int = 0
    failure: tuple[dict[str, Any], BrokerError] | None = None
    failed_at: float | None = None
    reported: str = ""
    reported_until: float = 0.0


class TokenSource:
    """Hands out tokens; safe to share between threads, and to use on in a forked child."""

    def __init__(self, transport: Transport, *, timeout: float, clock: Clock) -> None:
        """`timeout`: seconds for a call, where none is given with it."""
        self._transport = transport
        self._timeout = timeout
        self._clock = clock
        self._cache = TokenCache(clock)
        self._ownership = Ownership()
        self._subjects: dict[str | None, _Subject] = {}
        fork.register(self)

    def reset_after_fork(self) -> None:
        """In a forked child: locks that no thread holds, and renewal times of its own. Tokens and what is pinned stay."""
        self._subjects = {}
        self._cache.redraw_renewals()

    def token(
        self, sub: str | None = None, min_ttl: int = 0, *, rejected: Token | str | None = None, timeout: float | None = None
    ) -> Token:
        """Return a token for the user `sub` (default: the broker's) that lives for `min_ttl` seconds at least; BrokerError.

        `rejected`: the token, or its fingerprint, that Salesforce has just refused. The same token may come back: then
        Salesforce says that it is valid, and the refusal has another cause. `timeout`: seconds for all of it, waiting for
        another thread included.
        """
        fingerprint = rejected.fingerprint if isinstance(rejected, Token) else rejected
        timeout = self._seconds(timeout)
        held = self._usable(sub, min_ttl, fingerprint)
        if held and self._cache.fresh(held):
            return held.token
        subject = self._subject(sub)
        request = _Request(sub, min_ttl, fingerprint, self._clock.monotonic() + timeout, subject.failures)
        # A caller with a valid token does not wait for the thread that renews it.
        if not subject.lock.acquire(timeout=0 if held else timeout):
            if held:
                return held.token
            raise BrokerUnreachable("Another thread has been waiting for the broker for the whole timeout.")
        try:
            return self._renew(request, subject)
        finally:
            subject.lock.release()

    def held(self, sub: str | None = None) -> Token | None:
        """Return the token in memory, or None where `token` would call the broker. Never waits."""
        held = self._usable(sub, 0, None)
        return held.token if held and self._cache.fresh(held) else None

    def identity(self, sub: str | None = None, *, timeout: float | None = None) -> dict[str, Any]:
        """Return what Salesforce says of whose the token is (user, org, e-mail ...); BrokerError."""
        found = self._transport.call("identity", {"sub": sub} if sub else {}, self._seconds(timeout))
        owner, organization_id = found.get("sub"), answers.organization_id_of(found)
        if not isinstance(owner, str) or organization_id is None or "user_id" not in found:
            raise AnswerInvalid("The broker's answer does not name the user and the org.", hint="Check the broker's version.")
        self._ownership.check(sub, owner, organization_id)
        username = found.get("username", owner)
        if str(username).lower() != owner.lower():
            raise AnswerInvalid(f"The broker answered for {owner} with the identity of {username}.")
        return found

    def _renew(self, request: _Request, subject: _Subject) -> Token:
        """Return what another thread has got meanwhile, else call; a valid token is used on while the broker is down."""
        held = self._usable(request.sub, request.min_ttl, request.rejected)
        now = self._clock.monotonic()
        if held and (
            self._cache.fresh(held) or (subject.failed_at is not None and now - subject.failed_at < PAUSE_AFTER_FAILURE_SECONDS)
        ):
            return held.token
        same = self._cache.get(request.sub)
        if same and request.rejected == same.token.fingerprint == subject.reported and now < subject.reported_until:
            return same.token
        if subject.failure and subject.failures != request.failures and subject.failure[0] == request.fields:
            # Another thread failed with the same request while this one waited: a call each would be a queue of time-outs.
            raise copy.copy(subject.failure[1]) from subject.failure[1].__cause__
        try:
            found = answers.of_answer(self._transport.call("token", request.fields, request.ends - now))
            self._ownership.check(request.sub, found.sub, found.organization_id)
        except BrokerError as error:
            subject.failures, subject.failure = subject.failures + 1, (request.fields, error)
            subject.failed_at = self._clock.monotonic()
            if error.code in FAILS_CLOSED:
                self._cache.drop(request.sub)
            elif held:
                return held.token
            raise
        subject.failed_at = subject.failure = None
        self._cache.put(request.sub, found)
        if found.fingerprint == request.rejected:
            subject.reported = found.fingerprint
            subject.reported_until = self._clock.monotonic() + (found.retry_after or SUPPRESSED_SECONDS)
        return found

    def _seconds(self, timeout: float | None) -> float:
        return min(max(self._timeout if timeout is None else timeout, 0.0), MAX_TIMEOUT_SECONDS)

    def _usable(self, sub: str | None, min_ttl: int, rejected: str | None) -> Held | None:
        held = self._cache.get(sub)
        return held if held and held.token.fingerprint != rejected and self._cache.left(held) >= min_ttl else None

    def _subject(self, sub: str | None) -> _Subject:
        return self._subjects.setdefault(sub, _Subject())
