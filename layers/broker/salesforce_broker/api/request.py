"""Parses events and payloads into requests; refuses everything that is not in the contract.

The API Gateway envelope is read only by `from_api_gateway`, which only the function behind API Gateway calls: sent to the other
function it is an unknown field.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol, TypeVar

from salesforce_broker import observability
from salesforce_broker.config import USERNAME
from salesforce_broker.errors import AccessDenied, BrokerError, InvalidRequest, NotFound
from salesforce_broker.tokens.model import Action, TokenRequest

MAX_BODY_BYTES = 4096
"""Three short fields need far less; anything longer is refused before it is parsed."""

MAX_MIN_TTL_SECONDS = 24 * 3600
"""The longest session that Salesforce knows."""

GATEWAY_TOKEN = "gatewayToken"  # noqa: S105  a name
"""The stage variable in which API Gateway sends the gateway token."""

API_GATEWAY_SECONDS = 28.5
"""API Gateway hangs up after 29 s, whatever time the function has left."""

_Part = TypeVar("_Part", dict[str, Any], list[Any], str)

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


class LambdaContext(Protocol):
    """The part of Lambda's context object that is used here."""

    aws_request_id: str
    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left for this invocation."""


ROUTES = {
    ("POST", "/token"): Action.TOKEN,
    ("POST", "/api/jwtauth"): Action.TOKEN,  # the path of the Node server that this replaces
    ("POST", "/identity"): Action.IDENTITY,
    ("GET", "/identity"): Action.IDENTITY,
    ("GET", "/health"): Action.HEALTH,
}


def _none_required(_: float) -> str:
    return ""


def from_api_gateway(
    event: object, context: LambdaContext, *, gateway_token: Callable[[float], str] = _none_required
) -> TokenRequest:
    """Read a REST API proxy event (payload version 1.0); refuse anything else, which did not come from API Gateway.

    `gateway_token` returns, within the seconds that are left, what API Gateway adds to every event; empty if nothing is
    required. A health check needs none: it answers nothing about anybody.
    """
    if not isinstance(event, dict):
        raise _no_event("it")
    action = ROUTES.get((str(event.get("httpMethod")), str(event.get("resource"))))
    if action is None:
        raise NotFound("There is no such method and path.", hint=f"There are: {_routes()}.")
    if action is not Action.HEALTH:
        try:
            _refuse_unless_from_gateway(event, gateway_token(context.get_remaining_time_in_millis() / 1000))
        except BrokerError as error:
            # A decision that the token service never sees; nothing else in the event is worth believing.
            observability.audit("token refused", entry_point="api", outcome=error.code)
            raise
    query = _query(event)
    if event.get("httpMethod") == "POST":
        refuse_unknown(query, known=())
        fields = _body(event)
        refuse_unknown(fields, known=("sub", "min_ttl", "rejected") if action is Action.TOKEN else ("sub",))
    else:
        fields = query
        refuse_unknown(fields, known=("sub",) if action is Action.IDENTITY else ())
    identity = _part(_part(event, "requestContext", dict), "identity", dict)
    seconds_left = min(context.get_remaining_time_in_millis() / 1000, API_GATEWAY_SECONDS)
    return _request("api", action, fields, caller=str(identity.get("userArn") or ""), seconds_left=seconds_left)


def from_invoke(payload: object, context: LambdaContext) -> TokenRequest:
    """Read the payload of a direct invocation."""
    fields = {} if payload is None else payload
    if not isinstance(fields, dict):
        raise InvalidRequest("The payload is not a JSON object.", hint='Send {} or {"sub": "user@example.com"}.')
    refuse_unknown(fields, known=("action", "sub", "min_ttl", "rejected"))
    action = fields.get("action", Action.TOKEN.value)
    if action not in (Action.TOKEN.value, Action.IDENTITY.value):
        raise InvalidRequest("The field 'action' is neither 'token' nor 'identity'.")
    seconds_left = context.get_remaining_time_in_millis() / 1000
    return _request("invoke", Action(action), fields, caller=context.invoked_function_arn, seconds_left=seconds_left)


def _refuse_unless_from_gateway(event: Mapping[str, Any], expected: str) -> None:
    """Raise AccessDenied unless the event has the gateway token: whoever invokes the function writes the rest of it."""
    sent = _part(event, "stageVariables", dict).get(GATEWAY_TOKEN)
    if expected and not (isinstance(sent, str) and hmac.compare_digest(sent.encode(errors="replace"), expected.encode())):
        observability.count("GatewayMismatch")
        raise AccessDenied(
            "This event did not come from the broker's API.",
            hint="Call the API (stack output ApiUrl), or invoke the function of the output TokenFunctionArn.",
        )


def _request(entry_point: str, action: Action, fields: Mapping[str, Any], *, caller: str, seconds_left: float) -> TokenRequest:
    """Check the fields, whatever the entry point."""
    subject = fields.get("sub")
    if "sub" in fields and not (isinstance(subject, str) and USERNAME.fullmatch(subject)):
        raise InvalidRequest(
            "The field 'sub' is not a Salesforce username.",
            hint="It has the form of an e-mail address, at most 80 characters, without spaces; leave it out for the default.",
        )
    min_ttl = fields.get("min_ttl", 0)
    if isinstance(min_ttl, bool) or not isinstance(min_ttl, int) or not 0 <= min_ttl <= MAX_MIN_TTL_SECONDS:
        raise InvalidRequest("The field 'min_ttl' is not a whole number of seconds from 0 to 86400.")
    rejected = fields.get("rejected")
    if "rejected" in fields and not (isinstance(rejected, str) and _FINGERPRINT.fullmatch(rejected)):
        raise InvalidRequest(
            "The field 'rejected' is not a fingerprint.",
            hint="Send the 16 hex digits of 'fingerprint' in the answer whose token Salesforce refused.",
        )
    return TokenRequest(entry_point, action, caller, seconds_left, subject, min_ttl, rejected)


def _query(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the query parameters, each given once."""
    query: dict[str, str] = {}
    for name in (values_of := _part(event, "multiValueQueryStringParameters", dict)):
        values = _part(values_of, name, list)
        if len(values) != 1:
            raise InvalidRequest(f"The query parameter {_shown(name)} is given more than once.")
        query[name] = values[0]
    return {**_part(event, "queryStringParameters", dict), **query}


def _body(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the JSON body; none for an empty body. Any content type is accepted: curl -d sends a form's."""
    body = _part(event, "body", str)
    # Four thirds: a base64 body is longer than what it holds.
    if len(body) > MAX_BODY_BYTES * 4 // 3:
        raise InvalidRequest(f"The body is longer than {MAX_BODY_BYTES} bytes.")
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        text = raw.decode()
    except ValueError:
        raise InvalidRequest("The body is not UTF-8 text.") from None
    if len(raw) > MAX_BODY_BYTES:
        raise InvalidRequest(f"The body is longer than {MAX_BODY_BYTES} bytes.")
    if not text:
        return {}
    try:
        fields = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        # Without the cause: JSONDecodeError carries the whole text.
        raise InvalidRequest("The body is not JSON.", hint='Send {"sub": "user@example.com"}, or no body.') from None
    if not isinstance(fields, dict):
        raise InvalidRequest("The body is not a JSON object.", hint='Send {"sub": "user@example.com"}, or no body.')
    return fields


def _part(event: Mapping[str, Any], name: str, kind: type[_Part]) -> _Part:
    """Return a part of an envelope, empty if there is none."""
    part = event.get(name)
    if part is None:
        return kind()
    if not isinstance(part, kind):
        raise _no_event(name)
    return part


def _no_event(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"This is no event of API Gateway: {_shown(name)} is of another type.",
        hint="Invoke the function of the output TokenFunctionArn instead; this one is for API Gateway.",
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; refuse a field that is given twice, because parsers differ in which one counts."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidRequest("The body gives a field more than once.")
    return fields


def _no_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(name)


def refuse_unknown(fields: Mapping[str, Any], *, known: tuple[str, ...]) -> None:
    """Refuse the first field that is not known, by its name."""
    unknown = sorted(str(name) for name in fields if name not in known)
    if unknown:
        hint = f"Known here: {', '.join(known)}." if known else "Nothing is expected here."
        raise InvalidRequest(f"Unknown field {_shown(unknown[0])}.", hint=hint)


def _shown(name: str) -> str:
    """Quote a caller's field name, shortened and escaped: it goes into an answer and a log."""
    return ascii(name[:40])


def _routes() -> str:
    return ", ".join(f"{method} {path}" for method, path in ROUTES)
