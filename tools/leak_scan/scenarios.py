"""The requests of the scan: what callers and operators send to the four functions, well-formed and hostile."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

from leak_scan import key_texts
from leak_scan.account import CERTIFICATE_PARAMETER, OTHER_CONSUMER_KEY, Account
from leak_scan.faults import ALL
from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME
from salesforce_broker.api.request import GATEWAY_TOKEN
from tests.support.events import api_event

FAULTY = 0.6
"""Share of the requests for which something goes wrong."""

SUBJECTS = (
    DEFAULT_USERNAME,
    "orders@acme.example",
    "frozen@acme.example",
    "locked@acme.example",
    "nobody@acme.example",
    DEFAULT_USERNAME.upper(),
    f" {DEFAULT_USERNAME}",
    "*@*",
    "",
    42,
    None,
)

HOSTILE_BODIES = (
    "[" * 4000,
    '{"sub": "a@b.c", "sub": "d@e.f"}',
    '{"min_ttl": NaN}',
    '{"a":' * 900,
    "\x00",
    "x" * 100_000,
    "\ufeff{}",
    "sub=integration@acme.example",
    "null",
    '"text"',
)


def run(account: Account, rng: random.Random, number: int) -> None:
    """Send one request, with a fault or without; collect what leaves."""
    send = rng.choices([send for _, send in SENDERS], [share for share, _ in SENDERS])[0]
    name, fault = "", None
    with contextlib.ExitStack() as stack:
        if rng.random() < FAULTY:
            name = rng.choices(list(ALL), [share for share, _ in ALL.values()])[0]
            fault = ALL[name][1](account, rng)
            if fault is not None:
                stack.enter_context(fault)
        with account.capture.running(f"{number}: {send.__name__}, {name or 'no fault'}"):
            send(account, rng)
    if name == "secret":
        account.renew_secret()
    account.mend()
    if name == "setting":
        account.close()


def token_api(account: Account, rng: random.Random) -> None:
    """Send an event of API Gateway."""
    method, path = rng.choice(
        [("POST", "/token")] * 6 + [("POST", "/api/jwtauth"), ("GET", "/identity"), ("POST", "/identity"), ("GET", "/health")]
    )
    body, query = None, None
    if method == "GET":
        query = {"sub": [str(rng.choice(SUBJECTS))]} if rng.random() < 0.5 else None
    else:
        body = rng.choice(
            (
                None,
                *[json.dumps(_fields(account, rng))] * 5,
                rng.choice(HOSTILE_BODIES),
                _with_secret(account, rng),
            )
        )
    encoded = body is not None and rng.random() < 0.2
    if encoded:
        body = base64.b64encode(str(body).encode(errors="replace")).decode()
    event = api_event(method=method, path=path, body=body, query=query, isBase64Encoded=encoded)
    if account.gateway_token:
        event["stageVariables"] = {GATEWAY_TOKEN: rng.choice([account.gateway_token] * 9 + ["x"])}
    account.call("token_api", event, seconds=_seconds(rng))


def token_invoke(account: Account, rng: random.Random) -> None:
    """Invoke the other function."""
    fields, action = _fields(account, rng), {"action": rng.choice(("token", "identity", "identity", "x"))}
    payload: Any = rng.choice((fields, fields, fields, fields | action, fields | action, None, "text"))
    account.call("token_invoke", payload, seconds=_seconds(rng))


def rotate_key(account: Account, rng: random.Random) -> None:
    """Have an operator, Secrets Manager or the hourly check do something about the key: mostly what comes next."""
    if rng.random() < 0.2 and account.secrets_manager.is_over:
        account.secrets_manager.begin()
    if rng.random() < 0.4:
        _upload_by_hand(account)
    version_id = account.secrets_manager.labels.get("AWSPENDING", "none")
    step = rng.choice(("createSecret", "setSecret", "testSecret", "finishSecret"))
    of_secrets_manager = {"Step": step, "SecretId": account.secret_arn, "ClientRequestToken": version_id}
    start: list[Any] = [{"action": "create", "bits": 2048, "days": rng.choice((1, 30, 825))}]
    start += [{"action": "import", **key_texts.any_key(rng, account.pairs)}] * 3
    go_on: list[Any] = [{"action": "finish"}, {"action": "finish"}, {"action": "certificate"}, of_secrets_manager]
    key = account.pair.private_key
    others: list[Any] = [
        {"action": "rollback"},
        {"action": "certificate"},
        {"action": "check", "at": "2026-11-24T00:00:00Z"},
        {"action": "check", "at": "2026-11-24T12:00:00Z"},
        {"action": key},
        {"Step": key, "SecretId": key, "ClientRequestToken": "x"},
        {"action": "create", "bits": key},
        {"action": "import", "private_key": [key], "certificate": account.pair.certificate},
        key,
    ]
    sensible = start if account.secrets_manager.is_over else go_on
    account.call("rotate_key", rng.choice(sensible if rng.random() < 0.7 else [*start, *go_on, *others]), seconds=900)


def emergency_stop(account: Account, rng: random.Random) -> None:
    """Stop, look, resume."""
    payload = rng.choice(
        (
            {"action": "stop", "revoke": True},
            {"action": "stop", "revoke": True},
            {"action": "stop"},
            {"action": "resume"},
            {"action": "status"},
            {"action": "stop", "revoke": account.pair.private_key},
        )
    )
    account.call("emergency_stop", payload, seconds=900)


SENDERS: list[tuple[int, Callable[[Account, random.Random], None]]] = [
    (45, token_api),
    (25, token_invoke),
    (25, rotate_key),
    (5, emergency_stop),
]
"""With how often each is sent among a hundred requests."""


def _fields(account: Account, rng: random.Random) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if rng.random() < 0.6:
        fields["sub"] = rng.choice(SUBJECTS[:2] if rng.random() < 0.8 else SUBJECTS)
    if rng.random() < 0.2:
        fields["min_ttl"] = rng.choice((0, 60, 600, 600, 86_400, "60"))
    if rng.random() < 0.3:
        token = _living_token(account)
        fields["rejected"] = rng.choice(
            (hashlib.sha256(token.encode()).hexdigest()[:16], f"{rng.getrandbits(64):016x}", "x", 1)
        )
    if rng.random() < 0.05:
        fields[rng.choice(("colour", "Sub", "__class__", "requestContext"))] = "red"
    return fields


def _with_secret(account: Account, rng: random.Random) -> str:
    """Return a body in which a caller sends a secret where none belongs: as a value, or as the whole body."""
    value = _living_token(account) if rng.random() < 0.7 else account.pair.private_key
    return rng.choice(
        (value, json.dumps({"rejected": value}), json.dumps({"sub": value}), json.dumps({"colour": value}), json.dumps(value))
    )


def _living_token(account: Account) -> str:
    """Return a token that somebody holds; empty if nobody does."""
    return next((session.token for session in account.salesforce.sessions._sessions), "")  # noqa: SLF001  there is no other way


def _upload_by_hand(account: Account) -> None:
    """Upload the certificate of the pending key, as an administrator does."""
    with contextlib.suppress(account.parameters.exceptions.ParameterNotFound):
        found = account.parameters.get_parameter(Name=CERTIFICATE_PARAMETER)["Parameter"]["Value"]
        for consumer_key in (DEFAULT_CONSUMER_KEY, OTHER_CONSUMER_KEY):
            account.salesforce.set_certificate(consumer_key, found)


def _seconds(rng: random.Random) -> float:
    return rng.choice((20, 20, 20, 3, 0.6, 0))
