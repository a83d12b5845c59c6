"""The request contract of both functions: what is understood, and what is refused by name."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_broker.api import request
from salesforce_broker.errors import AccessDenied, BrokerError, InvalidRequest, NotFound
from salesforce_broker.tokens.model import Action, TokenRequest
from tests.support.events import Context, api_event


def parse_body(body: str | None, **changes: Any) -> TokenRequest:
    """Parse a POST /token with that body."""
    return request.from_api_gateway(api_event(body=body, **changes), Context())


@pytest.mark.parametrize("body", [None, "", "{}"])
def test_no_body_asks_for_the_default(body: str | None) -> None:
    """Every field is optional, and so is the body."""
    parsed = parse_body(body)
    assert (Action.TOKEN, None, 0, None) == (parsed.action, parsed.subject, parsed.min_ttl, parsed.rejected)


def test_all_fields_are_read() -> None:
    """sub, min_ttl and rejected."""
    parsed = parse_body('{"sub": "a@b.c", "min_ttl": 60, "rejected": "0123456789abcdef"}')
    assert ("a@b.c", 60, "0123456789abcdef") == (parsed.subject, parsed.min_ttl, parsed.rejected)


def test_a_request_at_the_alias_works_as_curl_sends_it() -> None:
    """POST /api/jwtauth with a JSON body that curl labels as a form."""
    event = api_event(path="/api/jwtauth", body='{"sub":"a@b.c"}')
    event["headers"] = {"Content-Type": "application/x-www-form-urlencoded"}
    assert "a@b.c" == request.from_api_gateway(event, Context()).subject


def test_a_base64_body_is_decoded() -> None:
    """API Gateway flags binary bodies."""
    body = base64.b64encode(b'{"sub": "a@b.c"}').decode()
    assert "a@b.c" == parse_body(body, isBase64Encoded=True).subject


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"user": "a@b.c"}', "'user'"),
        ('{"aud": "https://evil.example"}', "'aud'"),
        ('{"instance_url": "https://evil.example"}', "'instance_url'"),
        ('{"sub": 1}', "'sub'"),
        ('{"sub": ""}', "'sub'"),
        ('{"sub": "no-at-sign"}', "'sub'"),
        ('{"sub": "a@b.c\\n"}', "'sub'"),
        ('{"sub": " a@b.c"}', "'sub'"),
        ('{"sub": "a@b,c"}', "'sub'"),
        ('{"sub": "\\ud800@b.c"}', "'sub'"),
        ('{"sub": "' + "a" * 80 + '@b.c"}', "'sub'"),
        ('{"min_ttl": "60"}', "'min_ttl'"),
        ('{"min_ttl": true}', "'min_ttl'"),
        ('{"min_ttl": -1}', "'min_ttl'"),
        ('{"min_ttl": 1.5}', "'min_ttl'"),
        ('{"min_ttl": 86401}', "'min_ttl'"),
        ('{"rejected": "xyz"}', "'rejected'"),
        ('{"rejected": "0123456789ABCDEF"}', "'rejected'"),
        ('{"sub": "a@b.c", "sub": "d@e.f"}', "more than once"),
        ('{"min_ttl": NaN}', "not JSON"),
        ("[]", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ("{", "not JSON"),
        (" ", "not JSON"),
        ('{"sub": null}', "'sub'"),
        ('{"rejected": null}', "'rejected'"),
        ("[" * 2000, "not JSON"),
        ("{}" * 2, "not JSON"),
        ('{"min_ttl": ' + "9" * 4000 + "}", "min_ttl|JSON|longer"),
        (" " * 5000, "longer than"),
        ("x" * 10_000_000, "longer than"),
    ],
)
def test_a_bad_body_is_refused_by_name(body: str, named: str) -> None:
    """Unknown fields, wrong types, duplicates, depth and size end in a 400 that says which."""
    with pytest.raises(InvalidRequest, match=named):
        parse_body(body)


@pytest.mark.parametrize("body", ["not base64!", base64.b64encode(b"\xff\xfe").decode()])
def test_a_body_that_is_no_text_is_refused(body: str) -> None:
    """Broken base64 and invalid UTF-8."""
    with pytest.raises(InvalidRequest, match="UTF-8"):
        parse_body(body, isBase64Encoded=True)


def test_token_takes_nothing_from_the_query() -> None:
    """A sub in the query of a POST would be ignored: it is refused instead."""
    with pytest.raises(InvalidRequest, match="'sub'"):
        parse_body(None, query={"sub": ["a@b.c"]})


def test_identity_takes_sub_from_the_query() -> None:
    """GET /identity?sub=..."""
    event = api_event(method="GET", path="/identity", query={"sub": ["a@b.c"]})
    assert (Action.IDENTITY, "a@b.c") == (
        request.from_api_gateway(event, Context()).action,
        request.from_api_gateway(event, Context()).subject,
    )


def test_a_query_parameter_given_twice_is_refused() -> None:
    """Which of the two counts is not guessed."""
    event = api_event(method="GET", path="/identity", query={"sub": ["a@b.c", "d@e.f"]})
    with pytest.raises(InvalidRequest, match="more than once"):
        request.from_api_gateway(event, Context())


@pytest.mark.parametrize(("method", "path"), [("GET", "/token"), ("POST", "/"), ("DELETE", "/identity")])
def test_an_unknown_route_is_named_so(method: str, path: str) -> None:
    """The hint lists what there is."""
    with pytest.raises(NotFound) as caught:
        request.from_api_gateway(api_event(method=method, path=path), Context())
    assert "POST /token" in caught.value.hint


def test_the_caller_is_who_iam_says() -> None:
    """userArn of the request context, nothing from the body."""
    assert "arn:aws:iam::123456789012:user/tester" == parse_body(None).caller


def test_the_gateways_limit_bounds_the_time() -> None:
    """A function with 15 minutes left still answers before API Gateway hangs up."""
    parsed = request.from_api_gateway(api_event(), Context(seconds=900))
    assert request.API_GATEWAY_SECONDS == parsed.seconds_left


TOKEN = "q7RkT2mVx0"


@pytest.mark.parametrize("path", ["/token", "/api/jwtauth", "/identity"])
@pytest.mark.parametrize(
    "variables",
    [None, {}, {"gatewayToken": ""}, {"gatewayToken": TOKEN[:-1]}, {"gatewayToken": [TOKEN]}, {"gatewayToken": "\ud800"}],
)
def test_an_event_without_the_gateway_token_is_refused(variables: dict[str, Any] | None, path: str) -> None:
    """Whoever may invoke the function directly writes the caller's ARN, but does not know the value."""
    event = api_event(method="GET" if path == "/identity" else "POST", path=path, stageVariables=variables)
    with pytest.raises(AccessDenied, match="did not come from the broker's API"):
        request.from_api_gateway(event, Context(), gateway_token=lambda _: TOKEN)


def test_an_event_refused_for_the_gateway_token_is_audited(log: io.StringIO) -> None:
    """By one line, which believes nothing else of the event."""
    with pytest.raises(AccessDenied):
        request.from_api_gateway(api_event(), Context(), gateway_token=lambda _: TOKEN)
    (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
    assert ("token refused", "access_denied") == (line["message"], line["outcome"])
    assert "caller" not in line


def test_an_event_with_the_gateway_token_is_read() -> None:
    """As API Gateway sends it: a stage variable."""
    event = api_event(body='{"sub": "a@b.c"}', stageVariables={request.GATEWAY_TOKEN: TOKEN})
    assert "a@b.c" == request.from_api_gateway(event, Context(), gateway_token=lambda _: TOKEN).subject


def test_a_health_check_needs_no_gateway_token() -> None:
    """It answers nothing about anybody, and must not depend on Secrets Manager."""
    event = api_event(method="GET", path="/health")
    read = request.from_api_gateway(event, Context(), gateway_token=lambda _: pytest.fail("the secret was read"))
    assert Action.HEALTH == read.action


def test_stage_variables_of_another_type_are_no_event_of_the_gateway() -> None:
    """A text in which the token occurs is not the token."""
    with pytest.raises(InvalidRequest, match="stageVariables"):
        request.from_api_gateway(api_event(stageVariables=TOKEN), Context(), gateway_token=lambda _: TOKEN)


@pytest.mark.parametrize("payload", [None, {}])
def test_an_empty_payload_asks_for_the_default(payload: object) -> None:
    """The invoke handler needs no field either."""
    parsed = request.from_invoke(payload, Context())
    assert (Action.TOKEN, None) == (parsed.action, parsed.subject)


def test_the_invoke_function_takes_an_action() -> None:
    """identity instead of token."""
    assert Action.IDENTITY == request.from_invoke({"action": "identity"}, Context()).action


@pytest.mark.parametrize("payload", [[], "text", 7, {"action": "health"}, {"action": []}, {"action": None}, {"x": 1}])
def test_a_bad_payload_is_refused(payload: object) -> None:
    """Wrong types, unknown actions, unknown fields."""
    with pytest.raises(InvalidRequest):
        request.from_invoke(payload, Context())


def test_a_forged_gateway_envelope_is_an_unknown_field() -> None:
    """Whoever may invoke can forge an envelope: the invoke function does not read one."""
    with pytest.raises(InvalidRequest, match="Unknown field"):
        request.from_invoke(api_event(body='{"sub": "admin@acme.example"}'), Context())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | json_values.map(json.dumps), st.booleans())
def test_no_body_makes_anything_but_a_request_or_a_refusal(body: str, flagged: bool) -> None:
    """Whatever is sent, there is no other exception."""
    try:
        parse_body(body, isBase64Encoded=flagged)
    except BrokerError as error:
        assert isinstance(error, InvalidRequest)


@given(json_values | st.dictionaries(st.sampled_from(["sub", "min_ttl", "rejected", "action", "x"]), json_values))
def test_no_payload_makes_anything_but_a_request_or_a_refusal(payload: object) -> None:
    """Nor on the invoke function."""
    try:
        request.from_invoke(payload, Context())
    except BrokerError as error:
        assert isinstance(error, InvalidRequest)


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        api_event(body=1),  # type: ignore[arg-type]
        api_event(multiValueQueryStringParameters=["sub"]),
        api_event(path="/identity", method="GET", multiValueQueryStringParameters={"sub": "a@b.c"}),
        api_event(requestContext="x"),
        api_event(requestContext={"identity": ["x"]}),
    ],
)
def test_what_is_no_event_of_the_gateway_is_named_so(event: object) -> None:
    """Sent by who may invoke the function past API Gateway."""
    with pytest.raises(InvalidRequest, match="no event of API Gateway"):
        request.from_api_gateway(event, Context())
