"""The JWT bearer flow (RFC 7523): signs assertions and exchanges them for one access token, with bounded retries."""

from __future__ import annotations

import functools
import json
import random
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from jwt.algorithms import RSAAlgorithm
from jwt.api_jws import PyJWS

from salesforce_broker import observability
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import AssertionExpired, AssertionRefused, BrokerError, SalesforceBusy
from salesforce_broker.keys.source import SigningKey, SigningKeySource
from salesforce_broker.salesforce.access_token import AccessToken
from salesforce_broker.salesforce.client import SalesforceClient
from salesforce_broker.salesforce.server_clock import ServerClock

ALGORITHM = "RS256"
"""The only one that Salesforce accepts [help: "OAuth 2.0 JWT Bearer Flow"]; never a parameter."""

BACKDATE_SECONDS = 30
"""`iat` lies in the past, so that a clock that runs ahead does not make an assertion from the future."""

ASSERTION_SECONDS = 150
"""Salesforce documents `exp` "within 3 minutes": this leaves 30 s for a clock that runs ahead, and 150 s (and
Salesforce's grace) for one that runs behind."""

MAX_ATTEMPTS = 3
"""Posts of one request while Salesforce is busy; a fourth would only add to what keeps it busy."""

MAX_PAUSES = (0.5, 1.5)
"""Seconds before the second and the third post; the pause is drawn from zero up to this (full jitter)."""


Sign = Callable[[bytes], bytes]
"""A message -> its RS256 signature."""


class JwtBearerFlow:
    """Logs users in through one app."""

    def __init__(self, keys: SigningKeySource, salesforce: SalesforceClient, *, audience: str, clock: Clock) -> None:
        self._keys = keys
        self._salesforce = salesforce
        self._audience = audience
        self._clock = clock
        self._server_clock = ServerClock(clock)

    def login(
        self,
        key: SigningKey,
        subject: str,
        deadline: Deadline,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        other_versions: bool = True,
    ) -> tuple[SigningKey, AccessToken]:
        """Return a token, and the key that was accepted for it: `key` or, with `other_versions`, another version of it.

        Every assertion is fresh. Busy is retried up to `max_attempts` in all; an expired assertion once, with Salesforce's
        clock; a refused assertion once with our own clock, if another was used, and once with each other version of the key.
        """
        busy, corrected, skew = 0, False, self._server_clock.skew()
        first, others = key, self._other_versions(key, deadline) if other_versions else iter(())
        while True:
            assertion = sign_assertion(
                issuer=key.client_id,
                subject=subject,
                audience=self._audience,
                sign=functools.partial(key.signer.sign, deadline=deadline),
                now=self._clock.wall() + skew,
                token_id=secrets.token_hex(16),
            )
            observability.count("LoginAttempt")
            try:
                token = self._salesforce.exchange(assertion, deadline)
            except SalesforceBusy as error:
                busy += 1
                pause = error.retry_after or random.uniform(0, MAX_PAUSES[min(busy, len(MAX_PAUSES)) - 1])  # noqa: S311  jitter
                if busy >= max_attempts or pause >= deadline.seconds_left:
                    raise
                self._clock.sleep(pause)
            except AssertionExpired as error:
                corrected, skew = True, self._server_clock.measure(error, corrected=corrected)
            except AssertionRefused:
                if skew:
                    # An assertion from the future, by a wrong Date, is called invalid rather than expired.
                    skew = self._server_clock.forget()
                    continue
                other = next(others, None)
                if other is None:
                    raise
                observability.logger.warning("signature refused, trying another key", version_id=other.version_id)
                key = other
            else:
                if corrected:
                    # Only now: a Date that did not help is not kept.
                    self._server_clock.keep(skew)
                return (key if key is first else self._keys.prefer(key)), token

    def _other_versions(self, refused: SigningKey, deadline: Deadline) -> Iterator[SigningKey]:
        """Yield what else the secret holds: its current version as it is now, then the pending, then the previous one."""
        tried = {refused.version_id}
        for read in (self._keys.refresh, self._keys.pending, self._keys.previous):
            try:
                other = read(deadline)
            except BrokerError as error:
                # There may be no such version; the caller gets the refusal.
                observability.logger.info("no other key", error=error.code)
                continue
            if other.version_id not in tried:
                tried.add(other.version_id)
                yield other


def sign_assertion(  # noqa: PLR0913  the claims, by their names
    *, issuer: str, subject: str, audience: str, sign: Sign, now: float, token_id: str
) -> str:
    """Sign an assertion that `issuer` (the consumer key) logs in `subject` (a username) at `audience`.

    `now` is epoch seconds by Salesforce's clock as far as it is known; `token_id` must be fresh for each attempt.
    """
    issued_at = int(now)
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "exp": issued_at + ASSERTION_SECONDS,
        "iat": issued_at - BACKDATE_SECONDS,
        "jti": token_id,
    }
    # PyJWT's types know its own keys only; the algorithm below takes what signs.
    key: Any = sign
    return _JWS.encode(json.dumps(claims, separators=(",", ":")).encode(), key, algorithm=ALGORITHM)


class _SignerAlgorithm(RSAAlgorithm):
    """RS256 by a Signer's method: the private key may be elsewhere."""

    def prepare_key(self, key: Any) -> Any:
        return key

    def check_key_length(self, key: Any) -> None:
        """Leave it to whoever reads the key (`keys.pem`), which refuses what is too short instead of warning."""
        del key

    def sign(self, msg: bytes, key: Any) -> bytes:
        return bytes(key(msg))


_JWS = PyJWS(algorithms=[])
_JWS.register_algorithm(ALGORITHM, _SignerAlgorithm(RSAAlgorithm.SHA256))
