"""Which answers of Salesforce mean that a token is over: the ones that another token cures.

Owns telling them from the 401s and 403s that stay. Does not send anything (see `requests_auth` and `httpx_auth`).
"""

from __future__ import annotations

from http import HTTPStatus

SUSPECT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
"""Only the bodies of these are looked at."""

INCURABLE = (b"Connected app is not attached to Agent", b"This session is not valid for use with the REST API")
"""401s by the same code that come back with any token."""


def token_is_over(status: int, body: bytes) -> bool:
    """Tell whether a data API (401, INVALID_SESSION_ID) or the identity URL (403, Bad_OAuth_Token) refused the token itself."""
    if status == HTTPStatus.UNAUTHORIZED:
        return b"INVALID_SESSION_ID" in body and not any(words in body for words in INCURABLE)
    return status == HTTPStatus.FORBIDDEN and body.strip() == b"Bad_OAuth_Token"


def origin_differs(url: str, instance_url: str) -> bool:
    """Tell whether a URL is not below the instance URL, to which alone the token belongs."""
    return url.lower() != instance_url.lower() and not url.lower().startswith(f"{instance_url.lower()}/")
