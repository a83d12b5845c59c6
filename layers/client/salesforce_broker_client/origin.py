"""Where a token, or a request to the broker, may be sent: URLs are parsed strictly and built again from their parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

LOOPBACK = {"localhost", "127.0.0.1"}
"""Hosts that may be called without TLS: this machine."""

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9][A-Za-z0-9.-]{0,252})(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?#].*)?", re.DOTALL
)
"""No user information, no escapes, no address in brackets: two parsers cannot read such a host in two ways."""

_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")

_PORTS = {"https": 443, "http": 80}
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host (in small letters) and port of a URL."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> tuple[Self, str] | None:
        """Return the origin of an http or https URL, and what follows it; None for a URL that is not plainly one."""
        found = _URL.fullmatch(url)
        if found is None:
            return None
        scheme = found["scheme"]
        port = int(found["port"] or _PORTS[scheme])
        return (cls(scheme, found["host"].lower(), port), found["rest"] or "") if 0 < port <= _MAX_PORT else None

    @property
    def url(self) -> str:
        """Return it as a URL without a path."""
        return f"{self.scheme}://{self.host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    def is_private(self, *also: str) -> bool:
        """Tell whether what is sent there is encrypted, or stays on this machine (or on one of the hosts `also`)."""
        return self.scheme == "https" or self.host in LOOPBACK or self.host in also


def instance_url(value: object) -> str | None:
    """Return a token's instance URL, built again; None if it is no origin to which a token may be sent."""
    parsed = Origin.parse(value) if isinstance(value, str) else None
    if parsed is None or parsed[1] or not parsed[0].is_private("host.docker.internal"):
        return None
    return parsed[0].url


def broker_url(value: str) -> str:
    """Return the broker's URL (which may have a path), built again without a slash at its end; ValueError."""
    parsed = Origin.parse(value.strip())
    if parsed is None or not _PATH.fullmatch(parsed[1]):
        raise ValueError("The broker's URL is not of the form https://HOST/STAGE (stack output ApiUrl).")
    if not parsed[0].is_private():
        raise ValueError("The broker's URL is not https.")
    return parsed[0].url + parsed[1].rstrip("/")


def differs(url: str, instance: str) -> bool:
    """Tell whether a URL is of another origin than the instance URL, to which alone its token may be sent."""
    parsed, own = Origin.parse(url), Origin.parse(instance)
    return parsed is None or own is None or parsed[0] != own[0]
