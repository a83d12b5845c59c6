"""A token as the broker hands it out, and what an answer must contain to be accepted."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from salesforce_broker_client.errors import AnswerInvalid

_ORIGIN = re.compile(
    r"https://[a-z0-9.-]+(:[0-9]{1,5})?|http://(localhost|127\.0\.0\.1|host\.docker\.internal)(:[0-9]{1,5})?", re.IGNORECASE
)
"""A token goes to a server only over TLS, or to this machine."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token of Salesforce and where it is good for.

    `instance_url` is an origin. `expires_at` (epoch seconds, by the broker's clock) is when the broker stops to believe it;
    `life`: seconds it had left when it was handed out. `outcome` tells what became of a token reported as refused;
    `retry_after`: seconds after which asking for another one makes sense again.
    """

    access_token: str = field(repr=False)
    instance_url: str
    expires_at: int
    fingerprint: str
    life: float = field(repr=False)
    outcome: str = "issued"
    retry_after: float | None = None


def of_answer(body: Mapping[str, Any]) -> Token:
    """Return the token in an answer; AnswerInvalid. Fields that a newer broker adds are left alone."""
    value, url, fingerprint = body.get("access_token"), body.get("instance_url"), body.get("fingerprint")
    life, ends, after = body.get("expires_in"), body.get("expires_at"), body.get("retry_after")
    whole = (
        isinstance(value, str)
        and re.fullmatch(r"[!-~]+", value) is not None
        and isinstance(url, str)
        and _ORIGIN.fullmatch(url) is not None
        and isinstance(fingerprint, str)
        and _seconds(life) is not None
        and _seconds(ends) is not None
    )
    if not whole:
        raise AnswerInvalid(
            "The broker's answer is not whole.", hint="Check the function's name, or the URL, and the version of the broker."
        )
    return Token(
        str(value),
        str(url),
        int(_seconds(ends) or 0),
        str(fingerprint),
        _seconds(life) or 0.0,
        str(body.get("outcome") or "issued"),
        _seconds(after),
    )


def _seconds(given: object) -> float | None:
    return float(given) if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given) else None
