"""Fixtures for tests of any Salesforce client: `pytest_plugins = ["local_stack.salesforce.pytest_plugin"]`.

Owns the fixtures' names. A test that wants another world starts a LocalSalesforce of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_stack.salesforce import key_material
from local_stack.salesforce.key_material import KeyMaterial
from local_stack.salesforce.server import LocalSalesforce
from local_stack.salesforce.world import World


@pytest.fixture(scope="session")
def salesforce_key() -> KeyMaterial:
    """Return the run's key pair; its certificate is on every app of `local_salesforce`."""
    return key_material.make()


@pytest.fixture
def local_salesforce(salesforce_key: KeyMaterial) -> Iterator[LocalSalesforce]:
    """Return a fresh Salesforce with the default world."""
    with LocalSalesforce(World.default(salesforce_key.certificate)) as salesforce:
        yield salesforce
