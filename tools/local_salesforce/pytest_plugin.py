"""Fixtures for the tests of any Salesforce client; pytest loads them by itself where the package is installed.

From a checkout: `pytest_plugins = ["local_salesforce.pytest_plugin"]`. A test that needs another world starts a
LocalSalesforce of its own. The emulator is imported when a fixture is used, so that other tests do not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from local_salesforce.key_material import KeyMaterial
    from local_salesforce.server import LocalSalesforce


@pytest.fixture(scope="session")
def salesforce_key() -> KeyMaterial:
    """Return the run's key pair; every app of `local_salesforce` has its certificate."""
    from local_salesforce import key_material  # noqa: PLC0415  see the module's docstring

    return key_material.make()


@pytest.fixture
def local_salesforce(salesforce_key: KeyMaterial) -> Iterator[LocalSalesforce]:
    """Return a running local Salesforce with the default world: two orgs, three apps, ten users."""
    from local_salesforce import LocalSalesforce, World  # noqa: PLC0415  see the module's docstring

    with LocalSalesforce(World.default(salesforce_key.certificate)) as salesforce:
        yield salesforce
