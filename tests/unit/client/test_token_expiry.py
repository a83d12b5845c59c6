"""Which answers of Salesforce call for another token."""

from __future__ import annotations

import pytest

from salesforce_broker_client.token_expiry import token_has_ended


@pytest.mark.parametrize(
    ("status", "body", "over"),
    [
        (401, b'[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]', True),
        (403, b"Bad_OAuth_Token", True),
        (403, b"Bad_OAuth_Token\n", True),
        (401, b'[{"message":"Connected app is not attached to Agent","errorCode":"INVALID_SESSION_ID"}]', False),
        (401, b'[{"message":"This session is not valid for use with the REST API","errorCode":"INVALID_SESSION_ID"}]', False),
        (401, b'[{"message":"x","errorCode":"INVALID_AUTH_HEADER"}]', False),
        (403, b'[{"message":"x","errorCode":"REQUEST_LIMIT_EXCEEDED"}]', False),
        (403, b"Missing_OAuth_Token", False),
        (400, b'{"exceptionCode":"InvalidSessionId","exceptionMessage":"Invalid session id"}', True),
        (400, b"<error><exceptionCode>InvalidSessionId</exceptionCode></error>", True),
        (400, b'{"exceptionCode":"InvalidBatch","exceptionMessage":"InvalidSessionId"}', False),
        (400, b'[{"message":"x","errorCode":"JSON_PARSER_ERROR"}]', False),
        (200, b"INVALID_SESSION_ID", False),
        (500, b"Bad_OAuth_Token", False),
    ],
)
def test_only_what_another_token_cures_calls_for_one(status: int, body: bytes, over: bool) -> None:
    """The 401s that stay are handed on."""
    assert over == token_has_ended(status, body)
