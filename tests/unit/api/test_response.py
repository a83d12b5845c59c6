"""Answers and errors in the form of each function."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from salesforce_broker import errors
from salesforce_broker.api import response
from salesforce_broker.errors import AppRefused, BrokerError, LoginRateExceeded
from salesforce_broker.tokens.model import Health, Identity, IssuedToken, Outcome, Source
from tests.support import builders
from tests.support.clocks import START

ISSUED = IssuedToken(builders.USERNAME, builders.token(optional={"signature": "s"}), START + 100, Source.MEMORY, Outcome.ISSUED)


def all_errors(kind: type[BrokerError] = BrokerError) -> Iterator[type[BrokerError]]:
    """Walk the error tree."""
    for child in kind.__subclasses__():
        yield child
        yield from all_errors(child)


def test_a_token_answer_has_salesforces_fields_and_ours() -> None:
    """As Salesforce gave them, plus expiry and provenance."""
    assert {
        "access_token": "00D000000000001!first",
        "token_type": "Bearer",
        "instance_url": builders.LOGIN_URL,
        "id": builders.ID_URL,
        "scope": "api id",
        "signature": "s",
        "expires_in": 800,
        "expires_at": int(START) + 900,
        "expiry_basis": "assumed",
        "fingerprint": "a0438859dca81d17",
        "source": "memory",
        "outcome": "issued",
        "degraded": False,
        "sub": builders.USERNAME,
        "organization_id": "00D000000000001EAA",
    } == response.to_invoke(ISSUED)


def test_the_http_answer_is_the_same_and_is_not_stored() -> None:
    """Cache-Control: no-store (RFC 6749 section 5.1)."""
    answer = response.to_http(ISSUED)
    assert (200, response.to_invoke(ISSUED)) == (answer["statusCode"], json.loads(answer["body"]))
    assert "no-store" == answer["headers"]["Cache-Control"]


def test_an_identity_answer_holds_no_token() -> None:
    """Only its fingerprint."""
    answer = response.to_http(Identity({"username": "u"}, ISSUED))
    assert "00D000000000001!first" not in answer["body"]
    assert "u" == json.loads(answer["body"])["username"]


def test_health_tells_the_version() -> None:
    """And nothing about the key."""
    assert {"status": "ok", "version": "1"} == response.to_invoke(Health("1"))


def test_every_error_has_a_code_of_its_own_and_a_status() -> None:
    """The table of statuses and the tree of errors are the same closed set, but for errors of the operators' functions."""
    codes = [kind.code for kind in all_errors() if "code" in vars(kind)]
    assert sorted(codes) == sorted([*response.HTTP_STATUS, errors.EmergencyIncomplete.code, errors.EmergencyStopActive.code])


@pytest.mark.parametrize("kind", list(errors.SalesforceError.__subclasses__()))
def test_an_error_is_oauth_shaped(kind: type[BrokerError]) -> None:
    """error, error_description, and what helps to act on them."""
    answer = response.to_http_error(kind("what happened", hint="what to do"), "request-1")
    assert response.HTTP_STATUS[kind.code] == answer["statusCode"]
    assert {
        "error": kind.code,
        "error_description": "what happened",
        "retryable": kind.retryable,
        "retry_after": None,
        "hint": "what to do",
        "request_id": "request-1",
    } == json.loads(answer["body"])


def test_retry_after_is_a_header_too() -> None:
    """Whole seconds, rounded up."""
    answer = response.to_http_error(LoginRateExceeded("over", retry_after=299.2), "r")
    assert ("300", 300) == (answer["headers"]["Retry-After"], json.loads(answer["body"])["retry_after"])


def test_an_error_of_the_invoke_function_is_an_exception_with_the_answer_as_text() -> None:
    """errorType is the class, errorMessage the JSON; no traceback goes to the caller."""
    try:
        raise AppRefused("what happened", hint="what to do")
    except AppRefused as error:
        raised = response.to_invoke_error(error, "request-1")
    assert "AppRefused" == type(raised).__name__
    assert ("salesforce_config", "request-1") == (
        json.loads(str(raised))["error"],
        json.loads(str(raised))["request_id"],
    )
    assert raised.__traceback__ is None


@pytest.mark.parametrize("error", [ValueError("s3cret"), KeyError("s3cret"), RecursionError("s3cret")])
def test_a_defect_says_nothing_but_where_to_look(error: Exception) -> None:
    """The message of a foreign exception may quote anything."""
    answer = response.to_http_error(error, "request-1")
    assert (500, "internal_error") == (answer["statusCode"], json.loads(answer["body"])["error"])
    assert "s3cret" not in answer["body"] + str(response.to_invoke_error(error, "request-1"))
