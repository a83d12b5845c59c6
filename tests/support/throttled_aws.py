"""Secrets Manager and SSM over HTTP, throttled as AWS does: 40 reads and 3 writes a second, `Overwrite=False` exactly once.

Owns the throttle, which moto does not have. Only the calls that the broker makes.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

READS_PER_SECOND, WRITES_PER_SECOND = 40, 3
"""Of the default throughput [AWS: Systems Manager quotas]."""

CALL_SECONDS = 0.02
"""What a call takes within a region, about."""


class Bucket:
    """A token bucket that holds a second's worth."""

    def __init__(self, rate: float, now: Callable[[], float]) -> None:
        self._rate = self._level = rate
        self._now = now
        self._filled = now()
        self._lock = threading.Lock()
        self.taken = self.refused = 0

    def take(self) -> bool:
        """Take one; False if there is none."""
        with self._lock:
            now = self._now()
            self._level = min(self._rate, self._level + (now - self._filled) * self._rate)
            self._filled = now
            if self._level < 1:
                self.refused += 1
                return False
            self._level -= 1
            self.taken += 1
            return True


class ThrottledAws(ThreadingHTTPServer):
    """Serves one secret to everybody, and parameters within the quotas."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, secret: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secret = secret
        self.values: dict[str, str] = {}
        self.lock = threading.Lock()
        self.reads = Bucket(READS_PER_SECOND, time.monotonic)
        self.writes = Bucket(WRITES_PER_SECOND, time.monotonic)
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ThrottledAws

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        time.sleep(CALL_SECONDS)
        status, answer = self._answer(operation, request)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        server = self.server
        if operation == "GetSecretValue":
            return HTTPStatus.OK, {"ARN": request["SecretId"], "VersionId": "v1" * 16, "SecretString": server.secret}
        bucket = server.reads if operation == "GetParameters" else server.writes
        if not bucket.take():
            return HTTPStatus.BAD_REQUEST, {"__type": "ThrottlingException", "message": "Rate exceeded"}
        with server.lock:
            if operation == "GetParameters":
                found = [{"Name": name, "Value": server.values[name]} for name in request["Names"] if name in server.values]
                return HTTPStatus.OK, {"Parameters": found, "InvalidParameters": []}
            if operation == "PutParameter":
                if request["Name"] in server.values and not request.get("Overwrite"):
                    return HTTPStatus.BAD_REQUEST, {"__type": "ParameterAlreadyExists", "message": "exists"}
                server.values[request["Name"]] = request["Value"]
                return HTTPStatus.OK, {"Version": 1}
            server.values.pop(request["Name"], None)
            return HTTPStatus.OK, {}

    def log_message(self, *_: object) -> None:
        """Say nothing."""
