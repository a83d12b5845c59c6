"""Tokens for requests: sending once more with another token, over a transport that answers from a script."""

from __future__ import annotations

import io
import os
import traceback

import pytest
import requests

from salesforce_broker_client import BrokerUnreachable, SalesforceAuth
from tests.support.broker_answers import answer
from tests.unit.client.adapters.conftest import BULK, FINE, OVER, URL, A, B, Script
from tests.unit.client.conftest import DOWN, Caller, Start


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
    assert (2, 2) == (len(script.sent), caller.requests)


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
    assert ([("Bearer 00D!first", b"piped")], 1) == (script.sent, caller.requests)


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


ELSEWHERE = "https://elsewhere.example/services/async/65.0/job"
OTHER_PATH = "https://acme.my.salesforce.com/services/async/66.0/job"
BULK_OVER = (400, b'{"exceptionCode":"InvalidSessionId","exceptionMessage":"Invalid session id"}')


def carried(script: Script) -> list[tuple[str, set[str]]]:
    """Return each URL that was called, with the tokens that went there."""
    names = ("Authorization", "X-SFDC-Session")
    found = [{headers[name].removeprefix("Bearer ") for name in names if name in headers} for headers in script.headers]
    return list(zip(script.urls, found, strict=True))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_takes_no_token_along(start: Start, status: int) -> None:
    """Not in the header of the old Bulk API either, which requests would hand on."""
    caller, script = start(A), Script((status, ELSEWHERE.encode()), FINE)
    assert 200 == session(caller, script).post(BULK, json={}, headers={"X-SFDC-Session": "x"}).status_code
    assert [(BULK, {"00D!first"}), (ELSEWHERE, set())] == carried(script)


@pytest.mark.parametrize(
    "location",
    [
        ELSEWHERE,
        "//elsewhere.example/x",
        "https://acme.my.salesforce.com.elsewhere.example/",
        "https://acme.my.salesforce.com:8443/",
        "http://acme.my.salesforce.com/",
        "https://acme.my.salesforce.com@elsewhere.example/",
    ],
)
def test_whatever_the_redirect_looks_like(start: Start, location: str) -> None:
    """Another origin is one by scheme, host or port."""
    caller, script = start(A), Script((307, location.encode()), FINE)
    http = session(caller, script)
    http.mount("http://", script)
    assert 200 == http.post(BULK, json={}, headers={"X-SFDC-Session": "x"}).status_code
    assert set() == carried(script)[1][1]


def test_no_later_hop_gets_it_either(start: Start) -> None:
    """Out by way of the own host, and back."""
    hops = [(307, OTHER_PATH.encode()), (307, ELSEWHERE.encode()), (307, BULK.encode()), FINE]
    caller, script = start(A), Script(*hops)
    session(caller, script).post(BULK, json={}, headers={"X-SFDC-Session": "x"})
    assert [{"00D!first"}, {"00D!first"}, set(), set()] == [tokens for _, tokens in carried(script)]


def test_a_redirect_of_the_second_attempt_takes_none_along(start: Start) -> None:
    """Neither the token that had ended nor its successor."""
    caller, script = start(A, B), Script(BULK_OVER, (307, ELSEWHERE.encode()), FINE)
    assert 200 == session(caller, script).post(BULK, json={}, headers={"X-SFDC-Session": "x"}).status_code
    assert [(BULK, {"00D!first"}), (BULK, {"00D!second"}), (ELSEWHERE, set())] == carried(script)


def test_a_redirect_within_the_instance_keeps_it(start: Start) -> None:
    """Salesforce's own."""
    caller, script = start(A), Script((307, b"/services/async/66.0/job"), FINE)
    assert 200 == session(caller, script).post(BULK, json={}, headers={"X-SFDC-Session": "x"}).status_code
    assert [(BULK, {"00D!first"}), (OTHER_PATH, {"00D!first"})] == carried(script)


def test_a_token_for_a_new_instance_does_not_go_to_the_old_host(start: Start) -> None:
    """The org has moved: the 401 is handed on, and the next request by its path goes to the new host."""
    moved = answer("00D!second", outcome="rotated", instance_url="https://moved.my.salesforce.com")
    caller, script = start(A, moved), Script(OVER, FINE)
    http = caller.broker.session()
    http.mount("https://", script)
    assert 401 == http.get("/services/data/v65.0/limits").status_code
    assert 200 == http.get("/services/data/v65.0/limits").status_code
    assert [(URL, {"00D!first"}), (URL.replace("acme", "moved"), {"00D!second"})] == carried(script)
