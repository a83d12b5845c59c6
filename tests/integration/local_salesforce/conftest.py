"""The local Salesforce's own tests: every row of what is known of Salesforce, asked over HTTP."""

from __future__ import annotations

import functools
import json
import uuid
from typing import Any

import jwt
import pytest
import requests

from local_salesforce import (
    DEFAULT_ADMIN_USERNAME,
    DEFAULT_CONNECTED_APP_KEY,
    DEFAULT_CONSUMER_KEY,
    DEFAULT_USERNAME,
    KeyMaterial,
    LocalSalesforce,
)

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Desk:
    """A client that sends anything: assertions with any claim, header and key, to any address."""

    def __init__(self, salesforce: LocalSalesforce, key: KeyMaterial) -> None:
        self.salesforce = salesforce
        self.key = key
        self.session = requests.Session()
        self.session.trust_env = False

    def assertion(self, key: str = "", algorithm: str = "RS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Sign the usual claims with `claims` changed; one that is None is left out."""
        now = self.salesforce.clock.now()
        all_claims = {
            "iss": DEFAULT_CONSUMER_KEY,
            "sub": DEFAULT_USERNAME,
            "aud": self.salesforce.url,
            "exp": int(now) + 120,
            "iat": int(now) - 30,
            "jti": str(uuid.uuid4()),
        } | claims
        kept = {name: value for name, value in all_claims.items() if value is not None}
        # Not jwt.encode: it refuses claims of the wrong type, which are what Salesforce is to be asked about.
        return jwt.PyJWS().encode(json.dumps(kept).encode(), key or self.key.private_key, algorithm, headers=headers)

    def log_in(self, *, site: str = "acme", **claims: Any) -> requests.Response:
        """Post an assertion."""
        form = {"grant_type": GRANT_TYPE, "assertion": self.assertion(**claims)}
        return self.session.post(
            self.salesforce.urls[site] + "/services/oauth2/token", data=form, allow_redirects=False, timeout=30
        )

    def token(self, **claims: Any) -> str:
        """Log in; return the token."""
        return str(self.log_in(**claims).json()["access_token"])

    def connected(self, site: str, **claims: Any) -> requests.Response:
        """Post an assertion of the connected app."""
        return self.log_in(site=site, **{"iss": DEFAULT_CONNECTED_APP_KEY, "aud": self.salesforce.urls[site]} | claims)

    def call(
        self, method: str, path: str, token: str | None = None, *, site: str = "acme", **options: Any
    ) -> requests.Response:
        """Call an endpoint, by default with the default user's token; an empty one is no header."""
        token = self.token() if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.session.request(
            method, self.salesforce.urls[site] + path, headers=headers | options.pop("headers", {}), timeout=30, **options
        )

    def get(self, path: str, token: str | None = None, **options: Any) -> requests.Response:
        """Get from an endpoint."""
        return self.call("GET", path, token, **options)

    def query(self, soql: str, token: str | None = None) -> Any:
        """Run a query; return what is in the answer."""
        return self.get("/services/data/v65.0/query", token, params={"q": soql}).json()

    @functools.cache  # noqa: B019  a desk lives as long as its test
    def admin_token(self) -> str:
        """Log the administrator in, once: later the key may not be the app's any more."""
        return self.token(sub=DEFAULT_ADMIN_USERNAME)

    def alive(self, token: str) -> bool:
        """Tell whether the data API takes a token, which restarts its idle timer."""
        return self.get("/services/data/v65.0/limits", token).ok


@pytest.fixture
def desk(local_salesforce: LocalSalesforce, salesforce_key: KeyMaterial) -> Desk:
    """Return a client at a fresh Salesforce."""
    return Desk(local_salesforce, salesforce_key)


def said(answer: requests.Response) -> tuple[int, str, str]:
    """Return status, error and description of a refusal of the token endpoint."""
    body = answer.json()
    return answer.status_code, body.get("error", ""), body.get("error_description", "")
