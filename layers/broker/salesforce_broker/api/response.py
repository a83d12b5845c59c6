"""Shapes answers and errors for the token functions; has the only table of HTTP statuses."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any

from salesforce_broker.errors import BrokerError, InternalError
from salesforce_broker.tokens.model import Answer, Health, Identity, IssuedToken

HTTP_STATUS = {
    "invalid_request": HTTPStatus.BAD_REQUEST,
    "min_ttl_unsatisfiable": HTTPStatus.BAD_REQUEST,
    "access_denied": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "broker_misconfigured": HTTPStatus.INTERNAL_SERVER_ERROR,
    "signing_key_unusable": HTTPStatus.INTERNAL_SERVER_ERROR,
    "signing_key_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "salesforce_config": HTTPStatus.BAD_GATEWAY,
    "salesforce_user": HTTPStatus.BAD_GATEWAY,
    "salesforce_key": HTTPStatus.BAD_GATEWAY,
    "salesforce_clock": HTTPStatus.BAD_GATEWAY,
    "salesforce_token": HTTPStatus.BAD_GATEWAY,
    "salesforce_rate": HTTPStatus.SERVICE_UNAVAILABLE,
    "salesforce_busy": HTTPStatus.SERVICE_UNAVAILABLE,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""5xx is never the caller's fault. 502: somebody has to change something in Salesforce. 503: ask again later."""

HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}
"""RFC 6749 section 5.1: an answer with a token must not be cached on its way."""


def to_http(answer: Answer) -> dict[str, Any]:
    """Shape an answer for API Gateway (REST proxy integration)."""
    return _http(HTTPStatus.OK, to_invoke(answer))


def to_invoke(answer: Answer) -> dict[str, Any]:
    """Shape an answer for a direct invocation; the body of an HTTP answer is the same."""
    match answer:
        case IssuedToken(token=token):
            from_salesforce = {
                "access_token": token.value,
                "token_type": token.token_type,
                "instance_url": token.instance_url,
                "id": token.id,
                "scope": token.scope,
            }
            return {**token.optional, **from_salesforce, **_broker_fields(answer)}
        case Identity(document=document, issued=issued):
            about = {"fingerprint": issued.token.fingerprint, "expires_at": issued.token.expires_at}
            return {**document, **_whose(issued), **about}
        case Health(version=version):
            return {"status": "ok", "version": version}


def to_http_error(error: Exception, request_id: str) -> dict[str, Any]:
    """Shape any exception for API Gateway; one that is not the broker's own is answered as internal_error alone."""
    body = _error_body(error, request_id)
    headers = {} if body["retry_after"] is None else {"Retry-After": str(body["retry_after"])}
    return _http(HTTP_STATUS[body["error"]], body, headers)


def to_invoke_error(error: Exception, request_id: str) -> BrokerError:
    """Return the exception to raise from a direct invocation: its class is `errorType`, its text the answer as JSON.

    Without its traceback, which the runtime would hand to the caller.
    """
    broker_error = _broker_error(error)
    broker_error.args = (json.dumps(_error_body(broker_error, request_id)),)
    return broker_error.with_traceback(None)


def _whose(issued: IssuedToken) -> dict[str, Any]:
    return {"sub": issued.subject, "organization_id": issued.token.organization_id}


def _broker_fields(issued: IssuedToken) -> dict[str, Any]:
    return {
        **_whose(issued),
        "expires_in": issued.token.seconds_left(issued.now),
        "expires_at": issued.token.expires_at,
        "expiry_basis": issued.token.expiry_basis,
        "fingerprint": issued.token.fingerprint,
        "source": issued.source.value,
        "outcome": issued.outcome.value,
        "degraded": issued.degraded,
        **({} if issued.retry_after is None else {"retry_after": math.ceil(issued.retry_after)}),
    }


def _http(status: HTTPStatus, body: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
    return {"statusCode": int(status), "headers": HEADERS | (headers or {}), "body": json.dumps(body)}


def _error_body(error: Exception, request_id: str) -> dict[str, Any]:
    known = _broker_error(error)
    remembered = {} if known.since is None else {"since": math.floor(known.since), "attempts": known.attempts}
    return {
        "error": known.code,
        "error_description": known.description,
        "retryable": known.retryable,
        "retry_after": None if known.retry_after is None else math.ceil(known.retry_after),
        "hint": known.hint,
        "request_id": request_id,
        **remembered,
    }


def _broker_error(error: Exception) -> BrokerError:
    if isinstance(error, BrokerError):
        return error
    return InternalError("The broker failed.", hint="See the function's log for this request id.")
