"""Run one Python client once: `python_clients.py CLIENT`, with what to do as JSON on stdin; prints one line of JSON.

Each function brings its client to loopback; the tests judge what it did.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
import urllib.request
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

QUERY = "SELECT Id, Name FROM Organization"
ACCOUNTS = "SELECT Id, Name FROM Account"
NAME = "Made by a client"


def simple_salesforce(order: dict[str, str]) -> dict[str, Any]:
    """Log in by its JWT arguments. It knows only https://{domain}.salesforce.com: an adapter leads that to loopback."""
    import requests
    from simple_salesforce.api import Salesforce

    class ToLoopback(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            _, _, rest = str(request.url).partition("://")
            host, _, path = rest.partition("/")
            url = order["url"] if host.endswith(".salesforce.com") else f"http://{host}"
            request.url = f"{url}/{path}"
            return super().send(request, *args, **kwargs)

    session = requests.Session()
    session.trust_env = False
    session.mount("https://", ToLoopback())
    client: Any = Salesforce(
        username=order["username"],
        consumer_key=order["consumer_key"],
        privatekey_file=order["key_file"],
        domain=order["audience"].removeprefix("https://").removesuffix(".salesforce.com"),
        session=session,
    )
    did = {"records": client.query(QUERY)["records"]}
    did["created"] = client.Account.create({"Name": NAME})["id"]
    did["read"] = client.Account.get(did["created"])["Name"]
    did["accounts"] = client.query(ACCOUNTS)["records"]
    if kill(order):
        did["after"] = client.query(QUERY)["records"]
    return did


def aiosalesforce(order: dict[str, str]) -> dict[str, Any]:
    """Log in by its JwtBearerFlow: its audience is a login host, chosen by the My Domain. A transport leads to loopback."""
    import httpx
    from aiosalesforce import Salesforce
    from aiosalesforce.auth import JwtBearerFlow

    class ToLoopback(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            to = httpx.URL(order["url"])
            request.url = request.url.copy_with(scheme=to.scheme, host=to.host, port=to.port)
            return await super().handle_async_request(request)

    async def do() -> dict[str, Any]:
        auth = JwtBearerFlow(order["consumer_key"], order["username"], order["key_file"])
        async with httpx.AsyncClient(transport=ToLoopback()) as http:
            domain = order["audience"] if ".my." in order["audience"] else "https://acme.my.salesforce.com"
            client = Salesforce(http, domain, auth)
            did: dict[str, Any] = {"records": [record async for record in client.query(QUERY)]}
            did["created"] = await client.sobject.create("Account", {"Name": NAME})
            did["read"] = (await client.sobject.get("Account", did["created"]))["Name"]
            did["accounts"] = [record async for record in client.query(ACCOUNTS)]
            if kill(order):
                did["after"] = [record async for record in client.query(QUERY)]
            return did

    return asyncio.run(do())


def cumulusci(order: dict[str, str]) -> dict[str, Any]:
    """Log in by its JWT session function, whose audience is SF_PROD_LOGIN_URL; then simple-salesforce, as CumulusCI does."""
    import requests
    from cumulusci.oauth.salesforce import jwt_session
    from simple_salesforce.api import Salesforce

    os.environ["SF_PROD_LOGIN_URL"] = order["audience"]
    key = Path(order["key_file"]).read_text()
    answer = jwt_session(order["consumer_key"], key, order["username"], url=order["url"] + "/")
    session = requests.Session()
    session.trust_env = False
    client: Any = Salesforce(instance_url=answer["instance_url"], session_id=answer["access_token"], session=session)
    # It makes https of any instance URL.
    client.base_url = client.base_url.replace("https://", "http://")
    did = {"records": client.query(QUERY)["records"]}
    did["created"] = client.restful("sobjects/Account", method="POST", json={"Name": NAME})["id"]
    did["read"] = client.restful(f"sobjects/Account/{did['created']}")["Name"]
    did["accounts"] = client.query(ACCOUNTS)["records"]
    if kill(order):
        did["after"] = client.query(QUERY)["records"]
    return did


def authlib(order: dict[str, str]) -> dict[str, Any]:
    """Log in by its assertion session, which knows the flow but not Salesforce: its lifetime is what the caller says."""
    from authlib.integrations.requests_client import AssertionSession

    session: Any = AssertionSession(
        f"{order['url']}/services/oauth2/token",
        order["consumer_key"],
        order["username"],
        audience=order["audience"],
        key=Path(order["key_file"]).read_text(),
        header={"alg": "RS256"},
        expires_at=int(time.time()) + 180,
        default_timeout=30,
    )
    session.trust_env = False
    session.refresh_token()
    data = f"{session.token['instance_url']}/services/data/v65.0"

    def query(soql: str) -> Any:
        answer = session.get(f"{data}/query", params={"q": soql})
        if not answer.ok:
            raise RuntimeError(answer.text)
        return answer.json()["records"]

    did = {"records": query(QUERY)}
    did["created"] = session.post(f"{data}/sobjects/Account", json={"Name": NAME}).json()["id"]
    did["read"] = session.get(f"{data}/sobjects/Account/{did['created']}").json()["Name"]
    did["accounts"] = query(ACCOUNTS)
    if kill(order):
        did["after"] = query(QUERY)
    return did


def django_salesforce(order: dict[str, str]) -> dict[str, Any]:
    """Use a token that it is given: it has no JWT bearer flow. It knows only https: an adapter leads that to loopback."""
    import django
    import requests
    from django.conf import settings

    database = {"ENGINE": "salesforce.backend", "AUTH": "salesforce.auth.DynamicAuth", "HOST": order["audience"]}
    database |= {"CONSUMER_KEY": "", "CONSUMER_SECRET": "", "USER": "", "PASSWORD": ""}
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    settings.configure(
        DATABASES={"default": sqlite, "salesforce": database},
        INSTALLED_APPS=["salesforce"],
        DATABASE_ROUTERS=["salesforce.router.ModelRouter"],
        SALESFORCE_DB_ALIAS="salesforce",
        DEFAULT_AUTO_FIELD="salesforce.fields.SalesforceAutoField",
    )
    django.setup()
    from django.db import connections
    from salesforce import models

    def model(name: str) -> Any:
        meta = type("Meta", (), {"app_label": "clients", "managed": False, "db_table": name})
        return type(name, (models.Model,), {"Name": models.CharField(max_length=255), "Meta": meta, "__module__": __name__})

    organization, account = model("Organization"), model("Account")

    def rows(model: Any) -> list[dict[str, str]]:
        return [{"Id": row.pk, "Name": row.Name} for row in model.objects.all()]

    class ToHttp(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            request.url = str(request.url).replace("https://", "http://", 1)
            return super().send(request, *args, **kwargs)

    connections["salesforce"].ensure_connection()
    connection = connections["salesforce"].connection
    connection.sf_auth.dynamic_start(order["access_token"], order["instance_url"].replace("http://", "https://"))
    connection.sf_session.trust_env = False
    connection.sf_session.mount("https://", ToHttp())
    did: dict[str, Any] = {"records": rows(organization)}
    did["created"] = account.objects.create(Name=NAME).pk
    did["read"] = account.objects.get(pk=did["created"]).Name
    did["accounts"] = rows(account)
    if kill(order):
        did["after"] = rows(organization)
    return did


def cdp_connector(order: dict[str, str]) -> dict[str, Any]:
    """Log in to Data 360 by its JWT arguments: parameters in the URL's query, then a second exchange.

    pandas and pyarrow are left out of the installation: its connection imports them, and only a query uses them.
    """
    sys.modules |= {"pandas": ModuleType("pandas"), "pyarrow": ModuleType("pyarrow")}
    from salesforcecdpconnector.connection import SalesforceCDPConnection

    connection = SalesforceCDPConnection(
        order["url"],
        username=order["username"],
        client_id=order["consumer_key"],
        private_key=Path(order["key_file"]).read_text(),
    )
    connection.authentication_helper.session.trust_env = False
    token, instance = connection.authentication_helper.get_token()
    return {"tenant_token_parts": token.count(".") + 1, "tenant": instance}


PYTHON_CLIENTS = {
    "simple-salesforce": simple_salesforce,
    "aiosalesforce": aiosalesforce,
    "CumulusCI": cumulusci,
    "Authlib": authlib,
    "django-salesforce": django_salesforce,
    "salesforce-cdp-connector": cdp_connector,
}


def kill(order: dict[str, str]) -> bool:
    """End all sessions at Salesforce, if that is wanted."""
    if order["kill"]:
        with urllib.request.urlopen(urllib.request.Request(order["kill"], method="DELETE"), timeout=30):
            pass
    return bool(order["kill"])


_find = socket.getaddrinfo


def loopback_only(host: Any, *rest: Any, **order: Any) -> Any:
    """Find no name but localhost: whatever goes wrong, a client must not reach a real login host."""
    if host not in {"localhost", b"localhost", "127.0.0.1", b"127.0.0.1"}:
        raise socket.gaierror(socket.EAI_NONAME, f"not loopback: {host}")
    return _find(host, *rest, **order)


def main() -> None:
    """Run it; whatever it raises, or warns of, is what the test wants to see."""
    socket.getaddrinfo = loopback_only
    client = PYTHON_CLIENTS[sys.argv[1]]
    with warnings.catch_warnings(record=True) as caught:
        try:
            did = client(json.load(sys.stdin))
        except Exception as error:  # noqa: BLE001  any client's any error
            did = {"error": str(error), "kind": type(error).__name__}
    said = [str(warning.message) for warning in caught if warning.category is UserWarning]
    print(json.dumps(did | {"warnings": said}))


if __name__ == "__main__":
    main()
