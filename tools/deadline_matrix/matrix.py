"""Runs the cells: a cold environment each, with one dependency that misbehaves at one point, and the request that leads there."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deadline_matrix.faulty_peer import FaultyPeer, Misbehaviour
from deadline_matrix.points import IDENTITY, POINTS, Point
from local_stack.build import Build
from local_stack.runtime import FunctionError, LambdaRuntime
from local_stack.salesforce import DEFAULT_CONNECTED_APP_KEY, DEFAULT_CONSUMER_KEY, KeyMaterial, key_material
from local_stack.stack import LocalStack
from salesforce_broker.api.response import HTTP_STATUS
from salesforce_broker.keys.kms import KmsSigner
from salesforce_broker.operations.rotation.key_pair import self_signed_certificate
from tests.support.events import api_event

FUNCTION_SECONDS = 5
"""Of a request. Short, so that the matrix is done in minutes; the template's 20 s only leave more room."""

AT_ONCE = 6
"""Cells; they wait most of the time."""

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
    """One misbehaviour of one dependency at one point, met by one function; None: the dependency's name does not resolve in time."""

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
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        stack = self._ends.enter_context(self._stack)
        secrets = stack.aws.client("secretsmanager")

        def secret(name: str, value: str) -> str:
            return str(secrets.create_secret(Name=name, SecretString=value)["ARN"])

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
            began = time.monotonic()
            # The first event starts the environment, and asks for nothing.
            environment.invoke(api_event(method="GET", path="/health")) if _is_api(cell) else _ignored(environment, {"x": 1})
            start_seconds, before = time.monotonic() - began, len(environment.log)
            began = time.monotonic()
            answer, fault = _send(environment, cell)
            seconds = time.monotonic() - began
            lines = [line for line in environment.log[before:].splitlines() if '"message":"token ' in line]
        if not fault and len(lines) != 1:
            fault = f"{len(lines)} audit lines"
        elif not fault and (answer == "token") != ("token issued" in lines[0]):
            fault = "another audit line than answer"
        elif not fault and point.optional and answer != "token":
            fault = "no token, although the dependency is optional"
        elif not fault and cell.misbehaviour and not peer.hit:
            fault = "the point was not reached"
        return Result(cell, answer, seconds, start_seconds, fault)

    def _environment(self, cell: Cell, peer: FaultyPeer) -> LambdaRuntime:
        settings = self._settings(cell, peer)
        code = self._built.code(cell.function)
        if cell.misbehaviour is None:
            code = dataclasses.replace(code, layers=(*code.layers, NAMES))
        return LambdaRuntime(cell.function, code, settings)

    def _settings(self, cell: Cell, peer: FaultyPeer) -> dict[str, str]:
        point, stack = cell.point, self._stack
        settings = stack.variables() | {
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(FUNCTION_SECONDS),
            "EVENT_BUS_NAME": "default",
            "SALESFORCE_AUDIENCE": stack.salesforce.url,
            "TOKEN_CACHE_PREFIX": f"/deadlines/{uuid.uuid4()}",
            **point.settings,
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
        """Make a key in KMS for the app, whose certificate Salesforce then has beside that of the secret's key."""
        raise NotImplementedError


def _is_api(cell: Cell) -> bool:
    return cell.function == "TokenApiFunction"


def _ignored(environment: LambdaRuntime, payload: object) -> None:
    with contextlib.suppress(FunctionError):
        environment.invoke(payload)


def _send(environment: LambdaRuntime, cell: Cell) -> tuple[str, str]:
    """Send the request; return the answer ("token" or a code), and what is wrong with it."""
    try:
        if _is_api(cell):
            path = "/identity" if cell.point.payload == IDENTITY else "/token"
            variables = {"gatewayToken": "a-token-of-the-gateway"}
            answer = environment.invoke(api_event(path=path, stageVariables=variables))
            body = json.loads(answer["body"])
        else:
            body = environment.invoke(cell.point.payload)
    except FunctionError as error:
        try:
            body = json.loads(error.message)
        except ValueError:
            return error.type, "no answer of the function's"
    except (OSError, ValueError) as error:
        return type(error).__name__, "no answer before the deadline"
    code = str(body.get("error", "token"))
    return code, "" if code == "token" or code in HTTP_STATUS else "an unknown error"
