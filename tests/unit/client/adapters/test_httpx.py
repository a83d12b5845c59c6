"""Tokens for httpx: sending once more with another token."""

from __future__ import annotations

import httpx
import pytest

from salesforce_broker_client import SalesforceHttpxAuth
from tests.support.broker_answers import answer
from tests.unit.client.adapters.conftest import FINE, OVER, URL, A, B
from tests.unit.client.conftest import Start


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
    ("answers", "status", "sent", "requests"),
    [
        ([FINE], 200, ["Bearer 00D!first"], 1),
        ([OVER, FINE], 200, ["Bearer 00D!first", "Bearer 00D!second"], 2),
        ([OVER, OVER], 401, ["Bearer 00D!first", "Bearer 00D!second"], 2),
        ([(302, b"")], 401, ["Bearer 00D!first", ""], 1),
    ],
)
def test_httpx_does_likewise(
    start: Start, answers: list[tuple[int, bytes]], status: int, sent: list[str], requests: int
) -> None:
    """Once more, no more than twice; what another host says after a redirect is not Salesforce's."""
    caller, script = start(A, B), HttpxScript(*answers)
    auth = SalesforceHttpxAuth(caller.broker)
    with httpx.Client(transport=httpx.MockTransport(script), auth=auth, follow_redirects=True) as http:
        assert status == http.get(URL).status_code
    assert (sent, requests) == (script.sent, caller.requests)


def test_a_token_for_a_new_instance_does_not_go_to_the_old_host(start: Start) -> None:
    """The org has moved: the 401 is handed on."""
    moved = answer("00D!second", outcome="rotated", instance_url="https://moved.my.salesforce.com")
    caller, script = start(A, moved), HttpxScript(OVER, FINE)
    with httpx.Client(transport=httpx.MockTransport(script), auth=SalesforceHttpxAuth(caller.broker)) as http:
        assert 401 == http.get(URL).status_code
    assert (["Bearer 00D!first"], 2) == (script.sent, caller.requests)


def test_the_old_bulk_apis_header_is_refused(start: Start) -> None:
    """httpx would hand it on to another host."""
    caller, script = start(A), HttpxScript(FINE)
    http = httpx.Client(transport=httpx.MockTransport(script), auth=SalesforceHttpxAuth(caller.broker))
    with http, pytest.raises(ValueError, match="X-SFDC-Session"):
        http.post(URL, headers={"X-SFDC-Session": "00D!first"})
    assert [] == script.sent
