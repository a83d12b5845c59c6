"""What can fail and how: AWS's codes and operations, Salesforce's refusals, settings that make no sense."""

from __future__ import annotations

from typing import Literal

AWS_CODES = (
    "AccessDeniedException",
    "ThrottlingException",
    "TooManyUpdates",
    "ResourceNotFoundException",
    "InternalServiceError",
    "InvalidRequestException",
    "ValidationException",
    "ParameterAlreadyExists",
    "ParameterNotFound",
    "DecryptionFailure",
    "EncryptionFailure",
    "LimitExceededException",
    "ResourceExistsException",
    "KMSInvalidStateException",
    "DisabledException",
    "ResourceConflictException",
    "ServiceException",
)

OPERATIONS = (
    "GetSecretValue",
    "PutSecretValue",
    "DescribeSecret",
    "UpdateSecretVersionStage",
    "GetParameters",
    "PutParameter",
    "DeleteParameter",
    "GetParametersByPath",
    "PutEvents",
    "Sign",
    "CreateKey",
    "PutFunctionConcurrency",
    "PublishVersion",
)

REFUSALS = (
    "invalid_grant",
    "invalid_client",
    "invalid_client_id",
    "inactive_user",
    "inactive_org",
    "rate_limit_exceeded",
    "unknown_error",
    "unsupported_grant_type",
    "invalid_app_access",
    "invalid_assertion_type",
    "something_new",
)
DESCRIPTIONS = (
    "invalid assertion",
    "expired authorization code",
    "user hasn't approved this consumer",
    "audience is invalid",
    "ip restricted",
    "login rate exceeded",
    "",
)

USER_STATES: tuple[Literal["frozen", "locked", "inactive", "barred"], ...] = ("frozen", "locked", "inactive", "barred")

SETTINGS = {
    "SALESFORCE_LOGIN_URL": ("", "https://evil.example", "http://[", "{key}"),
    "SALESFORCE_AUDIENCE": ("acme", "https://other.my.salesforce.com", "https://x/{key}"),
    "SALESFORCE_USERNAME": ("acme", "nobody@acme.example", "{key}"),
    "SALESFORCE_CLIENT_ID": ("", "3MVG9.other", "{key}"),
    "SALESFORCE_ORG_ID": ("00D000000000002", "x", "{key}"),
    "ALLOWED_SUBJECTS": ("*", "{key}", "a@b.c,,d@e.f"),
    "SUBJECT_GRANTS": ("{", '{"a": 1}', "{key}"),
    "TOKEN_LIFETIME_SECONDS": ("soon", "60", "{key}"),
    "TOKEN_CACHE_PREFIX": ("tokens", "/{key}", ""),
    "SIGNING_KEY_SECRET_ARN": ("", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:none-AbCdEf", "{key}"),
    "TOKEN_CACHE_TIER": ("Huge", "{key}"),
}
