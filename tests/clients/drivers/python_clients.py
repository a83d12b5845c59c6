"""Run one Python client once: `python_clients.py CLIENT`, with what to do as JSON on stdin; prints one line of JSON.

Owns how each client is brought to loopback. Expects nothing: the tests do.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import urllib.request
import warnings
from pathlib import Path
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
    client = {"simple-salesforce": simple_salesforce, "aiosalesforce": aiosalesforce, "CumulusCI": cumulusci}[sys.argv[1]]
    with warnings.catch_warnings(record=True) as caught:
        try:
            did = client(json.load(sys.stdin))
        except Exception as error:  # noqa: BLE001  any client's any error
            did = {"error": str(error), "kind": type(error).__name__}
    said = [str(warning.message) for warning in caught if warning.category is UserWarning]
    print(json.dumps(did | {"warnings": said}))


if __name__ == "__main__":
    main()
