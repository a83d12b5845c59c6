"""Sessions that are bound to addresses: the one that logged in, or the profile's login ranges on every request."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from local_salesforce import KeyMaterial, LocalSalesforce
from tests.integration.local_salesforce.conftest import Desk

LIMITS = "/services/data/v65.0/limits"
USERINFO = "/services/oauth2/userinfo"
IDENTITY = "/id/00D0000000localEAA/005000000000001AAA"
INVALID_SESSION = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


@pytest.fixture
def broker(local_salesforce: LocalSalesforce, salesforce_key: KeyMaterial) -> Desk:
    """Log in from 127.0.0.2."""
    return Desk(local_salesforce, salesforce_key, address="127.0.0.2")


@pytest.fixture
def caller(local_salesforce: LocalSalesforce, salesforce_key: KeyMaterial) -> Desk:
    """Use the token from 127.0.0.3."""
    return Desk(local_salesforce, salesforce_key, address="127.0.0.3")


def lock(desk: Desk, setting: str) -> None:
    """Bind sessions to the broker's address, in one way or the other."""
    org = desk.salesforce.world.org("acme")
    if setting == "sessions_locked_to_address":
        org.sessions_locked_to_address = True
    else:
        org.login_ranges_on_every_request = True
        desk.salesforce.world.profile("Salesforce Integration").login_ranges = [IPv4Network("127.0.0.2/32")]


SETTINGS = ["sessions_locked_to_address", "login_ranges_on_every_request"]


def test_the_address_of_a_client_is_its_real_one(broker: Desk) -> None:
    """So that tests choose it by binding their sockets."""
    broker.log_in()
    assert "127.0.0.2" == broker.salesforce.login_attempts[-1].address


def test_without_a_lock_a_session_works_from_anywhere(broker: Desk, caller: Desk) -> None:
    """As long as nobody has switched it on."""
    assert caller.alive(broker.token())


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_caller_elsewhere_is_refused_while_the_session_lives(broker: Desk, caller: Desk, setting: str) -> None:
    """401 for the caller; the identity URL, called from the address that logged in, says that the session lives."""
    lock(broker, setting)
    token = broker.token()
    refused = caller.get(LIMITS, token)
    assert 401 == refused.status_code
    assert INVALID_SESSION == refused.json()
    assert broker.get(IDENTITY, token).ok
    assert broker.alive(token)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("path", [IDENTITY, USERINFO])
def test_the_identity_url_refuses_a_caller_elsewhere_too(broker: Desk, caller: Desk, setting: str, path: str) -> None:
    """In its own words."""
    lock(broker, setting)
    answer = caller.get(path, broker.token())
    assert 403 == answer.status_code
    assert "Bad_OAuth_Token" == answer.text


def test_a_refused_caller_does_not_keep_the_session_alive(broker: Desk, caller: Desk) -> None:
    """The idle timer goes on."""
    lock(broker, "sessions_locked_to_address")
    token = broker.token()
    broker.salesforce.clock.advance(1.5 * 3600)
    assert not caller.alive(token)
    broker.salesforce.clock.advance(3600)
    assert not broker.alive(token)


def test_a_login_from_another_address_opens_a_session_of_its_own(broker: Desk, caller: Desk) -> None:
    """Where sessions are locked; elsewhere it returns the identical token."""
    assert broker.token() == caller.token()
    lock(broker, "sessions_locked_to_address")
    broker.salesforce.sessions.end()
    first, second = broker.token(), caller.token()
    assert first != second
    assert broker.alive(first)
    assert caller.alive(second)
