"""The endpoints beside the token endpoint (the table of other endpoints, row by row)."""

from __future__ import annotations

import pytest

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME
from tests.integration.local_salesforce.conftest import Desk

IDENTITY = "/id/00D0000000localEAA/005000000000001AAA"
USERINFO = "/services/oauth2/userinfo"
INTROSPECT = "/services/oauth2/introspect"


def test_userinfo_tells_who(desk: Desk) -> None:
    """In OpenID Connect's words."""
    body = desk.get(USERINFO).json()
    assert (DEFAULT_USERNAME, "00D0000000localEAA") == (body["preferred_username"], body["organization_id"])
    assert {"sub", "user_id", "email", "active", "user_type", "urls"} <= set(body)


@pytest.mark.parametrize("site", ["acme", "login"])
def test_the_identity_url_tells_who(desk: Desk, site: str) -> None:
    """At the host that `id` names, and at the instance."""
    body = desk.get(IDENTITY, desk.token(), site=site).json()
    assert (DEFAULT_USERNAME, "005000000000001AAA", True) == (body["username"], body["user_id"], body["active"])
    assert desk.salesforce.urls["login"] + IDENTITY == body["id"]


@pytest.mark.parametrize("path", [USERINFO, IDENTITY])
def test_a_bad_token_is_a_403_in_plain_text(desk: Desk, path: str) -> None:
    """Not JSON."""
    answer = desk.get(path, "00D0000000local!bad")
    assert (403, "Bad_OAuth_Token") == (answer.status_code, answer.text)
    assert not answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("path", [USERINFO, IDENTITY])
def test_no_token_and_a_missing_scope_have_their_words(desk: Desk, path: str) -> None:
    """403 each."""
    answer = desk.get(path, "")
    assert (403, "Missing_OAuth_Token") == (answer.status_code, answer.text)
    desk.salesforce.world.app(DEFAULT_CONSUMER_KEY).scopes = "api"
    answer = desk.get(path)
    assert (403, "Invalid_Scope") == (answer.status_code, answer.text)


def test_somebody_elses_identity_is_refused(desk: Desk) -> None:
    """Another org's, another user's."""
    assert "Wrong_Org" == desk.get("/id/00D000000000002EAA/005000000000001AAA").text
    assert "Bad_Id" == desk.get("/id/00D0000000localEAA/005000000000002AAA").text


def test_a_bad_token_at_the_data_api_is_a_401_array(desk: Desk) -> None:
    """INVALID_SESSION_ID; likewise without a token, and with another org's."""
    token = desk.token()
    answers = [desk.get("/services/data/v65.0/query?q=SELECT+Id+FROM+Account", bad) for bad in ("", "00D0000000local!bad")]
    answers.append(desk.get("/services/data/v65.0/limits", token, site="acme--dev"))
    for answer in answers:
        assert 401 == answer.status_code
        assert [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}] == answer.json()


def test_there_are_401s_that_are_not_expiry(desk: Desk) -> None:
    """Refreshing does not help: no api scope, no agent."""
    app = desk.salesforce.world.app(DEFAULT_CONSUMER_KEY)
    app.scopes = "id"
    answer = desk.get("/services/data/v65.0/limits")
    assert (401, "This session is not valid for use with the REST API") == (answer.status_code, answer.json()[0]["message"])
    app.scopes, app.attached_to_agent = "api id", False
    answer = desk.get("/services/data/v65.0/limits")
    assert (401, "Connected app is not attached to Agent") == (answer.status_code, answer.json()[0]["message"])


def test_revoke_takes_no_other_kind_of_token(desk: Desk) -> None:
    """unsupported_token_type."""
    form = {"token": desk.token(), "token_type_hint": "id_token"}
    answer = desk.call("POST", "/services/oauth2/revoke", "", data=form)
    assert (400, "unsupported_token_type") == (answer.status_code, answer.json()["error"])
    assert desk.alive(form["token"])


@pytest.mark.parametrize("basic", [False, True])
def test_introspect_needs_the_consumer_secret(desk: Desk, basic: bool) -> None:
    """In the form or as basic authentication; a key alone does not open it."""
    token = desk.token()
    form = {"token": token, "client_id": DEFAULT_CONSUMER_KEY}
    refused = desk.call("POST", INTROSPECT, "", data=form)
    assert (400, "invalid_client") == (refused.status_code, refused.json()["error"])
    desk.salesforce.world.app(DEFAULT_CONSUMER_KEY).consumer_secret = "s3cret"
    assert 400 == desk.call("POST", INTROSPECT, "", data=form | {"client_secret": "other"}).status_code
    secret = {"auth": (DEFAULT_CONSUMER_KEY, "s3cret")} if basic else {"data": form | {"client_secret": "s3cret"}}
    told = desk.call("POST", INTROSPECT, "", **({"data": {"token": token}} | secret)).json()
    assert (True, DEFAULT_USERNAME, "api id") == (told["active"], told["username"], told["scope"])
    desk.salesforce.sessions.end()
    assert {"active": False} == desk.call("POST", INTROSPECT, "", **({"data": {"token": token}} | secret)).json()


def test_discovery_names_the_endpoints(desk: Desk) -> None:
    """And the JWKS is where it says."""
    told = desk.get("/.well-known/openid-configuration", "").json()
    assert desk.salesforce.url + "/services/oauth2/token" == told["token_endpoint"]
    keys = desk.session.get(told["jwks_uri"], timeout=30).json()["keys"]
    assert [("RSA", "RS256", "sig")] == [(key["kty"], key["alg"], key["use"]) for key in keys]
    assert "d" not in keys[0]
