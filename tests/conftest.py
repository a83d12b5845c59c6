"""Fixtures of all suites."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import hypothesis
import jwt.algorithms
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from salesforce_broker import observability
from tests.support.keys import KeyPool, load_der_once, load_once

# Machines are shared: how long an example takes says nothing.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")

pytest_plugins = ["local_salesforce.pytest_plugin"]


@pytest.fixture(scope="session")
def _key_pool() -> KeyPool:
    return KeyPool()


@pytest.fixture(autouse=True)
def _reused_keys(_key_pool: KeyPool) -> Iterator[None]:
    """Neither make nor check an RSA key twice in a run; a key of a session's or module's fixture is never one of a test's."""
    _key_pool.start_over()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsa, "generate_private_key", _key_pool.generate)
        for module in (serialization, jwt.algorithms):
            patch.setattr(module, "load_pem_private_key", load_once)
        patch.setattr(serialization, "load_der_private_key", load_der_once)
        yield


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Collect what the broker's logger writes; its handler holds the stdout of the moment at which it was imported."""
    # As at the beginning of an invocation: what another test appended is gone.
    observability.logger.clear_state()
    handler = observability.logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    before = handler.setStream(written)
    yield written
    handler.setStream(before)
