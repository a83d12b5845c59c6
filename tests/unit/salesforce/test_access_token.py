"""Expiry is the least of what is known, and nothing that an answer holds can make it more."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    "nonsense",
    [0, -1, math.nan, math.inf, "60", True, None, [], {}, 10**400, 86_401],
    ids=lambda value: repr(value)[:9],
)
def test_a_nonsense_expires_in_is_survived(nonsense: object) -> None:
    """And ignored."""
    assert "assumed" == made(expires_in=nonsense).expiry_basis


@pytest.mark.parametrize("value", ["a.b.c", "a.e30.c", "..", "é.é.é", jwt_token(10**12), "a." + "W" * 4000 + ".c"])
def test_a_token_that_only_looks_like_a_jwt_is_survived(value: str) -> None:
    """And its end assumed."""
    assert "assumed" == made(access_token=value).expiry_basis


@given(st.integers() | st.floats() | st.text() | st.none(), st.integers(60, MAX_LIFETIME_SECONDS))
def test_expiry_never_exceeds_what_is_assumed(expires_in: object, lifetime: int) -> None:
    """No answer lengthens a life."""
    token = from_answer(builders.answer(expires_in=expires_in), now=START, assumed_lifetime=lifetime)
    assert START < token.expires_at + 1 <= START + lifetime + 1


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
    assert {"signature": "s"} == made(signature="s", refresh_token="r", issued_at=7).optional
