"""Callers of the broker, end to end: their own Lambda runtime, the broker's, and a Salesforce that kills sessions."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import boto3
import httpx
import pytest
import requests
from aiosalesforce import Salesforce as AioSalesforce

from local_salesforce import DEFAULT_USERNAME
from local_salesforce.wire import Answer, Request
from local_stack.build import ROOT
from local_stack.lambda_api import LambdaApi
from local_stack.stack import OTHER_USERNAME, LocalStack
from salesforce_broker_client import (
    Broker,
    BrokerAuth,
    BrokerUnreachable,
    CallDenied,
    SalesforceAuth,
    SalesforceHttpxAuth,
    SalesforceRefused,
)
from tests.support.clocks import ManualClock

ORDERS = ROOT / "examples" / "orders" / "src"
LIMITS = "/services/data/v65.0/limits"
QUERY = "SELECT Name FROM Organization"


MY_DOMAIN = "https://acme.my.salesforce.com"


class ToLoopback(requests.adapters.HTTPAdapter):
    """Sends what is for a My Domain to the local Salesforce: simple-salesforce makes https of every address."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request to where it belongs here; it is the caller's as it was."""
        local = request.copy()
        local.url = str(request.url).replace(MY_DOMAIN, self._url, 1)
        answer: requests.Response = super().send(local, *args, **kwargs)
        answer.request, answer.connection = request, self
        return answer


class Callers:
    """The broker's function behind Lambda's Invoke API, and what it takes to call it."""

    def __init__(self, stack: LocalStack, api: LambdaApi) -> None:
        self.stack = stack
        self.api = api
        self.salesforce = stack.salesforce
        self.environment = {**stack.aws.environment, "AWS_ENDPOINT_URL_LAMBDA": api.url}

    def broker(self, **options: Any) -> Broker:
        """Return a client that invokes."""
        return Broker("TokenFunction", **options)

    def at_my_domain(self) -> Broker:
        """Return a client that invokes, and whose tokens are for a My Domain, as in Salesforce."""
        broker = self.broker()
        call = broker._transport.call  # noqa: SLF001  every call of the broker goes through here
        broker._transport.call = lambda *args: call(*args) | {"instance_url": MY_DOMAIN}  # type: ignore[method-assign]  # noqa: SLF001
        return broker

    @property
    def invocations(self) -> int:
        """How often the broker was invoked."""
        return len(self.api.invocations)


@pytest.fixture
def callers(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callers]:
    """Return callers of a fresh stack; boto3 in this process is one of them."""
    found = Callers(stack, stack.lambda_api())
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    yield found
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.mark.parametrize("way", ["invoke", "https"])
def test_a_lambda_queries_and_creates_and_never_thinks_about_tokens(callers: Callers, way: str) -> None:
    """The example's function, with the client's layer, in a runtime of its own; sessions killed meanwhile are no matter."""
    settings = {"SALESFORCE_BROKER_FUNCTION": "TokenFunction"}
    if way == "https":
        settings = {"SALESFORCE_BROKER_URL": callers.stack.gateway().url}
    caller = callers.stack.caller(ORDERS, **callers.environment, **settings)
    first = caller.invoke({"customer": "Acme's \\ Sons"})
    assert (True, "001") == (first["created"], first["account"][:3])
    callers.salesforce.sessions.end()
    assert first | {"created": False} == caller.invoke({"customer": "Acme's \\ Sons"})
    callers.salesforce.sessions.end()
    other = caller.invoke({"customer": "Other Sons"})
    assert other["created"]
    assert other["account"] != first["account"]
    assert 3 == callers.salesforce.logins()


class Kills:
    """Ends all sessions in every 50 requests: the first kill in mid-flight, the next when 30 threads are about to send.

    A request is sent again once, so that one that meets two kills fails, and must. Here kills would follow each other faster
    than a token comes: a kill lets those through first that have met the last one, and holds back new ones meanwhile.
    """

    def __init__(self, callers: Callers, broker: Broker) -> None:
        self._salesforce = callers.salesforce
        self._broker = broker
        self._session = broker.session()
        self._changed = threading.Condition()
        self._under_way: list[str] = []
        self._through = 0
        self._held_back = False
        self.kills = 0

    def get(self, _: int) -> int:
        """Send a request; return its status."""
        token = self._broker.token().access_token
        with self._changed:
            assert self._changed.wait_for(lambda: not self._held_back, timeout=60)
            self._under_way.append(token)
        status = self._session.get(LIMITS, timeout=30).status_code
        with self._changed:
            self._under_way.remove(token)
            self._through += 1
            self._changed.notify_all()
            # Early in each 50: more are left than there are threads, so that the last kill is met, too.
            if self._through % 50 == 10:
                self._kill()
        return status

    def _kill(self) -> None:
        self._held_back = True
        assert self._changed.wait_for(lambda: all(map(self._salesforce.sessions.find, self._under_way)), timeout=60)
        self._salesforce.sessions.end()
        self.kills += 1
        self._held_back = False
        self._changed.notify_all()


@pytest.mark.parametrize("way", ["invoke", "https"])
def test_two_hundred_requests_over_thirty_threads_survive_four_kills(callers: Callers, way: str) -> None:
    """Every 50 requests: one call of the broker more for each kill, and no request fails."""
    broker = callers.broker() if way == "invoke" else Broker(url=callers.stack.gateway().url, region="eu-central-1")
    kills = Kills(callers, broker)
    calls: list[str] = []
    ask = broker._transport.call  # noqa: SLF001  every call of the broker goes through here

    def counted(action: str, fields: dict[str, Any], seconds: float) -> dict[str, Any]:
        calls.append(action)
        return ask(action, fields, seconds)

    broker._transport.call = counted  # type: ignore[method-assign]  # noqa: SLF001
    broker.token()
    with ThreadPoolExecutor(30) as pool:
        assert [200] * 200 == list(pool.map(kills.get, range(200)))
    refused = [entry for entry in callers.salesforce.journal if entry.error == "INVALID_SESSION_ID"]
    assert (4, 1 + 4, 1 + 4) == (kills.kills, len(calls), callers.salesforce.logins())
    assert len(refused) > 30


def test_a_broker_that_is_stopped_costs_nothing_while_the_token_lives(callers: Callers) -> None:
    """For a minute, or until the token is over; then the failure has a name, and it heals with the next request."""
    clock = ManualClock()
    broker = callers.broker(clock=cast("Any", clock.clock()))
    session = broker.session()
    assert session.get(LIMITS, timeout=30).ok
    with pytest.MonkeyPatch.context() as gone:
        gone.setattr(callers.api.functions["TokenFunction"], "invoke", hang_up)
        for _ in range(60):
            clock.advance(1)
            assert session.get(LIMITS, timeout=30).ok
        assert 1 == callers.invocations
        clock.advance(800)
        assert session.get(LIMITS, timeout=30).ok
        clock.advance(900)
        with pytest.raises(BrokerUnreachable):
            broker.token()
    assert session.get(LIMITS, timeout=30).ok


def hang_up(*_: object) -> object:
    """End the connection without an answer."""
    raise ConnectionResetError


def test_simple_salesforce_renews_itself(callers: Callers) -> None:
    """A ready client: query, create, read; a killed session costs one call of the broker."""
    client = callers.at_my_domain().simple_salesforce()
    client.session.mount("https://", ToLoopback(callers.salesforce.url))
    assert "Acme" == client.query(QUERY)["records"][0]["Name"]
    account: Any = client.Account.create({"Name": "Made by simple-salesforce"})  # type: ignore[operator]
    callers.salesforce.sessions.end()
    assert "Made by simple-salesforce" == client.Account.get(account["id"])["Name"]  # type: ignore[operator]
    assert 2 == callers.invocations


def test_aiosalesforce_renews_itself(callers: Callers) -> None:
    """By the Auth class that its documentation suggests."""

    class ToLoopback(httpx.AsyncHTTPTransport):
        """It accepts nothing but My Domains."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            to = httpx.URL(callers.salesforce.url)
            url = request.url.copy_with(scheme=to.scheme, host=to.host, port=to.port)
            local = httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
            return await super().handle_async_request(local)

    async def use() -> list[str]:
        async with httpx.AsyncClient(transport=ToLoopback()) as http:
            client = AioSalesforce(http, MY_DOMAIN, BrokerAuth(callers.at_my_domain()))
            account = await client.sobject.create("Account", {"Name": "Made by aiosalesforce"})
            callers.salesforce.sessions.end()
            read = await client.sobject.get("Account", account)
            return [read["Name"], *[record["Name"] async for record in client.query(QUERY)]]

    assert ["Made by aiosalesforce", "Acme"] == asyncio.run(use())
    assert 2 == callers.invocations


def test_httpx_renews_itself(callers: Callers) -> None:
    """Sync and async, with one broker object."""
    broker = callers.broker()
    url = broker.token().instance_url
    with httpx.Client(auth=SalesforceHttpxAuth(broker), base_url=url) as http:
        assert http.get(LIMITS).is_success
        callers.salesforce.sessions.end()
        made = http.post("/services/data/v65.0/sobjects/Account", json={"Name": "Made by httpx"})
        assert 201 == made.status_code
        with pytest.raises(ValueError, match="only"):
            http.get("https://evil.example/")

    async def use() -> list[int]:
        async with httpx.AsyncClient(auth=SalesforceHttpxAuth(broker), base_url=url) as http:
            callers.salesforce.sessions.end()
            return [answer.status_code for answer in await asyncio.gather(*(http.get(LIMITS) for _ in range(10)))]

    assert [200] * 10 == asyncio.run(use())
    assert 3 == callers.invocations


def test_an_httpx_stream_is_not_sent_twice(callers: Callers) -> None:
    """It cannot be rewound: the 401 is handed on."""
    broker = callers.broker()
    with httpx.Client(auth=SalesforceHttpxAuth(broker), base_url=broker.token().instance_url) as http:
        callers.salesforce.sessions.end()
        answer = http.post("/services/data/v65.0/sobjects/Account", content=iter([b'{"Name":', b'"x"}']))
    assert (401, 1) == (answer.status_code, callers.invocations)


def test_requests_send_a_body_again_only_if_it_rewinds(callers: Callers) -> None:
    """A file goes again from where it stood, a generator does not go again."""
    session = callers.broker().session()
    path, headers = "/services/data/v65.0/sobjects/Account", {"Content-Type": "application/json"}
    assert session.get(LIMITS, timeout=30).ok
    callers.salesforce.sessions.end()
    body = io.BytesIO(b'skipped{"Name": "From a file"}')
    body.seek(7)
    answer = session.post(path, data=body, headers=headers, timeout=30)
    assert 201 == answer.status_code
    assert [401] == [earlier.status_code for earlier in answer.history]
    callers.salesforce.sessions.end()
    assert 401 == session.post(path, data=iter([b'{"Name": "x"}']), headers=headers, timeout=30).status_code


def test_a_401_that_another_token_does_not_cure_is_handed_on(callers: Callers) -> None:
    """Without a word to the broker."""
    session = callers.broker().session()
    assert session.get(LIMITS, timeout=30).ok
    callers.salesforce.world.apps[0].attached_to_agent = False
    answer = session.get(LIMITS, timeout=30)
    assert (401, 1) == (answer.status_code, callers.invocations)


def test_a_token_goes_nowhere_else(callers: Callers) -> None:
    """Not to another host, nor after a redirect to one that claims the token is over."""
    broker = callers.broker()
    with pytest.raises(ValueError, match="only"):
        requests.get("https://evil.example/", auth=SalesforceAuth(broker), timeout=30)
    elsewhere = callers.salesforce.urls["acme--dev"].replace("127.0.0.1", "localhost")
    callers.salesforce.faults.order("redirect", path=LIMITS, headers={"Location": elsewhere + LIMITS})
    answer = broker.session().get(LIMITS, timeout=30)
    assert (401, 1) == (answer.status_code, callers.invocations)
    assert "Authorization" not in answer.request.headers


def test_the_identity_url_renews_too(callers: Callers) -> None:
    """Its refusal is a 403 in plain text."""
    session = callers.broker().session()
    assert session.get("/services/oauth2/userinfo", timeout=30).ok
    callers.salesforce.sessions.end()
    told = session.get("/services/oauth2/userinfo", timeout=30).json()
    assert (DEFAULT_USERNAME, 2) == (told["preferred_username"], callers.invocations)


def test_the_brokers_no_arrives_with_its_hint(callers: Callers) -> None:
    """By both ways."""
    callers.salesforce.user(DEFAULT_USERNAME).state = "inactive"
    for broker in (callers.broker(), Broker(url=callers.stack.gateway().url, region="eu-central-1")):
        with pytest.raises(SalesforceRefused) as caught:
            broker.token()
        assert ("salesforce_user", False) == (caught.value.code, caught.value.retryable)
        assert caught.value.hint


def test_a_request_over_https_is_signed(callers: Callers) -> None:
    """With Signature Version 4, for execute-api, in the region of the host's name or of the session."""
    url = "https://abc.execute-api.eu-west-1.amazonaws.com/v1"
    transport: Any = Broker(url=url)._transport  # noqa: SLF001  what is sent
    headers = transport._signed(f"{url}/token", b"{}")  # noqa: SLF001
    assert re.match(r"AWS4-HMAC-SHA256 Credential=\S+/eu-west-1/execute-api/aws4_request, ", headers["Authorization"])
    transport = Broker(url="https://broker.example")._transport  # noqa: SLF001  likewise
    other = transport._signed("https://broker.example/token", b"{}")  # noqa: SLF001
    assert f"/{callers.environment['AWS_DEFAULT_REGION']}/execute-api/" in other["Authorization"]


def test_https_hands_out_tokens_and_identities(callers: Callers) -> None:
    """The same answers as by invoke."""
    broker = Broker(url=callers.stack.gateway().url, region="eu-central-1")
    assert broker.token().access_token == callers.broker().token().access_token
    assert OTHER_USERNAME == broker.identity(OTHER_USERNAME)["username"]


def test_https_without_credentials_is_a_named_error(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one of botocore's."""
    broker = Broker(url=callers.stack.gateway().url)
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    with pytest.raises(CallDenied):
        broker.token()


def shell(callers: Callers, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    environment = {**os.environ, **callers.environment, "PYTHONPATH": str(ROOT / "layers" / "client")}
    command = [sys.executable, "-m", "salesforce_broker_client", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_line_hands_out_tokens(callers: Callers) -> None:
    """token, identity, env; an answer that is no token is status 1 and one line, a mistake status 2."""
    told = shell(callers, "token", "--function", "TokenFunction", "--sub", OTHER_USERNAME)
    assert (0, "") == (told.returncode, told.stderr)
    session = callers.salesforce.sessions.find(told.stdout.strip())
    assert session
    assert OTHER_USERNAME == session.user.username
    assert f'"username": "{DEFAULT_USERNAME}"' in shell(callers, "identity", "--function", "TokenFunction").stdout
    script = shell(callers, "env", "--function", "TokenFunction").stdout
    shown = subprocess.run(
        ["/bin/sh", "-c", script + 'echo "$SF_ORG_INSTANCE_URL ${#SF_ACCESS_TOKEN}"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{callers.salesforce.url} 112" == shown.stdout.strip()
    refused = shell(callers, "token", "--function", "TokenFunction", "--sub", "nobody@acme.example")
    assert (1, 1) == (refused.returncode, len(refused.stderr.splitlines()))
    assert refused.stderr.startswith("access_denied: ")
    assert 2 == shell(callers, "token").returncode


def test_the_readmes_example_works_as_it_stands(callers: Callers, tmp_path: Path) -> None:
    """The three lines, in a process with the environment that it names."""
    (example,) = re.findall(r"```python\n(from salesforce_broker_client .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "example.py").write_text(example + "\nprint(accounts)\n")
    environment = {**os.environ, **callers.environment, "PYTHONPATH": str(ROOT / "layers" / "client")}
    environment["SALESFORCE_BROKER_FUNCTION"] = "TokenFunction"
    command = [sys.executable, str(tmp_path / "example.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert "'totalSize': 0" in ended.stdout


def test_kills_at_the_pace_of_a_network_cost_no_request(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 requests over 30 threads that take what requests to Salesforce take; whatever is in flight, every 50 are a kill.

    Nothing waits for anything here. Without that pace kills come faster than a token does, and a request meets two of them:
    it is sent again once, so that it fails.
    """
    answer = callers.salesforce.answer

    def at_a_networks_pace(request: Request) -> Answer:
        time.sleep(0.2 if request.path == LIMITS else 0)
        return answer(request)

    monkeypatch.setattr(callers.salesforce, "answer", at_a_networks_pace)
    session = callers.broker().session()
    guard, through = threading.Lock(), itertools.count(1)

    def ask(_: int) -> int:
        status = session.get(LIMITS, timeout=30).status_code
        with guard:
            if next(through) in {50, 100, 150}:
                callers.salesforce.sessions.end()
        return status

    with ThreadPoolExecutor(30) as pool:
        assert [200] * 200 == list(pool.map(ask, range(200)))
    refused = [entry for entry in callers.salesforce.journal if entry.error == "INVALID_SESSION_ID"]
    assert (1 + 3, 1 + 3) == (callers.invocations, callers.salesforce.logins())
    assert len(refused) > 30
