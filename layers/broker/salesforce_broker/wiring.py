"""Settings -> clients, clock -> TokenBroker: the place where things are built (for operators' functions, `operator_wiring`).

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
from salesforce_broker.salesforce import Salesforce
from salesforce_broker.signing_key import SigningKeySource
from salesforce_broker.token_cache import MemoryCache, SharedCache
from salesforce_broker.transport import Transport

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient

SECRETS_MANAGER = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
"""At worst some 7 s: a cold start has 10, and a failed pull must not end it."""

PARAMETER_STORE = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""No second attempt: a miss costs one exchange, waiting for a cache costs every caller."""

EVENT_BRIDGE = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""An event is told while a caller waits: once, and soon."""

KEY_MANAGEMENT = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
"""A signature takes some ten milliseconds; a caller waits for it."""

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


def build(given: settings.Settings, *, clock: Clock) -> TokenBroker:
    """Build a broker with clients of its own."""
    return TokenBroker(
        given,
        keys=keys_of(given, clock, SECRETS_MANAGER),
        memory=MemoryCache(clock),
        shared=shared_cache_of(given, clock, PARAMETER_STORE),
        salesforce=salesforce_of(given, clock),
        announcements=announcements_of(given),
        clock=clock,
        renewal_point=random.uniform(EARLIEST_RENEWAL, LATEST_RENEWAL),  # noqa: S311  jitter
    )


def keys_of(given: settings.Settings, clock: Clock, config: Config) -> SigningKeySource:
    """Build the source of signing keys."""
    return SigningKeySource(
        boto3.client("secretsmanager", config=config),
        secret_arn=given.signing_key_secret_arn,
        client_id=given.client_id,
        kms=kms,
        clock=clock,
    )


def shared_cache_of(given: settings.Settings, clock: Clock, config: Config) -> SharedCache | None:
    """Build the shared cache; None where there is none."""
    if not given.token_cache_prefix:
        return None
    return SharedCache(
        boto3.client("ssm", config=config),
        prefix=given.token_cache_prefix,
        kms_key_id=given.token_cache_kms_key_id,
        tier=given.token_cache_tier,
        clock=clock,
    )


def announcements_of(given: settings.Settings) -> Announcements:
    """Build who sends events."""
    return Announcements(_event_bridge, bus=given.event_bus_name, login_url=given.login_url)


@functools.cache
def kms() -> KMSClient:
    """Return the client for keys in KMS, made when the first of them is met."""
    return boto3.client("kms", config=KEY_MANAGEMENT)


@functools.cache
def _event_bridge() -> EventBridgeClient:
    return boto3.client("events", config=EVENT_BRIDGE)


def transport() -> Transport:
    """Build what talks HTTP to Salesforce."""
    return Transport(user_agent=f"salesforce-token-broker/{__version__}")


def salesforce_of(given: settings.Settings, clock: Clock) -> Salesforce:
    """Build the org's endpoints."""
    return Salesforce(
        transport(),
        login_url=given.login_url,
        token_lifetime_seconds=given.token_lifetime_seconds,
        clock=clock,
    )
