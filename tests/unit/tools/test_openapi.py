"""docs/openapi.yaml says what the code does."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import openapi
from local_stack import template
from salesforce_broker.api import request, response
from salesforce_broker.config import USERNAME
from salesforce_broker.errors import InvalidRequest
from tests.support.events import Context

DOCUMENT = openapi.document()
ALMOST = st.text(st.sampled_from("aZ0@@,. !~-+>?\u00e9\n"), max_size=12) | st.integers(0, 90).map(
    lambda length: "a@" + "b" * length
)


def test_what_lies_in_docs_is_what_the_code_says() -> None:
    """Else: make openapi."""
    assert openapi.text() == openapi.DOCUMENT.read_text()


def test_the_gateways_model_is_the_documents() -> None:
    """What API Gateway refuses is what the function refuses."""
    assert openapi.gateway_model() == template.load()["Resources"]["TokenApi"]["Properties"]["Models"]["TokenRequest"]


def test_every_route_and_every_code_is_described() -> None:
    """And no other."""
    routes = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert set(request.ROUTES) == routes
    assert set(response.HTTP_STATUS) == set(DOCUMENT["components"]["schemas"]["Error"]["properties"]["error"]["enum"])
    assert all(methods[method].get("security") is None for methods in DOCUMENT["paths"].values() for method in methods)


@given(ALMOST)
def test_a_username_is_one_in_the_document_if_it_is_one_in_the_code(text: str) -> None:
    """The look-ahead became lengths; nothing else changed."""
    described = openapi.username()
    pattern = described["pattern"].removeprefix("^").removesuffix("$")
    fits = described["minLength"] <= len(text) <= described["maxLength"] and re.fullmatch(pattern, text)
    assert bool(fits) == bool(USERNAME.fullmatch(text))


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({}, True),
        ({"sub": "a@b.c", "min_ttl": 60, "rejected": "0123456789abcdef"}, True),
        ({"sub": None}, False),
        ({"sub": "a"}, False),
        ({"min_ttl": 86401}, False),
        ({"min_ttl": "60"}, False),
        ({"rejected": "0123456789ABCDEF"}, False),
        ({"subject": "a@b.c"}, False),
    ],
)
def test_the_model_and_the_function_agree(body: dict[str, Any], fits: bool) -> None:
    """By draft 4, which API Gateway uses."""
    assert fits == jsonschema.Draft4Validator(openapi.gateway_model()).is_valid(body)
    try:
        request.from_invoke(body, Context())
    except InvalidRequest:
        assert not fits
    else:
        assert fits
