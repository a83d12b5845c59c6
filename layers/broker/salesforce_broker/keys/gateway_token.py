"""The gateway token: a random value that API Gateway adds to every event and that no caller of the API can set.

The stage has it as a stage variable, the function behind it reads the same secret (docs/decisions/0012).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from salesforce_broker.aws import AWS_ERRORS, error_code
from salesforce_broker.errors import SigningKeyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

NEEDS_REPAIR = {"ResourceNotFoundException", "AccessDeniedException", "DecryptionFailure", "InvalidRequestException"}
"""AWS's codes that stay until somebody changes the secret, its policy, its KMS key or the function's role."""


def read_gateway_token(client: SecretsManagerClient, secret_arn: str) -> str:
    """Read the value from its secret; SigningKeyUnavailable if Secrets Manager does not return one."""
    try:
        token = client.get_secret_value(SecretId=secret_arn, VersionStage="AWSCURRENT").get("SecretString", "")
    except AWS_ERRORS as error:
        code = error_code(error)
        raise _unavailable(f"Secrets Manager answered {code}", retryable=code not in NEEDS_REPAIR) from error
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
