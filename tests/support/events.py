"""Events and contexts as Lambda hands them to a function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[2] / "events"


class Context:
    """Lambda's context object, as far as functions and Powertools read it."""

    function_name = "broker"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:broker:live"
    aws_request_id = "11111111-2222-3333-4444-555555555555"
    log_group_name = "/aws/lambda/broker"
    log_stream_name = "stream"

    def __init__(self, *, seconds: float = 20) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        """Tell what is left of the invocation."""
        return int(self._seconds * 1000)


def api_event(
    *,
    method: str = "POST",
    path: str = "/token",
    body: str | None = None,
    query: dict[str, list[str]] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return a REST API proxy event (payload version 1.0), as API Gateway makes it behind AWS_IAM."""
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} if query else None,
        "multiValueQueryStringParameters": query,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"identity": {"userArn": "arn:aws:iam::123456789012:user/tester"}, "stage": "v1"},
        "body": body,
        "isBase64Encoded": False,
    } | changes


def event_file(name: str) -> Any:
    """Read one of events/."""
    return json.loads((EVENTS / f"{name}.json").read_text())
