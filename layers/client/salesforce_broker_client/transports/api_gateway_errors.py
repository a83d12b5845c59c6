"""What API Gateway, or something before it, answers instead of the broker.

[API Gateway's guide, "Gateway response types" and "Troubleshoot"]
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from salesforce_broker_client.errors import (
    AnswerInvalid,
    BrokerError,
    BrokerFailed,
    BrokerThrottled,
    CallDenied,
    InvalidRequest,
)
from salesforce_broker_client.transports import aws_refusals

NO_PATH = "Check the URL's host and stage (stack output ApiUrl), and that the broker's version has this method and path."
FORBIDDEN = (
    "The stage or the domain's mapping in the URL is wrong, AWS WAF blocks the call, or a private API is called by another name"
    " than its VPC endpoint expects. For permissions API Gateway says more."
)
NO_FIT = "This client and the broker do not fit: use the version of the broker's stack."
NOT_AWS = "A proxy, a firewall or a custom page of AWS WAF may have answered: see the URL and the proxy's settings."


_BY_STATUS: dict[int, Callable[[], BrokerError]] = {
    404: lambda: AnswerInvalid("There is no broker at this URL (status 404).", hint=NO_PATH),
    413: lambda: InvalidRequest("API Gateway calls the request too large.", hint=NO_FIT),
    429: lambda: BrokerThrottled(
        "API Gateway has too many requests.", hint="Call less often, or raise the limit.", retry_after=1
    ),
}

_SERVER_ERRORS = {
    500: "Lambda may have refused to run the function: too many invocations, or an emergency stop.",
    502: "The function ended without an answer: see its log.",
    504: "The function took longer than API Gateway waits.",
}


def classify(status: int, code: str, body: dict[str, Any] | None) -> BrokerError:
    """Return the error for an answer that is not the broker's; `code`: of the header x-amzn-ErrorType, `body`: its JSON."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return BrokerFailed(f"API Gateway answered {status}.", hint=_SERVER_ERRORS.get(status, ""))
    if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return _refused(status, code, _message(body))
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        hint = "Redirects are not followed: give the URL to which it leads, if it is the broker's."
        return AnswerInvalid(f"The URL answers with a redirect (status {status}).", hint=hint)
    return AnswerInvalid(f"The answer (status {status}) is not from a broker.", hint="Check the URL (stack output ApiUrl).")


def _refused(status: int, code: str, message: str | None) -> BrokerError:
    if message is None:
        return CallDenied(f"What answered {status} is not API Gateway.", hint=NOT_AWS)
    if message == "Missing Authentication Token":
        # The request was signed: API Gateway says this of every path and method that it does not know.
        return CallDenied("API Gateway knows no such path or method (Missing Authentication Token).", hint=NO_PATH)
    refused = aws_refusals.classify(code, message, aws_refusals.API)
    if refused is not None:
        return refused
    if message == "Forbidden":
        return CallDenied("API Gateway forbids the call without a reason (Forbidden).", hint=FORBIDDEN)
    if status == HTTPStatus.BAD_REQUEST:
        return InvalidRequest("API Gateway calls the request invalid.", hint=NO_FIT)
    return CallDenied(f"API Gateway refused the call (status {status}).", hint=aws_refusals.API.hint)


def _message(body: dict[str, Any] | None) -> str | None:
    """Return API Gateway's text; its resource policies write the field with a capital."""
    found = (body or {}).get("message", (body or {}).get("Message"))
    return found if isinstance(found, str) else None
