"""A broker over fakes: one account in which environments can be started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from salesforce_broker.config import Settings
from salesforce_broker.events import EventPublisher
from salesforce_broker.keys.source import SigningKeySource
from salesforce_broker.salesforce.client import SalesforceClient
from salesforce_broker.tokens.memory_cache import MemoryCache
from salesforce_broker.tokens.refresh import TokenSource
from salesforce_broker.tokens.service import TokenService
from salesforce_broker.tokens.shared_cache import NoSharedCache, SharedCache
from tests.support import builders
from tests.support import keys as test_keys
from tests.support.clocks import ManualClock
from tests.support.fakes import FakeEventBus, FakeParameterStore, FakeSecretsManager, FakeTransport, no_kms


class Stage:
    """One account (secret, parameters, clock) in which environments can be started."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.secrets = FakeSecretsManager(test_keys.secret())
        self.parameters: FakeParameterStore = FakeParameterStore()
        self.bus = FakeEventBus()
        self.make_bus: Callable[[], Any] = lambda: self.bus

    def environment(
        self, transport: FakeTransport, *, settings: Settings | None = None, renewal_point: float = 0.75
    ) -> TokenService:
        """Start an environment with empty memory that talks to Salesforce through `transport`."""
        effective = settings or builders.settings()
        clock = self.clock.clock()
        shared = SharedCache(
            cast("Any", self.parameters),
            prefix=effective.token_cache_prefix,
            kms_key_id="",
            tier="Standard",
            max_lifetime=effective.token_lifetime_seconds,
            clock=clock,
        )
        keys = SigningKeySource(
            cast("Any", self.secrets),
            secret_arn=effective.signing_key_secret_arn,
            client_id="",
            kms=no_kms,
            clock=clock,
        )
        salesforce = SalesforceClient(
            cast("Any", transport),
            login_url=effective.login_url,
            token_lifetime_seconds=effective.token_lifetime_seconds,
            clock=clock,
        )
        tokens = TokenSource(
            effective,
            keys=keys,
            memory=MemoryCache(clock),
            shared=shared if effective.token_cache_prefix else NoSharedCache(),
            salesforce=salesforce,
            events=EventPublisher(self.make_bus, bus=effective.event_bus_name, login_url=effective.login_url),
            clock=clock,
            renewal_point=renewal_point,
        )
        return TokenService(effective, keys=keys, tokens=tokens, salesforce=salesforce, clock=clock)
