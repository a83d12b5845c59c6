"""Fleets: environments that share a cache, cold at once (processes and sockets) and in steady use (modelled clock); an outage.

Each run returns its figures, and whether they are what docs/token-life.md promises.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME, LocalSalesforce, World, key_material
from salesforce_broker import bootstrap
from salesforce_broker.errors import SalesforceBusy
from salesforce_broker.salesforce.transport import Reply
from salesforce_broker.tokens.model import IssuedToken
from salesforce_broker.tokens.service import TokenService
from tests.support import builders
from tests.support.fakes import FakeParameterStore, FakeTransport, client_error
from tests.support.hostile import MAX_LOGINS_PER_HOUR, MAX_LOGINS_PER_MINUTE, report_without_end
from tests.support.stage import Stage
from tests.support.throttled_aws import READS_PER_SECOND, WRITES_PER_SECOND, Bucket, ThrottledAws

ROOT = Path(__file__).parents[2]
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:fleet-AbCdEf"
LOGIN_SECONDS = 0.5
"""Of an exchange at Salesforce, about."""

LIFETIME_SECONDS = 900
COLD_SECONDS = 60
"""At first the whole fleet is cold, which the other figure is about; its exchanges count here, its reads do not."""

MAX_EXCHANGES = 3
MAX_READS_PER_SECOND = 10
MAX_LOGINS_AN_HOUR = 60


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run measured, and whether it is good enough."""

    text: str
    hold: bool


def cold_burst(processes: int, each: int) -> Figures:
    """Start `processes` x `each` environments and have all ask at once."""
    pair = key_material.make()
    secret = json.dumps({"client_id": DEFAULT_CONSUMER_KEY, "private_key": pair.private_key})
    aws = ThrottledAws(secret)
    with LocalSalesforce(World.default(pair.certificate)) as salesforce, contextlib.ExitStack() as ends:
        salesforce.latency = LOGIN_SECONDS
        threading.Thread(target=aws.serve_forever, daemon=True).start()
        ends.callback(aws.server_close)
        ends.callback(aws.shutdown)
        environment = {
            **os.environ,
            "PYTHONPATH": "layers/broker:tools",
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "SIGNING_KEY_SECRET_ARN": SECRET_ARN,
            "SALESFORCE_LOGIN_URL": salesforce.url,
            "SALESFORCE_USERNAME": DEFAULT_USERNAME,
            "TOKEN_CACHE_PREFIX": "/fleet/tokens",
        }
        fleet = [ends.enter_context(_process(each, environment)) for _ in range(processes)]
        for process in fleet:
            assert process.stdout is not None
            assert "ready" in process.stdout.readline()
        for process in fleet:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [json.loads(line) for process in fleet for line in process.stdout or ()]
        exchanges = salesforce.exchanges()
    answered = [answer for answer in answers if "fingerprint" in answer]
    seconds = [answer["seconds"] for answer in answers]
    return Figures(
        f"Cold at once: {processes} processes with {each} environments each, empty shared cache\n"
        f"  SSM throttled at {READS_PER_SECOND} reads/s and {WRITES_PER_SECOND} writes/s: "
        f"{aws.reads.refused} reads and {aws.writes.refused} writes refused\n"
        f"  exchanges {exchanges}, answered {len(answered)} of {processes * each}, sources {dict(_sources(answered))}\n"
        f"  seconds to the answer: median {statistics.median(seconds):.1f}, slowest {max(seconds):.1f}",
        hold=exchanges <= MAX_EXCHANGES and len(answered) == processes * each,
    )


def steady(environments: int, requests_per_second: int, lifetimes: int, seed: int) -> Figures:
    """Run a fleet on a modelled clock."""
    chance = random.Random(seed)
    random.seed(seed)
    stage = Stage()
    stage.parameters = _ThrottledStore(stage)
    salesforce = _Salesforce(stage)
    fleet: list[TokenService] = [
        stage.environment(salesforce, renewal_point=random.uniform(bootstrap.MIN_RENEWAL_POINT, bootstrap.MAX_RENEWAL_POINT))
        for _ in range(environments)
    ]
    began = stage.clock.wall
    served = degraded = 0
    while stage.clock.wall - began < lifetimes * LIFETIME_SECONDS:
        issued = chance.choice(fleet).answer(builders.request())
        assert isinstance(issued, IssuedToken)
        assert issued.token.expires_at > stage.clock.wall
        served += 1
        degraded += issued.degraded
        stage.clock.advance(1 / requests_per_second)
    reads = Counter(int(at - began) for at in stage.parameters.read_at if at - began > COLD_SECONDS)
    per_lifetime = len(salesforce.assertions) / lifetimes
    return Figures(
        f"Steady: {environments} environments, {requests_per_second} requests/s, {lifetimes} lifetimes of 15 min, seed {seed}\n"
        f"  {served:,} requests served, {degraded} degraded, {len(salesforce.assertions)} exchanges: "
        f"{per_lifetime:.1f} per lifetime; peak of {max(reads.values(), default=0)} SSM reads in a second",
        hold=per_lifetime <= MAX_EXCHANGES and max(reads.values(), default=0) <= MAX_READS_PER_SECOND,
    )


def outage(hours: int, requests_per_second: int) -> Figures:
    """Keep asking while Salesforce is down."""
    stage = Stage()
    transport = FakeTransport(SalesforceBusy("down"))
    broker = stage.environment(transport)
    logins = []
    for _ in range(hours):
        before, end = len(transport.assertions), stage.clock.wall + 3600
        while stage.clock.wall < end:
            with contextlib.suppress(SalesforceBusy):
                broker.answer(builders.request())
            stage.clock.advance(1 / requests_per_second)
        logins.append(len(transport.assertions) - before)
    return Figures(
        f"Salesforce down for {hours} h, {requests_per_second} requests/s to one environment\n"
        f"  logins tried: {logins[0]} in the first hour, at most {max(logins[1:], default=0)} in the others",
        hold=max(logins) <= MAX_LOGINS_AN_HOUR,
    )


def hostile(environments: int, hours: float, reports_per_second: float, seed: int) -> Figures:
    """Have callers report every token at once, while Salesforce calls it valid, invalid, or now this and now that."""
    chance = random.Random(seed)
    lines, worst = [], [0, 0]
    for name, alive in (("valid", lambda: True), ("invalid", lambda: False), ("either", lambda: chance.random() < 0.5)):
        salesforce = report_without_end(
            Stage(), alive, environments=environments, seconds=hours * 3600, reports_per_second=reports_per_second, seed=seed
        )
        lines.append(
            f"  tokens called {name}: {salesforce.worst(3600)} logins in the worst hour, {salesforce.worst(60)} in a minute"
        )
    return Figures(
        f"{environments} hostile environments, {reports_per_second:.0f} reports/s together for {hours:g} h, seed {seed}\n"
        + "\n".join(lines),
        hold=worst[0] <= MAX_LOGINS_PER_HOUR and worst[1] <= MAX_LOGINS_PER_MINUTE,
    )


class _Salesforce(FakeTransport):
    """Gives another token each time, as if every session had ended: the hardest case for a fleet."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def _answer(self) -> Reply:
        self._stage.clock.advance(LOGIN_SECONDS)
        return builders.reply(builders.answer(access_token=f"00D000000000001!{len(self.assertions)}"))


class _ThrottledStore(FakeParameterStore):
    """Throttled by the modelled clock, with the time of each read."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self._buckets = {name: Bucket(rate, self._now) for name, rate in (("r", READS_PER_SECOND), ("w", WRITES_PER_SECOND))}
        self.read_at: list[float] = []

    def _now(self) -> float:
        return self._stage.clock.monotonic

    def _before(self, *, read: bool) -> None:
        if read:
            self.read_at.append(self._stage.clock.wall)
        if not self._buckets["r" if read else "w"].take():
            raise client_error("ThrottlingException")


@contextlib.contextmanager
def _process(each: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "tests/support/environments.py", str(each)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _sources(answers: list[dict[str, str]]) -> Counter[str]:
    return Counter(answer["source"] for answer in answers)
