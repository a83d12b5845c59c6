"""The scan's proof of itself: secrets of every shape, planted into every sink on the way that a function's own output takes.

What the scan does not find: what is compressed (but for the zip of an upload), encrypted, or in another encoding (UTF-16,
base32, base85); fragments under `shapes.MIN_FRAGMENT` characters; and secrets that came into being outside this process.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import itertools
import json
import logging
import secrets
import string
import sys
import tempfile
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import NoReturn

import boto3
import jwt
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from leak_scan import shapes
from leak_scan.account import Account
from leak_scan.capture import SINKS
from leak_scan.cold_start import private_key
from salesforce_broker import observability
from salesforce_broker.errors import BrokerError


@dataclass(frozen=True, slots=True)
class Plant:
    """A secret in one shape."""

    shape: str
    text: str = field(repr=False)


def plants(key: RSAPrivateKey, token: str, assertion: str, sealing_key: bytes) -> Iterator[Plant]:
    """Yield a secret in each shape that is to be found."""
    pem, der = (
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER)
    )
    lines = pem.decode().splitlines()
    yield Plant("PEM", pem.decode())
    yield Plant("one line of a PEM", lines[len(lines) // 2])
    yield Plant("PEM in JSON", json.dumps({"private_key": pem.decode()}))
    yield Plant("PEM in JSON in JSON", json.dumps(json.dumps({"private_key": pem.decode()})))
    yield Plant("PEM in a URL", urllib.parse.quote_plus(pem.decode()))
    yield Plant("base64 of PEM", base64.b64encode(pem).decode())
    yield Plant("base64 of JSON with a PEM", base64.b64encode(json.dumps({"private_key": pem.decode()}).encode()).decode())
    yield Plant("DER, as Python shows bytes", repr(der))
    yield Plant("DER, read as text", der.decode("latin-1"))
    yield Plant("DER in hex", der.hex())
    yield Plant("DER in base64", base64.b64encode(der).decode())
    yield Plant("DER in base64 for URLs, cut out", base64.urlsafe_b64encode(der)[601:700].decode())
    yield Plant("number", str(key.private_numbers().d))
    yield Plant("JWT", assertion)
    yield Plant("signature of a JWT", assertion.rpartition(".")[2])
    yield Plant("opaque token", token)
    yield Plant("first half of a token", token[: len(token) // 2])
    yield Plant("last half of a token", token[len(token) // 2 :])
    yield Plant("token in a URL", urllib.parse.quote(token, safe=""))
    yield Plant("token in JSON, escaped", json.dumps(token).replace("!", "\\u0021"))
    yield Plant("token in base64", base64.b64encode(token.encode()).decode())
    yield Plant("header in base64", base64.b64encode(f"Bearer {token}".encode()).decode())
    yield Plant("token in hex", token.encode().hex())
    yield Plant("token reversed", token[::-1])
    yield Plant("sealing key in hex", sealing_key.hex())
    yield Plant("sealing key in base64", base64.b64encode(sealing_key).decode())
    yield Plant("sealing key, as Python shows bytes", repr(sealing_key))


def run(account: Account) -> tuple[int, dict[str, list[str]]]:
    """Plant each shape into each sink; return how many that were, and by sink the shapes that were not found there."""
    capture, key, sealing_key = account.capture, private_key(account.pair), secrets.token_bytes(32)
    token = "00D0000000local!" + "".join(secrets.choice(string.ascii_letters + string.digits + "._") for _ in range(96))
    assertion = jwt.encode({"iss": "planted"}, key, algorithm="RS256")
    capture.learn_key(key)
    capture.learn_token(token)
    capture.index.add(shapes.of_assertion(assertion))
    capture.index.add(shapes.of_sealing_key(sealing_key))
    missed: dict[str, list[str]] = {sink: [] for sink in SINKS}
    planted, there = 0, ways(account)
    for plant, (sink, leak) in itertools.product(plants(key, token, assertion, sealing_key), there.items()):
        planted += 1
        begin = len(capture.entries)
        with capture.running(f"planted: {plant.shape}"):
            leak(plant.text)
        capture.add_files(account.folder)
        entries = [entry for entry in capture.entries[begin:] if entry.sink == sink]
        del capture.entries[begin:]
        if not any(capture.index.find(entry.data) for entry in entries):
            missed[sink].append(plant.shape)
    return planted, missed


def ways(account: Account) -> dict[str, Callable[[str], object]]:
    """Return by sink how something gets there."""
    events = boto3.client("events")
    return {
        "stdout": print,
        "stderr": lambda text: print(text, file=sys.stderr),
        "log": lambda text: observability.logger.debug("planted", planted=text),
        "library logs": lambda text: logging.getLogger("urllib3.connectionpool").warning("sent %s", text),
        "metrics": _metric,
        "answer": lambda text: _call(account, lambda *_: {"statusCode": 200, "body": json.dumps({"hint": text})}),
        "exception": lambda text: _call(account, lambda *_: _fail(text)),
        "event": lambda text: events.put_events(
            Entries=[{"Source": "x", "DetailType": "x", "Detail": json.dumps({"hint": text})}]
        ),
        "parameter": lambda text: account.parameters.put_parameter(
            Name="/planted", Value=text, Type="String", Overwrite=True, Tier="Advanced"
        ),
        "other call of AWS": lambda text: _describe(account, text),
        "request to Salesforce": lambda text: _post(account, text.encode()),
        "upload": lambda text: _post(account, _zipped(text)),
        "file": _write,
    }


def _metric(text: str) -> None:
    observability.metrics.add_metadata(key="planted", value=text)
    observability.count("LoginAttempt")
    observability.metrics.flush_metrics()


def _call(account: Account, handler: Callable[..., object]) -> None:
    account.functions["planted"] = SimpleNamespace(lambda_handler=handler)
    account.call("planted", {})


def _fail(text: str) -> NoReturn:
    raise BrokerError(text)


def _describe(account: Account, text: str) -> None:
    with contextlib.suppress(ClientError):
        account.secrets.describe_secret(SecretId=text)


def _post(account: Account, body: bytes) -> None:
    connection = http.client.HTTPConnection(account.salesforce.url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/nowhere", body)
        connection.getresponse().read()


def _zipped(text: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("planted.xml", text)
    return content.getvalue()


def _write(text: str) -> None:
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(text)
