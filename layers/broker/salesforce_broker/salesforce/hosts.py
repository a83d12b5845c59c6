"""Which hosts belong to Salesforce, and the only place that takes a URL apart. A URL is rebuilt, never passed through."""

from __future__ import annotations

import re

_SALESFORCE_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+"
    r"(?:salesforce\.com|force\.com|site\.com|salesforce\.mil|crmforce\.mil|sfcrmproducts\.cn)"
)
"""Login, My Domain, Experience Cloud, Government Cloud and China hosts [Salesforce help: "My Domain URL Formats"]."""

_LOCAL_HOST = re.compile(r"localhost|127\.0\.0\.1|\[::1\]|host\.docker\.internal")
"""Where a Salesforce stand-in may run: this machine, or the machine around the container."""

_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[::1\])(?::(?P<port>[0-9]{1,5}))?/?")
"""Scheme, host, port and nothing else: no user, path, query, backslash or other trick survives."""


def salesforce_origin(url: str) -> str | None:
    """Take `url` apart and rebuild it as an origin; None unless it is https on a Salesforce host."""
    parts = _ORIGIN.fullmatch(url)
    if parts is None or parts["scheme"] != "https" or parts["port"] not in {None, "443"}:
        return None
    host = parts["host"].lower()
    return f"https://{host}" if _SALESFORCE_HOST.fullmatch(host) else None


def local_origin(url: str) -> str | None:
    """Take `url` apart and rebuild it as an origin; None unless it is on this machine (http or https, any port)."""
    parts = _ORIGIN.fullmatch(url)
    if parts is None or not _LOCAL_HOST.fullmatch(parts["host"].lower()):
        return None
    port = f":{int(parts['port'])}" if parts["port"] else ""
    return f"{parts['scheme']}://{parts['host'].lower()}{port}"


def instance_origin(url: object, *, login_url: str) -> str | None:
    """Return an `instance_url` as an origin; None where a token must not go: not Salesforce, or local where login is not."""
    if not isinstance(url, str):
        return None
    return salesforce_origin(url) or (local_origin(url) if local_origin(login_url) else None)
