"""The broker as its callers see it: tokens, from memory where possible.

Owns when the broker is asked and by which thread. Does not talk to it (see `invoke` and `https`) nor to Salesforce.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from salesforce_broker_client import token as answers
from salesforce_broker_client.cache import Clock, Held, TokenCache
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


@dataclass(slots=True)
class _User:
    """What is remembered of a user beside the token."""

    lock: threading.Lock = field(default_factory=threading.Lock)
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
        if function_name and not url:
            self._way: ByInvoke | ByHttps = ByInvoke(function_name, session=session, region=region)
        elif url and not function_name:
            self._way = ByHttps(url, session=session, region=region)
        else:
            raise ValueError("Give either function_name or url, or set SALESFORCE_BROKER_FUNCTION or SALESFORCE_BROKER_URL.")
        self._timeout = timeout
        self._clock = clock or Clock()
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
        ends = self._clock.monotonic() + timeout
        held = self._usable(sub, min_ttl, refused)
        if held and self._cache.fresh(held):
            return held.token
        user = self._user(sub)
        # Who holds a token that lives does not wait for the thread that renews it.
        if not user.lock.acquire(timeout=0 if held else max(timeout, 0)):
            if held:
                return held.token
            raise BrokerUnreachable("Another thread has been waiting for the broker all the time.")
        try:
            return self._renew(sub, min_ttl, refused, user, ends)
        finally:
            user.lock.release()

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

    def _renew(self, sub: str | None, min_ttl: int, refused: str | None, user: _User, ends: float) -> Token:
        """Take what another thread has got meanwhile, else ask; a token that lives serves while the broker is down."""
        held = self._usable(sub, min_ttl, refused)
        now = self._clock.monotonic()
        if held and (
            self._cache.fresh(held) or (user.failed_at is not None and now - user.failed_at < PAUSE_AFTER_FAILURE_SECONDS)
        ):
            return held.token
        same = self._cache.get(sub)
        if same and refused == same.token.fingerprint == user.reported and now < user.reported_until:
            return same.token
        fields = {"sub": sub, "min_ttl": min_ttl, "rejected": refused}
        try:
            body = self._way.call("token", {name: value for name, value in fields.items() if value}, ends - now)
            found = answers.of_answer(body)
        except BrokerError as error:
            user.failed_at = self._clock.monotonic()
            if error.code in FAILS_CLOSED:
                self._cache.drop(sub)
            elif held:
                return held.token
            raise
        user.failed_at = None
        self._cache.put(sub, found)
        if found.fingerprint == refused:
            user.reported = found.fingerprint
            user.reported_until = self._clock.monotonic() + (found.retry_after or SUPPRESSED_SECONDS)
        return found

    def _usable(self, sub: str | None, min_ttl: int, refused: str | None) -> Held | None:
        held = self._cache.get(sub)
        return held if held and held.token.fingerprint != refused and self._cache.left(held) >= min_ttl else None

    def _user(self, sub: str | None) -> _User:
        with self._guard:
            return self._users.setdefault(sub, _User())
