"""A small API Gateway for one machine: HTTP requests -> REST proxy events (payload version 1.0) -> a function.

Owns the envelope and what API Gateway answers by itself. Does not check signatures: who can reach loopback is let in as
LOCAL_CALLER, which a deployed stack never is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local_stack.lambda_function import Refused
from local_stack.loopback import Loopback

LOCAL_CALLER = "arn:aws:iam::123456789012:user/local"

MAX_BODY_BYTES = 10 * 1024 * 1024
"""API Gateway's own limit on a payload."""

Invoke = Callable[[dict[str, Any]], object]


class Gateway(Loopback):
    """Serves `routes` (method, path) on a loopback port, by calling `invoke` with an event for each request."""

    def __init__(
        self,
        invoke: Invoke,
        routes: Collection[tuple[str, str]],
        *,
        stage_variables: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        """`stage_variables` are added to every event; `port` 0 takes a free one."""

        class Handler(_Handler):
            pass

        Handler.invoke = staticmethod(invoke)
        Handler.routes = routes
        Handler.stage_variables = stage_variables
        super().__init__(Handler, port=port)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    invoke: Invoke
    routes: Collection[tuple[str, str]]
    stage_variables: Mapping[str, str] | None

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(413, {"message": "Request Too Long"})
            return
        raw = self.rfile.read(length)
        parts = urlsplit(self.path)
        if (self.command, parts.path) not in self.routes:
            self._answer(403, {"message": "Missing Authentication Token"})  # API Gateway's words for an unknown route
            return
        try:
            answer = type(self).invoke(self._event(parts.path, parts.query, raw))
        except Refused:
            # "If the Lambda API rejects the invocation request, API Gateway returns a 500" [Lambda's guide, "Handling errors"].
            self._answer(500, {"message": "Internal server error"})
            return
        if not isinstance(answer, dict) or "statusCode" not in answer:
            self._answer(502, {"message": "Internal server error"})
            return
        self._answer(answer["statusCode"], answer.get("body", ""), answer.get("headers") or {})

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _serve  # noqa: N815  http.server's names

    def _event(self, path: str, query: str, raw: bytes) -> dict[str, Any]:
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            values.setdefault(name, []).append(value)
        headers = dict(self.headers.items())
        return {
            "resource": path,
            "path": path,
            "httpMethod": self.command,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": {name: all_values[-1] for name, all_values in values.items()} or None,
            "multiValueQueryStringParameters": values or None,
            "pathParameters": None,
            "stageVariables": dict(self.stage_variables) if self.stage_variables else None,
            "requestContext": {
                "resourcePath": path,
                "httpMethod": self.command,
                "stage": "local",
                "identity": {"userArn": LOCAL_CALLER, "sourceIp": self.client_address[0]},
            },
            # API Gateway hands on a text body as it came; bytes that are no text become replacement characters.
            "body": raw.decode(errors="replace") if raw else None,
            "isBase64Encoded": False,
        }

    def _answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: the function logs each request."""
