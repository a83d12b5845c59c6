"""Settings -> clients, clock -> TokenBroker: the only place where things are built.

Owns time-outs and retries of the AWS clients. Does not decide anything about a request (see `broker`).
"""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from salesforce_broker import __version__, observability, settings
from salesforce_broker.announcements import Announcements
from salesforce_broker.broker import TokenBroker
from salesforce_broker.clock import Clock
from salesforce_broker.emergency import EmergencyStop
from salesforce_broker.lambda_doors import LambdaDoors
from salesforce_broker.minter import Minter
from salesforce_broker.revocation import Revocation
from salesforce_broker.rotation import KeyRotation
from salesforce_broker.salesforce import Salesforce
from salesforce_broker.signing_key import SigningKeySource
from salesforce_broker.token_cache import MemoryCache, SharedCache
from salesforce_broker.transport import Transport

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SECRETS_MANAGER = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
"""At worst some 7 s: a cold start has 10, and a failed pull must not end it."""

PARAMETER_STORE = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""No second attempt: a miss costs one exchange, waiting for a cache costs every caller."""

EVENT_BRIDGE = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""An event is told while a caller waits: once, and soon."""

IN_AN_EMERGENCY = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
"""Of every AWS client of a stop: nobody waits for a token, and each call counts."""

EARLIEST_RENEWAL, LATEST_RENEWAL = 0.5, 0.9
"""Shares of a token's life. Each environment draws its own point, so that a fleet renews one after another."""


@functools.cache
def token_broker() -> TokenBroker:
    """Return this environment's broker, built at the first call; SettingsInvalid is not remembered."""
    return build(settings.load(), clock=Clock())


def cold_start() -> None:
    """Build the broker and pull the key ahead of the first request: now, or after each restore of a snapshot.

    A snapshot has the imports and nothing else: no key, no connection, no clock that was read (docs/decisions/0007).
    """
    if settings.before_snapshot():
        # Lambda's own runtime has it, and only a function with SnapStart needs it.
        from snapshot_restore_py import register_after_restore  # noqa: PLC0415

        register_after_restore(_restored)
    else:
        _pull()


def _restored() -> None:
    # All environments of a snapshot would draw the same numbers: renew together, and pause together.
    random.seed()
    _pull()


def _pull() -> None:
    """Whatever fails is reported and left to the first request to try again: an exception here would end the environment."""
    try:
        token_broker().warm()
    except Exception as error:  # noqa: BLE001  see above
        observability.report(error)


@functools.cache
def key_rotation() -> KeyRotation:
    """Return what makes keys, built at the first call."""
    given = settings.load()
    return KeyRotation(
        given,
        secret=boto3.client("secretsmanager", config=SECRETS_MANAGER),
        parameters=boto3.client("ssm", config=PARAMETER_STORE),
        salesforce=_salesforce(given, Clock()),
        clock=Clock(),
    )


@functools.cache
def emergency_stop() -> EmergencyStop:
    """Return what stops everything, built at the first call."""
    given, clock = settings.load_emergency(), Clock()
    return EmergencyStop(
        given,
        doors=LambdaDoors(boto3.client("lambda", config=IN_AN_EMERGENCY), given),
        parameters=boto3.client("ssm", config=IN_AN_EMERGENCY),
        revocation=lambda: _revocation(settings.load(), clock),
        clock=clock,
    )


def _revocation(given: settings.Settings, clock: Clock) -> Revocation:
    keys, salesforce = _keys(given, clock, IN_AN_EMERGENCY), _salesforce(given, clock)
    return Revocation(
        given,
        keys=keys,
        shared=_shared_cache(given, clock, IN_AN_EMERGENCY),
        minter=Minter(keys, salesforce, audience=given.audience, clock=clock),
        salesforce=salesforce,
    )


def build(given: settings.Settings, *, clock: Clock) -> TokenBroker:
    """Build a broker with clients of its own."""
    return TokenBroker(
        given,
        keys=_keys(given, clock, SECRETS_MANAGER),
        memory=MemoryCache(clock),
        shared=_shared_cache(given, clock, PARAMETER_STORE),
        salesforce=_salesforce(given, clock),
        announcements=Announcements(_event_bridge, bus=given.event_bus_name, login_url=given.login_url),
        clock=clock,
        renewal_point=random.uniform(EARLIEST_RENEWAL, LATEST_RENEWAL),  # noqa: S311  jitter
    )


def _keys(given: settings.Settings, clock: Clock, config: Config) -> SigningKeySource:
    return SigningKeySource(
        boto3.client("secretsmanager", config=config),
        secret_arn=given.signing_key_secret_arn,
        client_id=given.client_id,
        clock=clock,
    )


def _shared_cache(given: settings.Settings, clock: Clock, config: Config) -> SharedCache | None:
    if not given.token_cache_prefix:
        return None
    return SharedCache(
        boto3.client("ssm", config=config),
        prefix=given.token_cache_prefix,
        kms_key_id=given.token_cache_kms_key_id,
        tier=given.token_cache_tier,
        clock=clock,
    )


@functools.cache
def _event_bridge() -> EventBridgeClient:
    return boto3.client("events", config=EVENT_BRIDGE)


def _salesforce(given: settings.Settings, clock: Clock) -> Salesforce:
    return Salesforce(
        Transport(user_agent=f"salesforce-token-broker/{__version__}"),
        login_url=given.login_url,
        token_lifetime_seconds=given.token_lifetime_seconds,
        clock=clock,
    )
