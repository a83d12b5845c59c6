"""The order of a scan: the proof, accounts with some requests each, a sample in the Lambda runtime, the search, the report."""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from unittest import mock

import boto3
from moto import mock_aws

from leak_scan import proof, runtime_sample, scenarios
from leak_scan.account import Account
from leak_scan.capture import SINKS, Capture
from leak_scan.cold_start import private_key
from local_salesforce import key_material
from local_stack.build import Build

REQUESTS_PER_ACCOUNT = 50
KEY_PAIRS = 5

RUNTIME_SHARE = 50
"""One in so many is sent to the Lambda runtime, too."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret in a sink: of which kind, in which shape, how much of it, and the request that put it there."""

    sink: str
    secret: str
    shape: str
    length: int
    request: str


@dataclass(slots=True)
class Report:
    """What a scan did and found. `missed`: shapes by sink that the proof planted and the search did not find."""

    requests: int = 0
    in_runtime: int = 0
    shapes: int = 0
    planted: int = 0
    searched: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    missed: dict[str, list[str]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Tell whether nothing was found but what was planted, and all of that."""
        return not self.findings and not any(self.missed.values())

    def lines(self) -> Iterator[str]:
        """Yield the report, line by line; no secret."""
        yield f"{self.requests:,} requests in this process, {self.in_runtime} in the Lambda runtime"
        yield "answered " + ", ".join(f"{number} {outcome}" for outcome, number in self.outcomes.most_common())
        yield f"{self.shapes:,} shapes of secrets searched for"
        for sink in SINKS:
            yield f"  {sink:22} {self.searched[sink]:>12,} bytes"
        missed = sum(map(len, self.missed.values()))
        yield f"planted {self.planted}, found {self.planted - missed}"
        for sink, shapes in self.missed.items():
            for shape in shapes:
                yield f"  MISSED in {sink}: {shape}"
        yield f"{len(self.findings)} findings"
        for finding in self.findings:
            what = f"{finding.secret}, {finding.shape}, {finding.length} characters"
            yield f"  FOUND in {finding.sink}: {what}; {finding.request}"


def scan(requests: int, *, seed: int, built: Build | None) -> Report:
    """Send so many requests and search what they left; `built` None leaves the Lambda runtime out."""
    rng, report, capture = random.Random(seed), Report(), Capture()
    pairs = [key_material.make() for _ in range(KEY_PAIRS)]
    for pair in pairs:
        capture.learn_key(private_key(pair))
    # Clients remember nothing of an account, and take 20 ms of CPU each to make.
    with mock_aws(), mock.patch.object(boto3, "client", functools.cache(boto3.client)), capture.everything():
        with Account(capture, pairs, rng) as account:
            report.planted, report.missed = proof.run(account)
        capture.entries.clear()
        while report.requests < requests:
            with Account(capture, pairs, rng, report.outcomes) as account:
                for _ in range(min(REQUESTS_PER_ACCOUNT, requests - report.requests)):
                    report.requests += 1
                    scenarios.run(account, rng, report.requests)
    if built:
        report.in_runtime = runtime_sample.run(capture, built, max(1, requests // RUNTIME_SHARE), rng)
    report.searched, report.shapes = capture.bytes_by_sink, len(capture.index)
    report.findings = sorted(set(_findings(capture)), key=lambda finding: (finding.sink, finding.request))
    return report


def _findings(capture: Capture) -> Iterator[Finding]:
    for entry in capture.entries:
        for found in capture.index.find(entry.data):
            yield Finding(entry.sink, found.shape.secret, found.shape.name, found.length, entry.request)
