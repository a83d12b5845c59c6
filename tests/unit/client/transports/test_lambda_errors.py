"""Each error of Lambda's Invoke: whether trying again helps, and what it means."""

from __future__ import annotations

import botocore.session
import pytest

from salesforce_broker_client import (
    BrokerMisconfigured,
    BrokerThrottled,
    BrokerUnreachable,
    CallDenied,
    InvalidRequest,
)
from salesforce_broker_client.transports import lambda_errors


def codes() -> list[str]:
    """Return every code that botocore's model knows for Invoke, and those that any service of AWS may answer with."""
    invoke = botocore.session.get_session().get_service_model("lambda").operation_model("Invoke")
    found = {shape.metadata.get("error", {}).get("code") or shape.name for shape in invoke.error_shapes}
    return sorted(found | {"ThrottlingException", "InternalFailure", "ServiceUnavailable", "KMSThrottlingException"})


RETRYABLE = {
    "TooManyRequestsException": BrokerThrottled,
    "ThrottlingException": BrokerThrottled,
    "EC2ThrottledException": BrokerThrottled,
    "KMSThrottlingException": BrokerThrottled,
    "ServiceException": BrokerUnreachable,
    "InternalFailure": BrokerUnreachable,
    "ServiceUnavailable": BrokerUnreachable,
    "ResourceConflictException": BrokerUnreachable,
    "ResourceNotReadyException": BrokerUnreachable,
    "SnapStartNotReadyException": BrokerUnreachable,
    "SnapStartTimeoutException": BrokerUnreachable,
    "ENINotReadyException": BrokerUnreachable,
    "EC2UnexpectedException": BrokerUnreachable,
    "EFSMountTimeoutException": BrokerUnreachable,
    "S3FilesMountTimeoutException": BrokerUnreachable,
    "CodeArtifactUserPendingException": BrokerUnreachable,
    "CodeArtifactUserDeletedException": BrokerUnreachable,
}
"""All others stay until somebody changes something."""


@pytest.mark.parametrize("code", codes())
def test_each_code_has_a_meaning(code: str) -> None:
    """Its own, with the code beside it for who searches; retryable only where time alone helps."""
    error = lambda_errors.classify(code, status=502)
    assert f"({code})" in error.description
    assert error.hint
    assert (code in RETRYABLE) == error.retryable
    assert error.retryable == (error.retry_after is not None)
    assert RETRYABLE.get(code, type(error)) is type(error)
    assert type(error) in {BrokerThrottled, BrokerUnreachable, BrokerMisconfigured, CallDenied, InvalidRequest}


def test_a_stopped_broker_is_named() -> None:
    """Its reserved concurrency is 0, or used up."""
    error = lambda_errors.classify("TooManyRequestsException", reason="ReservedFunctionConcurrentInvocationLimitExceeded")
    assert BrokerThrottled is type(error)
    assert "emergency stop" in error.hint


@pytest.mark.parametrize(("status", "kind", "retryable"), [(500, BrokerUnreachable, True), (400, CallDenied, False)])
def test_a_code_of_tomorrow_counts_by_its_status(status: int, kind: type[Exception], retryable: bool) -> None:
    """Lambda's failure, or its refusal."""
    error = lambda_errors.classify("TomorrowException", status=status)
    assert kind is type(error)
    assert retryable == error.retryable
    assert "TomorrowException" in error.description
