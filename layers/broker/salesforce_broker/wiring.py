"""Settings -> clients, clock -> TokenBroker: the only place where things are built.

Owns time-outs and retries of the AWS clients. Does not decide anything about a request (see `broker`).
"""

from __future__ import annotations

import dataclasses
import functools
import random
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from salesforce_broker import __version__, observability, operator_settings, settings
from salesforce_broker.announcements import Announcements
from salesforce_broker.broker import TokenBroker
from salesforce_broker.certificate_upload import CertificateUpload
from salesforce_broker.clock import Clock
from salesforce_broker.emergency import EmergencyStop
from salesforce_broker.key_change import KeyChange, in_the_secret
from salesforce_broker.key_versions import KeyVersions
from salesforce_broker.kms_key import KmsKeys
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
    from mypy_boto3_kms import KMSClient

SECRETS_MANAGER = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
"""At worst some 7 s: a cold start has 10, and a failed pull must not end it."""

PARAMETER_STORE = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""No second attempt: a miss costs one exchange, waiting for a cache costs every caller."""

EVENT_BRIDGE = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""An event is told while a caller waits: once, and soon."""

IN_AN_EMERGENCY = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
"""Of every AWS client of a stop: nobody waits for a token, and each call counts."""

KEY_MANAGEMENT = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
"""A signature takes some ten milliseconds; a caller waits for it."""

BRIDGE_SECONDS = 660
"""For which a shared token outlives the change of a certificate: known everywhere after ten minutes at most."""

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
    return build_rotation(settings.load(), operator_settings.load_rotation(), clock=Clock())


def build_rotation(given: settings.Settings, rotation: operator_settings.RotationSettings, *, clock: Clock) -> KeyRotation:
    """Build a rotation with clients of its own."""
    versions = KeyVersions(boto3.client("secretsmanager", config=SECRETS_MANAGER), given.signing_key_secret_arn)
    announced = _announcements(given)
    in_kms = rotation.key_store == "kms"
    change = KeyChange(
        given,
        rotation,
        versions=versions,
        make=KmsKeys(_kms(), stack=rotation.stack, signers=rotation.signers).make if in_kms else in_the_secret,
        kms=_kms,
        parameters=boto3.client("ssm", config=PARAMETER_STORE),
        minter=_minter(given, clock),
        upload=_upload(given, rotation, clock) if rotation.admin_secret_arn else None,
        bridge=lambda deadline: build(given, clock=clock).bridge(
            deadline.seconds_left, min(BRIDGE_SECONDS, given.token_lifetime_seconds - 1)
        ),
        announcements=announced,
        clock=clock,
    )
    return KeyRotation(versions=versions, change=change, announcements=announced, clock=clock)


def _upload(given: settings.Settings, rotation: operator_settings.RotationSettings, clock: Clock) -> CertificateUpload:
    """Build the administrator's connection: another app's key, in a secret of its own."""
    admin = dataclasses.replace(given, signing_key_secret_arn=rotation.admin_secret_arn, client_id="")
    keys, minter = _keys(admin, clock, SECRETS_MANAGER), _minter(admin, clock)
    return CertificateUpload(
        admin=lambda deadline: minter.mint(keys.current(), rotation.admin_username, deadline, others=False)[1],
        transport=_transport(),
        app=rotation.app,
        clock=clock,
    )


def _minter(given: settings.Settings, clock: Clock) -> Minter:
    return Minter(_keys(given, clock, SECRETS_MANAGER), _salesforce(given, clock), audience=given.audience, clock=clock)


@functools.cache
def emergency_stop() -> EmergencyStop:
    """Return what stops everything, built at the first call."""
    given, clock = operator_settings.load_emergency(), Clock()
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
        announcements=_announcements(given),
        clock=clock,
        renewal_point=random.uniform(EARLIEST_RENEWAL, LATEST_RENEWAL),  # noqa: S311  jitter
    )


def _keys(given: settings.Settings, clock: Clock, config: Config) -> SigningKeySource:
    return SigningKeySource(
        boto3.client("secretsmanager", config=config),
        secret_arn=given.signing_key_secret_arn,
        client_id=given.client_id,
        kms=_kms,
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


def _announcements(given: settings.Settings) -> Announcements:
    return Announcements(_event_bridge, bus=given.event_bus_name, login_url=given.login_url)


@functools.cache
def _kms() -> KMSClient:
    return boto3.client("kms", config=KEY_MANAGEMENT)


@functools.cache
def _event_bridge() -> EventBridgeClient:
    return boto3.client("events", config=EVENT_BRIDGE)


def _transport() -> Transport:
    return Transport(user_agent=f"salesforce-token-broker/{__version__}")


def _salesforce(given: settings.Settings, clock: Clock) -> Salesforce:
    return Salesforce(
        _transport(),
        login_url=given.login_url,
        token_lifetime_seconds=given.token_lifetime_seconds,
        clock=clock,
    )
