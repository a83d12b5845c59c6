"""The checks of the token endpoint, one function each, in the order in which they are made.

Texts: Salesforce help, "OAuth 2.0 JWT Bearer Flow" and its error codes. The order is the emulator's; nobody knows Salesforce's.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from local_salesforce import certificate_file
from local_salesforce.addresses import LOGIN_HOSTS, Addresses
from local_salesforce.certificates import Certificates
from local_salesforce.clock import MovableClock
from local_salesforce.oauth.assertion import Assertion, is_signed_by
from local_salesforce.oauth.login_counter import LoginCounter
from local_salesforce.sessions import in_ranges
from local_salesforce.wire import Request, Site
from local_salesforce.world import App, Org, User, World

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
REFRESH_SCOPES = {"refresh_token", "offline_access"}
NOT_APPROVED = ("invalid_grant", "user hasn't approved this consumer")
NOT_INSTALLED = ("app_not_found", "External client app is not installed in this org")
UNKNOWN_APP = ("invalid_client_id", "client identifier invalid")
INVALID_ASSERTION = ("invalid_grant", "invalid assertion")

_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
"""Neither NaN nor infinity, which PyJWT takes for numbers too."""


class Refused(Exception):
    """A refusal: `error` and `description` are the answer's, `reason` is the emulator's explanation for its journal."""

    def __init__(self, error: str, description: str, reason: str = "") -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.reason = reason


@dataclass(slots=True)
class Login:
    """A token request and what the checks have found so far."""

    request: Request
    assertion: Assertion
    app: App | None = None
    certificate: x509.Certificate | None = None
    user: User | None = None

    @property
    def claims(self) -> dict[str, Any]:
        """The assertion's claims."""
        return self.assertion.claims or {}

    @property
    def found_app(self) -> App:
        """The app, after its check."""
        assert self.app
        return self.app

    @property
    def found_user(self) -> User:
        """The user, after the check."""
        assert self.user
        return self.user


class LoginChecks:
    """The checks by name, in order; each takes a Login and raises Refused."""

    def __init__(self, world: World, clock: MovableClock, certificates: Certificates, addresses: Addresses) -> None:
        self._world = world
        self._clock = clock
        self._certificates = certificates
        self._addresses = addresses
        self._counter = LoginCounter(clock)
        self.in_order: dict[str, Callable[[Login], None]] = {
            "method": _check_method,
            "grant_type": _check_grant_type,
            "assertion": _check_assertion,
            "app": self._check_app,
            "certificate": self._check_certificate,
            "signature": _check_signature,
            "audience": self._check_audience,
            "expiry": self._check_expiry,
            "replay": self._check_replay,
            "user": self._check_user,
            "org_state": self._check_org,
            "user_state": self._check_user_state,
            "approval": self._check_approval,
            "login_ranges": self._check_login_ranges,
            "scopes": self._check_scopes,
            "login_rate": self._check_login_rate,
        }

    def _check_app(self, login: Login) -> None:
        """Find the app: a connected app at every host of its kind of org, an External Client App in its own org only."""
        site = login.request.site
        apps = [app for app in self._world.apps if app.consumer_key == login.assertion.issuer]
        if not apps:
            raise Refused(*UNKNOWN_APP, f"no app has the consumer key {login.assertion.issuer}")
        usable = [app for app in apps if self._is_usable(app, site, login.claims.get("aud"))]
        if not usable and any(app.kind == "external_client_app" for app in apps):
            reason = "an External Client App is known at its own org's My Domain only, with that My Domain as audience"
            raise Refused(*NOT_INSTALLED, reason)
        if not usable:
            raise Refused(*UNKNOWN_APP, "the app belongs to the other kind of org: production or sandbox")
        user = self._find_user(login)
        org = site.org.name if site.org else user.org if user else ""
        login.app = next((app for app in usable if app.org == org), usable[0])

    def _is_usable(self, app: App, site: Site, audience: object) -> bool:
        if app.kind == "connected_app":
            return self._world.org(app.org).sandbox == site.sandbox
        names_login_host = isinstance(audience, str) and self._addresses.public_url(audience) in LOGIN_HOSTS.values()
        needs_login_host = self._world.switches.my_domain_audience_is_refused
        return site.org is not None and site.org.name == app.org and (needs_login_host or not names_login_host)

    def _check_certificate(self, login: Login) -> None:
        pem = self._certificates.seen_by(login.request.connection, login.found_app)
        if pem is None:
            raise Refused("invalid_client", "invalid client credentials", "the app has no certificate")
        login.certificate = certificate_file.read(pem)

    def _check_audience(self, login: Login) -> None:
        """Accept one string: the login host of this kind of org, a My Domain or site of the org; at a site, that site."""
        audience = login.claims.get("aud")
        accepted = self._audiences(login.request.site)
        if not isinstance(audience, str) or self._addresses.public_url(audience) not in accepted:
            raise Refused("invalid_grant", self._world.switches.audience_text, f"accepted: {', '.join(sorted(accepted))}")

    def _audiences(self, site: Site) -> set[str]:
        if site.kind == "experience_cloud":
            return {site.public_url}
        orgs = [site.org] if site.org else [org for org in self._world.orgs if org.sandbox == site.sandbox]
        accepted = {LOGIN_HOSTS["test" if site.sandbox else "login"], *(url for org in orgs for url in org.sites)}
        if not self._world.switches.my_domain_audience_is_refused:
            accepted |= {org.my_domain for org in orgs}
        return accepted

    def _check_expiry(self, login: Login) -> None:
        """Accept a number, or a number in a string."""
        switches, now, claim = self._world.switches, self._clock.now(), login.claims.get("exp")
        exp = float(str(claim)) if _NUMBER.fullmatch(str(claim)) and not isinstance(claim, bool) else None
        if exp is None:
            raise Refused(*INVALID_ASSERTION, "exp is no number")
        if switches.max_exp is not None and exp > now + switches.max_exp:
            raise Refused(*INVALID_ASSERTION, f"exp is more than {switches.max_exp} seconds ahead")
        if exp + switches.grace_after_exp < now:
            raise Refused("invalid_grant", "expired authorization code", f"expired {now - exp:.0f} seconds ago")

    def _check_replay(self, login: Login) -> None:
        token_id = login.claims.get("jti")
        if not self._world.switches.replayed_jti_is_refused or token_id is None:
            return
        if not self._counter.is_first_use(login.found_app.consumer_key, str(token_id)):
            raise Refused(*INVALID_ASSERTION, "an assertion with this jti was used before")

    def _check_user(self, login: Login) -> None:
        login.user = self._find_user(login)
        if login.user is None:
            raise Refused(*NOT_APPROVED, "no user has this username here")

    def _find_user(self, login: Login) -> User | None:
        """Find the user in the host's org or, at a login host, in any org of that kind."""
        site = login.request.site
        for org in self._world.orgs:
            if org is site.org or (site.org is None and org.sandbox == site.sandbox):
                with contextlib.suppress(KeyError):
                    return self._world.user(login.assertion.username, org.name)
        return None

    def _org(self, login: Login) -> Org:
        return self._world.org(login.found_user.org)

    def _check_org(self, login: Login) -> None:
        if self._org(login).state != "active":
            raise Refused("inactive_org", "organization is locked, closed or suspended")

    def _check_user_state(self, login: Login) -> None:
        state = login.found_user.state
        if state == "inactive" and self._world.switches.inactive_user_error == "inactive_user":
            raise Refused("inactive_user", "user is inactive")
        if state != "active":
            words = {"locked": "user is locked", "barred": "authentication failure"}
            raise Refused("invalid_grant", words.get(state, "inactive user"), f"the user is {state}")

    def _check_approval(self, login: Login) -> None:
        app, user = login.found_app, login.found_user
        if self._world.switches.refresh_token_scope_is_required and not REFRESH_SCOPES & set(app.scopes.split()):
            raise Refused(*NOT_APPROVED, "the app does not have the scope refresh_token")
        if app.permitted_users == "self_authorize":
            if user.username not in app.approved_by:
                raise Refused(*NOT_APPROVED, "the user has not authorized the app")
        elif user.profile not in app.profiles and not set(user.permission_sets) & set(app.permission_sets):
            reason = "the user has no profile and no permission set of the app"
            raise Refused("invalid_app_access", "user is not admin approved to access this app", reason)

    def _check_login_ranges(self, login: Login) -> None:
        ranges = self._world.profile(login.found_user.profile).login_ranges
        if ranges and not in_ranges(login.request.address, ranges):
            reason = f"the profile does not allow logins from {login.request.address}"
            raise Refused("invalid_grant", "ip restricted or invalid login hours", reason)

    def _check_scopes(self, login: Login) -> None:
        if not login.found_app.scopes.split():
            raise Refused("invalid_grant", "no valid scopes defined", "the app has no scope")

    def _check_login_rate(self, login: Login) -> None:
        limit = self._world.switches.logins_an_hour
        if not self._counter.count(login.found_user.username, limit):
            raise Refused("rate_limit_exceeded", "login rate exceeded", f"the user had {limit} logins within an hour")


def _check_method(login: Login) -> None:
    if login.request.method != "POST":
        raise Refused("invalid_request", "must use HTTP POST")


def _check_grant_type(login: Login) -> None:
    if login.request.parameters.get("grant_type") != GRANT_TYPE:
        raise Refused("unsupported_grant_type", "grant type not supported")


def _check_assertion(login: Login) -> None:
    if not login.assertion.text:
        raise Refused("invalid_request", "missing required parameter: assertion")
    if login.assertion.claims is None:
        raise Refused(*INVALID_ASSERTION, "the assertion is no JWT")


def _check_signature(login: Login) -> None:
    assert login.certificate
    if not is_signed_by(login.assertion, login.certificate):
        raise Refused(*INVALID_ASSERTION, "the signature is not RS256 with the key of the app's certificate")
