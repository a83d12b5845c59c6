"""Ten clients and how each is run: in a process of its own, with the packages of `.build/clients`."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from local_salesforce import (
    DEFAULT_CONNECTED_APP_KEY,
    DEFAULT_CONSUMER_KEY,
    DEFAULT_USERNAME,
    KeyMaterial,
    LocalSalesforce,
)

INSTALLED = Path(__file__).parents[2] / ".build" / "clients"
DRIVERS = Path(__file__).parent / "drivers"
MAX_SECONDS = 120

CDP_CONNECTOR = "salesforce-cdp-connector"
DJANGO = "django-salesforce"
PUBSUB_CLIENT = "salesforce-pubsub-api-client"
SALESFORCE_CLI = "Salesforce CLI"
PYTHON_CLIENTS = ["simple-salesforce", "aiosalesforce", "CumulusCI", "Authlib", CDP_CONNECTOR]
NODE_CLIENTS = ["jsforce", "salesforce-jwt-bearer-token-flow", PUBSUB_CLIENT]

CLIENTS = [*PYTHON_CLIENTS, *NODE_CLIENTS, SALESFORCE_CLI]
"""Those that log in by the JWT bearer flow."""

REST_CLIENTS = [*(client for client in CLIENTS if client != CDP_CONNECTOR), DJANGO]
"""Those that use the data API; the first of them for what it is not, the last with a token that it is given."""

LOGIN_AUDIENCE_ONLY = {"aiosalesforce"}
"""Their audience is always a login host's: they are for connected apps."""


class Bench:
    """A Salesforce, a key in a file, and the clients."""

    def __init__(self, salesforce: LocalSalesforce, key: KeyMaterial, home: Path) -> None:
        self.salesforce = salesforce
        self.home = home
        self.key_file = home / "server.key"
        self.key_file.write_text(key.private_key)
        self.certificate = key.certificate

    def run(self, client: str, **changes: str) -> dict[str, Any]:
        """Have a client log in, query, create and read; return what it did, or its `error` and the error's `kind`."""
        assert (INSTALLED / ".installed").exists(), "`make test-clients` installs the clients first"
        order = {
            "url": self.salesforce.url,
            "audience": "https://acme.my.salesforce.com",
            "consumer_key": DEFAULT_CONNECTED_APP_KEY if client in LOGIN_AUDIENCE_ONLY else DEFAULT_CONSUMER_KEY,
            "username": DEFAULT_USERNAME,
            "key_file": str(self.key_file),
            "server_certificate": self.certificate,
            "server_key_file": str(self.key_file),
            "kill": "",
        } | changes
        if client == SALESFORCE_CLI:
            return self._cli_run(order)
        if client == DJANGO:
            order |= self._token()
        python = INSTALLED / "python" / "bin"
        command = [str(python / "python"), str(DRIVERS / "python_clients.py"), client]
        if client in NODE_CLIENTS:
            command = [str(python / "node"), str(DRIVERS / "node_clients.cjs"), client]
        ended = subprocess.run(
            command,
            input=json.dumps(order),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=MAX_SECONDS,
        )
        assert ended.stdout, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return found

    def _token(self) -> dict[str, str]:
        """Log in for a client that only takes a token."""
        claims = {"iss": DEFAULT_CONSUMER_KEY, "sub": DEFAULT_USERNAME, "aud": self.salesforce.url, "exp": time.time() + 120}
        assertion = jwt.encode(claims, self.key_file.read_text(), "RS256")
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        answer: dict[str, str] = requests.post(f"{self.salesforce.url}/services/oauth2/token", data=form, timeout=30).json()
        return {name: answer[name] for name in ("access_token", "instance_url")}

    def cli(self, *words: str, **environment: str) -> dict[str, Any]:
        """Run the Salesforce CLI; return its JSON."""
        run_js = INSTALLED / "npm" / "node_modules" / "@salesforce" / "cli" / "bin" / "run.js"
        ended = subprocess.run(
            [str(INSTALLED / "python" / "bin" / "node"), str(run_js), *words, "--json"],
            env=self._environment | environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=MAX_SECONDS,
        )
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    def _cli_run(self, order: dict[str, str]) -> dict[str, Any]:
        """Do with the CLI what the drivers do. Its first audience is the instance's address, with a slash at the end."""
        app = ("--client-id", order["consumer_key"], "--jwt-key-file", order["key_file"], "--username", order["username"])
        did = self.cli("org", "login", "jwt", *app, "--instance-url", order["url"])
        if did["status"]:
            return {"error": did["message"], "kind": did["name"]}
        at = ("--target-org", order["username"])
        query = ("data", "query", "--query", "SELECT Id, Name FROM Organization", *at)
        records = self.cli(*query)["result"]["records"]
        values = ("--sobject", "Account", "--values", "Name='Made by a client'")
        made = self.cli("data", "create", "record", *values, *at)["result"]["id"]
        read = self.cli("data", "get", "record", "--sobject", "Account", "--record-id", made, *at)["result"]["Name"]
        accounts = self.cli("data", "query", "--query", "SELECT Id, Name FROM Account", *at)["result"]["records"]
        done = {"records": records, "created": made, "read": read, "accounts": accounts}
        if order["kill"]:
            self.salesforce.sessions.end()
            done["after"] = self.cli(*query)["result"]["records"]
        return done

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "NODE_OPTIONS": f'--no-warnings --require "{DRIVERS / "loopback_only.cjs"}"',
            "NODE_CLIENTS": str(INSTALLED / "npm"),
            "SF_DISABLE_TELEMETRY": "true",
            "SF_AUTOUPDATE_DISABLE": "true",
            "SF_USE_GENERIC_UNIX_KEYCHAIN": "true",
        }


@pytest.fixture
def bench(local_salesforce: LocalSalesforce, salesforce_key: KeyMaterial, tmp_path: Path) -> Bench:
    """Return the clients at a fresh Salesforce."""
    return Bench(local_salesforce, salesforce_key, tmp_path)
