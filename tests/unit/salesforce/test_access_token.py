"""Expiry is the least of what is known, and nothing that an answer holds can make it more."""

from __future__ import annotations

import base64
import json
import math

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_broker.salesforce.access_token import (
    EXPIRY_MARGIN_SECONDS,
    MAX_LIFETIME_SECONDS,
    AccessToken,
    State,
    from_answer,
)
from tests.support import builders
from tests.support.clocks import START


def made(**changes: object) -> AccessToken:
    """Make a token at START with an assumed lifetime of 900 s."""
    return from_answer(builders.answer(**changes), now=START, assumed_lifetime=900)


def jwt_token(exp: object) -> str:
    """Return a JWT-format access token; who signed it does not matter here."""
    return jwt.encode({"exp": exp}, "x" * 32)


def test_without_any_word_from_salesforce_the_lifetime_is_assumed() -> None:
    """The JWT bearer answer has no expires_in."""
    token = made()
    assert (START + 900, "assumed") == (token.expires_at, token.expiry_basis)


def test_expires_in_shortens() -> None:
    """What Salesforce tells counts, if it is less."""
    token = made(expires_in=60)
    assert (START + 60, "expires_in") == (token.expires_at, token.expiry_basis)


def test_exp_of_a_jwt_format_token_shortens() -> None:
    """JWT-format tokens carry their own end."""
    token = made(access_token=jwt_token(int(START) + 120))
    assert (START + 120, "jwt_exp") == (token.expires_at, token.expiry_basis)


def test_digits_in_a_string_are_a_number() -> None:
    """Some OAuth servers send them so."""
    token = made(expires_in="60")
    assert (START + 60, "expires_in") == (token.expires_at, token.expiry_basis)


@pytest.mark.parametrize(
    "nonsense",
    [math.nan, math.inf, -math.inf, "soon", "6e1", "\u0666\u0660", "", True, False, None, [], {}, 10**400, -(10**400), 86_401],
    ids=lambda value: repr(value)[:9],
)
def test_a_nonsense_expires_in_is_survived(nonsense: object) -> None:
    """And ignored."""
    assert "assumed" == made(expires_in=nonsense).expiry_basis


@pytest.mark.parametrize("over", [0, -1, -5, 0.0, -1e9, "0", "-5"])
def test_a_token_that_is_over_by_its_own_word_is_not_believed(over: object) -> None:
    """For no time at all."""
    assert made(expires_in=over).is_over(START)
    assert State.EXPIRED is made(expires_in=over).state(START, 0.75)


@pytest.mark.parametrize("exp", [int(START), int(START) - 1, int(START) - 86_400, 0, -1])
def test_a_jwt_whose_end_is_past_is_over(exp: int) -> None:
    """Whatever is assumed."""
    token = made(access_token=jwt_token(exp))
    assert (True, "jwt_exp") == (token.is_over(START), token.expiry_basis)


@pytest.mark.parametrize("exp", [True, None, "soon", [], math.inf, 10**400])
def test_a_nonsense_exp_is_survived(exp: object) -> None:
    """And ignored."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).rstrip(b"=").decode()
    assert "assumed" == made(access_token=f"e30.{claims}.x").expiry_basis


@pytest.mark.parametrize(
    ("lifetime", "margin"), [(1, 0.25), (20, 5), (60, 15), (119, 29.75), (120, 30), (900, 30), (86_400, 30)]
)
def test_the_margin_shrinks_with_a_short_life(lifetime: int, margin: float) -> None:
    """A token of 20 s serves for 15, so that not each request logs in; from two minutes on the margin is the full one."""
    token = builders.token(expires_at=int(START) + lifetime)
    assert margin == token.margin
    assert State.STALE is token.state(START + lifetime - margin - 0.1, 0.0)
    assert State.EXPIRED is token.state(START + lifetime - margin, 0.0)


def test_200_requests_need_few_tokens_of_20_seconds() -> None:
    """At ten requests a second, one token for each fifteen seconds."""
    made_at = [START]
    for request in range(200):
        now = START + request / 10
        token = from_answer(builders.answer(expires_in=20), now=made_at[-1], assumed_lifetime=900)
        if token.state(now, 1.0) is State.EXPIRED:
            made_at.append(now)
    assert [START, START + 15] == made_at


def test_a_token_of_a_longer_assumption_is_bounded_by_the_present_one() -> None:
    """TOKEN_LIFETIME_SECONDS was lowered while a token lay in the shared cache."""
    token = builders.token(expires_at=int(START) + 7_200, expiry_basis="expires_in")
    assert (START + 300, "assumed") == (token.bounded(300).expires_at, token.bounded(300).expiry_basis)
    assert token.bounded(7_200) is token
    assert token.bounded(86_400) is token


@pytest.mark.parametrize("value", ["a.b.c", "a.e30.c", "..", "é.é.é", jwt_token(10**12), "a." + "W" * 4000 + ".c"])
def test_a_token_that_only_looks_like_a_jwt_is_survived(value: str) -> None:
    """And its end assumed."""
    assert "assumed" == made(access_token=value).expiry_basis


@given(st.integers() | st.floats() | st.text() | st.none(), st.integers(60, MAX_LIFETIME_SECONDS))
def test_expiry_never_exceeds_what_is_assumed(expires_in: object, lifetime: int) -> None:
    """No answer lengthens a life."""
    token = from_answer(builders.answer(expires_in=expires_in), now=START, assumed_lifetime=lifetime)
    assert token.expires_at <= START + lifetime
    assert token.is_over(START) == (token.expiry_basis == "expires_in" and token.expires_at <= START)


def test_the_three_states_follow_each_other() -> None:
    """Fresh until the renewal point, stale until the margin, then expired."""
    token = made()
    assert State.FRESH is token.state(START + 674, 0.75)
    assert State.STALE is token.state(START + 675, 0.75)
    assert State.STALE is token.state(START + 900 - EXPIRY_MARGIN_SECONDS - 1, 0.75)
    assert State.EXPIRED is token.state(START + 900 - EXPIRY_MARGIN_SECONDS, 0.75)


def test_the_fingerprint_names_a_token_without_giving_it_away() -> None:
    """16 hex digits of SHA-256, and no token in the repr."""
    token = made(signature="s3cret")
    assert "a0438859dca81d17" == token.fingerprint
    assert token.value not in repr(token)
    assert "s3cret" not in repr(token)


def test_optional_fields_are_handed_on_and_unknown_ones_are_not() -> None:
    """signature yes; refresh_token, which this flow never gives, no."""
    token = made(signature="s", refresh_token="r", issued_at=7, sfdc_community_id="a\r\nX-Evil: 1", id_token="")
    assert {"signature": "s"} == token.optional
