"""The broker as its callers see it: tokens, from memory where possible.

Owns when the broker is asked and by which thread. Does not talk to it (see `invoke` and `https`) nor to Salesforce.
"""

from __future__ import annotations

import copy
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from salesforce_broker_client import token as answers
from salesforce_broker_client.cache import Held, TokenCache
from salesforce_broker_client.clock import Clock
from salesforce_broker_client.errors import AnswerInvalid, BrokerError, BrokerUnreachable
from salesforce_broker_client.https import ByHttps
from salesforce_broker_client.invoke import ByInvoke
from salesforce_broker_client.token import Token

if TYPE_CHECKING:
    import requests
    from simple_salesforce.api import Salesforce

TIMEOUT_SECONDS = 25.0
"""By default: the broker's function ends after 20, API Gateway hangs up after 29."""

PAUSE_AFTER_FAILURE_SECONDS = 5.0
"""In which a broker that failed is not asked again while there is a token that lives."""

SUPPRESSED_SECONDS = 30.0
"""In which the same token is not reported again, where the broker does not say for how long."""

FAILS_CLOSED = {"access_denied", "salesforce_user"}
"""Errors that end the use of a token that still lives: somebody has decided that this user, or this caller, is to have none."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a thread wants of the broker. `failures`: those that there had been when it began."""

    sub: str | None
    min_ttl: int
    refused: str | None
    ends: float
    failures: int

    @property
    def fields(self) -> dict[str, Any]:
        """Return the request's."""
        given = {"sub": self.sub, "min_ttl": self.min_ttl, "rejected": self.refused}
        return {name: value for name, value in given.items() if value}


@dataclass(slots=True)
class _User:
    """What is remembered of a user beside the token. `failed`: what was asked for last in vain, and why."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    failures: int = 0
    failed: tuple[dict[str, Any], BrokerError] | None = None
    failed_at: float | None = None
    reported: str = ""
    reported_until: float = 0.0


class Broker:
    """Hands out tokens; safe to share between threads. Make one for a process, outside the handler.

    By invoke of `function_name` (name, ARN, alias), or by HTTPS at `url`; without either, by what SALESFORCE_BROKER_FUNCTION or
    SALESFORCE_BROKER_URL in the environment name. `session`: a boto3.Session; `region`: the broker's, if it is another one;
    `timeout`: seconds for a call, where none is given with it.
    """

    def __init__(  # noqa: PLR0913  each has its default
        self,
        function_name: str | None = None,
        *,
        url: str | None = None,
        session: Any = None,
        region: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        if not function_name and not url:
            function_name = os.environ.get("SALESFORCE_BROKER_FUNCTION")
            url = None if function_name else os.environ.get("SALESFORCE_BROKER_URL")
        self._clock = clock or Clock()
        if function_name and not url:
            self._way: ByInvoke | ByHttps = ByInvoke(function_name, session=session, region=region, clock=self._clock)
        elif url and not function_name:
            self._way = ByHttps(url, session=session, region=region, clock=self._clock)
        else:
            raise ValueError("Give either function_name or url, or set SALESFORCE_BROKER_FUNCTION or SALESFORCE_BROKER_URL.")
        self._timeout = timeout
        self._cache = TokenCache(self._clock)
        self._users: dict[str | None, _User] = {}
        self._guard = threading.Lock()

    def token(
        self, sub: str | None = None, min_ttl: int = 0, *, rejected: Token | str | None = None, timeout: float | None = None
    ) -> Token:
        """Return a token for the user `sub` (default: the broker's) that lives for `min_ttl` seconds at least; BrokerError.

        `rejected`: the token, or its fingerprint, that Salesforce has just refused. It may come back: then Salesforce says
        that it lives, and the refusal has another cause. `timeout`: seconds for all of it, waiting for another thread included.
        """
        refused = rejected.fingerprint if isinstance(rejected, Token) else rejected
        timeout = self._timeout if timeout is None else timeout
        held = self._usable(sub, min_ttl, refused)
        if held and self._cache.fresh(held):
            return held.token
        user = self._user(sub)
        asked = _Asked(sub, min_ttl, refused, self._clock.monotonic() + timeout, user.failures)
        # Who holds a token that lives does not wait for the thread that renews it.
        if not user.lock.acquire(timeout=0 if held else max(timeout, 0)):
            if held:
                return held.token
            raise BrokerUnreachable("Another thread has been waiting for the broker all the time.")
        try:
            return self._renew(asked, user)
        finally:
            user.lock.release()

    def held(self, sub: str | None = None) -> Token | None:
        """Return the token in memory, or None where `token` would ask the broker. Never waits: for code that must not."""
        held = self._usable(sub, 0, None)
        return held.token if held and self._cache.fresh(held) else None

    def identity(self, sub: str | None = None, *, timeout: float | None = None) -> dict[str, Any]:
        """Return what Salesforce says of whose the token is (user, org, e-mail ...); BrokerError."""
        found = self._way.call("identity", {"sub": sub} if sub else {}, self._timeout if timeout is None else timeout)
        if "user_id" not in found:
            raise AnswerInvalid("The broker's answer names no user.")
        return found

    def session(self, sub: str | None = None) -> requests.Session:
        """Return a requests.Session for paths below the instance URL, whose tokens renew themselves. Needs `requests`."""
        from salesforce_broker_client.requests_auth import SalesforceSession  # noqa: PLC0415  an extra

        return SalesforceSession(self, sub)

    def simple_salesforce(self, sub: str | None = None, **arguments: Any) -> Salesforce:
        """Return a simple_salesforce.Salesforce whose session renews itself. Needs `simple-salesforce`."""
        from salesforce_broker_client.simple import salesforce  # noqa: PLC0415  an extra

        return salesforce(self, sub, **arguments)

    def _renew(self, asked: _Asked, user: _User) -> Token:
        """Take what another thread has got meanwhile, else ask; a token that lives serves while the broker is down."""
        held = self._usable(asked.sub, asked.min_ttl, asked.refused)
        now = self._clock.monotonic()
        if held and (
            self._cache.fresh(held) or (user.failed_at is not None and now - user.failed_at < PAUSE_AFTER_FAILURE_SECONDS)
        ):
            return held.token
        same = self._cache.get(asked.sub)
        if same and asked.refused == same.token.fingerprint == user.reported and now < user.reported_until:
            return same.token
        if user.failed and user.failures != asked.failures and user.failed[0] == asked.fields:
            # Another thread has asked for the same while this one waited: to ask again for each would be a queue of time-outs.
            raise copy.copy(user.failed[1]) from user.failed[1].__cause__
        try:
            found = answers.of_answer(self._way.call("token", asked.fields, asked.ends - now))
        except BrokerError as error:
            user.failures, user.failed, user.failed_at = user.failures + 1, (asked.fields, error), self._clock.monotonic()
            if error.code in FAILS_CLOSED:
                self._cache.drop(asked.sub)
            elif held:
                return held.token
            raise
        user.failed_at = user.failed = None
        self._cache.put(asked.sub, found)
        if found.fingerprint == asked.refused:
            user.reported = found.fingerprint
            user.reported_until = self._clock.monotonic() + (found.retry_after or SUPPRESSED_SECONDS)
        return found

    def _usable(self, sub: str | None, min_ttl: int, refused: str | None) -> Held | None:
        held = self._cache.get(sub)
        return held if held and held.token.fingerprint != refused and self._cache.left(held) >= min_ttl else None

    def _user(self, sub: str | None) -> _User:
        with self._guard:
            return self._users.setdefault(sub, _User())
