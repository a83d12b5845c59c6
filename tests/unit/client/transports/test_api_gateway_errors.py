"""Each answer of API Gateway's own, or of something before it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import salesforce_broker_client as client
from salesforce_broker_client import BrokerError
from salesforce_broker_client.transports import api_gateway_errors

CASES: list[tuple[int, str, dict[str, Any] | None, type[BrokerError], str, bool]] = [
    (
        403,
        "MissingAuthenticationTokenException",
        {"message": "Missing Authentication Token"},
        client.CallDenied,
        "no such path or method",
        False,
    ),
    (403, "ForbiddenException", {"message": "Forbidden"}, client.CallDenied, "AWS WAF", False),
    (403, "", {"message": "Forbidden"}, client.CallDenied, "The stage or the domain's mapping", False),
    (403, "", None, client.CallDenied, "proxy, a firewall", False),
    (401, "UnauthorizedException", {"message": "Unauthorized"}, client.CallDenied, "needs execute-api:Invoke", False),
    (403, "AccessDeniedException", {"message": "Access Denied"}, client.CallDenied, "needs execute-api:Invoke", False),
    (400, "BadRequestException", {"message": "Invalid request body"}, client.InvalidRequest, "do not fit", False),
    (400, "", None, client.CallDenied, "not API Gateway", False),
    (404, "", {"message": "Not Found"}, client.AnswerInvalid, "no broker at this URL", False),
    (404, "", None, client.AnswerInvalid, "stack output ApiUrl", False),
    (413, "", {"message": "Request Too Long"}, client.InvalidRequest, "too large", False),
    (429, "TooManyRequestsException", {"message": "Too Many Requests"}, client.BrokerThrottled, "raise the limit", True),
    (429, "LimitExceededException", {"message": "Limit Exceeded"}, client.BrokerThrottled, "raise the limit", True),
    (500, "InternalServerErrorException", {"message": "Internal server error"}, client.BrokerFailed, "emergency stop", True),
    (502, "", {"message": "Internal server error"}, client.BrokerFailed, "see its log", True),
    (503, "", {"message": "Service Unavailable"}, client.BrokerFailed, "503", True),
    (504, "", {"message": "Endpoint request timed out"}, client.BrokerFailed, "longer than API Gateway waits", True),
    (301, "", None, client.AnswerInvalid, "redirect", False),
    (307, "", None, client.AnswerInvalid, "Redirects are not followed", False),
    (200, "", None, client.AnswerInvalid, "not from a broker", False),
    (418, "", None, client.AnswerInvalid, "not from a broker", False),
]


@pytest.mark.parametrize(("status", "code", "body", "kind", "text", "retryable"), CASES)
def test_each_answer_has_a_name(
    status: int, code: str, body: dict[str, Any] | None, kind: type[BrokerError], text: str, retryable: bool
) -> None:
    """By class, text and whether trying again helps."""
    error = api_gateway_errors.classify(status, code, body)
    assert kind is type(error)
    assert text in str(error)
    assert retryable == error.retryable


def test_whatever_comes_is_an_error_of_the_tree() -> None:
    """With a text of its own."""
    bodies: list[dict[str, Any] | None] = [None, {}, {"message": 7}, {"message": None, "Message": ["x"]}]
    for status, body in itertools.product(range(100, 600), bodies):
        assert api_gateway_errors.classify(status, "", body).description
