"""Runs the cells: in each a cold environment, one dependency that misbehaves at one point, and the request that leads there."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import itertools
import json
import secrets
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from deadline_matrix.faulty_peer import FaultyPeer, Misbehaviour
from deadline_matrix.points import POINTS, Point
from local_salesforce import DEFAULT_CONNECTED_APP_KEY, App, key_material
from local_stack.build import Build
from local_stack.runtime import FunctionError, LambdaRuntime
from local_stack.stack import LocalStack
from salesforce_broker.api.response import HTTP_STATUS
from salesforce_broker.keys.kms import KmsSigner
from salesforce_broker.keys.pem import encode_certificate
from salesforce_broker.operations.rotation.key_pair import self_signed_certificate
from tests.support.events import api_event

FUNCTION_SECONDS = 8
"""Of a request. Short, so that the matrix is done in minutes; the template's 20 s only leave more time."""

START_FUNCTION_SECONDS = 12
"""The same where a cold start meets the dependency: the emulator counts it as part of the first invocation."""

MAX_START_SECONDS = 10
"""Lambda's limit for a cold start."""

AT_ONCE = 8
"""Cells; they wait most of the time."""

KMS_CONSUMER_KEY = "3MVG9.whose-key-is-in-kms"

FUNCTIONS = ("TokenApiFunction", "TokenFunction")

NAMES = Path(__file__).parent / "hanging_names"
"""A folder with a sitecustomize.py, by which names hang."""

ENDPOINTS = {
    "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "ssm": "AWS_ENDPOINT_URL_SSM",
    "kms": "AWS_ENDPOINT_URL_KMS",
    "events": "AWS_ENDPOINT_URL_EVENTBRIDGE",
    "salesforce": "SALESFORCE_LOGIN_URL",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One misbehaviour of one dependency at one point, met by one function; None: its name is not resolved in time."""

    point: Point
    misbehaviour: Misbehaviour | None
    function: str

    def __str__(self) -> str:
        what = self.misbehaviour.value if self.misbehaviour else "its name hangs"
        return f"{self.point.dependency}, {self.point.name}: {what} ({self.function})"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a cell. `answer`: "token" or an error's code. `fault`: what was not as it must be, empty if all was."""

    cell: Cell
    answer: str
    seconds: float
    of_seconds: int
    start_seconds: float
    fault: str


def cells() -> Iterator[Cell]:
    """Yield the whole matrix."""
    for point, misbehaviour, function in itertools.product(POINTS, (*Misbehaviour, None), FUNCTIONS):
        if point.setup == "gateway" and function != "TokenApiFunction":
            continue
        if misbehaviour is None and point.trigger.after:
            # A name that resolved for the first request of a dependency resolves for the next.
            continue
        yield Cell(point, misbehaviour, function)


class Matrix:
    """A stack for all cells, while the `with` block lasts."""

    def __init__(self, built: Build) -> None:
        self._stack = LocalStack(built)
        self._built = built
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        stack = self._ends.enter_context(self._stack)
        manager = stack.aws.client("secretsmanager")

        def secret(name: str, value: str) -> str:
            return str(manager.create_secret(Name=name, SecretString=value)["ARN"])

        other = key_material.make()
        refused = {"client_id": DEFAULT_CONNECTED_APP_KEY, "private_key": other.private_key}
        self._arns = {
            "other key": secret("other-key", json.dumps(refused)),
            "gateway": secret("gateway", "a-token-of-the-gateway"),
            "kms": secret("kms", json.dumps(self._key_in_kms())),
        }
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()

    def run(self, some: Iterable[Cell]) -> Iterator[Result]:
        """Yield what came of each cell."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(self.run_cell, some)

    def run_cell(self, cell: Cell) -> Result:
        """Start an environment before a dependency that misbehaves; send the request."""
        point = cell.point
        with contextlib.ExitStack() as ends:
            backend = self._stack.salesforce.url if point.dependency == "salesforce" else self._stack.aws.url
            trigger = None if cell.misbehaviour is None else point.trigger
            peer = ends.enter_context(FaultyPeer(backend, cell.misbehaviour, trigger))
            environment = ends.enter_context(self._environment(cell, peer))
            start_seconds, before = _start(environment, cell), len(environment.log)
            began = time.monotonic()
            answer, fault = _send(environment, cell)
            seconds = time.monotonic() - began
            written = environment.log[before:]
        if not fault:
            fault = _audit_fault(written, answer, identity=point.identity)
        if not fault and point.optional and answer != "token":
            fault = "no token, although the dependency is optional"
        if not fault and cell.misbehaviour and not peer.hit:
            fault = "the point was not reached"
        if not fault and start_seconds > MAX_START_SECONDS:
            fault = "the cold start took too long"
        return Result(cell, answer, seconds, _function_seconds(point), start_seconds, fault)

    def _environment(self, cell: Cell, peer: FaultyPeer) -> LambdaRuntime:
        settings = self._settings(cell, peer)
        code = self._built.code(cell.function)
        if cell.misbehaviour is None:
            code = dataclasses.replace(code, layers=(*code.layers, NAMES))
        return LambdaRuntime(cell.function, code, settings)

    def _settings(self, cell: Cell, peer: FaultyPeer) -> dict[str, str]:
        point, stack = cell.point, self._stack
        settings = stack.variables() | {
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(_function_seconds(point)),
            "EVENT_BUS_NAME": "default",
            "SALESFORCE_AUDIENCE": stack.salesforce.url,
            "TOKEN_CACHE_PREFIX": f"/deadlines/{uuid.uuid4()}",
            **({"SALESFORCE_USERNAME": point.username} if point.username else {}),
        }
        match point.setup:
            case "gateway":
                settings["GATEWAY_TOKEN_SECRET_ARN"] = self._arns["gateway"]
            case "other key" | "kms":
                settings["SIGNING_KEY_SECRET_ARN"] = self._arns[point.setup]
        settings[ENDPOINTS[point.dependency]] = peer.url
        if cell.misbehaviour is None:
            name = "hanging.my.salesforce.com" if point.dependency == "salesforce" else "hanging.example"
            settings["HANGING_NAME"] = name
            scheme = "https" if point.dependency == "salesforce" else "http"
            settings[ENDPOINTS[point.dependency]] = f"{scheme}://{name}"
        return settings

    def _key_in_kms(self) -> dict[str, str]:
        """Make a key in KMS, and an app with its certificate; return the fields of its secret."""
        kms = self._stack.aws.client("kms")
        arn = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        public_key = serialization.load_der_public_key(kms.get_public_key(KeyId=arn)["PublicKey"])
        assert isinstance(public_key, RSAPublicKey)
        certificate = encode_certificate(self_signed_certificate(KmsSigner(kms, arn), public_key, days=30, now=time.time()))
        world = self._stack.salesforce.world
        world.apps.append(App(consumer_key=KMS_CONSUMER_KEY, org=world.orgs[0].name, certificate=certificate))
        sealing_key = base64.b64encode(secrets.token_bytes(32)).decode()
        return {"client_id": KMS_CONSUMER_KEY, "kms_key_arn": arn, "certificate": certificate, "sealing_key": sealing_key}


def _is_api(cell: Cell) -> bool:
    return cell.function == "TokenApiFunction"


def _audit_fault(written: str, answer: str, *, identity: bool) -> str:
    """Return what is wrong with the log of one request: it has one audit line, which agrees with the answer.

    The audit line of an identity is about its token; its own failure is in the line of the failed request.
    """
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    audited = [line for line in lines if str(line.get("message", "")).startswith("token ")]
    failed = [line["error"] for line in lines if str(line.get("message", "")).startswith("request failed")]
    if len(audited) != 1:
        return f"{len(audited)} audit lines"
    if answer == "token":
        return "" if audited[0]["message"] == "token issued" else "another audit line than answer"
    if not failed or failed[-1] != answer:
        return "another line about the failure than answer"
    expected = "token issued" if identity else "token refused"
    return "" if audited[0]["message"] == expected else "another audit line than answer"


def _function_seconds(point: Point) -> int:
    return START_FUNCTION_SECONDS if point.at_start else FUNCTION_SECONDS


def _start(environment: LambdaRuntime, cell: Cell) -> float:
    """Start the environment by an event that asks for nothing; return how many seconds that took."""
    began = time.monotonic()
    # Where the emulator gave up, it answers in plain text.
    with contextlib.suppress(FunctionError, ValueError):
        environment.invoke(api_event(method="GET", path="/health") if _is_api(cell) else {"unknown": 1})
    return time.monotonic() - began


def _send(environment: LambdaRuntime, cell: Cell) -> tuple[str, str]:
    """Send the request; return the answer ("token" or a code), and what is wrong with it."""
    try:
        if _is_api(cell):
            path = "/identity" if cell.point.identity else "/token"
            variables = {"gatewayToken": "a-token-of-the-gateway"}
            answer = environment.invoke(api_event(path=path, stageVariables=variables))
            body = json.loads(answer["body"])
        else:
            body = environment.invoke({"action": "identity"} if cell.point.identity else {})
    except FunctionError as error:
        try:
            body = json.loads(error.message)
        except ValueError:
            return error.type, "no answer of the function's"
    except (OSError, ValueError) as error:
        return type(error).__name__, "no answer before the deadline"
    code = str(body.get("error", "token"))
    return code, "" if code == "token" or code in HTTP_STATUS else "an unknown error"
