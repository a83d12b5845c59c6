"""Raw events at both functions, from well-formed to hostile: a documented answer, or a named error, and nothing else."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import hypothesis
import jsonschema
import pytest
import yaml
from hypothesis import strategies as st

from local_salesforce import DEFAULT_USERNAME
from openapi import DOCUMENT
from salesforce_broker.api import request
from salesforce_broker.api.response import HTTP_STATUS
from salesforce_broker.errors import BrokerError
from tests.fuzz.conftest import EVENTS
from tests.integration.conftest import OTHER_USERNAME, Account
from tests.support import keys
from tests.support.events import Context, api_event

# pytest's own filters hide the broker's: a health check counts nothing.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

COMPONENTS = yaml.safe_load(DOCUMENT.read_text())["components"]["schemas"]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
any_text = st.text(st.characters(categories=None), max_size=60)
"""Lone surrogates, too."""

names = st.sampled_from(["sub", "min_ttl", "rejected", "action", "Sub", "__class__", "requestContext"]) | any_text
values = st.one_of(
    anything,
    st.sampled_from([DEFAULT_USERNAME, OTHER_USERNAME, DEFAULT_USERNAME.upper(), f" {OTHER_USERNAME}", "*@*", "a@b\u0000"]),
    st.integers(-1, 90_000),
    st.from_regex(r"[0-9a-f]{15,17}", fullmatch=True),
    st.just("x" * 100_000),
)
fields = st.dictionaries(names, values, max_size=4)

texts = st.one_of(
    st.none(),
    any_text,
    fields.map(json.dumps),
    fields.map(lambda content: base64.b64encode(json.dumps(content).encode()).decode()),
    st.sampled_from(
        ['{"sub": "a@b.c", "sub": "d@e.f"}', '{"min_ttl": NaN}', '{"min_ttl": 1e400}', "[" * 4000, '{"a":' * 900, "\ufeff{}"]
    ),
    st.integers(4000, 6000).map(lambda length: " " * length + "{}"),
)
queries = st.none() | st.dictionaries(names, st.lists(any_text | st.just(DEFAULT_USERNAME), min_size=1, max_size=3), max_size=3)


@st.composite
def gateway_events(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an event whose parts a caller can choose: route, query, body, and whether it is base64."""
    method, path = draw(st.sampled_from(list(request.ROUTES)) | st.tuples(any_text, any_text))
    return api_event(method=method, path=path, body=draw(texts), query=draw(queries), isBase64Encoded=draw(st.booleans()))


@st.composite
def broken_events(draw: st.DrawFn) -> Any:
    """Draw what API Gateway never sends: an envelope with parts that are missing or of another type, or none at all."""
    event = draw(gateway_events())
    for name in draw(st.lists(st.sampled_from(list(event)), max_size=4)):
        event.pop(name, None)
        if draw(st.booleans()):
            event[name] = draw(anything | st.dictionaries(st.just("identity"), anything))
    return draw(st.just(event) | anything)


def examples(share: float) -> hypothesis.settings:
    """Return settings for a share of all events."""
    return hypothesis.settings(
        max_examples=int(EVENTS * share), suppress_health_check=list(hypothesis.HealthCheck), database=None
    )


def json_schema(described: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON schema: what may be null says so by its type."""
    if isinstance(described, list):
        return [json_schema(each) for each in described]
    if not isinstance(described, dict):
        return described
    known = {name: json_schema(each) for name, each in described.items() if name != "nullable"}
    return known | {"type": [known["type"], "null"]} if described.get("nullable") is True else known


SCHEMAS = {name: jsonschema.Draft202012Validator(json_schema(each)) for name, each in COMPONENTS.items()}


def check(schema: str, body: Any) -> None:
    """Insist that a body is of the documented form."""
    assert [] == list(SCHEMAS[schema].iter_errors(body))


def answered(answer: dict[str, Any], path: object) -> int:
    """Check an answer of the HTTPS function; return its status."""
    assert {"statusCode", "headers", "body"} == set(answer)
    assert answer["headers"]["Cache-Control"] == "no-store"
    body = json.loads(answer["body"])
    status: int = answer["statusCode"]
    if status == 200:
        check({"/identity": "Identity", "/health": "Health"}.get(str(path), "Token"), body)
    else:
        check("Error", body)
        assert status == HTTP_STATUS[body["error"]]
    return status


def test_what_a_caller_can_send_is_served_or_refused(account: Account) -> None:
    """Over HTTPS: never a 5xx, whatever the query and the body."""
    handler = account.open("token_api")

    @examples(0.4)
    @hypothesis.given(gateway_events())
    def send(event: dict[str, Any]) -> None:
        assert answered(handler.lambda_handler(event, Context()), event["resource"]) < 500

    send()


def test_what_is_no_event_of_the_gateway_is_refused(account: Account) -> None:
    """Who may invoke the function past API Gateway gets a 400 for it, too."""
    handler = account.open("token_api")

    @examples(0.2)
    @hypothesis.given(broken_events())
    def send(event: Any) -> None:
        path = event.get("resource") if isinstance(event, dict) else None
        assert answered(handler.lambda_handler(event, Context()), path) < 500

    send()


def test_what_is_invoked_is_served_or_raises_a_named_error(account: Account) -> None:
    """By invoke: an answer, or a BrokerError whose text is the documented error; never a 5xx one."""
    handler = account.open("token_invoke")

    @examples(0.4)
    @hypothesis.given(fields | anything | gateway_events())
    def send(payload: Any) -> None:
        try:
            answer = handler.lambda_handler(payload, Context())
        except BrokerError as error:
            body = json.loads(str(error))
            check("Error", body)
            assert HTTP_STATUS[body["error"]] < 500
        else:
            check("Identity" if (payload or {}).get("action") == "identity" else "Token", answer)

    send()


@pytest.fixture(autouse=True)
def _nothing_secret_is_said(log: io.StringIO, capfd: pytest.CaptureFixture[str]) -> Any:
    yield
    captured = capfd.readouterr()
    said = log.getvalue() + captured.out + captured.err
    assert '"error":"internal_error"' not in said
    assert not [
        needle for needle in [*keys.pem(keys.rsa_key()).splitlines()[1:-1], "eyJhbGciOi", "00D0000000local!"] if needle in said
    ]
