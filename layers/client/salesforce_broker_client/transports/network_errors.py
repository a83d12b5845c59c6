"""Why a connection did not come about, or ended: name resolution, TLS, proxy, network, each by its name."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator

import urllib3.exceptions

from salesforce_broker_client.errors import BrokerUnreachable

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_TUNNEL_REASONS = {
    "407": "it wants a user and a password",
    "403": "it does not allow this host",
    "502": "it cannot reach this host",
    "504": "it cannot reach this host in time",
}

_BY_NUMBER = {
    errno.ECONNREFUSED: "Nothing accepts connections at",
    errno.EHOSTUNREACH: "There is no route to",
    errno.ENETUNREACH: "There is no route to",
    errno.EACCES: "This machine forbids connections to",
    errno.EPERM: "This machine forbids connections to",
}

ROUTE = "Check the route: VPC endpoint or NAT, security groups, and the proxy's settings (HTTPS_PROXY, NO_PROXY)."
TRUST = "Where a proxy inspects TLS, AWS_CA_BUNDLE has to name its CA certificate. Check the URL and this machine's clock, too."


def named(error: Exception, host: str) -> BrokerUnreachable:
    """Return the exception for an error of urllib3's; `host`: the one that was called."""
    chain = list(_chain(error))
    through_proxy = any(isinstance(each, urllib3.exceptions.ProxyError) for each in chain)
    where = f"the proxy on the way to {host}" if through_proxy else host
    for find, named_host in ((_tunnel, host), (_resolution, where), (_tls, where), (_network, where), (_timeout, where)):
        for each in chain:
            if (found := find(each, named_host)) is not None:
                return found
    return BrokerUnreachable(f"The call to {where} failed: {type(error).__name__}.", hint=ROUTE)


def _tunnel(error: BaseException, where: str) -> BrokerUnreachable | None:
    found = _TUNNEL.search(str(error))
    if found is None:
        return None
    reason = _TUNNEL_REASONS.get(found[1], f"status {found[1]}")
    hint = "Check HTTPS_PROXY (http://user:password@proxy:port), and NO_PROXY for hosts that need no proxy."
    return BrokerUnreachable(f"The proxy refused a tunnel to {where}: {reason}.", hint=hint, retryable=found[1][0] == "5")


def _resolution(error: BaseException, where: str) -> BrokerUnreachable | None:
    if not isinstance(error, socket.gaierror):
        return None
    if error.errno == socket.EAI_AGAIN:
        return BrokerUnreachable(f"DNS does not answer for {where}.", hint="Check the resolver, and in a VPC its DNS settings.")
    hint = "Check the name and the region; in a VPC, its DNS settings and endpoints."
    return BrokerUnreachable(f"DNS knows no address of {where}.", hint=hint, retryable=False)


def _tls(error: BaseException, where: str) -> BrokerUnreachable | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        return BrokerUnreachable(f"TLS: the certificate of {where} is not accepted: {reason}.", hint=TRUST, retryable=False)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        reason = str(error.reason or "no reason given").replace("_", " ").lower()
        return BrokerUnreachable(f"TLS with {where} failed: {reason}.", hint=TRUST, retryable=False)
    return None


def _network(error: BaseException, where: str) -> BrokerUnreachable | None:
    text = _BY_NUMBER.get(error.errno or 0) if isinstance(error, OSError) else None
    return BrokerUnreachable(f"{text} {where}.", hint=ROUTE) if text else None


def _timeout(error: BaseException, where: str) -> BrokerUnreachable | None:
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return BrokerUnreachable(f"No connection to {where} in time.", hint=ROUTE)
    if isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return BrokerUnreachable(f"No answer from {where} in time.")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Return an exception and all that are in it or before it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = [argument for argument in each.args if isinstance(argument, BaseException)]
        waiting += [*inner, getattr(each, "original_error", None), each.__cause__, each.__context__]
