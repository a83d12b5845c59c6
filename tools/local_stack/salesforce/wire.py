"""A request as it came, an answer as it is to go: values that the endpoints share. Owns no endpoint and no socket."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qs

from local_stack.salesforce.world import Org

JSON = "application/json;charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Site:
    """An address that is served: "login", "test", or an org's My Domain (with `org`); `url` is an origin."""

    name: str
    url: str
    org: Org | None = None

    @property
    def sandbox(self) -> bool:
        """Tell whether sandboxes are at home here."""
        return self.org.sandbox if self.org else self.name == "test"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent. `connection` numbers connections; `headers` have lower-case names."""

    site: Site
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = field(repr=False)
    address: str
    connection: int

    @property
    def bearer(self) -> str:
        """The access token; empty without one."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() in {"bearer", "oauth"} else ""

    @property
    def form(self) -> dict[str, str] | None:
        """The body's fields, the first of each name; None unless it says that it is form-encoded."""
        if not self.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
            return None
        return {name: values[0] for name, values in parse_qs(self.body.decode(errors="replace")).items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; `subject`, `token_id` and `error` are for the journal."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    subject: str = ""
    token_id: str = ""
    error: str = ""

    @classmethod
    def json(cls, body: object, status: int = HTTPStatus.OK, **given: Any) -> Self:
        """Return an answer in JSON, without spaces, as Salesforce writes it."""
        return cls(status, json.dumps(body, separators=(",", ":")).encode(), **given)

    @classmethod
    def text(cls, body: str, status: int, **given: Any) -> Self:
        """Return an answer in plain words, which Salesforce calls HTML."""
        return cls(status, body.encode(), "text/html;charset=UTF-8", error=body, **given)

    @classmethod
    def errors(cls, status: int, code: str, message: str, **more: object) -> Self:
        """Return the data APIs' form of an error: an array."""
        return cls.json([{"message": message, "errorCode": code, **more}], status, error=code)

    def with_headers(self, **headers: str) -> Self:
        """Return the answer with more headers; an underscore in a name stands for a hyphen."""
        return replace(self, headers=self.headers | {name.replace("_", "-"): value for name, value in headers.items()})
