"""A broker on a loopback port, for both transports of the client: it answers with a token of the user that was asked for."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import boto3
import pytest

from local_stack.loopback import Loopback
from salesforce_broker_client import Broker
from tests.support.broker_answers import USERNAME, answer
from tests.support.signatures import Arrived

CREDENTIALS: dict[str, Any] = {
    "aws_access_key_id": "AKID",
    "aws_secret_access_key": "secret-for-tests",
    "region_name": "eu-west-3",
}

Handle = Callable[[BaseHTTPRequestHandler], bool]


class BrokerEndpoint(Loopback):
    """Answers Invoke, POST /token and POST /identity.

    `arrived`: the requests; `ports`: by user, the callers' ports that asked for it. `handle` may answer otherwise: it returns
    True if it has. `served` of its handler counts the requests of a connection.
    """

    def __init__(self, handle: Handle = lambda _: False, *, tls: ssl.SSLContext | None = None) -> None:
        self.arrived: list[Arrived] = []
        self.ports: dict[str, list[int]] = {}
        arrived, ports = self.arrived, self.ports

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            served = 0

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                arrived.append(Arrived(self.command, self.path, headers, body))
                self.served += 1
                username = json.loads(body).get("sub", USERNAME)
                ports.setdefault(username, []).append(self.client_address[1])
                if not handle(self):
                    found = answer(f"00D!{username}", sub=username, user_id="005", username=username)
                    send_json(self, 200, found)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self.url = f"https://localhost:{self._server.server_port}"


def send_json(handler: BaseHTTPRequestHandler, status: int, body: object, **headers: str) -> None:
    """Send an answer."""
    content = json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(content)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    with contextlib.suppress(ConnectionError):  # the caller has hung up
        handler.end_headers()
        handler.wfile.write(content)


def caller(transport: str, url: str, monkeypatch: pytest.MonkeyPatch, **kwargs: Any) -> Broker:
    """Return a client that goes by that transport ("invoke" or "https") to the endpoint at `url`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
    kwargs = {"session": boto3.Session(**CREDENTIALS)} | kwargs
    return Broker("TokenFunction", **kwargs) if transport == "invoke" else Broker(url=url, **kwargs)
