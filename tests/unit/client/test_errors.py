"""Every way in which a token is not to be had is an exception of one tree, and says nothing secret."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError

import salesforce_broker_client as client
from salesforce_broker.api.response import HTTP_STATUS
from salesforce_broker_client import BrokerError, errors
from salesforce_broker_client.transports import https
from tests.support.broker_answers import answer, raised
from tests.unit.client.conftest import Start, client_error

URL = "https://lambda.example"


@pytest.mark.parametrize("code", sorted(HTTP_STATUS))
def test_each_of_the_brokers_codes_is_a_class(start: Start, code: str) -> None:
    """With everything that the broker says of it."""
    caller = start(raised(code, retryable=True, retry_after=7))
    with pytest.raises(BrokerError) as caught:
        caller.broker.token()
    error = caught.value
    assert type(error) is not BrokerError
    assert (code, True, 7, "It did not work.", "Change it.", "r-1") == (
        error.code,
        error.retryable,
        error.retry_after,
        error.description,
        error.hint,
        error.request_id,
    )


def test_a_newer_brokers_code_is_an_error_all_the_same(start: Start) -> None:
    """Of the root of the tree."""
    with pytest.raises(BrokerError) as caught:
        start(raised("teapot")).broker.token()
    assert (BrokerError, "teapot") == (type(caught.value), caught.value.code)


@pytest.mark.parametrize(
    ("failure", "kind", "retryable"),
    [
        (client_error("TooManyRequestsException"), client.BrokerThrottled, True),
        (client_error("ServiceException"), client.BrokerUnreachable, True),
        (client_error("AccessDeniedException"), client.CallDenied, False),
        (client_error("ResourceNotFoundException"), client.CallDenied, False),
        (ReadTimeoutError(endpoint_url=URL), client.BrokerUnreachable, True),
        (ConnectTimeoutError(endpoint_url=URL), client.BrokerUnreachable, True),
        (EndpointConnectionError(endpoint_url=URL), client.BrokerUnreachable, True),
        (NoCredentialsError(), client.CallDenied, False),
        ({"errorMessage": "2026 Task timed out after 20.00 seconds"}, client.BrokerFailed, True),
        ({"errorMessage": "RequestId: 1 Error: Runtime exited", "errorType": "Runtime.ExitError"}, client.BrokerFailed, True),
        ({"errorMessage": '{"error": 7}', "errorType": "x"}, client.AnswerInvalid, False),
        (b"", client.AnswerInvalid, False),
        (b"null", client.AnswerInvalid, False),
        (b"[" * 100_000, client.AnswerInvalid, False),
        ({"statusCode": 200, "body": "{}"}, client.AnswerInvalid, False),
    ],
)
def test_each_failure_of_the_way_is_a_class(start: Start, failure: object, kind: type[BrokerError], retryable: bool) -> None:
    """Lambda's refusals, the network's, the runtime's, and what is no answer at all."""
    with pytest.raises(kind) as caught:
        start(failure).broker.token()
    assert (kind, retryable) == (type(caught.value), caught.value.retryable)
    assert "must not be repeated" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "00D!a\r\nX-Injected: 1"},
        {"instance_url": None},
        {"instance_url": "http://acme.my.salesforce.com"},
        {"instance_url": "https://acme.my.salesforce.com@evil.example"},
        {"instance_url": "https://acme.my.salesforce.com/path"},
        {"expires_in": "900"},
        {"expires_in": True},
        {"expires_in": float("nan")},
        {"expires_in": float("inf")},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": -0.5},
        {"expires_in": 10**400},
        {"expires_in": -(10**400)},
        {"expires_in": 10**12},
        {"expires_in": [900]},
        {"expires_in": None},
        {"expires_at": None},
        {"expires_at": "1800000000"},
        {"expires_at": True},
        {"expires_at": -1},
        {"expires_at": 10**400},
        {"expires_at": float("inf")},
        {"fingerprint": None},
        {"fingerprint": "a\nb"},
        {"instance_url": "http://evil.example\\@localhost"},
        {"instance_url": "https://evil.example\\@acme.my.salesforce.com"},
        {"sub": None},
        {"sub": ""},
        {"sub": "no address"},
        {"sub": "a@b\x1b[31m"},
        {"organization_id": None},
        {"organization_id": "00D"},
        {"organization_id": "00D00000000000\n"},
        {"organization_id": "00D000000000001EA"},
    ],
)
def test_an_answer_that_is_not_whole_is_no_token(start: Start, changes: dict[str, Any]) -> None:
    """Nor does it show up in the exception."""
    with pytest.raises(client.AnswerInvalid) as caught:
        start(answer("00D!secret", **changes)).broker.token()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("field", ["expires_in", "expires_at", "retry_after"])
@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400, "9" * 5000, "NaN", "-Infinity", '"9"', "{}", "true"])
def test_no_number_escapes_as_an_exception_of_pythons(start: Start, field: str, number: str) -> None:
    """As JSON has it: a token, or an error of this tree."""
    content = json.dumps(answer(sub="integration@acme.example", **{field: "@"})).replace('"@"', number)
    caller = start(content.encode())
    if field == "retry_after" and not number.startswith("9" * 5000):
        assert caller.broker.token().retry_after is None
    else:
        with pytest.raises(client.AnswerInvalid):
            caller.broker.token()


@pytest.mark.parametrize(
    ("said", "after", "since", "attempts"),
    [
        ({"retry_after": 7, "since": 1_800_000_000, "attempts": 3}, 7, 1_800_000_000, 3),
        ({}, None, None, None),
        ({"retry_after": True, "since": True, "attempts": True}, None, None, None),
        ({"retry_after": "7", "since": "now", "attempts": "3"}, None, None, None),
        ({"retry_after": -7, "since": -7, "attempts": -7}, None, None, None),
        ({"retry_after": 10**400, "since": 10**400, "attempts": 10**400}, None, None, None),
        ({"retry_after": float("nan"), "since": float("inf"), "attempts": 1.5}, None, None, None),
    ],
)
def test_a_remembered_refusal_says_since_when(
    start: Start, said: dict[str, Any], after: float | None, since: int | None, attempts: int | None
) -> None:
    """And after how many attempts; a number that makes no sense is none."""
    with pytest.raises(client.SalesforceRefused) as caught:
        start(raised("salesforce_config", **said)).broker.token()
    assert after == caught.value.retry_after
    assert since == caught.value.since
    assert attempts == caught.value.attempts


NASTY = "a\x1b[31mb\r\nc\x00d\u202ee\x85f\u2028g\x7f"


@pytest.mark.parametrize("field", ["error", "error_description", "hint", "request_id"])
def test_no_text_of_an_error_has_control_characters(start: Start, field: str) -> None:
    """They would drive a terminal, or forge a line of a log; they are shown as escapes."""
    with pytest.raises(BrokerError) as caught:
        start(raised("salesforce_config") | {"errorMessage": json.dumps({"error": "teapot", field: NASTY})}).broker.token()
    error = caught.value
    shown = f"{error}{error.code}{error.description}{error.hint}{error.request_id}"
    assert shown.isprintable()
    assert "a\\x1b[31mb\\r\\nc\\x00d\\u202ee\\x85f\\u2028g\\x7f" in shown


def test_a_text_without_an_end_is_cut(start: Start) -> None:
    """A log takes a line of it, not a megabyte."""
    with pytest.raises(BrokerError) as caught:
        start(raised("salesforce_config", error_description="x" * 100_000)).broker.token()
    assert f"{'x' * errors.MAX_TEXT} ..." == caught.value.description


def test_an_error_goes_from_process_to_process_whole() -> None:
    """As a pool of processes hands it over."""
    error = client.SalesforceRefused("No.", code="salesforce_user", hint="Ask.", retry_after=7, since=1, attempts=2)
    found = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert vars(error) == vars(found)
    assert str(error) == str(found)


def test_fields_of_a_newer_broker_do_no_harm(start: Start) -> None:
    """Nor do those that an older one does not have."""
    older = {name: value for name, value in answer(colour="red").items() if name not in {"outcome", "degraded", "source"}}
    assert "00D!first" == start(older).broker.token().access_token


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (403, b'{"message": "Missing Authentication Token"}', client.CallDenied),
        (429, b'{"message": "Too Many Requests"}', client.BrokerThrottled),
        (502, b'{"message": "Internal server error"}', client.BrokerFailed),
        (504, b"", client.BrokerFailed),
        (404, b"<html>", client.AnswerInvalid),
        (200, b"<html>", client.AnswerInvalid),
        (200, b"[]", client.AnswerInvalid),
        (302, b"", client.AnswerInvalid),
        (502, b'{"error": "salesforce_config", "error_description": "x"}', client.SalesforceRefused),
    ],
)
def test_each_status_of_the_api_is_a_class(status: int, content: bytes, kind: type[BrokerError]) -> None:
    """API Gateway's own answers and the broker's."""
    with pytest.raises(kind):
        https._understood(status, "", content)  # noqa: SLF001  a table


def test_the_tree_is_exported_whole() -> None:
    """Whoever catches one can import it."""
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, BrokerError)}
    assert kinds <= set(client.__all__)
