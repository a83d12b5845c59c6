"""Builds the token functions' objects from their settings, once per execution environment."""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from salesforce_broker import __version__, config, observability
from salesforce_broker.clock import Clock
from salesforce_broker.config import Settings
from salesforce_broker.errors import BrokerError
from salesforce_broker.events import EventPublisher
from salesforce_broker.keys.gateway_token import GatewayTokenSource
from salesforce_broker.keys.source import SigningKeySource
from salesforce_broker.salesforce.client import SalesforceClient
from salesforce_broker.salesforce.hints import HintContext
from salesforce_broker.salesforce.transport import Transport
from salesforce_broker.tokens.memory_cache import MemoryCache
from salesforce_broker.tokens.refresh import TokenSource
from salesforce_broker.tokens.service import ANSWER_SECONDS, TokenService
from salesforce_broker.tokens.shared_cache import NoSharedCache, SharedCache

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient

SECRETS_MANAGER = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
"""At worst some 7 s: a cold start has 10, and a failed read must not end it."""

GATEWAY_TOKEN = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""One attempt: the first request tries again."""

GATEWAY_TOKEN_SECONDS = 2.0
"""For its read at a cold start, after the key's WARM_SECONDS: with the imports both fit into Lambda's 10 s."""

PARAMETER_STORE = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""No second attempt: a miss costs one exchange, waiting for a cache costs every caller."""

EVENT_BRIDGE = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""An event is published while a caller waits: one attempt."""

KEY_MANAGEMENT = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
"""A signature takes some ten milliseconds; a caller waits for it."""

MIN_RENEWAL_POINT, MAX_RENEWAL_POINT = 0.5, 0.9
"""Shares of a token's lifetime. Each environment draws its own point, so that a fleet renews one after another."""


@functools.cache
def token_service() -> TokenService:
    """Return this environment's service, built at the first call; SettingsInvalid is not remembered."""
    return build(config.load(), clock=Clock())


def gateway_token(seconds_left: float) -> str:
    """Return the value that API Gateway adds to every event, empty if none is required; `seconds_left` of the invocation."""
    source = gateway_token_source()
    if source is None:
        return ""
    try:
        return source.get(Clock().deadline(seconds_left - ANSWER_SECONDS))
    except BrokerError:
        # The next request reads everything again, the settings too.
        gateway_token_source.cache_clear()
        raise


@functools.cache
def gateway_token_source() -> GatewayTokenSource | None:
    """Return this environment's source of the gateway token; None if none is required."""
    secret_arn = config.load().gateway_token_secret_arn
    return GatewayTokenSource(boto3.client("secretsmanager", config=GATEWAY_TOKEN), secret_arn) if secret_arn else None


def cold_start() -> None:
    """Build the service and read the key ahead of the first request: now, or after each restore of a snapshot.

    A snapshot has the imports and nothing else: no key, no connection, no clock that was read (docs/decisions/0007).
    """
    if config.before_snapshot():
        # Lambda's own runtime has it, and only a function with SnapStart needs it.
        from snapshot_restore_py import register_after_restore  # noqa: PLC0415

        register_after_restore(_after_restore)
    else:
        _warm()


def _after_restore() -> None:
    # All environments of a snapshot would draw the same numbers: renew together, and back off together.
    random.seed()
    _warm()


def _warm() -> None:
    """Report whatever fails and leave it to the first request: an exception here would end the environment."""
    try:
        token_service().warm()
        gateway_token(GATEWAY_TOKEN_SECONDS)
    except Exception as error:  # noqa: BLE001  see above
        observability.report(error)


def build(settings: Settings, *, clock: Clock) -> TokenService:
    """Build a service with clients of its own."""
    keys, salesforce = signing_key_source(settings, clock, SECRETS_MANAGER), salesforce_client(settings, clock)
    tokens = TokenSource(
        settings,
        keys=keys,
        memory=MemoryCache(clock),
        shared=shared_cache(settings, clock, PARAMETER_STORE),
        salesforce=salesforce,
        events=event_publisher(settings),
        clock=clock,
        renewal_point=random.uniform(MIN_RENEWAL_POINT, MAX_RENEWAL_POINT),  # noqa: S311  jitter
    )
    return TokenService(settings, keys=keys, tokens=tokens, salesforce=salesforce, clock=clock)


def signing_key_source(settings: Settings, clock: Clock, timeouts: Config) -> SigningKeySource:
    """Build the source of signing keys."""
    return SigningKeySource(
        boto3.client("secretsmanager", config=timeouts),
        secret_arn=settings.signing_key_secret_arn,
        client_id=settings.client_id,
        kms=kms_client,
        clock=clock,
    )


def shared_cache(settings: Settings, clock: Clock, timeouts: Config) -> SharedCache | NoSharedCache:
    """Build the shared cache, or its stand-in where the stack has none."""
    if not settings.token_cache_prefix:
        return NoSharedCache()
    return SharedCache(
        boto3.client("ssm", config=timeouts),
        prefix=settings.token_cache_prefix,
        kms_key_id=settings.token_cache_kms_key_id,
        tier=settings.token_cache_tier,
        max_lifetime=settings.token_lifetime_seconds,
        clock=clock,
    )


def event_publisher(settings: Settings) -> EventPublisher:
    """Build the publisher of events."""
    return EventPublisher(_event_bridge_client, bus=settings.event_bus_name, login_url=settings.login_url)


@functools.cache
def kms_client() -> KMSClient:
    """Return the client for keys in KMS, made when it is first needed."""
    return boto3.client("kms", config=KEY_MANAGEMENT)


@functools.cache
def _event_bridge_client() -> EventBridgeClient:
    return boto3.client("events", config=EVENT_BRIDGE)


def transport() -> Transport:
    """Build the HTTP transport to Salesforce."""
    return Transport(user_agent=f"salesforce-token-broker/{__version__}")


def salesforce_client(settings: Settings, clock: Clock) -> SalesforceClient:
    """Build the client of the org's endpoints."""
    return SalesforceClient(
        transport(),
        login_url=settings.login_url,
        token_lifetime_seconds=settings.token_lifetime_seconds,
        clock=clock,
        context=HintContext(settings.login_url, settings.audience, client_id_is_set=bool(settings.client_id)),
    )
