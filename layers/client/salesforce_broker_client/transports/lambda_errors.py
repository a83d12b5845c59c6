"""What Lambda answers to Invoke instead of running the broker: whether trying again helps, and what it means.

[Lambda's API reference, "Invoke", "Errors"]
"""

from __future__ import annotations

from dataclasses import dataclass

from salesforce_broker_client.errors import (
    BrokerError,
    BrokerMisconfigured,
    BrokerThrottled,
    BrokerUnreachable,
    CallDenied,
    InvalidRequest,
)
from salesforce_broker_client.transports import aws_refusals


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: type[BrokerError]
    text: str
    hint: str = ""
    retry_after: float | None = None


def _transient(text: str, retry_after: float, hint: str = "Try again.") -> _Meaning:
    return _Meaning(BrokerUnreachable, text, hint, retry_after)


def _operator(text: str, hint: str) -> _Meaning:
    return _Meaning(BrokerMisconfigured, text, f"The broker's operator has to act: {hint}")


def _throttled(text: str, hint: str) -> _Meaning:
    return _Meaning(BrokerThrottled, text, hint, 1)


NO_FIT = "This client and the broker do not fit: use the version of the broker's stack."
_FILES = "the broker needs no file system: remove it from the function."
_ENVIRONMENT_KEY = "the KMS key of the function's environment variables"

MEANINGS = {
    "TooManyRequests": _throttled("Lambda has too many invocations.", "Raise the function's or the account's concurrency."),
    "Throttling": _throttled("Lambda has too many calls of its API.", "Call less often, or raise the quota."),
    "EC2Throttled": _throttled("Lambda is throttled by EC2 while it prepares the function's network.", "Try again."),
    "KMSThrottling": _throttled("Lambda is throttled by KMS while it decrypts the function's settings.", "Try again."),
    "Service": _transient("Lambda failed.", 1),
    "InternalFailure": _transient("Lambda failed.", 1),
    "InternalServerError": _transient("Lambda failed.", 1),
    "ServiceUnavailable": _transient("Lambda is unavailable.", 1),
    "ResourceConflict": _transient("The broker's function is being updated.", 5),
    "ResourceNotReady": _transient("The broker's function is being created, or wakes up after weeks without calls.", 5),
    "SnapStartNotReady": _transient("Lambda is still making the snapshot of the broker's function.", 10),
    "SnapStartTimeout": _transient("Lambda could not restore the snapshot of the broker's function in time.", 1),
    "ENINotReady": _transient("The network interface of the broker's function is still being made.", 10),
    "EC2Unexpected": _transient("EC2 failed while Lambda prepared the function's network.", 5),
    "EFSMountTimeout": _transient("The function's file system could not be mounted in time.", 5),
    "S3FilesMountTimeout": _transient("The function's file system could not be mounted in time.", 5),
    "CodeArtifactUserPending": _transient("Lambda is still preparing the function's code.", 10),
    "CodeArtifactUserDeleted": _transient("Lambda is preparing the function's code anew.", 10),
    "CodeArtifactUserFailed": _operator("Lambda could not prepare the function's code.", "deploy it again."),
    "ServiceQuotaExceeded": _operator("A quota of Lambda's is used up.", "raise it."),
    "RuntimeAliasDeleted": _operator("Lambda no longer has the function's runtime.", "deploy a newer version."),
    "RuntimeVersionDeleted": _operator("Lambda no longer has the function's runtime version.", "deploy a newer version."),
    "SnapStartRegenerationFailure": _operator(
        "Lambda could not renew the snapshot of the broker's function.", "see the function's log, and deploy."
    ),
    "EFSIO": _operator("The function's file system fails.", _FILES),
    "EFSMountConnectivity": _operator("The function cannot reach its file system.", _FILES),
    "EFSMountFailure": _operator("The function may not mount its file system.", _FILES),
    "S3FilesMountConnectivity": _operator("The function cannot reach its file system.", _FILES),
    "S3FilesMountFailure": _operator("The function may not mount its file system.", _FILES),
    "SnapStart": _operator("The broker's function fails when its snapshot is restored.", "see the function's log."),
    "ENILimitReached": _operator("The VPC has no network interface left for the function.", "raise the quota of interfaces."),
    "SubnetIPAddressLimitReached": _operator("The function's subnets have no address left.", "use larger subnets."),
    "EC2AccessDenied": _operator(
        "The function's role may not use network interfaces.", "attach AWSLambdaVPCAccessExecutionRole to it."
    ),
    "InvalidSubnetID": _operator("A subnet of the function does not exist.", "correct SubnetIds."),
    "InvalidSecurityGroupID": _operator("A security group of the function does not exist.", "correct SecurityGroupIds."),
    "KMSDisabled": _operator(f"It is disabled: {_ENVIRONMENT_KEY}.", "enable it."),
    "KMSAccessDenied": _operator(f"The function's role may not use {_ENVIRONMENT_KEY}.", "allow kms:Decrypt."),
    "KMSInvalidState": _operator(f"It is pending deletion or import: {_ENVIRONMENT_KEY}.", "restore it."),
    "KMSNotFound": _operator(f"It does not exist: {_ENVIRONMENT_KEY}.", "set another key and deploy."),
    "InvalidRuntime": _operator("Lambda no longer supports the function's runtime.", "deploy a newer version."),
    "InvalidZipFile": _operator("Lambda cannot unpack the function's code.", "deploy it again."),
    "CodeVerificationFailed": _operator("The function's code signature is not valid.", "deploy signed code."),
    "ResourceNotFound": _Meaning(
        CallDenied,
        "Lambda has no such function, version or alias in this account and region.",
        "Check its name (stack output TokenFunctionArn) and the region.",
    ),
    "NoPublishedVersion": _Meaning(
        CallDenied, "The function has no published version.", "Check its name (stack output TokenFunctionArn)."
    ),
    "ModeNotSupported": _Meaning(CallDenied, "The function cannot be invoked like the broker's.", "Check its name."),
    "DurableExecutionAlreadyStarted": _Meaning(CallDenied, "The function is a durable one, not a broker's.", "Check its name."),
    "RecursiveInvocation": _Meaning(
        CallDenied,
        "Lambda ended a loop: functions called each other about 16 times.",
        "Look for the function that is called by what it calls.",
    ),
    "RequestTooLarge": _Meaning(InvalidRequest, "Lambda calls the request too large.", NO_FIT),
    "SerializedRequestEntityTooLarge": _Meaning(InvalidRequest, "Lambda calls the request too large.", NO_FIT),
    "InvalidRequestContent": _Meaning(InvalidRequest, "Lambda could not read the request.", NO_FIT),
    "InvalidParameterValue": _Meaning(InvalidRequest, "Lambda calls a parameter invalid.", "Check the function's name."),
    "UnsupportedMediaType": _Meaning(InvalidRequest, "Lambda could not read the request.", "A proxy may have changed it."),
}
"""By code, without "Exception" at its end."""

_ALIASES = {
    "RequestLimitExceeded": "Throttling",
    "ThrottledException": "Throttling",
    "ConcurrentInvocationLimitExceeded": "TooManyRequests",
    "ServiceException": "Service",
}

_STOPPED = _throttled(
    "The broker's function may run no environment now: all of its reserved concurrency is in use.",
    "Raise it. It is 0 while an emergency stop lasts: ask the broker's operator.",
)

_SERVER_ERROR = 500


def classify(code: str, *, message: str = "", reason: str = "", status: int = 0) -> BrokerError:
    """Return the error for an error of Lambda's Invoke; an unknown code counts by its HTTP status."""
    if reason.startswith("ReservedFunction"):
        return _error(_STOPPED, code)
    meaning = MEANINGS.get(_ALIASES.get(code, code).removesuffix("Exception"))
    if meaning is not None:
        return _error(meaning, code)
    refused = aws_refusals.classify(code, message, aws_refusals.INVOKE)
    if refused is not None:
        return refused
    if status >= _SERVER_ERROR:
        return BrokerUnreachable(f"Lambda failed: {code}.", retry_after=1)
    return CallDenied(f"Lambda refused the call: {code}.", hint=aws_refusals.INVOKE.hint)


def _error(meaning: _Meaning, code: str) -> BrokerError:
    return meaning.kind(f"{meaning.text} ({code})", hint=meaning.hint, retry_after=meaning.retry_after)
