"""A token as the broker hands it out, and what an answer must contain to be accepted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from salesforce_broker_client import json_values
from salesforce_broker_client.errors import AnswerInvalid
from salesforce_broker_client.origin import instance_url

_TOKEN = re.compile(r"[!-~]+")
_FINGERPRINT = re.compile(r"[ -~]{1,64}")
_USERNAME = re.compile(r"[^\s@]{1,255}@[^\s@]{1,255}")
_ORGANIZATION_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token of Salesforce and where it is valid.

    `instance_url` is an origin. `expires_at` (epoch seconds, by the broker's clock) is when the broker assumes its end; `life`:
    seconds it had left when it was handed out. `sub` is the username that it is for, `organization_id` (18 characters) its org.
    `outcome` tells what became of a token reported as rejected; `retry_after`: seconds after which calling again makes sense.
    """

    access_token: str = field(repr=False)
    instance_url: str
    expires_at: int
    fingerprint: str
    life: float = field(repr=False)
    sub: str
    organization_id: str
    outcome: str = "issued"
    retry_after: float | None = None


def of_answer(body: Mapping[str, Any]) -> Token:
    """Return the token in an answer; AnswerInvalid. Fields that a newer broker adds are ignored."""
    value, fingerprint, sub = body.get("access_token"), body.get("fingerprint"), body.get("sub")
    url = instance_url(body.get("instance_url"))
    life, ends = json_values.duration(body.get("expires_in")), json_values.epoch(body.get("expires_at"))
    organization_id = organization_id_of(body)
    missing = {
        "access_token": not (isinstance(value, str) and _TOKEN.fullmatch(value)),
        "instance_url": url is None,
        "fingerprint": not (isinstance(fingerprint, str) and _FINGERPRINT.fullmatch(fingerprint)),
        "expires_in": not life,
        "expires_at": ends is None,
        "sub": not (isinstance(sub, str) and sub.isprintable() and _USERNAME.fullmatch(sub)),
        "organization_id": organization_id is None,
    }
    if any(missing.values()):
        names = ", ".join(name for name, is_missing in missing.items() if is_missing)
        hint = "Check the function's name, or the URL, and the version of the broker."
        raise AnswerInvalid(f"The broker's answer is incomplete or invalid in: {names}.", hint=hint)
    return Token(
        access_token=str(value),
        instance_url=str(url),
        expires_at=ends or 0,
        fingerprint=str(fingerprint),
        life=life or 0.0,
        sub=str(sub),
        organization_id=str(organization_id),
        outcome=str(body.get("outcome") or "issued"),
        retry_after=json_values.duration(body.get("retry_after")),
    )


def organization_id_of(body: Mapping[str, Any]) -> str | None:
    """Return the org's id in an answer in its form of 18 characters; None if there is none."""
    value = body.get("organization_id")
    if not isinstance(value, str) or not _ORGANIZATION_ID.fullmatch(value):
        return None
    return _with_checksum(value[:15])


def _with_checksum(short: str) -> str:
    """Append the three characters that say which of the 15 are capitals [Salesforce help, "18-character record ID"]."""
    fives = (short[start : start + 5] for start in (0, 5, 10))
    return short + "".join(_ID_LETTERS[sum(1 << place for place, char in enumerate(five) if char.isupper())] for five in fives)
