"""Every way in which a token is not to be had is an exception of one tree, and says nothing secret."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError

import salesforce_broker_client as client
from salesforce_broker.api.response import HTTP_STATUS
from salesforce_broker_client import BrokerError, errors
from salesforce_broker_client.transports import https
from tests.unit.client.conftest import Start, answer, client_error, raised

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
        {"expires_at": None},
        {"fingerprint": None},
    ],
)
def test_an_answer_that_is_not_whole_is_no_token(start: Start, changes: dict[str, Any]) -> None:
    """Nor does it show up in the exception."""
    with pytest.raises(client.AnswerInvalid) as caught:
        start(answer("00D!secret", **changes)).broker.token()
    assert "secret" not in str(caught.value)


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
        https._understood(status, content)  # noqa: SLF001  a table


def test_the_tree_is_exported_whole() -> None:
    """Whoever catches one can import it."""
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, BrokerError)}
    assert kinds <= set(client.__all__)
