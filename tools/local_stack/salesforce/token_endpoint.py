"""The token endpoint's decision: a form -> a session, or Salesforce's literal refusal.

Owns the checks and their order. Pure but for the clock it is given: no HTTP (see `server`).

Texts: Salesforce help, "OAuth 2.0 JWT Bearer Flow" and its error codes; the class each belongs to is the client's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from local_stack.salesforce.world import LOGIN_AUDIENCES, App, User, World

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GRACE_SECONDS = 180
"""After `exp`: clients that send exp = now have worked for years."""


class Refused(Exception):
    """A refusal: `error` and `description` as they stand in the answer."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A login that passed every check."""

    user: User
    app: App
    token_id: str


def decide(form: Mapping[str, str], world: World, *, own_url: str, now: float) -> LoggedIn:
    """Check a form as Salesforce does; raise Refused."""
    if form.get("grant_type") != GRANT_TYPE:
        raise Refused("unsupported_grant_type", "grant type not supported")
    assertion = form.get("assertion", "")
    claims = _unverified(assertion)
    app = world.app(claims.get("iss"))
    if app is None:
        raise Refused("invalid_client_id", "client identifier invalid")
    if app.certificate is None:
        raise Refused("invalid_client", "invalid client credentials")
    _verify(assertion, app.certificate)
    _check_audience(claims.get("aud"), app, own_url)
    _check_expiry(claims.get("exp"), now)
    # The legacy claim wins if both are there.
    user = world.user(claims.get("prn", claims.get("sub")), app.org)
    _check_user(user, app)
    assert user is not None
    if not app.scopes:
        raise Refused("invalid_grant", "no valid scopes defined")
    return LoggedIn(user, app, str(claims.get("jti", "")))


def _unverified(assertion: str) -> dict[str, Any]:
    """Read the claims in order to find the app; nothing else is done with them before the signature is verified."""
    try:
        claims: dict[str, Any] = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise Refused("invalid_grant", "invalid assertion") from None
    return claims


def _verify(assertion: str, certificate: str) -> None:
    """Verify the RS256 signature; an expired certificate will do, as it does there."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    assert isinstance(key, RSAPublicKey)
    try:
        # The signature alone: times and audience have answers of their own.
        jwt.PyJWS().decode(assertion, key, algorithms=["RS256"])
    except jwt.PyJWTError:
        raise Refused("invalid_grant", "invalid assertion") from None


def _check_audience(audience: object, app: App, own_url: str) -> None:
    if not isinstance(audience, str):
        raise Refused("invalid_grant", "audience is invalid")
    audience = audience.rstrip("/")
    if audience in LOGIN_AUDIENCES and app.external_client_app:
        raise Refused("app_not_found", "External client app is not installed in this org")
    login = "https://test.salesforce.com" if app.org.sandbox else "https://login.salesforce.com"
    if audience not in {own_url, app.org.my_domain, login}:
        raise Refused("invalid_grant", "audience is invalid")


def _check_expiry(exp: object, now: float) -> None:
    """Check the lower bound only; the upper one looks unenforced (the CLI has sent milliseconds for years)."""
    try:
        expires = float(exp) if isinstance(exp, int | float | str) else None
    except ValueError:
        expires = None
    if expires is None:
        raise Refused("invalid_grant", "invalid assertion")
    if expires + GRACE_SECONDS < now:
        raise Refused("invalid_grant", "expired authorization code")


def _check_user(user: User | None, app: App) -> None:
    if app.org.state != "active":
        raise Refused("inactive_org", "organization is locked, closed or suspended")
    if user is None:
        raise Refused("invalid_grant", "user hasn't approved this consumer")
    if user.state == "inactive":
        raise Refused("inactive_user", "user is inactive")
    if user.state != "active":
        raise Refused("invalid_grant", "user is locked")
    if not user.assigned:
        raise Refused("invalid_app_access", "user is not admin approved to access this app")
    if user.outside_login_range:
        raise Refused("invalid_grant", "ip restricted or invalid login hours")
