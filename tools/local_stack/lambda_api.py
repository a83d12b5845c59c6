"""Lambda's API for one machine: what boto3 sends -> a function (see `lambda_function`).

Owns the wire form. Does not check signatures or permissions: who can reach loopback may do everything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from local_stack.lambda_function import ALIAS, LATEST, LambdaFunction, Refused
from local_stack.loopback import Loopback
from local_stack.runtime import FunctionError

INVOCATIONS = "/2015-03-31/functions/{}/invocations"
RESERVED = "/2017-10-31/functions/{}/concurrency"
RESERVED_NOW = "/2019-09-30/functions/{}/concurrency"
PROVISIONED = "/2019-09-30/functions/{}/provisioned-concurrency"
CONFIGURATION = "/2015-03-31/functions/{}/configuration"
VERSIONS = "/2015-03-31/functions/{}/versions"
LIVE = f"/2015-03-31/functions/{{}}/aliases/{ALIAS}"

_PATH = re.compile(
    r"(?P<before>/[0-9-]+/functions/)(?:arn:aws:lambda:[^:/]+:[^:/]+:function:)?(?P<name>[^:/]+)(?::(?P<qualifier>[^/]+))?(?P<after>/.+)"
)

Answer = tuple[HTTPStatus, Any]


class LambdaApi(Loopback):
    """Serves functions by their name; `invocations` has the names that were invoked, in order."""

    def __init__(self, functions: dict[str, LambdaFunction]) -> None:
        class Handler(_Handler):
            pass

        self.functions = functions
        self.invocations: list[str] = []
        Handler.functions = functions
        Handler.invocations = self.invocations
        super().__init__(Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    functions: dict[str, LambdaFunction]
    invocations: list[str]

    def _serve(self) -> None:
        payload = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            function, operation, qualifier = self._find(parts.path, query)
            if operation == ("POST", INVOCATIONS):
                self._invoke(function, payload, qualifier)
            else:
                self._answer(*OPERATIONS[operation](function, json.loads(payload or b"{}"), qualifier))
        except Refused as refused:
            self._answer(refused.status, refused.body, ("x-amzn-ErrorType", refused.kind))

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  http.server's names

    def _find(self, path: str, query: dict[str, str]) -> tuple[LambdaFunction, tuple[str, str], str]:
        """Return the function, the operation and the qualifier of a request."""
        found = _PATH.fullmatch(unquote(path))
        operation = (self.command, found["before"] + "{}" + found["after"]) if found else ("", "")
        if not found or operation not in {*OPERATIONS, ("POST", INVOCATIONS)} or found["name"] not in self.functions:
            raise Refused(HTTPStatus.NOT_FOUND, "ResourceNotFoundException", f"Function not found: {path}")
        return self.functions[found["name"]], operation, query.get("Qualifier") or found["qualifier"] or LATEST

    def _invoke(self, function: LambdaFunction, payload: bytes, qualifier: str) -> None:
        self.invocations.append(function.name)
        try:
            executed = ("X-Amz-Executed-Version", function.version(qualifier))
            self._answer(HTTPStatus.OK, function.invoke(payload, qualifier), executed)
        except FunctionError as error:
            raised = {"errorMessage": error.message, "errorType": error.type, "stackTrace": error.trace}
            self._answer(HTTPStatus.OK, raised, ("X-Amz-Function-Error", "Unhandled"))

    def _answer(self, status: HTTPStatus, body: object, *headers: tuple[str, str]) -> None:
        content = b"" if status is HTTPStatus.NO_CONTENT else json.dumps(body).encode()
        self.send_response_only(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(content))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: the functions have logs."""


def _reserve(function: LambdaFunction, body: dict[str, Any], _: str) -> Answer:
    function.reserve(body["ReservedConcurrentExecutions"])
    return HTTPStatus.OK, body


def _stop_reserving(function: LambdaFunction, _: dict[str, Any], __: str) -> Answer:
    function.reserve(None)
    return HTTPStatus.NO_CONTENT, None


def _reserved(function: LambdaFunction, _: dict[str, Any], __: str) -> Answer:
    return HTTPStatus.OK, {} if function.reserved is None else {"ReservedConcurrentExecutions": function.reserved}


def _provision(function: LambdaFunction, body: dict[str, Any], qualifier: str) -> Answer:
    function.provision(qualifier, body["ProvisionedConcurrentExecutions"])
    return HTTPStatus.ACCEPTED, _warm(function, "IN_PROGRESS")


def _provisioned(function: LambdaFunction, _: dict[str, Any], __: str) -> Answer:
    if not function.provisioned:
        message = "No Provisioned Concurrency Config found for this function"
        raise Refused(HTTPStatus.NOT_FOUND, "ProvisionedConcurrencyConfigNotFoundException", message)
    return HTTPStatus.OK, _warm(function, "READY")


def _stop_provisioning(function: LambdaFunction, body: dict[str, Any], qualifier: str) -> Answer:
    _provisioned(function, body, qualifier)
    function.provision(qualifier, 0)
    return HTTPStatus.NO_CONTENT, None


def _warm(function: LambdaFunction, status: str) -> dict[str, Any]:
    return {"RequestedProvisionedConcurrentExecutions": function.provisioned, "Status": status}


OPERATIONS: dict[tuple[str, str], Callable[[LambdaFunction, dict[str, Any], str], Answer]] = {
    ("PUT", RESERVED): _reserve,
    ("DELETE", RESERVED): _stop_reserving,
    ("GET", RESERVED_NOW): _reserved,
    ("PUT", PROVISIONED): _provision,
    ("GET", PROVISIONED): _provisioned,
    ("DELETE", PROVISIONED): _stop_provisioning,
    ("GET", CONFIGURATION): lambda function, _, qualifier: (HTTPStatus.OK, function.configuration(qualifier)),
    ("PUT", CONFIGURATION): lambda function, body, _: (HTTPStatus.OK, function.update(body)),
    ("POST", VERSIONS): lambda function, _, __: (HTTPStatus.CREATED, function.publish()),
    ("PUT", LIVE): lambda function, body, _: (HTTPStatus.OK, function.point(body["FunctionVersion"])),
}
"""By method and path, of what a stop and its end need [botocore's service model of Lambda]; what is not here is not found."""
