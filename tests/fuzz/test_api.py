"""docs/openapi.yaml holds: schemathesis asks what it allows and what it does not, through the gateway, in the real runtime."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
import yaml
from schemathesis import checks
from schemathesis.generation import GenerationMode

from local_stack.stack import LocalStack
from openapi import DOCUMENT
from tests.fuzz.conftest import REQUESTS

# The gateway of one machine lets in everybody on it: there is no signature to leave out.
SCHEMA = schemathesis.openapi.from_dict(yaml.safe_load(DOCUMENT.read_text()) | {"security": []})

SHARES = {"token": 0.45, "api_jwtauth": 0.2, "identity": 0.35, "health": 0.0}
"""Of all requests; there is but one way to ask for /health."""

NOT_CHECKED = [
    # API Gateway answers 403, not 405.
    checks.unsupported_method,
    # min_ttl has a bound that no schema knows, how long this stack's tokens live: see below.
    checks.positive_data_acceptance,
]


@pytest.mark.parametrize("operation", list(SHARES))
def test_every_answer_is_what_the_document_says(stack: LocalStack, operation: str) -> None:
    """No 5xx, no status, header or body that it does not know; what it allows is served, what it does not is refused."""
    gateway = stack.gateway()
    described = SCHEMA.find_operation_by_id(operation)
    requests, tried = max(1, int(REQUESTS * SHARES[operation])), 0

    @hypothesis.settings(max_examples=requests, suppress_health_check=list(hypothesis.HealthCheck), database=None)
    @hypothesis.given(
        case=hypothesis.strategies.one_of(*(described.as_strategy(generation_mode=mode) for mode in GenerationMode))
    )
    def ask(case: schemathesis.Case[Any]) -> None:
        nonlocal tried
        tried += 1
        response = case.call(base_url=gateway.url)
        case.validate_response(response, excluded_checks=NOT_CHECKED)
        assert case.meta
        if case.meta.generation.mode.is_positive:
            assert response.status_code in {200, 403} or response.json()["error"] == "min_ttl_unsatisfiable"

    ask()
    assert tried >= requests
    assert '"error":"internal_error"' not in stack.logs
