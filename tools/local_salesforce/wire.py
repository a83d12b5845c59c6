"""Values that every endpoint shares: the address that was called, the request, the answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Literal, Self
from urllib.parse import parse_qs

from local_salesforce.login_attempt import LoginAttempt
from local_salesforce.world import Org

JSON = "application/json;charset=UTF-8"
HTML = "text/html;charset=UTF-8"
TOKEN_PATH = "/services/oauth2/token"  # noqa: S105  a path


Kind = Literal["login", "my_domain", "experience_cloud", "lightning", "setup"]


@dataclass(frozen=True, slots=True)
class Site:
    """A Salesforce host that the emulator serves.

    `url` is its local address and `stands_for` the Salesforce URL, both without a slash at the end; a My Domain stands for
    its org's. `org` is None at a login host, which serves all production orgs ("login") or all sandboxes ("test"). `path` is
    that of an Experience Cloud site.
    """

    name: str
    kind: Kind
    url: str
    org: Org | None = None
    stands_for: str = ""
    path: str = ""

    @property
    def public_url(self) -> str:
        """The Salesforce URL that this site stands for."""
        return self.stands_for or (self.org.my_domain if self.org else "")

    @property
    def sandbox(self) -> bool:
        """Tell whether this host serves sandboxes."""
        return self.org.sandbox if self.org else self.name == "test"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the client sent it: header names in lower case, `path` without the path of an Experience Cloud site."""

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
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() in {"bearer", "oauth"} else ""

    @property
    def form(self) -> dict[str, str] | None:
        """The fields of a form-encoded body, the first of each name; None if the content type is another one."""
        if not self.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
            return None
        return {name: values[0] for name, values in parse_qs(self.body.decode(errors="replace")).items()}

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of an OAuth request: the body's fields, and the query's for what the body does not have."""
        return self.query | (self.form or {})


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; `subject`, `token_id`, `error` and `attempt` are for the journal."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    subject: str = ""
    token_id: str = ""
    error: str = ""
    attempt: LoginAttempt | None = None

    @classmethod
    def json(cls, body: object, status: int = HTTPStatus.OK, **fields: Any) -> Self:
        """Return a JSON response without blanks, as Salesforce writes it."""
        return cls(status, json.dumps(body, separators=(",", ":")).encode(), **fields)

    @classmethod
    def text(cls, body: str, status: int, **fields: Any) -> Self:
        """Return a plain-text response, which Salesforce labels as HTML."""
        return cls(status, body.encode(), HTML, error=body, **fields)

    @classmethod
    def errors(cls, status: int, code: str, message: str, **fields: object) -> Self:
        """Return an error of the data APIs: a JSON array."""
        return cls.json([{"message": message, "errorCode": code, **fields}], status, error=code)

    def with_headers(self, **headers: str) -> Self:
        """Return the response with more headers; an underscore in a name stands for a hyphen."""
        return replace(self, headers=self.headers | {name.replace("_", "-"): value for name, value in headers.items()})
