"""The client's two ways to the broker over real sockets: what is sent, and connections that die without a word."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, cast

import boto3
import httpx
import pytest

from local_stack.loopback import Loopback
from salesforce_broker_client import Broker, SalesforceHttpxAuth
from tests.support.clocks import ManualClock
from tests.support.signatures import Arrived, holds
from tests.unit.client.conftest import answer

CREDENTIALS: dict[str, Any] = {
    "aws_access_key_id": "AKID",
    "aws_secret_access_key": "secret-for-tests",
    "region_name": "eu-west-3",
}
TOKEN = json.dumps(answer() | {"user_id": "005", "username": "a@b.c"}).encode()


class Endpoint(Loopback):
    """Answers everything with a token. `arrived`: the requests; `fails`: what is done to a connection's second one."""

    def __init__(self, fails: Callable[[BaseHTTPRequestHandler], None] | None = None) -> None:
        self.arrived: list[Arrived] = []
        arrived = self.arrived

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            served = 0

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                arrived.append(Arrived(self.command, self.path, headers, body))
                self.served += 1
                if self.served > 1 and fails is not None:
                    fails(self)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(TOKEN)))
                self.end_headers()
                self.wfile.write(TOKEN)

            do_GET = do_POST  # noqa: N815  http.server's name

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(Handler)


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Reset the connection, as a balancer does that has forgotten it."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Return what is set when the test is over."""
    found = threading.Event()
    yield found
    found.set()


@pytest.mark.parametrize("session_token", [None, "session/token+with=signs"])
def test_every_request_over_https_has_a_signature_that_holds(session_token: str | None) -> None:
    """For its method, path, query, body and headers; with session credentials too. Checked without botocore."""
    session = boto3.Session(**CREDENTIALS, aws_session_token=session_token)
    with Endpoint() as endpoint:
        broker = Broker(url=f"{endpoint.url}/v1", session=session)
        broker.token("a+b@acme.example", min_ttl=60)
        broker.identity("a+b@acme.example")
        broker.identity()
    assert ["/v1/token", "/v1/identity?sub=a%2Bb%40acme.example", "/v1/identity"] == [each.target for each in endpoint.arrived]
    for request in endpoint.arrived:
        assert session_token == request.headers.get("x-amz-security-token")
        assert holds(request, "secret-for-tests", service="execute-api", region="eu-west-3")
        assert not holds(request, "another-secret", service="execute-api", region="eu-west-3")


def test_the_region_can_be_another_one() -> None:
    """Than the session's."""
    with Endpoint() as endpoint:
        Broker(url=endpoint.url, session=boto3.Session(**CREDENTIALS), region="sa-east-1").token()
    assert holds(endpoint.arrived[0], "secret-for-tests", service="execute-api", region="sa-east-1")


def caller(way: str, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Broker:
    """Return a client that goes that way to the endpoint."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", endpoint.url)
    session = boto3.Session(**CREDENTIALS)
    return (
        Broker("TokenFunction", session=session, **options)
        if way == "invoke"
        else Broker(url=endpoint.url, session=session, **options)
    )


@pytest.mark.parametrize("way", ["invoke", "https"])
def test_a_connection_that_is_reset_costs_nothing(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes again, over a new one."""
    with Endpoint(reset) as endpoint:
        broker = caller(way, endpoint, monkeypatch)
        assert broker.token("a@b.c").access_token == broker.token("d@e.f").access_token
    assert 3 == len(endpoint.arrived)


@pytest.mark.parametrize("way", ["invoke", "https"])
def test_a_connection_that_died_in_a_freeze_is_not_waited_for(
    way: str, monkeypatch: pytest.MonkeyPatch, over: threading.Event
) -> None:
    """Nobody answers on it any more: after an hour it is not used at all."""
    clock = ManualClock()
    with Endpoint(lambda _: cast("None", over.wait(60))) as endpoint:
        broker = caller(way, endpoint, monkeypatch, clock=clock.clock())
        broker.token()
        clock.wall += 3600
        assert broker.token()
    assert 2 == len(endpoint.arrived)


@pytest.mark.parametrize("way", ["invoke", "https"])
def test_no_library_logs_a_token(way: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Though all of them say everything that they ever say; what they say is there to be searched."""
    for name in ("", "boto3", "botocore", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    with Endpoint() as endpoint:
        broker = caller(way, endpoint, monkeypatch)
        token = broker.token()
        broker.identity()
    assert "botocore" in caplog.text
    assert "urllib3" in caplog.text
    assert token.access_token not in caplog.text


def test_httpx_believes_only_salesforce_async_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect to a host that calls the token over reports nothing."""
    sent: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("Authorization", ""))
        if request.url.host == "elsewhere.example":
            return httpx.Response(403, content=b"Bad_OAuth_Token")
        return httpx.Response(302, headers={"Location": "https://elsewhere.example/"})

    async def use(broker: Broker) -> int:
        transport, auth = httpx.MockTransport(respond), SalesforceHttpxAuth(broker)
        async with httpx.AsyncClient(transport=transport, auth=auth, follow_redirects=True) as http:
            return (await http.get("https://acme.my.salesforce.com/services/oauth2/userinfo")).status_code

    with Endpoint() as endpoint:
        assert 403 == asyncio.run(use(caller("invoke", endpoint, monkeypatch)))
    assert (["Bearer 00D!first", ""], 1) == (sent, len(endpoint.arrived))
