"""The client's two transports to the broker over real sockets: what is sent, and connections that die without a word."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import boto3
import httpx
import pytest

from salesforce_broker_client import Broker, SalesforceHttpxAuth
from tests.support.broker_answers import USERNAME
from tests.support.broker_endpoint import CREDENTIALS, BrokerEndpoint, Handle, caller
from tests.support.clocks import ManualClock
from tests.support.signatures import holds


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Reset the connection, as a balancer does that has forgotten it."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def after_the_first(fails: Callable[[BaseHTTPRequestHandler], object]) -> Handle:
    """Have a connection's second request fail."""

    def handle(handler: Any) -> bool:
        if handler.served > 1:
            fails(handler)
        return bool(handler.served > 1)

    return handle


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
    with BrokerEndpoint() as endpoint:
        broker = Broker(url=f"{endpoint.url}/v1", session=session)
        broker.token("a+b@acme.example", min_ttl=60)
        broker.identity("a+b@acme.example")
        broker.identity()
    assert ["/v1/token", "/v1/identity", "/v1/identity"] == [each.target for each in endpoint.arrived]
    for request in endpoint.arrived:
        assert session_token == request.headers.get("x-amz-security-token")
        assert holds(request, "secret-for-tests", service="execute-api", region="eu-west-3")
        assert not holds(request, "another-secret", service="execute-api", region="eu-west-3")


def test_every_invoke_has_a_signature_that_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the request as it arrives, though botocore has signed it and another client sends it."""
    with BrokerEndpoint() as endpoint:
        broker = caller("invoke", endpoint.url, monkeypatch)
        broker.token("a+b@acme.example", min_ttl=60)
        broker.identity("a+b@acme.example")
    assert ["/2015-03-31/functions/TokenFunction/invocations"] * 2 == [each.target for each in endpoint.arrived]
    for request in endpoint.arrived:
        assert holds(request, "secret-for-tests", service="lambda", region="eu-west-3")
        assert not holds(request, "another-secret", service="lambda", region="eu-west-3")


def test_the_region_can_be_another_one() -> None:
    """Than the session's."""
    with BrokerEndpoint() as endpoint:
        Broker(url=endpoint.url, session=boto3.Session(**CREDENTIALS), region="sa-east-1").token()
    assert holds(endpoint.arrived[0], "secret-for-tests", service="execute-api", region="sa-east-1")


@pytest.mark.parametrize("transport", ["invoke", "https"])
def test_a_connection_that_is_reset_costs_nothing(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes again, over a new one."""
    with BrokerEndpoint(after_the_first(reset)) as endpoint:
        broker = caller(transport, endpoint.url, monkeypatch)
        assert "00D!a@b.c" == broker.token("a@b.c").access_token
        assert "00D!d@e.f" == broker.token("d@e.f").access_token
    assert 3 == len(endpoint.arrived)


@pytest.mark.parametrize("transport", ["invoke", "https"])
def test_a_connection_that_died_in_a_freeze_is_not_waited_for(
    transport: str, monkeypatch: pytest.MonkeyPatch, over: threading.Event
) -> None:
    """Nobody answers on it any more: after an hour it is not used at all."""
    clock = ManualClock()
    with BrokerEndpoint(after_the_first(lambda _: over.wait(60))) as endpoint:
        broker = caller(transport, endpoint.url, monkeypatch, clock=clock.clock())
        broker.token()
        clock.wall += 3600
        assert broker.token()
    assert 2 == len(endpoint.arrived)


@pytest.mark.parametrize("transport", ["invoke", "https"])
def test_no_library_logs_a_token(transport: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Though all of them say everything that they ever say; what they say is there to be searched."""
    for name in ("", "boto3", "botocore", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    with BrokerEndpoint() as endpoint:
        broker = caller(transport, endpoint.url, monkeypatch)
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

    with BrokerEndpoint() as endpoint:
        assert 403 == asyncio.run(use(caller("invoke", endpoint.url, monkeypatch)))
    assert ([f"Bearer 00D!{USERNAME}", ""], 1) == (sent, len(endpoint.arrived))
