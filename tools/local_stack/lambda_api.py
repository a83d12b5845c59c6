"""Lambda's Invoke API for one machine: what boto3 sends -> a function's environment.

Owns the wire form. Does not check signatures or permissions: who can reach loopback may invoke.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

from local_stack.loopback import Loopback
from local_stack.runtime import FunctionError

Invoke = Callable[[bytes], object]

PREFIX, SUFFIX = "/2015-03-31/functions/", "/invocations"


class LambdaApi(Loopback):
    """Invokes functions by their name; `invocations` has the names, in order."""

    def __init__(self, functions: dict[str, Invoke]) -> None:
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
    functions: dict[str, Invoke]
    invocations: list[str]

    def do_POST(self) -> None:
        payload = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        name = unquote(path.removeprefix(PREFIX).removesuffix(SUFFIX))
        if name not in self.functions:
            self._answer(
                HTTPStatus.NOT_FOUND, {"Message": f"Function not found: {name}"}, "ErrorType", "ResourceNotFoundException"
            )
            return
        self.invocations.append(name)
        try:
            self._answer(HTTPStatus.OK, self.functions[name](payload), "Executed-Version", "$LATEST")
        except FunctionError as error:
            raised = {"errorMessage": error.message, "errorType": error.type, "stackTrace": error.trace}
            self._answer(HTTPStatus.OK, raised, "Function-Error", "Unhandled")

    def _answer(self, status: HTTPStatus, body: object, header: str, value: str) -> None:
        content = json.dumps(body).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-amzn-ErrorType" if header == "ErrorType" else f"X-Amz-{header}", value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: the functions have logs."""
