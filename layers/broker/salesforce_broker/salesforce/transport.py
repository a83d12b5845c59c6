"""HTTP to Salesforce: requests with a total deadline, no redirects, and nothing taken from the environment.

requests' time-outs are per read: a server that sends a byte a second keeps a call with `timeout=1` busy for ever. Here every
read, of the head as of the body, has only what is left until the deadline. Redirects are not followed (a 307 would re-post the
assertion to any host); proxies, netrc and CA bundles of the environment are ignored; bodies are requested uncompressed and
capped.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from salesforce_broker.clock import Deadline
from salesforce_broker.errors import AppRefused, SalesforceBusy

MAX_BODY_BYTES = 64 * 1024
"""A token answer is under 1 KB, a large JWT-format one some 10 KB."""

MAX_CONNECT_SECONDS = 3.0
"""A TCP and TLS handshake takes well under a second; waiting longer only eats the time of the next attempt."""

POOLED_CONNECTIONS = 10
"""More than one thread at a time exists only outside Lambda."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class _BoundedReader(io.RawIOBase):
    """Reads a socket with one deadline for all reads, instead of a time-out for each."""

    def __init__(self, sock: socket.socket) -> None:
        # The time-out that urllib3 has set by now is what is left of the whole call's time.
        self._until = time.monotonic() + (sock.gettimeout() or 0.0)
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedReader(sock))


class _BoundedHTTPConnection(HTTPConnection):
    response_class = _BoundedResponse


class _BoundedHTTPSConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _BoundedHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedHTTPSConnection


class _BoundedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


class Transport:
    """Keeps connections alive between calls; safe to share between threads."""

    def __init__(self, *, user_agent: str) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = certifi.where()
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"})
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, _BoundedAdapter(pool_maxsize=POOLED_CONNECTIONS))

    def post_form(self, url: str, form: Mapping[str, str], deadline: Deadline) -> Reply:
        """Post a form; raise SalesforceBusy when no whole answer came in time, AppRefused for a foreign certificate."""
        return self._send("POST", url, deadline, data=form)

    def get(self, url: str, bearer: str, deadline: Deadline) -> Reply:
        """Get `url` with a bearer token; raises as `post_form` does."""
        return self._send("GET", url, deadline, headers={"Authorization": f"Bearer {bearer}"})

    def post_files(self, url: str, bearer: str, files: Mapping[str, Any], deadline: Deadline) -> Reply:
        """Post the parts of a form (multipart, as requests takes them) with a bearer token; raises as `post_form` does."""
        return self._send("POST", url, deadline, headers={"Authorization": f"Bearer {bearer}"}, files=files)

    def _send(self, method: str, url: str, deadline: Deadline, **arguments: Any) -> Reply:
        left = deadline.seconds_left
        if left <= 0:
            raise SalesforceBusy("No time is left to ask Salesforce.")
        # requests takes urllib3's own time-outs too, which its type stubs do not know.
        bounds: Any = urllib3.Timeout(connect=min(MAX_CONNECT_SECONDS, left), total=left)
        try:
            with self._session.request(
                method, url, timeout=bounds, allow_redirects=False, stream=True, **arguments
            ) as response:
                reply = Reply(response.status_code, response.headers, _body(response.raw))
        except requests.exceptions.SSLError:
            raise AppRefused(
                "The server at the login URL has no TLS certificate for that name.",
                hint="Check SALESFORCE_LOGIN_URL, and that no proxy breaks TLS open between the broker and Salesforce.",
            ) from None
        # From None: the exceptions of requests and urllib3 hold the prepared request, and that the assertion.
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
            raise SalesforceBusy("Salesforce did not answer in time.") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError):
            raise SalesforceBusy("The connection to Salesforce failed or broke off.") from None
        if len(reply.body) > MAX_BODY_BYTES:
            raise SalesforceBusy(f"The answer was longer than {MAX_BODY_BYTES} bytes.")
        if reply.headers.get("Content-Encoding", "identity") != "identity":
            raise SalesforceBusy("The answer was compressed, although it was asked for as it is.")
        return reply


def _body(raw: urllib3.HTTPResponse) -> bytes:
    """Read the body as sent: to its end, where a truncated one raises, or one byte past the cap."""
    body = b""
    while len(body) <= MAX_BODY_BYTES:
        chunk = raw.read(MAX_BODY_BYTES + 1 - len(body), decode_content=False)
        if not chunk:
            break
        body += chunk
    return body
