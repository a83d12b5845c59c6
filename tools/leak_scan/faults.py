"""What goes wrong before a request: at Salesforce, at AWS, in the secret, in the settings, in the broker itself.

Each fault is a function that changes an account, which `Account.mend` undoes. Where a stand-in may write anything, it repeats
what it was sent: the assertion in the description of a refusal, the parameters in the message of an AWS error.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import requests
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from leak_scan import key_texts
from leak_scan.account import Account
from leak_scan.fault_tables import AWS_CODES, DESCRIPTIONS, OPERATIONS, REFUSALS, SETTINGS, USER_STATES
from local_salesforce import DEFAULT_CONSUMER_KEY
from local_salesforce.faults import KINDS
from salesforce_broker.salesforce.transport import Transport

Fault = Callable[[Account, random.Random], contextlib.AbstractContextManager[Any] | None]

TOKEN, IDENTITY, REVOKE, DEPLOY = "/services/oauth2/token", "/id/", "/services/oauth2/revoke", "/services/data"

SLOW = {"delay", "drip_head", "drip_body"}
"""They take real time: rare, and with little of it left."""

QUICK = sorted(set(KINDS) - SLOW)


def salesforce(account: Account, rng: random.Random) -> None:
    """Order one of the emulator's own faults, at one of its endpoints."""
    account.salesforce.faults.order(rng.choice(QUICK), path=rng.choice((TOKEN, TOKEN, IDENTITY, REVOKE, DEPLOY)), times=3)


def slow(account: Account, rng: random.Random) -> None:
    """Have an answer come too slowly, with little time for it."""
    account.max_seconds = 1.2
    account.salesforce.faults.order(rng.choice(sorted(SLOW)), path=rng.choice((TOKEN, IDENTITY)))


def refusal(account: Account, rng: random.Random) -> None:
    """Refuse, in Salesforce's words or others."""
    body = {"error": rng.choice(REFUSALS), "error_description": rng.choice(DESCRIPTIONS)}
    account.salesforce.faults.order(path=TOKEN, status=rng.choice((400, 401, 403, 500)), body=json.dumps(body), times=3)


def wrong_answer(account: Account, rng: random.Random) -> None:
    """Answer with a field that is missing, of another type, for another host, user or org."""
    changes: list[dict[str, Any]] = [
        {"without_fields": [rng.choice(("access_token", "instance_url", "id", "token_type"))]},
        {
            "other_fields": {
                rng.choice(("access_token", "instance_url", "id", "token_type", "scope")): rng.choice((42, None, [], {}))
            }
        },
        {"other_fields": {"instance_url": "https://evil.example"}},
        {"other_fields": {"id": "https://login.salesforce.com/id/00D000000000009AAA/005000000000009AAA"}},
        {"other_fields": {"expires_in": rng.choice(("60", -5, 0, 10**30, 20))}},
        {"other_fields": {"token_type": "MAC"}},
    ]
    account.salesforce.faults.order(path=TOKEN, **rng.choice(changes))


@contextlib.contextmanager
def echo(account: Account, rng: random.Random) -> Iterator[None]:
    """Repeat the request in the answer: in a refusal, on a web page, in a header, as a URL."""
    form = rng.choice(("description", "error", "page", "text", "location", "retry", "instance", "date"))
    del account

    def repeated(transport: Transport, real: Callable[..., Any], *arguments: Any, **rest: Any) -> Any:
        reply = real(transport, *arguments, **rest)
        sent = json.dumps([arguments, rest], default=repr)
        status, headers, body = 400, dict(reply.headers), reply.body
        match form:
            case "description":
                body = json.dumps({"error": "invalid_grant", "error_description": sent}).encode()
            case "error":
                body = json.dumps({"error": sent, "error_description": "invalid assertion"}).encode()
            case "page":
                body = f"<html>{sent}</html>".encode()
            case "text":
                status, body = 503, sent.encode()
            case "location":
                status, headers = 302, {**headers, "Location": f"https://login.salesforce.com/?{sent}"}
            case "retry" | "date":
                status, headers = 503, {**headers, {"retry": "Retry-After", "date": "Date"}[form]: sent}
            case "instance":
                status, body = 200, json.dumps({**json.loads(reply.body or b"{}"), "instance_url": f"https://{sent}"}).encode()
        return type(reply)(status, headers, body)

    with _around_send(repeated):
        yield


@contextlib.contextmanager
def broken_connection(account: Account, rng: random.Random) -> Iterator[None]:
    """Fail with an exception that quotes the request, as libraries' exceptions do."""
    kind = rng.choice(
        (requests.ConnectionError, requests.exceptions.SSLError, requests.Timeout, OSError, ValueError, KeyError, UnicodeError)
    )
    del account

    def failing(_transport: Transport, _real: Callable[..., Any], *arguments: Any, **rest: Any) -> Any:
        raise kind(f"sent {arguments} {rest}")

    with _around_send(failing):
        yield


def _around_send(replacement: Callable[..., Any]) -> contextlib.AbstractContextManager[Any]:
    """Have every exchange with Salesforce pass through a function."""
    real = Transport._send  # noqa: SLF001  where all exchanges pass

    def send(transport: Transport, *arguments: Any, **rest: Any) -> Any:
        return replacement(transport, real, *arguments, **rest)

    return mock.patch.object(Transport, "_send", send)


def user(account: Account, rng: random.Random) -> None:
    """Keep the user from logging in."""
    for one in account.salesforce.world.users[:2]:
        one.state = rng.choice(USER_STATES)


def certificate(account: Account, rng: random.Random) -> None:
    """Give the app no certificate, or that of another key."""
    pem = rng.choice((None, rng.choice(account.pairs).certificate))
    account.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, pem)


def sessions(account: Account, rng: random.Random) -> None:
    """End all sessions, and let seconds or hours pass."""
    account.salesforce.sessions.end()
    account.skip(rng.choice((0, 60, 400, 1000, 20_000)))


def aws(account: Account, rng: random.Random) -> None:
    """Have an AWS operation fail: by a code, with a message that repeats the parameters, or without any answer."""
    failing, code, left = rng.choice(OPERATIONS), rng.choice(AWS_CODES), rng.choice((1, 2, 99))
    kind = rng.choice(("code", "code", "code", "connect", "endpoint", "read", "core"))
    calls = iter(range(left))

    def fail(service: str, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == failing and next(calls, None) is not None:
            message = f"Value {json.dumps(parameters, default=repr)} failed to satisfy a constraint"
            if kind == "code":
                raise ClientError({"Error": {"Code": code, "Message": message}}, operation)
            if kind == "core":
                raise _Unexpected(message=message)
            errors = {"connect": ConnectTimeoutError, "endpoint": EndpointConnectionError, "read": ReadTimeoutError}
            raise errors[kind](endpoint_url=f"https://{service}.example/?{message}", error=message)
        return account.lambda_api(operation, parameters) if service == "lambda" else None

    account.capture.aws = fail


class _Unexpected(BotoCoreError):
    fmt = "An unexpected failure: {message}"


def secret(account: Account, rng: random.Random) -> None:
    """Put a key in another form into the secret, or something that is no key."""
    account.put_secret(key_texts.any_secret(rng, account.pairs))
    account.close()


def setting(account: Account, rng: random.Random) -> None:
    """Set a variable to nonsense, or paste a key into it."""
    name = rng.choice(sorted(SETTINGS))
    key = account.pair.private_key.replace("\n", rng.choice(("", " ", "\\n")))
    os.environ[name] = rng.choice(SETTINGS[name]).replace("{key}", key)
    account.close()


def cold(account: Account, rng: random.Random) -> None:
    """End the environment: nothing is wrong."""
    del rng
    account.close()


ALL: dict[str, tuple[int, Fault]] = {
    "salesforce": (22, salesforce),
    "slow": (1, slow),
    "refusal": (10, refusal),
    "wrong answer": (8, wrong_answer),
    "echo": (12, echo),
    "broken connection": (8, broken_connection),
    "user": (5, user),
    "certificate": (5, certificate),
    "sessions": (10, sessions),
    "aws": (22, aws),
    "secret": (10, secret),
    "setting": (6, setting),
    "cold": (6, cold),
}
"""By name: how often among a hundred or so, and what it does."""
