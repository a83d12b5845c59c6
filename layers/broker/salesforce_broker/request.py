"""An event or a payload -> what is asked for; refuses everything it does not know.

Owns the request contract of both doors. Does not decide who may ask (see `access`). The API Gateway envelope is read only
by `from_api_gateway`, which only the function behind API Gateway calls: sent to the other door it is an unknown field.
"""

from __future__ import annotations

import base64
import datetime
import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, TypeVar

from salesforce_broker.errors import InvalidRequest, NotFound
from salesforce_broker.settings import USERNAME

LONGEST_BODY_BYTES = 4096
"""Three short fields fit many times over; anything longer is refused before it is parsed."""

LONGEST_MIN_TTL_SECONDS = 24 * 3600
"""The longest session that Salesforce knows."""

API_GATEWAY_SECONDS = 28.5
"""API Gateway hangs up after 29 s, whatever time the function has left."""

KEY_BITS = (2048, 3072, 4096)
DEFAULT_KEY_BITS = 3072
"""As strong as what is recommended beyond 2030."""

DEFAULT_CERTIFICATE_DAYS = 825
LONGEST_CERTIFICATE_DAYS = 3650
"""Salesforce accepts expired ones: the end is a reminder to make another key."""

LONGEST_PEM = 16 * 1024
"""A key of 4096 bits has some 3 KB."""

OPERATORS_FIELDS = {"create": ("bits", "days"), "import": ("private_key", "certificate", "client_id"), "watch": ("at",)}
"""Beside the action."""

_Part = TypeVar("_Part", dict[str, Any], list[Any], str)

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


class Action(enum.Enum):
    """What can be asked for."""

    TOKEN = "token"  # noqa: S105  a verb of the contract, not a secret
    IDENTITY = "identity"
    HEALTH = "health"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request: `caller` is the principal as AWS reports it, `seconds_left` the time in which to answer.

    `door`: "api" or "invoke".
    """

    door: str
    action: Action
    caller: str
    seconds_left: float
    subject: str | None = None
    min_ttl: int = 0
    rejected: str | None = None


class KeyAction(enum.Enum):
    """What an operator can have done to the key."""

    CREATE = "create"
    IMPORT = "import"
    CERTIFICATE = "certificate"
    FINISH = "finish"
    ROLLBACK = "rollback"
    WATCH = "watch"


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """An operator's request, or the clock's.

    `bits` and `days`: of a key to be made, and of its certificate. `fields`: of one that is brought. `at`: which full hour
    the clock strikes (epoch seconds).
    """

    action: KeyAction
    seconds_left: float
    bits: int = DEFAULT_KEY_BITS
    days: int = DEFAULT_CERTIFICATE_DAYS
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    at: float = 0.0


class Step(enum.Enum):
    """Secrets Manager's steps of a rotation."""

    CREATE = "createSecret"
    SET = "setSecret"
    TEST = "testSecret"
    FINISH = "finishSecret"


@dataclass(frozen=True, slots=True)
class RotationStep:
    """One step, of the version `token` of a secret."""

    step: Step
    secret_arn: str
    token: str
    seconds_left: float


class EmergencyAction(enum.Enum):
    """What an operator can do in an emergency."""

    STOP = "stop"
    RESUME = "resume"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class EmergencyRequest:
    """An operator's request. `revoke`: whether a stop ends the sessions at Salesforce, too."""

    action: EmergencyAction
    seconds_left: float
    revoke: bool = False


OperatorAction = TypeVar("OperatorAction", KeyAction, EmergencyAction)


class LambdaContext(Protocol):
    """The part of Lambda's context object that is used here."""

    aws_request_id: str
    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Tell how long this invocation may still take."""


ROUTES = {
    ("POST", "/token"): Action.TOKEN,
    ("POST", "/api/jwtauth"): Action.TOKEN,  # the path of the Node server that this replaces
    ("GET", "/identity"): Action.IDENTITY,
    ("GET", "/health"): Action.HEALTH,
}


def from_api_gateway(event: object, context: LambdaContext) -> TokenRequest:
    """Read a REST API proxy event (payload version 1.0); what is none was sent past API Gateway, and is refused."""
    if not isinstance(event, dict):
        raise _no_event("it")
    action = ROUTES.get((str(event.get("httpMethod")), str(event.get("resource"))))
    if action is None:
        raise NotFound("There is no such method and path.", hint=f"There are: {_routes()}.")
    query = _query(event)
    if action is Action.TOKEN:
        _refuse_unknown(query, known=())
        fields = _body(event)
        _refuse_unknown(fields, known=("sub", "min_ttl", "rejected"))
    else:
        fields = query
        _refuse_unknown(fields, known=("sub",) if action is Action.IDENTITY else ())
    identity = _part(_part(event, "requestContext", dict), "identity", dict)
    seconds_left = min(context.get_remaining_time_in_millis() / 1000, API_GATEWAY_SECONDS)
    return _request("api", action, fields, caller=str(identity.get("userArn") or ""), seconds_left=seconds_left)


def from_invoke(payload: object, context: LambdaContext) -> TokenRequest:
    """Read the payload of a direct invocation."""
    fields = {} if payload is None else payload
    if not isinstance(fields, dict):
        raise InvalidRequest("The payload is not a JSON object.", hint='Send {} or {"sub": "user@example.com"}.')
    _refuse_unknown(fields, known=("action", "sub", "min_ttl", "rejected"))
    action = fields.get("action", Action.TOKEN.value)
    if action not in (Action.TOKEN.value, Action.IDENTITY.value):
        raise InvalidRequest("The field 'action' is neither 'token' nor 'identity'.")
    seconds_left = context.get_remaining_time_in_millis() / 1000
    return _request("invoke", Action(action), fields, caller=context.invoked_function_arn, seconds_left=seconds_left)


def from_operator(payload: object, context: LambdaContext) -> KeyRequest | RotationStep:
    """Read the payload of an invocation about the key: an operator's, the clock's, or Secrets Manager's."""
    seconds_left = context.get_remaining_time_in_millis() / 1000
    if isinstance(payload, dict) and "Step" in payload:
        return _rotation_step(payload, seconds_left)
    action, fields = _operators(payload, KeyAction)
    _refuse_unknown(fields, known=("action", *OPERATORS_FIELDS.get(action.value, ())))
    if action is KeyAction.WATCH:
        return KeyRequest(action, seconds_left, at=_moment(fields.get("at")))
    if action is KeyAction.IMPORT:
        return KeyRequest(action, seconds_left, fields=_brought(fields))
    bits, days = fields.get("bits", DEFAULT_KEY_BITS), fields.get("days", DEFAULT_CERTIFICATE_DAYS)
    if bits not in KEY_BITS:
        raise InvalidRequest(f"The field 'bits' is not one of {', '.join(map(str, KEY_BITS))}.")
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= LONGEST_CERTIFICATE_DAYS:
        raise InvalidRequest(f"The field 'days' is not a whole number from 1 to {LONGEST_CERTIFICATE_DAYS}.")
    return KeyRequest(action, seconds_left, bits, days)


def _rotation_step(payload: dict[str, Any], seconds_left: float) -> RotationStep:
    """Read what Secrets Manager sends: three fields, and a fourth for rotations across accounts (there are none here)."""
    _refuse_unknown(payload, known=("Step", "SecretId", "ClientRequestToken", "RotationToken"))
    steps = {each.value: each for each in Step}
    step, secret_arn, token = (payload.get(name) for name in ("Step", "SecretId", "ClientRequestToken"))
    if not isinstance(step, str) or step not in steps or not isinstance(secret_arn, str) or not isinstance(token, str):
        raise InvalidRequest("This is no step of a rotation by Secrets Manager.")
    return RotationStep(steps[step], secret_arn, token, seconds_left)


def _moment(given: object) -> float:
    """Read the time of a scheduled event, as EventBridge writes it."""
    try:
        return datetime.datetime.strptime(str(given), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC).timestamp()
    except ValueError:
        raise InvalidRequest("The field 'at' is not a time such as 2026-11-24T12:00:00Z.") from None


def _brought(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return a key that is brought: both halves (that they are a pair is checked where it is stored), and perhaps its app."""
    given = {name: value for name, value in fields.items() if name != "action"}
    if not all(isinstance(value, str) and 0 < len(value) <= LONGEST_PEM for value in given.values()):
        raise InvalidRequest("A field is not text, or far too long.")
    if not {"private_key", "certificate"} <= given.keys():
        raise InvalidRequest("A key is imported with 'private_key' and 'certificate', both PEM.")
    return given


def from_emergency(payload: object, context: LambdaContext) -> EmergencyRequest:
    """Read the payload of an operator's invocation in an emergency."""
    action, fields = _operators(payload, EmergencyAction)
    _refuse_unknown(fields, known=("action", "revoke") if action is EmergencyAction.STOP else ("action",))
    revoke = fields.get("revoke", False)
    if not isinstance(revoke, bool):
        raise InvalidRequest("The field 'revoke' is neither true nor false.")
    return EmergencyRequest(action, context.get_remaining_time_in_millis() / 1000, revoke)


def _operators(payload: object, actions: type[OperatorAction]) -> tuple[OperatorAction, dict[str, Any]]:
    """Return which of `actions` a payload names, and its fields."""
    known = [each.value for each in actions]
    if not isinstance(payload, dict) or payload.get("action") not in known:
        raise InvalidRequest("The payload names no action.", hint=f'Send {{"action": ...}} with one of: {", ".join(known)}.')
    return actions(payload["action"]), payload


def _request(door: str, action: Action, fields: Mapping[str, Any], *, caller: str, seconds_left: float) -> TokenRequest:
    """Check the fields, whatever door they came through."""
    subject = fields.get("sub")
    if "sub" in fields and not (isinstance(subject, str) and USERNAME.fullmatch(subject)):
        raise InvalidRequest(
            "The field 'sub' is not a Salesforce username.",
            hint="It has the form of an e-mail address, at most 80 characters, without spaces; leave it out for the default.",
        )
    min_ttl = fields.get("min_ttl", 0)
    if isinstance(min_ttl, bool) or not isinstance(min_ttl, int) or not 0 <= min_ttl <= LONGEST_MIN_TTL_SECONDS:
        raise InvalidRequest("The field 'min_ttl' is not a whole number of seconds from 0 to 86400.")
    rejected = fields.get("rejected")
    if "rejected" in fields and not (isinstance(rejected, str) and _FINGERPRINT.fullmatch(rejected)):
        raise InvalidRequest(
            "The field 'rejected' is not a fingerprint.",
            hint="Send the 16 hex digits of 'fingerprint' in the answer whose token Salesforce refused.",
        )
    return TokenRequest(door, action, caller, seconds_left, subject, min_ttl, rejected)


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
    """Return the fields of the JSON body; none for an empty body. Any content type will do: curl -d sends a form's."""
    body = _part(event, "body", str)
    # Four thirds: a base64 body is longer than what it holds.
    if len(body) > LONGEST_BODY_BYTES * 4 // 3:
        raise InvalidRequest(f"The body is longer than {LONGEST_BODY_BYTES} bytes.")
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        text = raw.decode()
    except ValueError:
        raise InvalidRequest("The body is not UTF-8 text.") from None
    if len(raw) > LONGEST_BODY_BYTES:
        raise InvalidRequest(f"The body is longer than {LONGEST_BODY_BYTES} bytes.")
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
    """Build an object of which no field is given twice: which of the two would count is anybody's guess."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidRequest("The body gives a field more than once.")
    return fields


def _no_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(name)


def _refuse_unknown(fields: Mapping[str, Any], *, known: tuple[str, ...]) -> None:
    unknown = sorted(str(name) for name in fields if name not in known)
    if unknown:
        hint = f"Known here: {', '.join(known)}." if known else "Nothing is expected here."
        raise InvalidRequest(f"Unknown field {_shown(unknown[0])}.", hint=hint)


def _shown(name: str) -> str:
    """Quote a caller's field name, shortened and escaped: it goes into an answer and a log."""
    return ascii(name[:40])


def _routes() -> str:
    return ", ".join(f"{method} {path}" for method, path in ROUTES)
