"""Orgs, profiles, apps and users as data, and a switch for each thing that nobody outside Salesforce knows.

Owns what an administrator has set up, its file format and its checks. Does not hold sessions (see `sessions`) nor decide (see
`token_endpoint`).
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field

DEFAULT_CONSUMER_KEY = "3MVG9.local.acme.token.broker"
DEFAULT_USERNAME = "integration@acme.example"
DEFAULT_CONNECTED_APP_KEY = "3MVG9.local.acme.connected.app"
DEFAULT_ADMIN_USERNAME = "admin@acme.example"
DEFAULT_SANDBOX_KEY = "3MVG9.local.acme.sandbox"
DEFAULT_SANDBOX_USERNAME = "integration@acme.example.dev"

PERMISSION_SET = "Token Broker"
"""Which the default apps admit."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True, validate_default=True)


_Thing = TypeVar("_Thing", bound=_Data)


class Org(_Data):
    """One org. `id` has 15 characters; `my_domain` and `sites` are audiences besides the address it is served on."""

    name: str
    id: str = Field(pattern=r"^00D[A-Za-z0-9]{12}$")
    my_domain: str
    sites: list[str] = []
    sandbox: bool = False
    state: Literal["active", "inactive"] = "active"
    session_minutes: int = Field(120, ge=15, le=1440)


class Profile(_Data):
    """What users have in common; a login from outside `login_ranges` is refused where there are any."""

    name: str
    session_minutes: int | None = Field(None, ge=15, le=1440)
    login_ranges: list[IPv4Network | IPv6Network] = []
    admin: bool = False


class App(_Data):
    """A connected app or an External Client App of an org; one certificate (PEM) at most.

    `permitted_users`: "admin_approved" admits users with one of `profiles` or `permission_sets`, "self_authorize" those in
    `approved_by`. `token_padding`: characters by which tokens are longer than usual.
    """

    consumer_key: str
    org: str
    name: str = "Token Broker"
    kind: Literal["external_client_app", "connected_app"] = "external_client_app"
    consumer_secret: str = Field("", repr=False)
    certificate: str | None = Field(None, repr=False)
    permitted_users: Literal["admin_approved", "self_authorize"] = "admin_approved"
    profiles: list[str] = []
    permission_sets: list[str] = [PERMISSION_SET]
    approved_by: list[str] = []
    scopes: str = "api id"
    session_minutes: int | None = Field(None, ge=15, le=1440)
    token_format: Literal["opaque", "jwt"] = "opaque"  # noqa: S105  a format
    jwt_minutes: Literal[1, 5, 10, 15, 30] = 30
    token_padding: int = Field(0, ge=0)
    attached_to_agent: bool = True


class User(_Data):
    """A user. `frozen` and `locked` may not log in for now, `inactive` for good, `barred` for any other reason."""

    username: str
    id: str = Field(pattern=r"^005[A-Za-z0-9]{12}$")
    org: str
    profile: str = "Salesforce Integration"
    permission_sets: list[str] = [PERMISSION_SET]
    state: Literal["active", "frozen", "locked", "inactive", "barred"] = "active"


class Switches(_Data):
    """What is unknown of Salesforce, with what is assumed (docs/local-salesforce.md has each one's grade), and limits.

    Seconds, where a number is none of a limit.
    """

    longest_exp: int | None = None
    grace_after_exp: int = 180
    exchange_restarts_idle_timer: bool = False
    jwt_tokens_are_reused: bool = False
    certificate_swap_ends_sessions: bool = False
    certificate_propagation: int = 0
    replayed_jti_is_refused: bool = False
    concurrent_requests_are_refused: bool = False
    logins_an_hour: int = 3600
    rate_limit_answer: Literal["json", "text"] = "json"
    audience_text: Literal["audience is invalid", "Audience validation failed"] = "audience is invalid"
    inactive_user_error: Literal["inactive_user", "invalid_grant"] = "inactive_user"
    error_descriptions: bool = True
    optional_answer_fields: bool = False
    polls_of_a_deployment: int = 1


class World(_Data):
    """Everything that exists. The first org is the one whose address is `LocalSalesforce.url`."""

    orgs: list[Org]
    profiles: list[Profile] = [Profile(name="Salesforce Integration")]
    apps: list[App] = []
    users: list[User] = []
    switches: Switches = Switches()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a world from a YAML or JSON file; pydantic.ValidationError names what makes no sense."""
        return cls.model_validate(yaml.safe_load(path.read_text()))

    @classmethod
    def default(cls, certificate_pem: str | None = None) -> Self:
        """Return a production org and a sandbox, with an app of each kind, and a user for each thing that can be the matter."""
        acme = Org(name="acme", id="00D0000000local", my_domain="https://acme.my.salesforce.com")
        sandbox = Org(
            name="acme--dev", id="00D00000001test", my_domain="https://acme--dev.sandbox.my.salesforce.com", sandbox=True
        )
        users: dict[str, dict[str, object]] = {
            DEFAULT_USERNAME: {},
            "orders@acme.example": {},
            "inactive@acme.example": {"state": "inactive"},
            "frozen@acme.example": {"state": "frozen"},
            "unassigned@acme.example": {"permission_sets": []},
            "elsewhere@acme.example": {"profile": "Head Office"},
            "locked@acme.example": {"state": "locked"},
            "barred@acme.example": {"state": "barred"},
            DEFAULT_ADMIN_USERNAME: {"profile": "System Administrator"},
            DEFAULT_SANDBOX_USERNAME: {"org": sandbox.name},
        }
        return cls(
            orgs=[acme, sandbox],
            profiles=[
                Profile(name="Salesforce Integration"),
                Profile(name="Head Office", login_ranges=[IPv4Network("203.0.113.0/24")]),
                Profile(name="System Administrator", admin=True),
            ],
            apps=[
                App(consumer_key=DEFAULT_CONSUMER_KEY, org=acme.name, certificate=certificate_pem),
                App(
                    consumer_key=DEFAULT_CONNECTED_APP_KEY,
                    org=acme.name,
                    name="Connected Broker",
                    kind="connected_app",
                    certificate=certificate_pem,
                ),
                App(consumer_key=DEFAULT_SANDBOX_KEY, org=sandbox.name, kind="connected_app", certificate=certificate_pem),
            ],
            users=[
                User.model_validate({"username": name, "id": f"005{number:012}", "org": acme.name} | given)
                for number, (name, given) in enumerate(users.items(), start=1)
            ],
        )

    def org(self, name: str) -> Org:
        """Return an org by its name; KeyError."""
        return _named(self.orgs, "name", name)

    def profile(self, name: str) -> Profile:
        """Return a profile by its name; KeyError."""
        return _named(self.profiles, "name", name)

    def app(self, consumer_key: str) -> App:
        """Return an app by its consumer key; KeyError."""
        return _named(self.apps, "consumer_key", consumer_key)

    def user(self, username: str, org: str | None = None) -> User:
        """Return a user (of an org) by username, which Salesforce compares without case; KeyError."""
        wanted = username.casefold()
        found = [user for user in self.users if user.username.casefold() == wanted and org in {None, user.org}]
        if not found:
            raise KeyError(username)
        return found[0]


def _named(things: list[_Thing], field: str, name: str) -> _Thing:
    found = [thing for thing in things if getattr(thing, field) == name]
    if not found:
        raise KeyError(name)
    return found[0]


def long_id(short: str) -> str:
    """Bring a case-sensitive 15-character id to its case-safe 18-character form."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, letter in enumerate(short[start : start + 5]) if letter.isupper())
        suffix += alphabet[bits]
    return short + suffix
