"""A Salesforce that answers `requests` from a script."""

from __future__ import annotations

import io
from typing import Any

import requests
from requests.adapters import BaseAdapter

from tests.support.broker_answers import answer

URL = "https://acme.my.salesforce.com/services/data/v65.0/limits"
BULK = "https://acme.my.salesforce.com/services/async/65.0/job"
A, B = answer("00D!first"), answer("00D!second", outcome="rotated")
OVER = (401, b'[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]')
FINE = (200, b"{}")


class Script(BaseAdapter):
    """Answers requests in order; keeps what was sent. A redirect's body is the URL that it leads to."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__()
        self._answers = iter(answers)
        self.sent: list[tuple[str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.urls: list[str] = []

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        """Answer one."""
        body: Any = request.body
        content = body.read() if hasattr(body, "read") else body or b""
        self.urls.append(str(request.url))
        self.sent.append((str(request.headers.get("Authorization", "")), content))
        self.headers.append(dict(request.headers))
        response: Any = requests.Response()
        response.status_code, content = next(self._answers)
        if 300 <= response.status_code < 400:
            response.headers["Location"] = content.decode()
        response.raw, response.request, response.url, response.connection = io.BytesIO(content), request, request.url, self
        found: requests.Response = response
        return found

    def close(self) -> None:
        """Nothing is open."""
