"""Tokens for aiosalesforce: where they may go, and when another one is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from aiosalesforce import Salesforce
from pytest_socket import disable_socket, enable_socket

from salesforce_broker_client import BrokerAuth
from tests.support.broker_answers import answer
from tests.unit.client.adapters.conftest import OVER, A, B
from tests.unit.client.conftest import Caller, Start


@pytest.fixture(autouse=True)
def _no_sockets_but_the_event_loops_own() -> None:
    """Let an event loop wake itself, which it does by a pair of Unix sockets."""
    enable_socket()
    disable_socket(allow_unix_socket=True)


MY_DOMAIN = "https://acme.my.salesforce.com"
PATH = "/services/data/v60.0/limits"


class Org:
    """Answers aiosalesforce in order; keeps where each token went. A redirect's body is the URL that it leads to."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self._answers = iter(answers)
        self.carried: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one."""
        self.carried.append((str(request.url), request.headers.get("Authorization", "").removeprefix("Bearer ")))
        status, content = next(self._answers, (200, b"{}"))
        return httpx.Response(status, content=content, headers={"Location": content.decode()} if status // 100 == 3 else {})


def use(caller: Caller, org: Org, work: Callable[[Salesforce], Awaitable[object]], base_url: str = MY_DOMAIN) -> None:
    """Run the work with a client of the org's."""

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(org), follow_redirects=True) as http:
            await work(Salesforce(http, base_url, BrokerAuth(caller.broker)))

    asyncio.run(run())


async def request(client: Any, url: str) -> None:
    """Get a URL; aiosalesforce has httpx's signature there, without itself."""
    await client.request("GET", url)


def get(url: str) -> Callable[[Salesforce], Awaitable[object]]:
    """Return work that gets a URL."""
    return lambda client: request(client, url)


def test_a_token_that_has_ended_is_replaced(start: Start) -> None:
    """And reported."""
    caller, org = start(A, B), Org(OVER)
    use(caller, org, get(MY_DOMAIN + PATH))
    assert [(MY_DOMAIN + PATH, "00D!first"), (MY_DOMAIN + PATH, "00D!second")] == org.carried
    assert "of 00D!first" == caller.lambda_.calls[1]["rejected"]


def test_a_client_of_another_instance_gets_no_token(start: Start) -> None:
    """A mistake in base_url is an error, and nothing is sent."""
    caller, org = start(A), Org()
    with pytest.raises(ValueError, match=r"for https://acme\.my\.salesforce\.com only"):
        use(caller, org, get(MY_DOMAIN + PATH), base_url="https://other.my.salesforce.com")
    assert [] == org.carried


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/", "http://acme.my.salesforce.com/", "https://acme.my.salesforce.com:8443/"]
)
def test_a_request_elsewhere_is_refused(start: Start, url: str) -> None:
    """aiosalesforce would send the token to whatever URL it is given."""
    caller, org = start(A), Org()
    with pytest.raises(ValueError, match="only"):
        use(caller, org, get(url))
    assert [] == org.carried


def test_a_redirect_elsewhere_takes_no_token_along(start: Start) -> None:
    """Each hop is looked at."""
    caller, org = start(A), Org((307, b"https://elsewhere.example/"))
    use(caller, org, get(MY_DOMAIN + PATH))
    assert [(MY_DOMAIN + PATH, "00D!first"), ("https://elsewhere.example/", "")] == org.carried


def test_a_token_for_a_new_instance_does_not_go_to_the_old_host(start: Start) -> None:
    """The org has moved: the client has to be made anew, and says so."""
    caller, org = start(A, answer("00D!second", instance_url="https://moved.my.salesforce.com")), Org(OVER)
    with pytest.raises(ValueError, match="moved"):
        use(caller, org, get(MY_DOMAIN + PATH))
    assert [(MY_DOMAIN + PATH, "00D!first")] == org.carried


@pytest.mark.parametrize("hand", ["wall", "monotonic"])
def test_a_token_that_is_over_by_either_clock_is_not_used(start: Start, hand: str) -> None:
    """A wall clock may stand, and a Lambda's monotonic one may have been frozen."""
    caller, org = start(A, B), Org()

    async def twice(client: Salesforce) -> None:
        await request(client, MY_DOMAIN + PATH)
        setattr(caller.clock, hand, getattr(caller.clock, hand) + 900)
        await request(client, MY_DOMAIN + PATH)

    use(caller, org, twice)
    assert ["00D!first", "00D!second"] == [token for _, token in org.carried]
    assert [{"action": "token"}] * 2 == caller.lambda_.calls


def test_a_fresh_token_is_asked_for_once(start: Start) -> None:
    """Then it comes from memory."""
    caller, org = start(A, B), Org()

    async def five_times(client: Salesforce) -> None:
        for _ in range(5):
            await request(client, MY_DOMAIN + PATH)

    use(caller, org, five_times)
    assert ["00D!first"] * 5 == [token for _, token in org.carried]
    assert 1 == caller.requests
