"""Faults on order: answers that Salesforce did not decide, and answers that do not arrive as they should.

Owns what can go wrong and for whom. Does not touch a socket (see `server`).
"""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from local_stack.salesforce.oauth import TOKEN_PATH
from local_stack.salesforce.wire import JSON, Answer

HTML = "text/html;charset=UTF-8"
MAINTENANCE = "<html><body><h1>Scheduled Maintenance</h1></body></html>"
BOMB_BYTES = 50_000_000
"""Unpacked; 48 KB on the wire."""


class Fault(BaseModel):
    """What goes wrong, for which requests, and how often.

    Of the matching requests (`path`: a prefix) the first `times` are hit; None: until it is cleared. What is not given goes
    as it would have gone: a fault with a `status` replaces the answer, one without changes the real one.
    """

    model_config = ConfigDict(extra="forbid")

    path: str = TOKEN_PATH
    org: str = ""
    user: str = ""
    times: int | None = Field(1, ge=1)

    status: int | None = None
    body: str = ""
    content_type: str = JSON
    headers: dict[str, str] = {}
    without_fields: list[str] = []
    other_fields: dict[str, Any] = {}
    padded_to: int = 0
    gzip_bomb: bool = False

    delay_seconds: float = 0
    drip: Literal["", "head", "body"] = ""
    drip_seconds: float = 0.05
    reset: Literal["", "before_head", "in_head", "before_body", "in_body"] = ""
    truncated: bool = False
    length_off_by: int = 0
    clock_off_by: float = 0

    def apply(self, real: Answer) -> Answer:
        """Return what is sent in place of the real answer."""
        if self.gzip_bomb:
            packed = gzip.compress(b" " * BOMB_BYTES)
            return Answer(200, packed, JSON, {"Content-Encoding": "gzip"}, error="fault")
        answer = real
        if self.status is not None:
            answer = Answer(self.status, self.body.encode(), self.content_type, self.headers, error="fault")
        elif self.without_fields or self.other_fields:
            fields = json.loads(real.body)
            kept = {name: value for name, value in fields.items() if name not in self.without_fields}
            answer = Answer.json(kept | self.other_fields, real.status, headers=real.headers, error="fault")
        if self.padded_to:
            answer = Answer(
                answer.status, answer.body.ljust(self.padded_to), answer.content_type, answer.headers, error="fault"
            )
        return answer


KINDS: dict[str, dict[str, Any]] = {
    "unknown_error": {"status": 400, "body": '{"error":"unknown_error","error_description":"retry your request"}'},
    "maintenance": {"status": 503, "body": MAINTENANCE, "content_type": HTML},
    "empty_500": {"status": 500, "content_type": HTML},
    "too_many_requests": {"status": 429, "headers": {"Retry-After": "1"}},
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
"""By name what one usually orders; every field can be given besides."""


class Faults:
    """What has been ordered; the oldest order that fits a request is the one that hits it."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []
        self._lock = threading.Lock()

    def order(self, kind: str = "", **fields: Any) -> Fault:
        """Order a fault of one of KINDS, or one made of a Fault's fields; KeyError, pydantic.ValidationError."""
        fault = Fault.model_validate((KINDS[kind] if kind else {}) | fields)
        with self._lock:
            self._orders.append(fault)
        return fault

    def clear(self) -> None:
        """Have everything go well again."""
        with self._lock:
            self._orders.clear()

    def take(self, path: str, org: str, user: str) -> Fault | None:
        """Take the fault for a request, once less to come."""
        with self._lock:
            for fault in self._orders:
                if path.startswith(fault.path) and fault.org in {"", org} and fault.user in {"", user}:
                    if fault.times is not None:
                        fault.times -= 1
                        self._orders = [each for each in self._orders if each.times != 0]
                    return fault
        return None

    @property
    def ordered(self) -> list[Fault]:
        """What is still to come."""
        return list(self._orders)
