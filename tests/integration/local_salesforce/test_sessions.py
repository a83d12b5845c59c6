"""Answers and sessions: the five fields, the identical token, the idle timer, JWT-format tokens, revocation."""

from __future__ import annotations

import re
from typing import Literal

import jwt
import pytest

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME
from tests.integration.local_salesforce.conftest import Desk

HOUR = 3600


def test_the_answer_has_five_fields(desk: Desk) -> None:
    """No refresh token, no expires_in."""
    answer = desk.log_in()
    body = answer.json()
    assert {"access_token", "scope", "instance_url", "id", "token_type"} == set(body)
    assert ("api id", desk.salesforce.url, "Bearer") == (body["scope"], body["instance_url"], body["token_type"])
    assert re.fullmatch(r"00D0000000local![A-Za-z0-9._]{96}", body["access_token"])
    assert f"{desk.salesforce.urls['login']}/id/00D0000000localEAA/005000000000001AAA" == body["id"]
    assert "no-store" == answer.headers["Cache-Control"]


def test_optional_fields_are_a_switch(desk: Desk) -> None:
    """As other flows have them."""
    desk.salesforce.world.switches.optional_answer_fields = True
    assert {"issued_at", "signature"} <= set(desk.log_in().json())


def test_the_token_is_identical_while_the_session_lives(desk: Desk) -> None:
    """For the same user and app; another user has another one."""
    first = desk.token()
    assert first == desk.token()
    assert first != desk.token(sub="orders@acme.example")
    desk.salesforce.clock.advance(2 * HOUR)
    assert first != desk.token()


def test_use_restarts_the_idle_timer_and_an_exchange_does_not(desk: Desk) -> None:
    """Two hours, by default, after the last call."""
    used, exchanged = desk.token(), desk.token(sub="orders@acme.example")
    desk.salesforce.clock.advance(1.5 * HOUR)
    assert desk.alive(used)
    assert exchanged == desk.token(sub="orders@acme.example")
    desk.salesforce.clock.advance(HOUR)
    assert desk.alive(used)
    assert not desk.alive(exchanged)


def test_an_exchange_that_restarts_the_timer_is_a_switch(desk: Desk) -> None:
    """Nobody knows."""
    desk.salesforce.world.switches.exchange_restarts_idle_timer = True
    token = desk.token()
    desk.salesforce.clock.advance(1.5 * HOUR)
    assert token == desk.token()
    desk.salesforce.clock.advance(HOUR)
    assert desk.alive(token)


@pytest.mark.parametrize("setter", ["org", "profile", "app"])
def test_the_timeout_is_the_apps_else_the_profiles_else_the_orgs(desk: Desk, setter: str) -> None:
    """The narrower one decides, whatever the wider ones say."""
    world = desk.salesforce.world
    world.org("acme").session_minutes = 15 if setter == "org" else 1440
    if setter != "org":
        world.profile("Salesforce Integration").session_minutes = 15 if setter == "profile" else 1440
    if setter == "app":
        world.app(DEFAULT_CONSUMER_KEY).session_minutes = 15
    token = desk.token()
    desk.salesforce.clock.advance(14 * 60)
    assert desk.alive(token)
    desk.salesforce.clock.advance(15 * 60)
    assert not desk.alive(token)


def test_revoking_ends_the_session_for_every_holder(desk: Desk) -> None:
    """Without any client authentication; a second time there is nothing to revoke."""
    token = desk.token()
    answers = [desk.call("POST", "/services/oauth2/revoke", "", data={"token": token}) for _ in range(2)]
    assert (200, b"") == (answers[0].status_code, answers[0].content)
    assert (400, "invalid_token") == (answers[1].status_code, answers[1].json()["error"])
    assert not desk.alive(token)
    assert token != desk.token()


def test_a_user_who_is_frozen_loses_the_session(desk: Desk) -> None:
    """At once."""
    token = desk.token()
    desk.salesforce.user(DEFAULT_USERNAME).state = "frozen"
    assert not desk.alive(token)


def test_jwt_format_tokens_are_signed_and_have_a_timeout_of_their_own(desk: Desk) -> None:
    """Verifiable with /id/keys; use does not prolong them."""
    app = desk.salesforce.world.app(DEFAULT_CONSUMER_KEY)
    app.token_format, app.jwt_minutes = "jwt", 5
    token = desk.token()
    key = jwt.PyJWK(desk.get("/id/keys", "").json()["keys"][0])
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="https://acme.my.salesforce.com")
    assert 300 == claims["exp"] - claims["iat"]
    assert (DEFAULT_CONSUMER_KEY, "uid:005000000000001AAA") == (claims["client_id"], claims["sub"])
    desk.salesforce.clock.advance(200)
    assert desk.alive(token)
    desk.salesforce.clock.advance(200)
    assert not desk.alive(token)


def test_whether_jwt_format_tokens_are_reused_is_a_switch(desk: Desk) -> None:
    """A new one each time, or the same."""
    desk.salesforce.world.app(DEFAULT_CONSUMER_KEY).token_format = "jwt"
    assert desk.token() != desk.token()
    desk.salesforce.world.switches.jwt_tokens_are_reused = True
    assert desk.token() == desk.token()


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_tokens_over_four_kilobytes_come_on_demand(desk: Desk, token_format: Literal["opaque", "jwt"]) -> None:
    """Of both formats, and they work."""
    app = desk.salesforce.world.app(DEFAULT_CONSUMER_KEY)
    app.token_format, app.token_padding = token_format, 4096
    token = desk.token()
    assert len(token) > 4096
    assert desk.alive(token)
