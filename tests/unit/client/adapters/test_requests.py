"""Tokens for requests: sending once more with another token, over a transport that answers from a script."""

from __future__ import annotations

import io
import os
import traceback

import pytest
import requests

from salesforce_broker_client import BrokerUnreachable, SalesforceAuth
from tests.unit.client.adapters.conftest import BULK, FINE, OVER, URL, A, B, Script
from tests.unit.client.conftest import DOWN, Caller, Start, answer


def session(caller: Caller, script: Script) -> requests.Session:
    """Return a session whose requests the script answers."""
    found = requests.Session()
    found.auth = SalesforceAuth(caller.broker)
    found.mount("https://", script)
    return found


def test_a_request_is_sent_once_more_with_the_next_token(start: Start) -> None:
    """And the refused one is reported."""
    caller, script = start(A, B), Script(OVER, FINE)
    assert 200 == session(caller, script).get(URL).status_code
    assert [("Bearer 00D!first", b""), ("Bearer 00D!second", b"")] == script.sent
    assert "of 00D!first" == caller.lambda_.calls[1]["rejected"]


def test_a_request_is_sent_no_more_than_twice(start: Start) -> None:
    """The second refusal is handed on."""
    caller, script = start(A, B), Script(OVER, OVER)
    assert 401 == session(caller, script).get(URL).status_code
    assert (2, 2) == (len(script.sent), caller.asked)


def test_a_request_is_not_sent_again_with_the_same_token(start: Start) -> None:
    """Salesforce says that it lives."""
    caller, script = start(A, answer("00D!first", outcome="unchanged")), Script(OVER)
    assert 401 == session(caller, script).get(URL).status_code


def test_a_killed_session_while_the_broker_is_down_has_a_name(start: Start) -> None:
    """The broker's, since the 401 would say less."""
    caller, script = start(A, DOWN), Script(OVER)
    with pytest.raises(BrokerUnreachable) as caught:
        session(caller, script).get(URL)
    assert "00D!" not in "".join(traceback.format_exception(caught.value))


def test_a_pipe_is_sent_and_not_sent_again(start: Start) -> None:
    """It has tell and seek, and neither works."""
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    caller, script = start(A), Script(OVER)
    with os.fdopen(reading, "rb") as body:
        assert 401 == session(caller, script).post(URL, data=body).status_code
    assert ([("Bearer 00D!first", b"piped")], 1) == (script.sent, caller.asked)


def test_a_file_goes_again_from_where_it_stood(start: Start) -> None:
    """Not from its beginning."""
    caller, script = start(A, B), Script(OVER, FINE)
    body = io.BytesIO(b"skipped, sent")
    body.seek(9)
    assert 200 == session(caller, script).post(URL, data=body).status_code
    assert [b"sent", b"sent"] == [content for _, content in script.sent]


def test_bulk_api_1_gets_the_token_in_its_own_header(start: Start) -> None:
    """And says in its own way that the session is over [simple-salesforce #619]."""
    over = (400, b'{"exceptionCode":"InvalidSessionId","exceptionMessage":"Invalid session id"}')
    caller, script = start(A, B), Script(over, FINE)
    assert 200 == session(caller, script).post(BULK, json={}, headers={"X-SFDC-Session": "00D!of-long-ago"}).status_code
    assert ["00D!first", "00D!second"] == [headers["X-SFDC-Session"] for headers in script.headers]


def test_no_other_request_gets_that_header(start: Start) -> None:
    """Only where somebody has put it."""
    caller, script = start(A), Script(FINE)
    session(caller, script).get(URL)
    assert "X-SFDC-Session" not in script.headers[0]
