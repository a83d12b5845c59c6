"""The second exchange of Data 360, as salesforce-cdp-connector makes it: a token for a token of the tenant."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import requests

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME
from tests.integration.local_salesforce.conftest import Desk

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def exchange(desk: Desk, token: str, **changes: str) -> requests.Response:
    """Send the parameters in the URL's query."""
    parameters = {
        "grant_type": "urn:salesforce:grant-type:external:cdp",
        "subject_token_type": ACCESS_TOKEN,
        "subject_token": token,
    }
    return desk.call("POST", "/services/a360/token", "", params=parameters | changes)


@pytest.fixture
def token(desk: Desk) -> str:
    """Log in through an app that has the scope."""
    desk.salesforce.world.app(DEFAULT_CONSUMER_KEY).scopes = "api id cdp_query_api"
    return desk.token()


def test_a_token_is_exchanged_for_a_tenants_token(desk: Desk, token: str) -> None:
    """A JWT that says when it ends; the instance is a host without a scheme."""
    answer = exchange(desk, token).json()
    key = jwt.PyJWK(desk.get("/id/keys", "").json()["keys"][0])
    claims = jwt.decode(answer["access_token"], key, algorithms=["RS256"], audience="https://acme.my.salesforce.com")
    assert answer["expires_in"] == claims["exp"] - claims["iat"]
    assert desk.salesforce.url == f"http://{answer['instance_url']}"
    assert DEFAULT_USERNAME == desk.salesforce.sessions.living()[0].user.username


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"subject_token_type": "other"}, "unsupported_grant_type"),
        ({"subject_token": "00D0000000local!bad"}, "invalid_grant"),
    ],
    ids=["grant type", "token type", "token"],
)
def test_a_wrong_exchange_is_refused(desk: Desk, token: str, changes: dict[str, Any], error: str) -> None:
    """400, as every OAuth error."""
    answer = exchange(desk, token, **changes)
    assert 400 == answer.status_code
    assert error == answer.json()["error"]


def test_an_app_without_a_scope_of_data_360_is_refused(desk: Desk) -> None:
    """The scope of the REST API is not enough."""
    answer = exchange(desk, desk.token())
    assert 400 == answer.status_code
    assert "invalid_scope" == answer.json()["error"]
