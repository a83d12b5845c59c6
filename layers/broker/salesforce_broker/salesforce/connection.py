"""Connections on which every wait has the same deadline: name resolution, TCP, TLS, writes and reads.

The time-outs of urllib3 and of sockets are for each address, each write and each read; name resolution has none. Here the
time-out that a request sets is a moment: whatever waits gets what is left until then.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from salesforce_broker.errors import AppRefused, SalesforceBusy, SalesforceError
from salesforce_broker.salesforce.addresses import Resolver, connect_to_any

MAX_CONNECT_SECONDS = 3.0
"""For name resolution, TCP and TLS together, which take well under a second; more only eats the next attempt's time."""

MAX_HEAD_BYTES = 64 * 1024
"""Of status line and headers, with all interim answers (1xx) before them. Salesforce's head has some 2 KB."""

MAX_WIRE_BYTES = 512 * 1024
"""Of a body with its framing: 64 KB in chunks of a few bytes."""

WRITE_BYTES = 16 * 1024
"""Written at a time: the size of a TLS record."""

_RESOLVER_HINT = (
    "Check the spelling of SALESFORCE_LOGIN_URL. In a VPC, check that DNS resolution is enabled (enableDnsSupport) and that the"
    " resolver answers for public names."
)
_ROUTE_HINT = (
    "The function needs a way to the internet on port 443: in a VPC, subnets with a route to a NAT gateway, and a security"
    " group, network ACL and firewall that let it out. If all is well there, see https://status.salesforce.com."
)
_REFUSED_HINT = (
    "A firewall or proxy may refuse it: check the VPC's outbound rules for port 443, and SALESFORCE_LOGIN_URL."
    " If all is well there, see https://status.salesforce.com."
)
_TLS_HINT = "A firewall or proxy between the broker and Salesforce may cut or inspect TLS: exempt Salesforce's hosts from it."

_WRONG_PROTOCOL = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "UNSUPPORTED_PROTOCOL"})
"""OpenSSL's reasons where something answers that is not (present-day) TLS; each further attempt meets the same."""

_HOSTNAME_MISMATCH = 62
_VALIDITY = frozenset({9, 10})
"""OpenSSL's verification codes: another name; not yet valid or expired [x509_vfy.h]."""

_RESOLVER = Resolver()


class _Reader(io.RawIOBase):
    """Reads a socket with one deadline for all reads, and up to a number of bytes."""

    def __init__(self, sock: socket.socket) -> None:
        # The time-out that urllib3 has set by now is what is left of the whole call's time.
        self._until = time.monotonic() + (sock.gettimeout() or 0.0)
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self.bytes_left = MAX_HEAD_BYTES
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended:
            return None
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        self._sock.settimeout(seconds)
        count = self._raw.readinto(buffer)
        self.bytes_left -= count or 0
        if self.bytes_left < 0:
            raise http.client.HTTPException("the answer is too long")
        return count

    def abandon(self) -> None:
        """End the connection: what reuses it must not read the rest of this answer as the beginning of its own."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It has ended already.
            return

    def has_undelivered(self) -> bool:
        """Tell whether TLS has bytes that it has decrypted and nobody has read."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Buffer(io.BufferedReader):
    """Closed where an answer ends. With bytes left beyond that end, the connection is not used again."""

    raw: _Reader

    def close(self) -> None:
        if not self.closed:
            self.raw.ended = True
            try:
                if self.peek(1) or self.raw.has_undelivered():
                    self.raw.abandon()
            except (OSError, ValueError):
                self.raw.abandon()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self._reader = _Reader(sock)
        self.fp = _Buffer(self._reader)

    def begin(self) -> None:
        super().begin()
        # urllib3 would log what it cannot parse of the headers: the peer's own bytes.
        if self.msg.defects or self.msg.get_payload():
            raise http.client.HTTPException("the headers are malformed")
        self._reader.bytes_left = MAX_WIRE_BYTES


class _DeadlineConnection(HTTPConnection):
    response_class = _Response

    @property
    def timeout(self) -> float:  # urllib3 sets and reads it as an attribute
        """What is left of the time that was set last; never 0, which would mean not to wait at all."""
        return max(self._until - time.monotonic(), 0.001)

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._until = time.monotonic() + (seconds or 0.0)

    def _new_conn(self) -> socket.socket:
        host, until = self._dns_host.strip("[]"), min(self._until, time.monotonic() + MAX_CONNECT_SECONDS)
        try:
            addresses = _RESOLVER.resolve(host, self.port, until)
        except TimeoutError:
            raise SalesforceBusy(f"The name {host} was not resolved in time.", hint=_RESOLVER_HINT) from None
        except (OSError, UnicodeError):
            raise SalesforceBusy(f"The name {host} cannot be resolved.", hint=_RESOLVER_HINT) from None
        try:
            sock = connect_to_any(addresses, until, self.socket_options or ())
        except TimeoutError:
            raise SalesforceBusy(f"No connection to {host} came about in time.", hint=_ROUTE_HINT) from None
        except ConnectionRefusedError:
            raise SalesforceBusy(f"The connection to {host} was refused.", hint=_REFUSED_HINT) from None
        except OSError:
            raise SalesforceBusy(f"There is no route to {host}.", hint=_ROUTE_HINT) from None
        # The TLS handshake has what is left of the time for connecting.
        sock.settimeout(max(until - time.monotonic(), 0.001))
        return sock

    def send(self, data: Any) -> None:
        """Write `data` (bytes), with what is left of the time for each piece."""
        if self.sock is None:
            self.connect()
        for start in range(0, len(data), WRITE_BYTES):
            self.sock.settimeout(self.timeout)
            super().send(data[start : start + WRITE_BYTES])


class _DeadlineTlsConnection(_DeadlineConnection, HTTPSConnection):
    def connect(self) -> None:
        """Connect, and say in our own words why TLS did not come about."""
        try:
            super().connect()
        except TimeoutError:
            raise SalesforceBusy(f"The TLS handshake with {self.host} did not end in time.", hint=_TLS_HINT) from None
        except OSError as error:
            raise _tls_failure(error, self.host) from None


def _tls_failure(error: OSError, host: str) -> SalesforceError:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _HOSTNAME_MISMATCH:
            return AppRefused(
                f"The server at {host} has no TLS certificate for that name.",
                hint="Check SALESFORCE_LOGIN_URL, and that no proxy breaks TLS open between the broker and Salesforce.",
            )
        if error.verify_code in _VALIDITY:
            return AppRefused(
                f"The TLS certificate of {host} has expired or is not valid yet.",
                hint="Check SALESFORCE_LOGIN_URL, the clock of the broker's machine, and for a proxy that breaks TLS open.",
            )
        return AppRefused(
            f"The TLS certificate of {host} is from an issuer that the broker does not trust.",
            hint=f"The broker trusts public authorities only. {_TLS_HINT}",
        )
    if isinstance(error, ssl.SSLError) and error.reason in _WRONG_PROTOCOL:
        return AppRefused(f"What answers at {host} does not speak TLS as expected.", hint=_TLS_HINT)
    return SalesforceBusy(f"The TLS handshake with {host} failed.", hint=_TLS_HINT)


class DeadlinePool(HTTPConnectionPool):
    """Connections without TLS, to this machine."""

    ConnectionCls = _DeadlineConnection


class DeadlineTlsPool(HTTPSConnectionPool):
    """Connections to Salesforce."""

    ConnectionCls = _DeadlineTlsConnection
