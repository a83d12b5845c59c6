"""AWS Signature Version 4, as AWS checks it: computed from a request as it arrived, with nothing of botocore's.

[AWS: "Create a signed AWS API request"]
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request on the wire; header names are small."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def holds(request: Arrived, secret_key: str, *, service: str, region: str) -> bool:
    """Tell whether the signature is right, for that service in that region, and covers host and date (and session token)."""
    parts = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=[^/]+/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
        request.headers.get("authorization", ""),
    )
    if parts is None:
        return False
    scope, names, signature = parts[1], parts[2].split(";"), parts[3]
    day, _, rest = scope.partition("/")
    must = {"host", "x-amz-date"} | ({"x-amz-security-token"} & set(request.headers))
    if rest != f"{region}/{service}/aws4_request" or not must <= set(names):
        return False
    path, _, query = request.target.partition("?")
    canonical = "\n".join(
        [
            request.method,
            path,
            "&".join(sorted(query.split("&"))),
            *(f"{name}:{request.headers[name].strip()}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, digest])
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(signature, hmac.digest(key, to_sign.encode(), "sha256").hex())
