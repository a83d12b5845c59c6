"""Sending a request once more, by requests and by httpx, over transports that answer from a script."""

from __future__ import annotations

import io
import os
import traceback
from typing import Any

import httpx
import pytest
import requests
from requests.adapters import BaseAdapter

from salesforce_broker_client import BrokerUnreachable, SalesforceAuth, SalesforceHttpxAuth
from tests.unit.client.conftest import Caller, Start, answer
from tests.unit.client.test_broker import DOWN

URL = "https://acme.my.salesforce.com/services/data/v65.0/limits"
BULK = "https://acme.my.salesforce.com/services/async/65.0/job"
A, B = answer("00D!first"), answer("00D!second", outcome="rotated")
OVER = (401, b'[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]')
FINE = (200, b"{}")


class Script(BaseAdapter):
    """Answers requests in order; keeps what was sent."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__()
        self._answers = iter(answers)
        self.sent: list[tuple[str, bytes]] = []
        self.headers: list[dict[str, str]] = []

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        """Answer one."""
        body: Any = request.body
        content = body.read() if hasattr(body, "read") else body or b""
        self.sent.append((str(request.headers["Authorization"]), content))
        self.headers.append(dict(request.headers))
        response: Any = requests.Response()
        response.status_code, content = next(self._answers)
        response.raw, response.request, response.url, response.connection = io.BytesIO(content), request, request.url, self
        found: requests.Response = response
        return found

    def close(self) -> None:
        """Nothing is open."""


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


def test_simple_salesforces_bulk_renews_itself(start: Start) -> None:
    """Though it keeps the token that it began with in a header of its own."""
    over = (400, b'{"exceptionCode":"InvalidSessionId","exceptionMessage":"Invalid session id"}')
    caller, script = start(A, B), Script(over, (200, b'{"id":"750"}'))
    client = caller.broker.simple_salesforce()
    client.session.mount("https://", script)
    bulk: Any = client.bulk
    assert {"id": "750"} == bulk.Account._create_job("insert", use_serial=False)  # noqa: SLF001  the first request of any
    assert ["00D!first", "00D!second"] == [headers["X-SFDC-Session"] for headers in script.headers]


def test_no_other_request_gets_that_header(start: Start) -> None:
    """Only where somebody has put it."""
    caller, script = start(A), Script(FINE)
    session(caller, script).get(URL)
    assert "X-SFDC-Session" not in script.headers[0]


class HttpxScript:
    """Answers httpx in order; keeps the tokens. What a redirect leads to is over, too."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self._answers = iter(answers)
        self.sent: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one."""
        self.sent.append(request.headers.get("Authorization", ""))
        if request.url.host == "elsewhere.example":
            return httpx.Response(OVER[0], content=OVER[1])
        status, content = next(self._answers)
        return httpx.Response(status, content=content, headers={"Location": "https://elsewhere.example/"})


@pytest.mark.parametrize(
    ("answers", "status", "sent", "asked"),
    [
        ([FINE], 200, ["Bearer 00D!first"], 1),
        ([OVER, FINE], 200, ["Bearer 00D!first", "Bearer 00D!second"], 2),
        ([OVER, OVER], 401, ["Bearer 00D!first", "Bearer 00D!second"], 2),
        ([(302, b"")], 401, ["Bearer 00D!first", ""], 1),
    ],
)
def test_httpx_does_likewise(start: Start, answers: list[tuple[int, bytes]], status: int, sent: list[str], asked: int) -> None:
    """Once more, no more than twice; what another host says after a redirect is not Salesforce's."""
    caller, script = start(A, B), HttpxScript(*answers)
    auth = SalesforceHttpxAuth(caller.broker)
    with httpx.Client(transport=httpx.MockTransport(script), auth=auth, follow_redirects=True) as http:
        assert status == http.get(URL).status_code
    assert (sent, asked) == (script.sent, caller.asked)
