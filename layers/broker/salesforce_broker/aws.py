"""What every call of an AWS API has in common: how its failure is named."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

AWS_ERRORS = (BotoCoreError, ClientError)
"""Everything that a call of boto3 raises: the service refused, or never answered."""

THROTTLING_CODES = frozenset({"ThrottlingException", "TooManyUpdates", "RequestLimitExceeded"})
"""SSM's codes for too many calls [Systems Manager API Reference, "Common Errors", PutParameter]."""


def error_code(error: Exception) -> str:
    """Return AWS's code for an error, or the class of an exception that never reached AWS; never its message."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__
