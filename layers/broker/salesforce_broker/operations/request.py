"""Parses the payloads of the operators' functions: from an operator, from Secrets Manager or from the hourly schedule."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from salesforce_broker.api.request import LambdaContext, refuse_unknown
from salesforce_broker.errors import InvalidRequest

KEY_BITS = (2048, 3072, 4096)
DEFAULT_KEY_BITS = 3072
"""As strong as what is recommended beyond 2030."""

DEFAULT_CERTIFICATE_DAYS = 825
MAX_CERTIFICATE_DAYS = 3650
"""Salesforce accepts expired ones: the end is a reminder to make another key."""

MAX_PEM = 16 * 1024
"""A key of 4096 bits has some 3 KB."""


class KeyAction(enum.Enum):
    """What an operator, or the hourly schedule, can have done with the key."""

    CREATE = "create"
    IMPORT = "import"
    CERTIFICATE = "certificate"
    FINISH = "finish"
    ROLLBACK = "rollback"
    CHECK = "check"


FIELDS = {
    KeyAction.CREATE: ("bits", "days"),
    KeyAction.IMPORT: ("private_key", "certificate", "client_id"),
    KeyAction.CHECK: ("at",),
}
"""Beside the action."""


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """An operator's request, or the hourly schedule's.

    `bits` and `days`: of a key to create, and of its certificate. `imported`: the fields of a key to import, as text that is
    not parsed yet. `at`: scheduled time, on the hour (epoch seconds).
    """

    action: KeyAction
    seconds_left: float
    bits: int = DEFAULT_KEY_BITS
    days: int = DEFAULT_CERTIFICATE_DAYS
    imported: Mapping[str, str] = field(default_factory=dict, repr=False)
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


def from_rotation(payload: object, context: LambdaContext) -> KeyRequest | RotationStep:
    """Read the payload of an invocation about the key: an operator's, the hourly schedule's, or Secrets Manager's."""
    seconds_left = context.get_remaining_time_in_millis() / 1000
    if isinstance(payload, dict) and "Step" in payload:
        return _rotation_step(payload, seconds_left)
    action, fields = _action(payload, KeyAction)
    refuse_unknown(fields, known=("action", *FIELDS.get(action, ())))
    if action is KeyAction.CHECK:
        return KeyRequest(action, seconds_left, at=_scheduled_time(fields.get("at")))
    if action is KeyAction.IMPORT:
        return KeyRequest(action, seconds_left, imported=_imported_key(fields))
    bits, days = fields.get("bits", DEFAULT_KEY_BITS), fields.get("days", DEFAULT_CERTIFICATE_DAYS)
    if bits not in KEY_BITS:
        raise InvalidRequest(f"The field 'bits' is not one of {', '.join(map(str, KEY_BITS))}.")
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_CERTIFICATE_DAYS:
        raise InvalidRequest(f"The field 'days' is not a whole number from 1 to {MAX_CERTIFICATE_DAYS}.")
    return KeyRequest(action, seconds_left, bits, days)


def _rotation_step(payload: dict[str, Any], seconds_left: float) -> RotationStep:
    """Read what Secrets Manager sends: three fields, and a fourth for rotations across accounts (there are none here)."""
    refuse_unknown(payload, known=("Step", "SecretId", "ClientRequestToken", "RotationToken"))
    steps = {each.value: each for each in Step}
    step, secret_arn, token = (payload.get(name) for name in ("Step", "SecretId", "ClientRequestToken"))
    if not isinstance(step, str) or step not in steps or not isinstance(secret_arn, str) or not isinstance(token, str):
        raise InvalidRequest("This is no step of a rotation by Secrets Manager.")
    return RotationStep(steps[step], secret_arn, token, seconds_left)


def _scheduled_time(value: object) -> float:
    """Read the time of a scheduled event, as EventBridge writes it."""
    try:
        return datetime.datetime.strptime(str(value), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC).timestamp()
    except ValueError:
        raise InvalidRequest("The field 'at' is not a time such as 2026-11-24T12:00:00Z.") from None


def _imported_key(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a key to import as text; they are parsed where they are stored."""
    key_fields = {name: value for name, value in fields.items() if name != "action"}
    if not all(isinstance(value, str) and 0 < len(value) <= MAX_PEM for value in key_fields.values()):
        raise InvalidRequest(f"A field is not text, is empty, or has more than {MAX_PEM} characters.")
    if "private_key" not in key_fields:
        raise InvalidRequest("A key is imported with the fields 'private_key' and 'certificate'.")
    return key_fields


def from_emergency(payload: object, context: LambdaContext) -> EmergencyRequest:
    """Read the payload of an operator's invocation in an emergency."""
    action, fields = _action(payload, EmergencyAction)
    refuse_unknown(fields, known=("action", "revoke") if action is EmergencyAction.STOP else ("action",))
    revoke = fields.get("revoke", False)
    if not isinstance(revoke, bool):
        raise InvalidRequest("The field 'revoke' is neither true nor false.")
    return EmergencyRequest(action, context.get_remaining_time_in_millis() / 1000, revoke)


def _action(payload: object, actions: type[OperatorAction]) -> tuple[OperatorAction, dict[str, Any]]:
    """Return which of `actions` a payload names, and its fields."""
    known = [each.value for each in actions]
    if not isinstance(payload, dict) or payload.get("action") not in known:
        raise InvalidRequest("The payload names no action.", hint=f'Send {{"action": ...}} with one of: {", ".join(known)}.')
    return actions(payload["action"]), payload
