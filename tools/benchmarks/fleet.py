"""Fleets: environments that share a cache, cold at once (processes and sockets) and in steady use (modelled clock); an outage.

    make bench-fleet

Exits with an error if a figure is worse than docs/token-life.md promises.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from benchmarks.throttled_aws import READS_PER_SECOND, WRITES_PER_SECOND, Bucket, ThrottledAws
from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME, LocalSalesforce, World, key_material
from salesforce_broker import observability, wiring
from salesforce_broker.answer import IssuedToken
from salesforce_broker.broker import TokenBroker
from salesforce_broker.errors import SalesforceBusy
from salesforce_broker.transport import Reply
from tests.support import builders
from tests.support.fakes import FakeParameterStore, FakeTransport, client_error
from tests.unit.conftest import Stage

ROOT = Path(__file__).parents[2]
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:fleet-AbCdEf"  # noqa: S105  a name
LOGIN_SECONDS = 0.5
"""Of an exchange at Salesforce, about."""

LIFETIME_SECONDS = 900
COLD_SECONDS = 60
"""At first the whole fleet is cold, which the other figure is about; its exchanges count here, its reads do not."""

MOST_EXCHANGES = 3
MOST_READS_PER_SECOND = 10
MOST_LOGINS_AN_HOUR = 60


def cold_burst(processes: int, each: int) -> bool:
    """Start `processes` x `each` environments and have all ask at once; return whether the figures hold."""
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
    print(f"\nCold at once: {processes} processes with {each} environments each, empty shared cache")
    print(f"  SSM throttled at {READS_PER_SECOND} reads/s and {WRITES_PER_SECOND} writes/s:", end=" ")
    print(f"{aws.reads.refused} reads and {aws.writes.refused} writes refused")
    print(f"  exchanges {exchanges}, answered {len(answered)} of {processes * each}, sources {dict(_sources(answered))}")
    print(f"  seconds to the answer: median {statistics.median(seconds):.1f}, slowest {max(seconds):.1f}")
    return exchanges <= MOST_EXCHANGES and len(answered) == processes * each


def steady(environments: int, requests_per_second: int, lifetimes: int, seed: int) -> bool:
    """Run a fleet on a modelled clock; return whether the figures hold."""
    chance = random.Random(seed)
    random.seed(seed)
    stage = Stage()
    stage.parameters = _ThrottledStore(stage)
    salesforce = _Salesforce(stage)
    fleet: list[TokenBroker] = [
        stage.environment(salesforce, renewal_point=random.uniform(wiring.EARLIEST_RENEWAL, wiring.LATEST_RENEWAL))
        for _ in range(environments)
    ]
    began = stage.clock.wall
    served = degraded = 0
    while stage.clock.wall - began < lifetimes * LIFETIME_SECONDS:
        issued = chance.choice(fleet).answer(builders.asked())
        assert isinstance(issued, IssuedToken)
        assert issued.token.expires_at > stage.clock.wall
        served += 1
        degraded += issued.degraded
        stage.clock.advance(1 / requests_per_second)
    reads = Counter(int(at - began) for at in stage.parameters.read_at if at - began > COLD_SECONDS)
    per_lifetime = len(salesforce.assertions) / lifetimes
    print(
        f"\nSteady: {environments} environments, {requests_per_second} requests/s, {lifetimes} lifetimes of 15 min, seed {seed}"
    )
    print(f"  {served:,} requests served, {degraded} degraded, {len(salesforce.assertions)} exchanges:", end=" ")
    print(f"{per_lifetime:.1f} per lifetime; peak of {max(reads.values(), default=0)} SSM reads in a second")
    return per_lifetime <= MOST_EXCHANGES and max(reads.values(), default=0) <= MOST_READS_PER_SECOND


def outage(hours: int, requests_per_second: int) -> bool:
    """Keep asking while Salesforce is down; return whether the figure holds."""
    stage = Stage()
    transport = FakeTransport(SalesforceBusy("down"))
    broker = stage.environment(transport)
    logins = []
    for _ in range(hours):
        before, end = len(transport.assertions), stage.clock.wall + 3600
        while stage.clock.wall < end:
            with contextlib.suppress(SalesforceBusy):
                broker.answer(builders.asked())
            stage.clock.advance(1 / requests_per_second)
        logins.append(len(transport.assertions) - before)
    print(f"\nSalesforce down for {hours} h, {requests_per_second} requests/s to one environment")
    print(f"  logins tried: {logins[0]} in the first hour, at most {max(logins[1:], default=0)} in the others")
    return max(logins) <= MOST_LOGINS_AN_HOUR


class _Salesforce(FakeTransport):
    """Gives another token each time, as if every session had ended: the hardest case for a fleet."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def _answer(self) -> Reply:
        self._stage.clock.advance(LOGIN_SECONDS)
        return builders.reply(builders.answer(access_token=f"00D!{len(self.assertions)}"))


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
    command = [sys.executable, "tools/benchmarks/environments.py", str(each)]
    with subprocess.Popen(  # noqa: S603  our own command line
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _sources(answers: list[dict[str, str]]) -> Counter[str]:
    return Counter(answer["source"] for answer in answers)


def main() -> int:
    """Run both; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--environments", type=int, default=500)
    parser.add_argument("--lifetimes", type=int, default=4)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    observability.logger.setLevel(logging.CRITICAL)
    # Metrics are flushed at the end of an invocation, or all 100: here nothing is invoked. A Mock would keep every call.
    silent = mock.patch.multiple(observability, count=lambda _name: None, audit=lambda _event, **_fields: None)
    with silent:
        holds = [
            cold_burst(given.processes, given.each),
            steady(given.environments, 100, given.lifetimes, given.seed),
            outage(given.hours, 50),
        ]
    print("\nAll figures hold." if all(holds) else "\nA figure does not hold.")
    return 0 if all(holds) else 1


if __name__ == "__main__":
    sys.exit(main())
