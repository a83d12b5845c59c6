"""Which address of a name to talk to: a resolver that keeps a deadline, and the first of all addresses that answers."""

from __future__ import annotations

import ipaddress
import os
import queue
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

MAX_LOOKUPS = 4
"""Lookups of names at a time. getaddrinfo cannot be cancelled, so one that hangs keeps its thread."""

MAX_ADDRESSES = 8
"""Of a host's addresses that are tried; Salesforce's hosts have up to three."""

SECONDS_BETWEEN_ADDRESSES = 0.25
"""A connection to the next address starts while that to the one before is waited for [RFC 8305 section 5]."""

Address = tuple[Any, ...]
"""As getaddrinfo returns them: family, type, protocol, canonical name, socket address."""


class Resolver:
    """Resolves names in threads of their own, so that a resolver that hangs holds up nobody beyond the deadline."""

    def __init__(self, max_lookups: int = MAX_LOOKUPS) -> None:
        self._slots = threading.BoundedSemaphore(max_lookups)

    def resolve(self, host: str, port: int, until: float) -> list[Address]:
        """Return getaddrinfo's answer; raise its OSError, or TimeoutError at `until` (monotonic)."""
        if _is_address(host):
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        if not self._slots.acquire(timeout=max(0.0, until - time.monotonic())):
            raise TimeoutError("all lookups hang")
        found: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                result: list[Address] | Exception = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                result = error
            finally:
                self._slots.release()
            found.put(result)

        threading.Thread(target=look_up, name="resolver", daemon=True).start()
        try:
            answer = found.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            raise TimeoutError("the lookup hangs") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def connect_to_any(addresses: list[Address], until: float, options: Iterable[tuple[Any, ...]] = ()) -> socket.socket:
    """Connect to the address that answers first; raise TimeoutError at `until`, or the last OSError when all have failed.

    The next address is tried when one has failed or SECONDS_BETWEEN_ADDRESSES have passed: one that swallows packets does
    not use up the time of the others.
    """
    waiting, failure = deque(addresses[:MAX_ADDRESSES]), OSError("the name has no address")
    next_start = time.monotonic()
    with selectors.DefaultSelector() as selector:
        try:
            while True:
                now = time.monotonic()
                if now >= until:
                    raise TimeoutError("no address answered")
                if waiting and (now >= next_start or not selector.get_map()):
                    next_start = now + SECONDS_BETWEEN_ADDRESSES
                    try:
                        selector.register(_start_connecting(waiting.popleft(), options), selectors.EVENT_WRITE)
                    except OSError as error:
                        failure = error
                    continue
                if not selector.get_map():
                    raise failure
                for key, _ in selector.select(min(until, next_start if waiting else until) - now):
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    selector.unregister(sock)
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        return sock
                    sock.close()
                    failure, next_start = OSError(code, os.strerror(code)), now
        finally:
            for key in list(selector.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()


def _start_connecting(address: Address, options: Iterable[tuple[Any, ...]]) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        for option in options:
            sock.setsockopt(*option)
        sock.settimeout(0)
        sock.connect(where)
    except BlockingIOError:
        # The connection is on its way.
        pass
    except OSError:
        sock.close()
        raise
    return sock
