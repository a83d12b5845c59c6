"""Orgs, profiles, apps and users: what an administrator has set up, as data, with its file format and its checks."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, Field, field_validator, model_validator

from local_salesforce import certificate_file
from local_salesforce.switches import STRICT, Switches

DEFAULT_CONSUMER_KEY = "3MVG9.local.acme.token.broker"
DEFAULT_USERNAME = "integration@acme.example"
DEFAULT_CONNECTED_APP_KEY = "3MVG9.local.acme.connected.app"
DEFAULT_ADMIN_USERNAME = "admin@acme.example"
DEFAULT_SANDBOX_KEY = "3MVG9.local.acme.sandbox"
DEFAULT_SANDBOX_USERNAME = "integration@acme.example.dev"

PERMISSION_SET = "Token Broker"
"""Which the default apps admit."""


Origin = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.-]+(:\d+)?$")]
SiteUrl = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._~-]+)*$")]
LoginRanges = list[IPv4Network | IPv6Network]


class Model(BaseModel):
    """A part of the world."""

    model_config = STRICT


class Org(Model):
    """One org. `sites` are the URLs of its Experience Cloud sites, path included.

    `sessions_locked_to_address` is Setup's "Lock sessions to the IP address from which they originated", and
    `login_ranges_on_every_request` "Enforce login IP ranges on every request".
    """

    name: str = Field(min_length=1)
    id: str = Field(pattern=r"^00D[A-Za-z0-9]{12}$")
    my_domain: Origin
    sites: list[SiteUrl] = []
    sandbox: bool = False
    state: Literal["active", "inactive"] = "active"
    session_minutes: int = Field(120, ge=15, le=1440)
    sessions_locked_to_address: bool = False
    login_ranges_on_every_request: bool = False


class Profile(Model):
    """A profile; a login from outside its `login_ranges` is refused, if there are any."""

    name: str = Field(min_length=1)
    session_minutes: int | None = Field(None, ge=15, le=1440)
    login_ranges: LoginRanges = []
    admin: bool = False


class App(Model):
    """A connected app or an External Client App of an org, with at most one certificate (PEM).

    The same consumer key in several orgs is several apps: as in the scratch orgs of a Dev Hub and in refreshed sandboxes.
    `permitted_users`: "admin_approved" admits users with one of `profiles` or `permission_sets`, "self_authorize" those in
    `approved_by`. `token_padding`: characters by which tokens are longer than usual.
    """

    consumer_key: str = Field(min_length=1)
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
    token_padding: int = Field(0, ge=0, le=1_000_000)
    attached_to_agent: bool = True

    @field_validator("certificate")
    @classmethod
    def _is_one(cls, pem: str | None) -> str | None:
        if pem is not None:
            certificate_file.read(pem)
        return pem


class User(Model):
    """A user. The states `frozen`, `locked` and `inactive` are Salesforce's; `barred` stands for every other reason."""

    username: str = Field(min_length=1)
    id: str = Field(pattern=r"^005[A-Za-z0-9]{12}$")
    org: str
    profile: str = "Salesforce Integration"
    permission_sets: list[str] = [PERMISSION_SET]
    state: Literal["active", "frozen", "locked", "inactive", "barred"] = "active"


class World(Model):
    """All orgs with what is in them. The first org's My Domain is `LocalSalesforce.url`."""

    orgs: list[Org] = Field(min_length=1)
    profiles: list[Profile] = [Profile(name="Salesforce Integration")]
    apps: list[App] = []
    users: list[User] = []
    switches: Switches = Switches()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        self.check()
        return self

    def check(self) -> None:
        """Check names and references; ValueError."""
        _unique("org", (org.name for org in self.orgs))
        _unique("profile", (profile.name for profile in self.profiles))
        _unique("app", (f"{app.consumer_key} of org {app.org}" for app in self.apps))
        _unique("user", (user.username.casefold() for user in self.users))
        orgs, profiles = {org.name for org in self.orgs}, {profile.name for profile in self.profiles}
        for org in (*(app.org for app in self.apps), *(user.org for user in self.users)):
            if org not in orgs:
                raise ValueError(f"there is no org {org}")
        for user in self.users:
            if user.profile not in profiles:
                raise ValueError(f"there is no profile {user.profile}")
        if reserved := orgs & {"login", "test"}:
            raise ValueError(f"{min(reserved)} is the name of a login host")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a world from a YAML or JSON file; yaml.YAMLError, and pydantic.ValidationError with the field's name."""
        return cls.model_validate(yaml.safe_load(path.read_text()))

    @classmethod
    def default(cls, certificate_pem: str | None = None) -> Self:
        """Return a production org and a sandbox, with an app of each kind, and a user for each reason to refuse one."""
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
                User.model_validate({"username": name, "id": f"005{number:012}", "org": acme.name} | fields)
                for number, (name, fields) in enumerate(users.items(), start=1)
            ],
        )

    def org(self, name: str) -> Org:
        """Return an org by its name; KeyError."""
        return _named(self.orgs, "name", name)

    def profile(self, name: str) -> Profile:
        """Return a profile by its name; KeyError."""
        return _named(self.profiles, "name", name)

    def app(self, consumer_key: str, org: str | None = None) -> App:
        """Return an app by its consumer key, of any org or of one; KeyError."""
        return _named([app for app in self.apps if org in {None, app.org}], "consumer_key", consumer_key)

    def user(self, username: str, org: str | None = None) -> User:
        """Return a user (of an org) by username, which Salesforce compares without case; KeyError."""
        wanted = username.casefold()
        found = [user for user in self.users if user.username.casefold() == wanted and org in {None, user.org}]
        if not found:
            raise KeyError(username)
        return found[0]


_Thing = TypeVar("_Thing", bound=Model)


def _unique(kind: str, names: Iterable[str]) -> None:
    known = set()
    for name in names:
        if name in known:
            raise ValueError(f"{kind} {name} exists already")
        known.add(name)


def _named(things: list[_Thing], field: str, name: str) -> _Thing:
    found = [thing for thing in things if getattr(thing, field) == name]
    if not found:
        raise KeyError(name)
    return found[0]


def long_id(short: str) -> str:
    """Return the 18-character form, which is safe without case, of a 15-character id."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, letter in enumerate(short[start : start + 5]) if letter.isupper())
        suffix += alphabet[bits]
    return short + suffix
