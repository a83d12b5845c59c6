"""One login attempt as the journal keeps it: what the assertion said, and each check with its result."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes


@dataclass(frozen=True, slots=True)
class Check:
    """A check of the token endpoint. `reason` explains a failure in the emulator's own words."""

    name: str
    result: Literal["passed", "failed", "not reached"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A token request. `header` and `claims` are decoded, never the assertion itself or its signature.

    `time` is by the emulator's clock (epoch seconds), `fault` the kind of the injected fault that changed the answer.
    """

    time: float
    site: str
    address: str
    parameters_in: Literal["", "body", "query", "body and query"] = ""
    header: dict[str, Any] | None = None
    claims: dict[str, Any] | None = None
    certificate: dict[str, Any] | None = None
    checks: tuple[Check, ...] = ()
    status: int = 0
    error: str = ""
    error_description: str = ""
    fault: str = ""

    def shown(self) -> dict[str, Any]:
        """Return it as JSON, with numbers that JSON does not have as text."""
        shown: dict[str, Any] = _finite(dataclasses.asdict(self))
        return shown


def describe_certificate(certificate: x509.Certificate) -> dict[str, Any]:
    """Return subject, SHA-256 fingerprint and validity of a certificate."""
    return {
        "subject": certificate.subject.rfc4514_string(),
        "sha256_fingerprint": certificate.fingerprint(hashes.SHA256()).hex(),
        "not_valid_before": certificate.not_valid_before_utc.isoformat(),
        "not_valid_after": certificate.not_valid_after_utc.isoformat(),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
