"""The token service: authorizes a request, gets its token and audits the decision, whatever the entry point."""

from __future__ import annotations

from dataclasses import replace

from salesforce_broker import __version__, observability
from salesforce_broker.authorization import authorize
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.config import Settings
from salesforce_broker.errors import BrokerError, InternalError, MinTtlUnsatisfiable, TokenRefused
from salesforce_broker.keys.source import SigningKeySource
from salesforce_broker.salesforce.client import SalesforceClient
from salesforce_broker.tokens.model import Action, Answer, Health, Identity, IssuedToken, TokenRequest
from salesforce_broker.tokens.ownership import check_identity
from salesforce_broker.tokens.refresh import TokenSource, Want

ANSWER_SECONDS = 0.5
"""Kept back from the invocation's time, so that a deadline that passes still ends in an answer."""


WARM_SECONDS = 6.0
"""Of the ten that Lambda gives a cold start: imports and the gateway token need some of them."""


class TokenService:
    """Answers requests for tokens of one app in one org; safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        keys: SigningKeySource,
        tokens: TokenSource,
        salesforce: SalesforceClient,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._tokens = tokens
        self._salesforce = salesforce
        self._clock = clock

    def warm(self) -> None:
        """Read the key ahead of the first request; raise what goes wrong."""
        self._keys.current(self._clock.deadline(WARM_SECONDS))

    def answer(self, request: TokenRequest) -> Answer:
        """Answer a request; raise a BrokerError where there is no answer."""
        if request.action is Action.HEALTH:
            return Health(__version__)
        observability.logger.append_keys(caller=request.caller, entry_point=request.entry_point, action=request.action.value)
        deadline = self._clock.deadline(request.seconds_left - ANSWER_SECONDS)
        issued = self._issue(request, deadline)
        return issued if request.action is Action.TOKEN else self._identify(request, issued, deadline)

    def _identify(self, request: TokenRequest, issued: IssuedToken, deadline: Deadline) -> Identity:
        """Ask Salesforce whose the token is; a token that Salesforce has ended is replaced once."""
        try:
            document = self._salesforce.identity(issued.token, deadline)
        except TokenRefused:
            issued = self._issue(replace(request, rejected=issued.token.fingerprint), deadline)
            document = self._salesforce.identity(issued.token, deadline)
        check_identity(document, issued.token, issued.subject)
        return Identity(document, issued)

    def _issue(self, request: TokenRequest, deadline: Deadline) -> IssuedToken:
        """Return a token or raise, and write the audit line of it: without that line no token leaves."""
        subject = request.subject or self._settings.username
        try:
            issued = self._decide(subject, request, deadline)
        except Exception as error:
            code = error.code if isinstance(error, BrokerError) else InternalError.code
            observability.audit("token refused", subject=subject, outcome=code)
            raise
        observability.count(f"TokenIssued.{issued.source.value}")
        observability.audit(
            "token issued",
            subject=subject,
            source=issued.source.value,
            outcome=issued.outcome.value,
            degraded=issued.degraded,
            fingerprint=issued.token.fingerprint,
            expires_at=issued.token.expires_at,
        )
        return issued

    def _decide(self, subject: str, request: TokenRequest, deadline: Deadline) -> IssuedToken:
        """Authorize the caller for the subject, and get a token that satisfies the request."""
        authorize(
            subject,
            request.caller,
            default=self._settings.username,
            allowed=self._settings.allowed_subjects,
            grants=self._settings.subject_grants,
        )
        if request.min_ttl >= self._settings.token_lifetime_seconds:
            raise _unsatisfiable(request.min_ttl)
        issued = self._tokens.get(subject, Want(request.min_ttl, request.rejected, deadline))
        if request.min_ttl and issued.token.seconds_left(issued.now) < request.min_ttl:
            raise _unsatisfiable(request.min_ttl)
        return issued


def _unsatisfiable(min_ttl: int) -> MinTtlUnsatisfiable:
    return MinTtlUnsatisfiable(
        f"No token has {min_ttl} s left.",
        hint="Ask for less than TOKEN_LIFETIME_SECONDS, or set that to the integration user's real session time-out.",
    )
