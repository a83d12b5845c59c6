"""A stack whose key is changed, and callers who read meanwhile: two apps and one, uploads by the Metadata API and by hand.

A modelled clock: what takes ten minutes at Salesforce passes at once. AWS is moto in this process, Salesforce the local one,
which verifies every signature; Secrets Manager's steps come as AWS documents them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import os
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from unittest import mock

import boto3
from moto import mock_aws

from local_salesforce import (
    DEFAULT_ADMIN_USERNAME,
    DEFAULT_CONNECTED_APP_KEY,
    DEFAULT_CONSUMER_KEY,
    DEFAULT_USERNAME,
    App,
    KeyMaterial,
    LocalSalesforce,
    World,
    key_material,
)
from local_stack.secret_rotation import SecretRotation
from salesforce_broker import bootstrap, config, events
from salesforce_broker.clock import Clock
from salesforce_broker.errors import BrokerError
from salesforce_broker.events import EventPublisher
from salesforce_broker.operations import bootstrap as operations_bootstrap
from salesforce_broker.operations import config as operations_config
from salesforce_broker.operations import request as operations_request
from salesforce_broker.operations import response as operations_response
from salesforce_broker.tokens.model import IssuedToken
from salesforce_broker.tokens.service import TokenService
from tests.support import builders, token_functions
from tests.support.events import Context

WAYS = ((2, True), (2, False), (1, False))
"""(apps, uploads by the Metadata API): to one app a person uploads."""

TOKEN_FUNCTION = "broker-TokenFunction"
OTHER_CONSUMER_KEY = "3MVG9.another-app-of-the-same-broker"
CERTIFICATE_PARAMETER = "/broker/certificate"
PREFIX = "/broker/tokens"
ADMIN = key_material.make()

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}

FLEET = 20
"""Environments; every other one has no shared cache, and so logs in for itself."""

SECONDS_BETWEEN_COLD_STARTS = 20
A_PERSON_TAKES = 120
"""Seconds to upload what was announced, and Secrets Manager to begin anew."""


class KeyLife:
    """A stack's account and Salesforce, for a key that is changed: with one app, or with two and uploads by the function."""

    def __init__(
        self, *, apps: int = 1, uploads: bool = False, key_store: str = "secret", pair: KeyMaterial | None = None
    ) -> None:
        self._pair = pair or key_material.make()
        self._ends = contextlib.ExitStack()
        self._skipped = 0.0
        self.announced: list[tuple[str, Mapping[str, Any]]] = []
        self.variables = {
            "SALESFORCE_USERNAME": DEFAULT_USERNAME,
            "SALESFORCE_CLIENT_ID": DEFAULT_CONSUMER_KEY,
            "TOKEN_CACHE_PREFIX": PREFIX,
            "CERTIFICATE_PARAMETER": CERTIFICATE_PARAMETER,
            "EVENT_BUS_NAME": "default",
            "KEY_STORE": key_store,
            "STACK_NAME": "broker",
            "SIGNER_ROLE_ARNS": "arn:aws:iam::123456789012:role/broker-token",
            "SALESFORCE_APP_NAME": "Broker",
            "TOKEN_FUNCTIONS": TOKEN_FUNCTION,
        }
        if apps > 1:
            self.variables |= {"SALESFORCE_OTHER_CLIENT_ID": OTHER_CONSUMER_KEY, "SALESFORCE_OTHER_APP_NAME": "Other_Broker"}
        self._uploads = uploads

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as starting:
            starting.enter_context(mock.patch.dict(os.environ, CREDENTIALS))
            starting.enter_context(mock_aws())
            # A cold environment is one without memory: clients remember nothing, and take 20 ms of CPU each to make.
            starting.enter_context(mock.patch.object(boto3, "client", functools.cache(boto3.client)))
            starting.enter_context(mock.patch.object(EventPublisher, "publish", self._hear()))
            bootstrap.kms_client.cache_clear()  # a client of an account that is gone
            bootstrap._event_bridge_client.cache_clear()  # noqa: SLF001  likewise
            world = World.default(self._pair.certificate)
            world.apps[0].name = "Broker"
            world.apps[1].certificate = ADMIN.certificate
            world.apps.append(App(consumer_key=OTHER_CONSUMER_KEY, org=world.apps[0].org, name="Other_Broker"))
            self.salesforce = starting.enter_context(LocalSalesforce(world))
            self.secrets = boto3.client("secretsmanager")
            token_functions.create(TOKEN_FUNCTION)
            self.secret_arn = self._secret("signing-key", DEFAULT_CONSUMER_KEY, self._pair)
            self.variables |= {"SIGNING_KEY_SECRET_ARN": self.secret_arn, "SALESFORCE_LOGIN_URL": self.salesforce.url}
            if self._uploads:
                self.variables["SALESFORCE_ADMIN_USERNAME"] = DEFAULT_ADMIN_USERNAME
                self.variables["SALESFORCE_ADMIN_SECRET_ARN"] = self._secret("admin", DEFAULT_CONNECTED_APP_KEY, ADMIN)
            self.secrets_manager = SecretRotation(self.secret_arn)
            self._ends = starting.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()

    @property
    def clock(self) -> Clock:
        """Return the clock of everything here: it goes on by itself, and `pass_time` moves it."""
        return Clock(wall=self.salesforce.clock.now, monotonic=lambda: time.monotonic() + self._skipped, sleep=self.pass_time)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self._skipped += seconds
        self.salesforce.clock.advance(seconds)

    def broker(self, **changes: str) -> TokenService:
        """Start an environment, cold."""
        return bootstrap.build(config.load(self.variables | changes), clock=self.clock)

    def read(self, broker: TokenService) -> IssuedToken:
        """Have a token handed out."""
        answer = broker.answer(builders.request())
        assert isinstance(answer, IssuedToken)
        return answer

    def invoke(self, payload: Mapping[str, object]) -> dict[str, Any]:
        """Invoke the rotation's function, cold."""
        settings, rotation = config.load(self.variables), operations_config.load_rotation(self.variables)
        changes = operations_bootstrap.build_rotation(settings, rotation, clock=self.clock)
        return operations_response.to_rotation_answer(
            changes.answer(operations_request.from_rotation(dict(payload), Context(seconds=900)))
        )

    def be_the_person(self) -> None:
        """Upload what was announced last."""
        told = [what for kind, what in self.announced if kind == events.UPLOAD]
        if told:
            self.salesforce.set_certificate(told[-1]["consumer_key"], told[-1]["certificate"])

    def rotate(self, *, tries: int = 10) -> str:
        """Have Secrets Manager change the key, as often as it takes; return the new version."""
        return self.finish(self.secrets_manager.begin(), tries=tries)

    def finish(self, version_id: str, *, tries: int = 10) -> str:
        """Have Secrets Manager run the steps to a version, as often as it takes; return the version."""
        for _ in range(tries):
            try:
                self.secrets_manager.run(version_id, self.invoke)
            except BrokerError:
                self.pass_time(A_PERSON_TAKES)
                if not self._uploads:
                    self.be_the_person()
            else:
                return version_id
        raise AssertionError(f"not over after {tries} tries")

    def _secret(self, name: str, consumer_key: str, pair: KeyMaterial) -> str:
        text = json.dumps({"client_id": consumer_key, "private_key": pair.private_key})
        return str(self.secrets.create_secret(Name=name, SecretString=text)["ARN"])

    def _hear(self) -> Any:
        tell = EventPublisher.publish

        def heard(one: EventPublisher, kind: str, what: Mapping[str, Any], deadline: Any) -> None:
            self.announced.append((kind, what))
            tell(one, kind, what, deadline)

        return heard


class Readers(KeyLife):
    """A fleet that reads whenever time passes, and counts what it gets."""

    def __init__(self, *, reads_a_second: float, **rest: Any) -> None:
        super().__init__(**rest)
        self._per_tick = max(1, math.ceil(reads_a_second / FLEET))
        self._cold = itertools.count()
        self.fleet: list[TokenService] = []
        self.reads: Counter[str] = Counter()
        self.failures: list[str] = []

    def start(self) -> None:
        """Start the fleet."""
        self.fleet = [self._environment() for _ in range(FLEET)]

    def pass_time(self, seconds: float) -> None:
        """Let time pass, second by second; everybody reads in each."""
        for _ in range(int(seconds)):
            super().pass_time(1)
            if int(self._skipped) % SECONDS_BETWEEN_COLD_STARTS == 0:
                self.fleet = [*self.fleet[1:], self._environment()]
            for broker in self.fleet:
                for _ in range(self._per_tick):
                    self._count(broker)

    def _environment(self) -> TokenService:
        return self.broker(TOKEN_CACHE_PREFIX=PREFIX if next(self._cold) % 2 else "")

    def _count(self, broker: TokenService) -> None:
        try:
            issued = self.read(broker)
        except BrokerError as error:
            self.failures.append(error.code)
            return
        if self.salesforce.sessions.find(issued.token.value) is None:
            self.failures.append("a token that Salesforce does not know")
        self.reads[issued.source.value] += 1


def rotate_under_reads(*, apps: int, uploads: bool, propagation: int, reads: int, pair: KeyMaterial | None = None) -> Readers:
    """Change the key once, with at least `reads` reads before, meanwhile and after; return what they got."""
    duration = 4 * A_PERSON_TAKES + 2 * propagation
    with Readers(apps=apps, uploads=uploads, pair=pair, reads_a_second=reads / duration) as life:
        life.salesforce.world.switches.certificate_propagation = propagation
        life.start()
        life.pass_time(60)
        version_id = life.rotate()
        life.pass_time(propagation + A_PERSON_TAKES)
        while sum(life.reads.values()) + len(life.failures) < reads:
            life.pass_time(10)
        assert life.secrets_manager.labels["AWSCURRENT"] == version_id
        assert life.secrets_manager.is_over
        return life
