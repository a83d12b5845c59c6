"""Orgs, apps and users as data.

Owns what an administrator has set up. Does not hold sessions (see `sessions`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_CONSUMER_KEY = "3MVG9.local.acme.token.broker"
DEFAULT_USERNAME = "integration@acme.example"

SESSION_SECONDS = 2 * 3600
"""Salesforce's default session time-out."""

LOGIN_AUDIENCES = frozenset({"https://login.salesforce.com", "https://test.salesforce.com"})


@dataclass(slots=True)
class Org:
    """One org: a 15-character id and its My Domain."""

    id: str
    my_domain: str
    sandbox: bool = False
    state: str = "active"


@dataclass(slots=True)
class App:
    """A connected app or an External Client App; one certificate (PEM) at most."""

    consumer_key: str
    org: Org
    certificate: str | None = None
    external_client_app: bool = True
    scopes: str = "api id"


@dataclass(slots=True)
class User:
    """A user; `assigned`: has a permission set that the app admits. `state`: active, inactive or frozen."""

    username: str
    id: str
    org: Org
    state: str = "active"
    assigned: bool = True
    outside_login_range: bool = False


@dataclass(slots=True)
class World:
    """Everything that exists."""

    apps: list[App] = field(default_factory=list)
    users: list[User] = field(default_factory=list)

    @classmethod
    def default(cls, certificate_pem: str | None = None) -> World:
        """Return one production org with an app, and a user for each thing that can be the matter with one."""
        acme = Org("00D0000000local", "https://acme.my.salesforce.com")
        users = [
            User(DEFAULT_USERNAME, "005000000000001", acme),
            User("orders@acme.example", "005000000000002", acme),
            User("inactive@acme.example", "005000000000003", acme, state="inactive"),
            User("frozen@acme.example", "005000000000004", acme, state="frozen"),
            User("unassigned@acme.example", "005000000000005", acme, assigned=False),
            User("elsewhere@acme.example", "005000000000006", acme, outside_login_range=True),
        ]
        return cls([App(DEFAULT_CONSUMER_KEY, acme, certificate_pem)], users)

    def app(self, consumer_key: object) -> App | None:
        """Find an app by its consumer key."""
        return next((app for app in self.apps if app.consumer_key == consumer_key), None)

    def user(self, username: object, org: Org) -> User | None:
        """Find a user of an org by username, which Salesforce compares without case."""
        wanted = str(username).casefold()
        return next((user for user in self.users if user.username.casefold() == wanted and user.org is org), None)


def long_id(short: str) -> str:
    """Bring a case-sensitive 15-character id to its case-safe 18-character form."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, letter in enumerate(short[start : start + 5]) if letter.isupper())
        suffix += alphabet[bits]
    return short + suffix
