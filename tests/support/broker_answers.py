"""Answers of a token broker, as its callers receive them."""

from __future__ import annotations

import json
from typing import Any

NOW = 1_800_000_000
USERNAME = "integration@acme.example"
ORGANIZATION = "00D000000000001EAA"


def answer(token: str = "00D!first", **changes: Any) -> dict[str, Any]:
    """Return a token as the broker hands it out; without `sub`, whose it is."""
    return {
        "access_token": token,
        "token_type": "Bearer",
        "instance_url": "https://acme.my.salesforce.com",
        "id": f"https://login.salesforce.com/id/{ORGANIZATION}/005000000000001AAA",
        "scope": "api id",
        "organization_id": ORGANIZATION,
        "expires_in": 900,
        "expires_at": NOW + 900,
        "expiry_basis": "assumed",
        "fingerprint": f"of {token}",
        "source": "salesforce",
        "outcome": "issued",
        "degraded": False,
    } | changes


def raised(error: str, **changes: Any) -> dict[str, Any]:
    """Return what Lambda makes of an exception of the broker."""
    told = {
        "error": error,
        "error_description": "It did not work.",
        "retryable": False,
        "retry_after": None,
        "hint": "Change it.",
        "request_id": "r-1",
    } | changes
    return {"errorType": "SalesforceError", "errorMessage": json.dumps(told), "stackTrace": []}
