"""Fault injection: answers that Salesforce did not decide, and answers that arrive damaged, late or not at all."""

from __future__ import annotations

import gzip
import json
import re
import threading
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr

from local_salesforce.wire import HTML, JSON, TOKEN_PATH, Answer

MAINTENANCE = "<html><body><h1>Scheduled Maintenance</h1></body></html>"
BOMB_BYTES = 50_000_000
"""Unpacked; 48 KB on the wire."""

MAX_SECONDS = 3600
MAX_PADDING = 100_000_000
YEAR = 365 * 24 * 3600


def _one_line(text: str) -> str:
    if not re.fullmatch(r"[\x20-\x7e\t]*", text):
        raise ValueError("a header consists of printable ASCII characters")
    return text


Header = Annotated[str, AfterValidator(_one_line)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]


class Fault(BaseModel):
    """What goes wrong, for which requests, and how often.

    It hits the requests of `path` (a prefix), `org` and `user`: of these every `every`-th, beginning with the first, `times`
    in all; None: until it is cleared. With a `status` it replaces the answer; without one it changes the real one.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: str = ""
    path: str = TOKEN_PATH
    org: str = ""
    user: str = ""
    times: int | None = Field(1, ge=1)
    every: int = Field(1, ge=1)

    status: int | None = Field(None, ge=200, le=599)
    body: str = ""
    content_type: Header = JSON
    headers: dict[HeaderName, Header] = {}
    without_fields: list[str] = []
    other_fields: dict[str, Any] = {}
    padded_to: int = Field(0, ge=0, le=MAX_PADDING)
    gzip_bomb: bool = False

    delay_seconds: Seconds = 0
    drip: Literal["", "head", "body"] = ""
    drip_seconds: Seconds = 0.05
    reset: Literal["", "before_head", "in_head", "before_body", "in_body"] = ""
    truncated: bool = False
    length_off_by: int = Field(0, ge=-MAX_PADDING, le=MAX_PADDING)
    clock_off_by: float = Field(0, ge=-YEAR, le=YEAR, allow_inf_nan=False)

    _matched: int = PrivateAttr(default=0)

    def matches(self, path: str, org: str, user: str) -> bool:
        """Tell whether a request is one of those that this fault is for."""
        return path.startswith(self.path) and self.org in {"", org} and self.user.casefold() in {"", user.casefold()}

    def hits(self) -> bool:
        """Count a request that matches; tell whether this one is hit."""
        self._matched += 1
        if (self._matched - 1) % self.every:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def apply(self, real: Answer) -> Answer:
        """Return what is sent instead of the real answer."""
        if self.gzip_bomb:
            packed = gzip.compress(b" " * BOMB_BYTES)
            return Answer(200, packed, JSON, {"Content-Encoding": "gzip"}, error="fault")
        answer = real
        if self.status is not None:
            answer = Answer(self.status, self.body.encode(), self.content_type, self.headers, error="fault")
        elif self.without_fields or self.other_fields:
            answer = self._with_other_fields(real)
        if self.padded_to:
            answer = Answer(
                answer.status, answer.body.ljust(self.padded_to), answer.content_type, answer.headers, error="fault"
            )
        return answer

    def _with_other_fields(self, real: Answer) -> Answer:
        try:
            fields = json.loads(real.body)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            return real
        kept = {name: value for name, value in fields.items() if name not in self.without_fields}
        return Answer.json(kept | self.other_fields, real.status, headers=real.headers, error="fault")


def _oauth(status: int, error: str, description: str, **fields: Any) -> dict[str, Any]:
    body = json.dumps({"error": error, "error_description": description}, separators=(",", ":"))
    return {"status": status, "body": body, **fields}


KINDS: dict[str, dict[str, Any]] = {
    # Salesforce is in trouble.
    "unknown_error": _oauth(400, "unknown_error", "retry your request"),
    "sporadic_400": _oauth(400, "unknown_error", "retry your request", every=2, times=None),
    "server_error": _oauth(500, "server_error", "internal server error"),
    "temporarily_unavailable": _oauth(503, "temporarily_unavailable", "the service is temporarily unavailable"),
    "maintenance": {"status": 503, "body": MAINTENANCE, "content_type": HTML},
    "empty_500": {"status": 500, "content_type": HTML},
    "too_many_requests": {"status": 429, "headers": {"Retry-After": "1"}},
    "too_many_requests_json": _oauth(429, "rate_limit_exceeded", "too many requests", headers={"Retry-After": "1"}),
    # The app or the org was changed.
    "OAUTH_APP_BLOCKED": _oauth(400, "OAUTH_APP_BLOCKED", "this app is blocked by admin"),
    "OAUTH_APP_ACCESS_DENIED": _oauth(400, "OAUTH_APP_ACCESS_DENIED", "user is not admin approved to access this app"),
    "OAUTH_EC_APP_NOT_FOUND": _oauth(400, "OAUTH_EC_APP_NOT_FOUND", "External client app is not installed in this org"),
    "renamed_my_domain": {
        "status": 301,
        "content_type": HTML,
        "headers": {"Location": "https://acme-renamed.my.salesforce.com" + TOKEN_PATH},
    },
    "enhanced_domains": {
        "status": 302,
        "content_type": HTML,
        "headers": {"Location": "https://acme--dev.sandbox.my.salesforce.com" + TOKEN_PATH},
    },
    # Something between Salesforce and the client is in trouble.
    "delay": {"delay_seconds": 1.0},
    "drip_head": {"drip": "head"},
    "drip_body": {"drip": "body"},
    "reset_before_head": {"reset": "before_head"},
    "reset_in_head": {"reset": "in_head"},
    "reset_before_body": {"reset": "before_body"},
    "reset_in_body": {"reset": "in_body"},
    "truncated": {"truncated": True},
    "length_too_large": {"length_off_by": 10},
    "length_too_small": {"length_off_by": -10},
    "gzip_bomb": {"gzip_bomb": True},
    "redirect": {"status": 302, "headers": {"Location": "https://login.salesforce.com/"}},
    "html": {"status": 200, "body": "<html><body>Log in to the Wi-Fi</body></html>", "content_type": HTML},
    "broken_json": {"status": 200, "body": '{"access_token": "00D'},
    "missing_field": {"without_fields": ["access_token"]},
    "wrong_type": {"other_fields": {"access_token": 42}},
    "huge": {"padded_to": 1_000_000},
    "clock_skew": {"clock_off_by": 3600},
}
"""Common faults by name; any field of Fault may be given besides."""


class Faults:
    """The faults that were ordered; of those that fit a request, the oldest one hits it."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []
        self._lock = threading.Lock()

    def order(self, kind: str = "", **fields: Any) -> Fault:
        """Order a fault: one of KINDS, or any other by its fields; KeyError, pydantic.ValidationError."""
        fault = Fault.model_validate((KINDS[kind] if kind else {}) | fields | {"kind": kind})
        with self._lock:
            self._orders.append(fault)
        return fault

    def clear(self) -> None:
        """Drop all faults."""
        with self._lock:
            self._orders.clear()

    def take(self, path: str, org: str, user: str) -> Fault | None:
        """Return the fault that hits a request, and count it."""
        with self._lock:
            for fault in self._orders:
                if fault.matches(path, org, user) and fault.hits():
                    self._orders = [each for each in self._orders if each.times != 0]
                    return fault
        return None

    @property
    def ordered(self) -> list[Fault]:
        """The faults that are still to come."""
        with self._lock:
            return list(self._orders)
