"""Fixtures of all suites."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import hypothesis
import pytest

from salesforce_broker import observability

# Machines are shared: how long an example takes says nothing.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")

pytest_plugins = ["local_salesforce.pytest_plugin"]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Collect what the broker's logger writes; its handler holds the stdout of the moment at which it was imported."""
    handler = observability.logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    before = handler.setStream(written)
    yield written
    handler.setStream(before)
