"""The AWS of one machine: moto's server with Secrets Manager, SSM and KMS on a loopback port.

Owns the server's life and clients for it. What lies in it is the caller's.
"""

from __future__ import annotations

import logging
import urllib.request
from types import TracebackType
from typing import Any, Self

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
"""moto takes any."""


class LocalAws:
    """A moto server on a free loopback port, while the `with` block lasts."""

    def __init__(self, *, host: str = "127.0.0.1", public_host: str = "") -> None:
        """`public_host`: what functions in a container call `host`."""
        self._public_host = public_host or host
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each request
        self._server = ThreadedMotoServer(ip_address=host, port=0, verbose=False)

    def __enter__(self) -> Self:
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self._public_url = f"http://{self._public_host}:{port}"
        # moto's state is the process's: begin with an empty account, whoever used it before.
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST"), timeout=60).close()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.stop()

    def client(self, service: str) -> Any:
        """Return a boto3 client of that service."""
        made: Any = boto3.client  # the stubs know each service by its literal name
        return made(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead an AWS SDK here."""
        return {**CREDENTIALS, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self._public_url}
