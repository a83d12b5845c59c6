"""urllib3's pools, with connections that keep the current call's deadline and that a fork leaves usable."""

from __future__ import annotations

import collections
import http.client
import io
import queue
import socket
from typing import Any, cast

import urllib3
import urllib3.connection

from salesforce_broker_client.transports import deadline


class _IdleConnections:
    """The queue in which urllib3 keeps idle connections, without a lock, which a fork could leave locked in the child."""

    def __init__(self, maxsize: int = 0) -> None:
        self._maxsize = maxsize
        self._items: collections.deque[Any] = collections.deque()

    def get(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """Take the one used last."""
        del block, timeout
        try:
            return self._items.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, item: Any, *, block: bool = True) -> None:
        """Keep one."""
        del block
        if len(self._items) >= self._maxsize:
            raise queue.Full
        self._items.append(item)

    def qsize(self) -> int:
        """Count them."""
        return len(self._items)


class _BoundedReader(io.RawIOBase):
    """Reads from a connection, at no moment after the current call's deadline, however fast an answer without an end comes."""

    def __init__(self, reader: io.RawIOBase, call: deadline.Call) -> None:
        self._reader = reader
        self._call = call

    def readable(self) -> bool:
        """Tell that this is for reading."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what there is."""
        if self._call.seconds_left <= 0:
            raise TimeoutError
        return cast("int | None", self._reader.readinto(buffer))

    def close(self) -> None:
        """Close the connection's reader as well."""
        self._reader.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response whose head and body are read within the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedReader(sock.makefile("rb", buffering=0), deadline.current()))


class _HttpConnection(urllib3.connection.HTTPConnection):
    """A connection whose socket is shut down at the current call's deadline."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        deadline.current().watch(made)
        return made

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request, over a kept connection as well."""
        if self.sock is not None:
            deadline.current().watch(self.sock)
        super().request(*args, **kwargs)


class _HttpsConnection(_HttpConnection, urllib3.connection.HTTPSConnection):
    """The same with TLS."""


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection
    QueueCls: Any = _IdleConnections


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection
    QueueCls: Any = _IdleConnections


POOLS: Any = {"http": _HttpPool, "https": _HttpsPool}
"""By scheme, for urllib3's managers."""
