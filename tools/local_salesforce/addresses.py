"""The hosts that the emulator serves, and what Salesforce host each local address stands for."""

from __future__ import annotations

import threading

from local_salesforce.wire import Site
from local_salesforce.world import Org, User, long_id

LOGIN_HOSTS = {"login": "https://login.salesforce.com", "test": "https://test.salesforce.com"}
"""By the name of the site."""


class Addresses:
    """The sites by name; more may be added while requests are served."""

    def __init__(self) -> None:
        self._sites: dict[str, Site] = {}
        self._lock = threading.Lock()

    def add(self, site: Site) -> None:
        """Add a site."""
        with self._lock:
            self._sites[site.name] = site

    @property
    def urls(self) -> dict[str, str]:
        """The local address of each site."""
        with self._lock:
            return {name: site.url for name, site in self._sites.items()}

    def my_domain(self, org: str) -> Site:
        """Return the My Domain of an org."""
        return self._sites[org]

    def public_url(self, url: str) -> str:
        """Return the Salesforce URL that an audience names, which may be a local address or have a slash at its end."""
        bare = url.rstrip("/")
        with self._lock:
            return next((site.public_url for site in self._sites.values() if site.url == bare), bare)

    def identity_url(self, user: User, org: Org) -> str:
        """Return a user's identity URL: it names the login host, whatever host the login used."""
        login = self._sites["test" if org.sandbox else "login"]
        return f"{login.url}/id/{long_id(org.id)}/{long_id(user.id)}"
