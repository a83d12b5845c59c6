"""A local Salesforce on loopback addresses: one for each My Domain, login host, Lightning host, Setup host and site."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import trustme

from local_salesforce.addresses import LOGIN_HOSTS
from local_salesforce.admin import PREFIX, AdminApi
from local_salesforce.emulator import Emulator
from local_salesforce.faults import Fault
from local_salesforce.http_server import HttpServer
from local_salesforce.wire import Answer, Kind, Request, Site
from local_salesforce.world import Org, World

MY_DOMAIN = ".my.salesforce.com"
LIGHTNING = ".lightning.force.com"
SETUP = ".my.salesforce-setup.com"


class LocalSalesforce(Emulator):
    """Serves a world while the `with` block lasts.

    `url` is the first org's My Domain; `urls` has the address of each site by name: the org's name, "login", "test", and for
    the other hosts of an org their Salesforce address without https://.
    """

    def __init__(  # noqa: PLR0913  each has its default
        self, world: World, *, port: int = 0, host: str = "127.0.0.1", public_host: str = "", tls: bool = False, seed: int = 0
    ) -> None:
        """`port`: of the first org; 0 takes a free one. `public_host`: what answers call `host`. `seed`: of propagation.

        With `tls`, clients have to trust `ca_pem`.
        """
        super().__init__(world, seed=seed)
        self.ca_pem = b""
        self._admin = AdminApi(self, self.serve_orgs)
        self._scheme = "https" if tls else "http"
        self._public_host = public_host or host
        context = self._context() if tls else None
        self._http = HttpServer(self._respond, self.clock.now, host=host, context=context)
        try:
            self.serve_orgs(port)
        except OSError:
            self._http.stop()
            raise
        for name, url in LOGIN_HOSTS.items():
            self._serve(name, "login", stands_for=url)
        self.url = self.urls[world.orgs[0].name]

    def __enter__(self) -> Self:
        self._http.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.stop()

    def serve_orgs(self, port: int = 0) -> None:
        """Open an address for each host of the world's orgs that has none; call it after adding an org or a site."""
        for org in self.world.orgs:
            self._serve(org.name, "my_domain", org, port=port)
            port = 0
            domain = org.my_domain.removeprefix("https://")
            if domain.endswith(MY_DOMAIN):
                bare = domain.removesuffix(MY_DOMAIN)
                self._serve(bare + LIGHTNING, "lightning", org, stands_for=f"https://{bare}{LIGHTNING}")
                self._serve(bare + SETUP, "setup", org, stands_for=f"https://{bare}{SETUP}")
            for url in org.sites:
                self._serve(url.removeprefix("https://"), "experience_cloud", org, stands_for=url)

    def _serve(self, name: str, kind: Kind, org: Org | None = None, *, stands_for: str = "", port: int = 0) -> None:
        if name in self._addresses.urls:
            return
        path = urlsplit(stands_for).path
        listener_port, serve = self._http.listen(port)
        url = f"{self._scheme}://{self._public_host}:{listener_port}{path}"
        site = Site(name, kind, url, org, stands_for, path)
        self._addresses.add(site)
        serve(site)

    def _respond(self, request: Request) -> tuple[Answer, Fault]:
        if request.path.startswith(PREFIX):
            return self._admin.answer(request), Fault()
        return self.respond(request)

    def _context(self) -> ssl.SSLContext:
        authority = trustme.CA()
        self.ca_pem = authority.cert_pem.bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(self._public_host, "localhost").configure_cert(context)
        return context
