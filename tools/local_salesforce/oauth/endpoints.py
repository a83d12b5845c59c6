"""The OAuth endpoints: token, identity URL, userinfo, revoke, introspect, discovery, JWKS.

Texts: Salesforce help, "Identity URL Response", "Revoke OAuth Tokens", "OpenID Connect Token Introspection".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from jwt.algorithms import RSAAlgorithm

from local_salesforce.addresses import Addresses
from local_salesforce.clock import MovableClock
from local_salesforce.login_attempt import Check
from local_salesforce.oauth import data_360
from local_salesforce.oauth.login_checks import Refused
from local_salesforce.oauth.token_endpoint import CONCURRENCY, TokenEndpoint
from local_salesforce.sessions import JWT_KEY_ID, Session, Sessions
from local_salesforce.wire import TOKEN_PATH, Answer, Request, Site
from local_salesforce.world import App, Org, User, World, long_id

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
IDENTITY_SCOPES = {"id", "profile", "email", "openid", "full"}
TOKEN_TYPE_HINTS = {"access_token", "refresh_token", ""}


class OAuth:
    """The endpoints below /services/oauth2, /id and /.well-known."""

    def __init__(
        self, world: World, clock: MovableClock, sessions: Sessions, token_endpoint: TokenEndpoint, addresses: Addresses
    ) -> None:
        self._world = world
        self._clock = clock
        self._sessions = sessions
        self._token_endpoint = token_endpoint
        self._addresses = addresses
        self.latency = 0.0

    def answer(self, request: Request) -> Answer | None:
        """Answer a request; None if its path is none of these."""
        endpoints: dict[str, Callable[[Request], Answer]] = {
            TOKEN_PATH: self._token,
            data_360.PATH: lambda request: data_360.exchange(request, self._sessions, self._addresses),
            "/services/oauth2/userinfo": self._userinfo,
            "/services/oauth2/revoke": self._revoke,
            "/services/oauth2/introspect": self._introspect,
            "/.well-known/openid-configuration": self._discovery,
            "/id/keys": self._keys,
        }
        if request.path in endpoints:
            return endpoints[request.path](request)
        return self._identity(request) if request.path.startswith("/id/") else None

    def _token(self, request: Request) -> Answer:
        try:
            with self._token_endpoint.one_at_a_time(request):
                time.sleep(self.latency)
                outcome, attempt = self._token_endpoint.log_in(request)
        except Refused as refused:
            checks = [Check(CONCURRENCY, "failed", refused.description)]
            outcome, attempt = refused, self._token_endpoint.attempt(request, checks)
        if isinstance(outcome, Refused):
            return replace(self._refusal(outcome), attempt=attempt)
        fields = {
            "access_token": outcome.token,
            "scope": outcome.app.scopes,
            "instance_url": self._addresses.my_domain(outcome.user.org).url,
            "id": self._identity_url(outcome.user),
            "token_type": "Bearer",
        }
        if self._world.switches.optional_answer_fields:
            fields |= self._optional_fields(outcome, fields["id"], request.site)
        token_id = str((attempt.claims or {}).get("jti", ""))
        return Answer.json(fields, headers=NO_STORE, subject=outcome.user.username, token_id=token_id, attempt=attempt)

    def _refusal(self, refused: Refused) -> Answer:
        switches = self._world.switches
        if refused.error == "rate_limit_exceeded" and switches.rate_limit_answer == "text":
            return Answer.text(refused.description, HTTPStatus.BAD_REQUEST, headers=NO_STORE)
        body = {"error": refused.error}
        if switches.error_descriptions:
            body["error_description"] = refused.description
        return Answer.json(body, HTTPStatus.BAD_REQUEST, headers=NO_STORE, error=refused.error)

    def _optional_fields(self, session: Session, identity_url: str, site: Site) -> dict[str, str]:
        issued_at = str(int(self._clock.now() * 1000))
        signed = hmac.digest(session.app.consumer_secret.encode(), (identity_url + issued_at).encode(), hashlib.sha256)
        fields = {"issued_at": issued_at, "signature": base64.b64encode(signed).decode()}
        if session.ends is not None:
            fields["token_format"] = "jwt"  # noqa: S105  a format
        if site.kind == "experience_cloud":
            fields["sfdc_community_url"] = site.url
        return fields

    def _identity(self, request: Request) -> Answer:
        session, refused = self._session(request)
        if session is None:
            return refused
        org_id, _, user_id = request.path.removeprefix("/id/").partition("/")
        if org_id != long_id(self._org(session.user).id):
            return Answer.text("Wrong_Org", HTTPStatus.FORBIDDEN)
        if user_id != long_id(session.user.id):
            return Answer.text("Bad_Id", HTTPStatus.NOT_FOUND)
        own = self._identity_url(session.user)
        names = {"username": session.user.username, "nick_name": session.user.username.partition("@")[0]}
        return Answer.json({"id": own, "asserted_user": True, **names, **self._about(session.user)})

    def _userinfo(self, request: Request) -> Answer:
        session, refused = self._session(request)
        if session is None:
            return refused
        names = {"preferred_username": session.user.username, "nickname": session.user.username.partition("@")[0]}
        return Answer.json({"sub": self._identity_url(session.user), **names, **self._about(session.user)})

    def _session(self, request: Request) -> tuple[Session | None, Answer]:
        """Return the session of a token that has an identity scope, or None and the refusal."""
        if not request.bearer:
            return None, Answer.text("Missing_OAuth_Token", HTTPStatus.FORBIDDEN)
        session = self._sessions.use(request.bearer, request.address)
        if session is None:
            return None, Answer.text("Bad_OAuth_Token", HTTPStatus.FORBIDDEN)
        if not IDENTITY_SCOPES & set(session.app.scopes.split()):
            return None, Answer.text("Invalid_Scope", HTTPStatus.FORBIDDEN)
        return session, Answer()

    def _about(self, user: User) -> dict[str, Any]:
        url = self._addresses.my_domain(user.org).url
        data = f"{url}/services/data/v{{version}}/"
        return {
            "user_id": long_id(user.id),
            "organization_id": long_id(self._org(user).id),
            "display_name": user.username.partition("@")[0].title(),
            "email": user.username,
            "email_verified": True,
            "user_type": "STANDARD",
            "active": user.state == "active",
            "language": "en_US",
            "locale": "en_US",
            "mobile_phone": "+1 555 0100",
            "urls": {"rest": data, "sobjects": f"{data}sobjects/", "query": f"{data}query/", "custom_domain": url},
        }

    def _revoke(self, request: Request) -> Answer:
        """End the session of a token; needs no client authentication."""
        parameters = request.parameters
        if parameters.get("token_type_hint", "") not in TOKEN_TYPE_HINTS:
            return _oauth_error("unsupported_token_type", "this token type is not supported")
        if self._sessions.end(token=parameters.get("token", "")):
            return Answer()
        return _oauth_error("invalid_token", "invalid token")

    def _introspect(self, request: Request) -> Answer:
        """Describe a token; needs the app's consumer secret, for which a key is no substitute."""
        form = request.form or {}
        apps = self._apps_with_secret(request, form)
        if not apps:
            return _oauth_error("invalid_client", "invalid client credentials")
        session = self._sessions.find(form.get("token", ""))
        if session is None or session.app not in apps:
            return Answer.json({"active": False}, headers=NO_STORE)
        return Answer.json(
            {
                "active": True,
                "scope": session.app.scopes,
                "client_id": session.app.consumer_key,
                "username": session.user.username,
                "sub": self._identity_url(session.user),
                "token_type": "access_token",
                "iat": int(session.began),
                "nbf": int(session.began),
                "exp": int(session.ends or session.last_used + self._sessions.idle_seconds(session)),
            },
            headers=NO_STORE,
        )

    def _apps_with_secret(self, request: Request, form: dict[str, str]) -> list[App]:
        key, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                key, _, secret = base64.b64decode(encoded).decode().partition(":")
            except ValueError:
                return []
        return [app for app in self._world.apps if app.consumer_key == key and secret and app.consumer_secret == secret]

    def _discovery(self, request: Request) -> Answer:
        url = request.site.url
        return Answer.json(
            {
                "issuer": url,
                "authorization_endpoint": f"{url}/services/oauth2/authorize",
                "token_endpoint": f"{url}{TOKEN_PATH}",
                "revocation_endpoint": f"{url}/services/oauth2/revoke",
                "introspection_endpoint": f"{url}/services/oauth2/introspect",
                "userinfo_endpoint": f"{url}/services/oauth2/userinfo",
                "jwks_uri": f"{url}/id/keys",
                "scopes_supported": ["api", "id", "full", "openid", "profile", "email", "refresh_token", "web"],
                "response_types_supported": ["code", "token", "token id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
            }
        )

    def _keys(self, _: Request) -> Answer:
        key = json.loads(RSAAlgorithm.to_jwk(self._sessions.signing_key.public_key()))
        return Answer.json({"keys": [key | {"kid": JWT_KEY_ID, "alg": "RS256", "use": "sig"}]})

    def _org(self, user: User) -> Org:
        return self._world.org(user.org)

    def _identity_url(self, user: User) -> str:
        return self._addresses.identity_url(user, self._org(user))


def _oauth_error(error: str, description: str) -> Answer:
    return Answer.json(
        {"error": error, "error_description": description}, HTTPStatus.BAD_REQUEST, headers=NO_STORE, error=error
    )
