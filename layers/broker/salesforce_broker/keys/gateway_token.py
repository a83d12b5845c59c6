"""The gateway token: a random value that API Gateway adds to every event and that no caller of the API can set.

The stage has it as a stage variable, the function behind it reads the same secret (docs/decisions/0012).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from salesforce_broker.aws import AWS_ERRORS, call_before, error_code
from salesforce_broker.clock import Deadline
from salesforce_broker.errors import SigningKeyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

NEEDS_REPAIR = {"ResourceNotFoundException", "AccessDeniedException", "DecryptionFailure", "InvalidRequestException"}
"""AWS's codes that stay until somebody changes the secret, its policy, its KMS key or the function's role."""


MAX_READ_SECONDS = 2.0
"""For one read; the next request tries again."""


class GatewayTokenSource:
    """Reads the value when it is first needed, and holds it as long as the environment lives."""

    def __init__(self, client: SecretsManagerClient, secret_arn: str) -> None:
        self._client = client
        self._secret_arn = secret_arn
        self._held = ""

    def get(self, deadline: Deadline) -> str:
        """Return the value; SigningKeyUnavailable if it cannot be read."""
        if not self._held:
            self._held = read_gateway_token(self._client, self._secret_arn, deadline)
        return self._held


def read_gateway_token(client: SecretsManagerClient, secret_arn: str, deadline: Deadline) -> str:
    """Read the value from its secret; SigningKeyUnavailable if Secrets Manager does not return one."""
    try:
        answer = call_before(
            deadline.within(MAX_READ_SECONDS), client.get_secret_value, SecretId=secret_arn, VersionStage="AWSCURRENT"
        )
    except AWS_ERRORS as error:
        code = error_code(error)
        raise _unavailable(f"Secrets Manager answered {code}", retryable=code not in NEEDS_REPAIR) from error
    token = answer.get("SecretString", "")
    if not token:
        # An empty value would let every event pass.
        raise _unavailable("the secret is empty", retryable=False)
    return token


def _unavailable(reason: str, *, retryable: bool) -> SigningKeyUnavailable:
    return SigningKeyUnavailable(
        f"The gateway token cannot be read: {reason}.",
        hint="Check the secret named by GATEWAY_TOKEN_SECRET_ARN, its KMS key and the role of this function.",
        retryable=retryable,
    )
