"""HTTP to Salesforce: one exchange at a time, with a total deadline, and nothing kept but the connection.

Of requests only its HTTPAdapter is used, because a Session does what must not happen here: it resolves redirects (and for that
reads and unpacks their bodies), sends cookies of one user's exchange with the next, and takes proxies, netrc credentials and
CA bundles from the environment. Bodies are capped whatever the status and never unpacked; a redirect's is not read at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from salesforce_broker.clock import Deadline
from salesforce_broker.errors import SalesforceBusy
from salesforce_broker.salesforce.connection import DeadlinePool, DeadlineTlsPool

MAX_BODY_BYTES = 64 * 1024
"""A token answer is under 1 KB, a large JWT-format one some 10 KB."""

POOLED_CONNECTIONS = 10
"""More than one thread at a time exists only outside Lambda."""

_SLOW_HINT = "The connection was made and the answer did not come: see https://status.salesforce.com."


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. The body of a redirect is left out, that of any other status but 2xx is cut at MAX_BODY_BYTES."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class _Adapter(HTTPAdapter):
    """requests' adapter over connections with a deadline."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": DeadlinePool, "https": DeadlineTlsPool}

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Build a response of status, headers and raw body; its cookies are not even parsed."""
        response = requests.Response()
        response.request, response.raw = req, resp
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        return response


class Transport:
    """Keeps connections alive between calls; safe to share between threads."""

    def __init__(self, *, user_agent: str) -> None:
        self._adapter = _Adapter(pool_maxsize=POOLED_CONNECTIONS)
        self._headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"}

    def post_form(self, url: str, form: Mapping[str, str], deadline: Deadline) -> Reply:
        """Post a form; raise SalesforceBusy when no whole answer came in time, AppRefused where TLS shows a wrong host."""
        return self._send("POST", url, deadline, data=form)

    def get(self, url: str, bearer: str, deadline: Deadline) -> Reply:
        """Get `url` with a bearer token; raises as `post_form` does."""
        return self._send("GET", url, deadline, headers={"Authorization": f"Bearer {bearer}"})

    def post_files(self, url: str, bearer: str, files: Mapping[str, Any], deadline: Deadline) -> Reply:
        """Post the parts of a form (multipart, as requests takes them) with a bearer token; raises as `post_form` does."""
        return self._send("POST", url, deadline, headers={"Authorization": f"Bearer {bearer}"}, files=files)

    def _send(self, method: str, url: str, deadline: Deadline, **arguments: Any) -> Reply:
        arguments["headers"] = self._headers | arguments.get("headers", {})
        request = requests.Request(method, url, **arguments).prepare()
        left = deadline.seconds_left
        if left <= 0:
            raise SalesforceBusy("No time is left to ask Salesforce.")
        # requests takes urllib3's own time-outs too, which its type stubs do not know.
        bounds: Any = urllib3.Timeout(connect=left, total=left)
        try:
            with self._adapter.send(request, stream=True, timeout=bounds, verify=certifi.where()) as response:
                return _read(response)
        # From None: the exceptions of requests and urllib3 hold the prepared request, and that the assertion.
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
            raise SalesforceBusy("Salesforce did not answer in time.", hint=_SLOW_HINT) from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError):
            raise SalesforceBusy("The connection to Salesforce broke off, or what came was no HTTP answer.") from None


def _read(response: requests.Response) -> Reply:
    """Read as much of an answer as its status is worth."""
    status, headers = response.status_code, response.headers
    if status < HTTPStatus.OK:
        raise SalesforceBusy("Salesforce's answer is an interim one, which nothing asked for.")
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Reply(status, headers, b"")
    compressed = headers.get("Content-Encoding", "identity") != "identity"
    body = b"" if compressed else _body(response.raw)
    # A web page says what it is by its beginning; of a refusal the status counts.
    if status < HTTPStatus.MULTIPLE_CHOICES and not body.lstrip().startswith(b"<"):
        if compressed:
            raise SalesforceBusy("The answer was compressed, although it was asked for as it is.")
        if len(body) > MAX_BODY_BYTES:
            raise SalesforceBusy(f"The answer was longer than {MAX_BODY_BYTES} bytes.")
    return Reply(status, headers, body[:MAX_BODY_BYTES])


def _body(raw: urllib3.HTTPResponse) -> bytes:
    """Read the body as sent: to its end, where a truncated one raises, or one byte past the cap."""
    body = b""
    while len(body) <= MAX_BODY_BYTES:
        chunk = raw.read(MAX_BODY_BYTES + 1 - len(body), decode_content=False)
        if not chunk:
            break
        body += chunk
    return body
