"""Values of a JSON document that somebody else wrote: read within bounds, never by an exception of Python's own."""

from __future__ import annotations

import json
from typing import Any

MAX_SECONDS = 366 * 86400
"""The longest duration that makes sense here; Salesforce's longest session is a day."""

MAX_EPOCH_SECONDS = 253_402_300_799
"""The last second of the year 9999."""


def json_object(content: bytes | str) -> dict[str, Any] | None:
    """Parse a JSON object; return None if it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def duration(value: object) -> float | None:
    """Return a number of seconds from 0 to MAX_SECONDS; None for everything else."""
    return None if (number := _number_to(value, MAX_SECONDS)) is None else float(number)


def epoch(value: object) -> int | None:
    """Return a moment in epoch seconds, up to the year 9999; None for everything else."""
    return None if (number := _number_to(value, MAX_EPOCH_SECONDS)) is None else int(number)


def count(value: object) -> int | None:
    """Return a whole number from 0 up to a billion; None for everything else."""
    return value if isinstance(value, int) and _number_to(value, 10**9) is not None else None


def _number_to(value: object, limit: int) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # The comparison holds for whole numbers of any length, and for neither infinity nor NaN.
    return value if 0 <= value <= limit else None
