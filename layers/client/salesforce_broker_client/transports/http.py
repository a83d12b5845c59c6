"""HTTP for both transports: kept connections, each exchange within the current call's deadline, errors by their names.

Nothing is followed, remembered or unpacked; proxies and CA certificates come from the environment as in boto3.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
import urllib3.exceptions
from botocore.httpsession import ProxyConfiguration, get_cert_path
from botocore.utils import get_environ_proxies

from salesforce_broker_client.clock import Clock
from salesforce_broker_client.errors import AnswerInvalid, BrokerUnreachable
from salesforce_broker_client.transports import deadline, network_errors
from salesforce_broker_client.transports.aws_session import AwsSession
from salesforce_broker_client.transports.connections import ConnectionLost, Connections
from salesforce_broker_client.transports.pools import POOLS

MAX_ANSWER_BYTES = 256 * 1024
"""A broker's answer has a few kilobytes; an error of Lambda's runtime may have a long trace."""

CONNECT_SECONDS = 2.0
"""At most for one address, of a call's time."""

MAX_IDLE_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read whole. Names of `headers` are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class HttpClient:
    """Sends requests over kept connections; safe to share between threads of one process."""

    def __init__(self, session: AwsSession, clock: Clock) -> None:
        self._session = session
        self._managers: dict[str | None, urllib3.PoolManager] = {}
        self._making = threading.Lock()
        self._connections = Connections(clock, self._close)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Send a signed request, once more if its connection is lost; return the answer, whatever its status; BrokerError."""
        host = str(urlsplit(url).hostname)
        try:
            return self._connections.ask(
                lambda left: self._send_once(method, url, headers, body, left), deadline.current().seconds_left
            )
        except urllib3.exceptions.HTTPError as error:
            raise network_errors.named(error, host) from error

    def _send_once(self, method: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> Response:
        manager = self._manager(url)
        seconds = min(seconds, deadline.current().seconds_left)
        if seconds <= 0:
            raise BrokerUnreachable("The time was over before the request was sent.")
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, seconds / 2), total=seconds)
        deadline.current().step = f"waiting for {urlsplit(url).hostname}"
        try:
            answer = manager.urlopen(
                method,
                url,
                body=body,
                headers=dict(headers),
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                content = answer.read(MAX_ANSWER_BYTES + 1)
            finally:
                # What is left unread would be the next answer's beginning. A connection whose answer was read is kept anyway.
                answer.close()
        except urllib3.exceptions.ProtocolError as error:
            if "Tunnel connection failed" in str(error):
                raise
            raise ConnectionLost from error
        if len(content) > MAX_ANSWER_BYTES:
            raise AnswerInvalid("The answer is too long for a broker's.", hint="Check the function's name, or the URL.")
        return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, content)

    def _manager(self, url: str) -> urllib3.PoolManager:
        proxies = ProxyConfiguration(proxies=get_environ_proxies(url))
        proxy_url = proxies.proxy_url_for(url)
        with self._making:
            if proxy_url not in self._managers:
                bundle = self._session.ca_bundle() or get_cert_path(verify=True)
                settings: dict[str, Any] = {"maxsize": MAX_IDLE_CONNECTIONS, "cert_reqs": "CERT_REQUIRED", "ca_certs": bundle}
                made = urllib3.PoolManager(**settings)
                if proxy_url:
                    made = urllib3.ProxyManager(proxy_url, proxy_headers=proxies.proxy_headers_for(proxy_url), **settings)
                made.pool_classes_by_scheme = POOLS
                self._managers[proxy_url] = made
            return self._managers[proxy_url]

    def _close(self) -> None:
        for manager in list(self._managers.values()):
            manager.clear()
