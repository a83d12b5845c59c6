"""Which answers of Salesforce mean that a token has ended, so that another token helps."""

from __future__ import annotations

import re
from http import HTTPStatus

SUSPECT = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
"""Only the bodies of these are looked at."""

INCURABLE = (b"Connected app is not attached to Agent", b"This session is not valid for use with the REST API")
"""401s by the same code that come back with any token."""

_BULK_1 = re.compile(rb"""exceptionCode["'\s:>]+InvalidSessionId\b""")
"""Bulk API 1.0, in JSON or XML; it answers 400 [Bulk API Developer Guide, "Errors"]."""


def token_has_ended(status: int, body: bytes) -> bool:
    """Tell whether Salesforce refused the token itself.

    A data API does so by 401 and INVALID_SESSION_ID, the identity URL by 403 and Bad_OAuth_Token, Bulk API 1.0 by 400 and
    InvalidSessionId.
    """
    if status == HTTPStatus.BAD_REQUEST:
        return _BULK_1.search(body) is not None
    if status == HTTPStatus.UNAUTHORIZED:
        return b"INVALID_SESSION_ID" in body and not any(words in body for words in INCURABLE)
    return status == HTTPStatus.FORBIDDEN and body.strip() == b"Bad_OAuth_Token"
