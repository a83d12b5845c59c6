"""The gateway token: read from its secret, never empty, and an error that says what to repair."""

from __future__ import annotations

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from salesforce_broker.clock import Clock
from salesforce_broker.errors import SigningKeyUnavailable
from salesforce_broker.keys.gateway_token import GatewayTokenSource, read_gateway_token

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:gateway-AbCdEf"


class OneSecret:
    """Secrets Manager with one secret, or one failure."""

    def __init__(self, answer: dict[str, str] | Exception) -> None:
        self.answer = answer

    def get_secret_value(self, **arguments: str) -> dict[str, str]:
        """Answer as boto3's client."""
        assert arguments == {"SecretId": ARN, "VersionStage": "AWSCURRENT"}
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def read(answer: dict[str, str] | Exception) -> str:
    """Read the token of a Secrets Manager that gives `answer`."""
    return read_gateway_token(cast("Any", OneSecret(answer)), ARN, Clock().deadline(10))


def test_the_current_value_is_returned() -> None:
    """Of the version with the stage AWSCURRENT."""
    assert "generated" == read({"SecretString": "generated"})


@pytest.mark.parametrize("answer", [{}, {"SecretString": ""}])
def test_an_empty_secret_is_an_error(answer: dict[str, str]) -> None:
    """An empty value would mean that no token is required."""
    with pytest.raises(SigningKeyUnavailable, match="empty"):
        read(answer)


@pytest.mark.parametrize(
    ("failure", "retryable"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException", "Message": "secret details"}}, "GetSecretValue"), False),
        (ClientError({"Error": {"Code": "InternalServiceError", "Message": "secret details"}}, "GetSecretValue"), True),
        (ReadTimeoutError(endpoint_url="https://example.invalid"), True),
    ],
)
def test_a_failed_read_is_an_error_without_awss_message(failure: Exception, *, retryable: bool) -> None:
    """Retryable unless somebody has to change something first; AWS's code is named, its message is not repeated."""
    with pytest.raises(SigningKeyUnavailable) as caught:
        read(failure)
    assert retryable == caught.value.retryable
    assert "secret details" not in caught.value.description
    assert "GATEWAY_TOKEN_SECRET_ARN" in caught.value.hint


def test_a_failed_read_is_not_remembered() -> None:
    """The next request reads again; a value is held."""
    answers: list[dict[str, str] | Exception] = [
        ReadTimeoutError(endpoint_url="https://example.invalid"),
        {"SecretString": "v"},
    ]
    client = OneSecret(answers[0])
    source = GatewayTokenSource(cast("Any", client), ARN)
    with pytest.raises(SigningKeyUnavailable):
        source.get(Clock().deadline(10))
    for answer in (answers[1], answers[0]):
        client.answer = answer
        assert "v" == source.get(Clock().deadline(10))


def test_no_time_left_is_an_error() -> None:
    """The secret is not read then."""
    with pytest.raises(SigningKeyUnavailable, match="DeadlineExceeded"):
        GatewayTokenSource(cast("Any", OneSecret({})), ARN).get(Clock().deadline(0))
