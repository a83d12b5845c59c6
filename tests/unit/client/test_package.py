"""What importing the client costs, and what it may import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def loaded(code: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has after `code`, beyond what it starts with."""
    script = (
        f"import sys; before = set(sys.modules); {code}; print(*{{name.split('.')[0] for name in set(sys.modules) - before}})"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "layers" / "client")}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return set(ended.stdout.split()) - set(sys.stdlib_module_names)


def test_importing_it_imports_the_standard_library_only() -> None:
    """A Lambda that needs no token pays for none."""
    assert {"salesforce_broker_client"} == loaded(
        "import salesforce_broker_client as c; c.Broker('f'); c.Broker(url='https://x')"
    )


@pytest.mark.parametrize(
    ("name", "package"),
    [("SalesforceAuth", "requests"), ("SalesforceHttpxAuth", "httpx"), ("BrokerAuth", "aiosalesforce")],
)
def test_an_extra_is_imported_when_it_is_named(name: str, package: str) -> None:
    """And the broker's own package never is."""
    found = loaded(f"import salesforce_broker_client as c; c.{name}")
    assert package in found
    assert {"salesforce_broker", "boto3"}.isdisjoint(found)


def test_there_is_nothing_else() -> None:
    """A typing mistake is an AttributeError."""
    with pytest.raises(subprocess.CalledProcessError):
        loaded("import salesforce_broker_client as c; c.Brokr")


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        ("SalesforceAuth", "requests", "requests"),
        ("SalesforceHttpxAuth", "httpx", "httpx"),
        ("SalesforceHttpxAuth", "anyio", "httpx"),
        ("BrokerAuth", "aiosalesforce", "aiosalesforce"),
        ("Broker('f').session()", "requests", "requests"),
        ("adapters.simple_salesforce", "simple_salesforce", "simple-salesforce"),
    ],
)
def test_a_missing_extra_is_named(name: str, missing: str, extra: str) -> None:
    """As an ImportError with the command that installs it."""
    imported = f"importlib.import_module('salesforce_broker_client.{name}')" if "adapters" in name else f"c.{name}"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        loaded(f"sys.modules[{missing!r}] = None; import importlib, salesforce_broker_client as c; {imported}")
    assert f"ImportError: {missing} is not installed." in caught.value.stderr
    assert f"pip install 'salesforce-broker-client[{extra}]'" in caught.value.stderr
