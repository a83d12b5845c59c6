"""Unit tests open no socket; `stage` sets up a broker over fakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_socket import disable_socket, enable_socket

from salesforce_broker.errors import BrokerError
from salesforce_broker.salesforce.transport import Reply
from tests.support import builders
from tests.support.fakes import FakeTransport
from tests.support.stage import Stage


@pytest.fixture(autouse=True)
def _no_sockets() -> Iterator[None]:
    disable_socket()
    yield
    enable_socket()


@pytest.fixture
def stage() -> Stage:
    """Return an account with a usable key and nothing shared yet."""
    return Stage()


Script = Callable[..., FakeTransport]


@pytest.fixture
def salesforce() -> Script:
    """Return a function that makes a transport of token values, replies and errors."""

    def script(*steps: str | Reply | BrokerError) -> FakeTransport:
        return FakeTransport(
            *(builders.reply(builders.answer(access_token=step)) if isinstance(step, str) else step for step in steps)
        )

    return script
