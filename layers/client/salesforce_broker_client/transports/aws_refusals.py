"""What AWS refuses before the broker runs: credentials, signatures, clocks and permissions, the same for both transports.

[API Gateway's guide, "Gateway response types"; IAM's guide, "Access denied error messages"; Lambda's reference, "Common
errors"]
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from salesforce_broker_client.errors import BrokerError, CallDenied


@dataclass(frozen=True, slots=True)
class Permission:
    """What a caller needs on its transport."""

    action: str
    resource: str

    @property
    def hint(self) -> str:
        """Return it as a sentence."""
        return f"The caller needs {self.action} on {self.resource}."


INVOKE = Permission("lambda:InvokeFunction", "the broker's function (stack output TokenFunctionArn)")
API = Permission("execute-api:Invoke", "the broker's API (stack output ApiInvokeArn)")

CLOCK = "Set this machine's clock: AWS allows five minutes."

_DENIED = re.compile(
    r"User: (?P<user>anonymous|arn:[\w+=,.@/:-]{1,2048}) is not authorized to perform: (?P<action>[\w:-]{1,128})"
    r"(?: on resource: (?P<resource>[\w+=,.@/:*$-]{1,2048}))?"
    r"(?: because no (?P<missing>[A-Za-z -]{1,40}) allows)?"
    r"(?P<explicit> with an explicit deny(?: in an? (?P<denying>[A-Za-z -]{1,40}))?)?"
)

POLICIES = {
    "identity-based policy": "a policy of the caller's role or user",
    "resource-based policy": "the resource policy of the broker's API or function",
    "service control policy": "a service control policy of the organization",
    "resource control policy": "a resource control policy of the organization",
    "vpc endpoint policy": "the policy of the VPC endpoint that the call went through",
    "permissions boundary": "the permissions boundary of the caller's role or user",
    "session policy": "the session policy with which the role was assumed",
}

_BY_CODE = {
    "ExpiredToken": (
        "The caller's AWS credentials have expired.",
        "Get new ones; in a long-lived process, use a provider that renews them.",
    ),
    "UnrecognizedClient": (
        "AWS does not know the caller's credentials.",
        "The access key was deleted, is of another partition (China, GovCloud), or its session token is missing or wrong.",
    ),
    "MissingAuthenticationToken": (
        "AWS found no signature in the request.",
        "A proxy may have removed the Authorization header.",
    ),
    "IncompleteSignature": ("AWS cannot read the request's signature.", "A proxy may have changed the Authorization header."),
    "OptInRequired": ("The AWS account is not enabled for this service or region.", "Check the account and the region."),
}
_ALIASES = {
    "InvalidClientTokenId": "UnrecognizedClient",
    "RequestExpired": "InvalidSignature",
    "SignatureDoesNotMatch": "InvalidSignature",
    "InvalidAccessKeyId": "UnrecognizedClient",
    "AccessDenied": "AccessDenied",
    "Unauthorized": "AccessDenied",
}
_BY_MESSAGE = (
    (re.compile(r"security token included in the request is expired", re.IGNORECASE), "ExpiredToken"),
    (re.compile(r"security token included in the request is invalid", re.IGNORECASE), "UnrecognizedClient"),
    (
        re.compile(
            r"signature expired|signature not yet current|does not match the signature|credential should be scoped",
            re.IGNORECASE,
        ),
        "InvalidSignature",
    ),
    (re.compile(r"authorization header requires|not a valid key=value pair", re.IGNORECASE), "IncompleteSignature"),
    (re.compile(r"is not authorized to (?:perform|access)|explicit deny", re.IGNORECASE), "AccessDenied"),
)
"""API Gateway's texts, where a header with the code is missing."""


def classify(code: str, message: str, needed: Permission) -> BrokerError | None:
    """Return the error for a refusal of AWS's, by its code or else by its text; None if it is none of these."""
    kind = code.removesuffix("Exception")
    kind = _ALIASES.get(kind, kind)
    if kind not in _BY_CODE and kind not in {"InvalidSignature", "AccessDenied"}:
        kind = next((found for pattern, found in _BY_MESSAGE if pattern.search(message)), "")
    if kind == "AccessDenied":
        return _access_denied(message, needed)
    if kind == "InvalidSignature":
        return _invalid_signature(message)
    if kind in _BY_CODE:
        description, hint = _BY_CODE[kind]
        return CallDenied(description, hint=hint)
    return None


def _invalid_signature(message: str) -> CallDenied:
    words = message.lower()
    if "signature expired" in words:
        return CallDenied("AWS calls the request's signature expired: this machine's clock is slow.", hint=CLOCK)
    if "not yet current" in words:
        return CallDenied("AWS calls the request's signature not yet valid: this machine's clock is fast.", hint=CLOCK)
    if "scoped to a valid region" in words:
        return CallDenied("The request was signed for another region.", hint="Give the broker's region: Broker(region=...).")
    return CallDenied(
        "The request's signature does not match.",
        hint="The secret access key is wrong, or a proxy changed the request on its way.",
    )


def _access_denied(message: str, needed: Permission) -> CallDenied:
    found = _DENIED.search(message)
    if found is None:
        return CallDenied("AWS denies the call.", hint=needed.hint)
    description = f"AWS denies {found['action']} to {found['user']}"
    if found["resource"]:
        description += f" on {found['resource']}"
    if missing := found["missing"]:
        where = POLICIES.get(missing.lower(), f"a {missing}")
        return CallDenied(f"{description}.", hint=f"Missing: {needed.action} in {where}.")
    if found["explicit"]:
        policy = str(found["denying"] or "").strip()
        where = POLICIES.get(
            policy.lower(), f"a {policy}" if policy else "a policy (of the caller, the API, the endpoint or the organization)"
        )
        return CallDenied(f"{description}, explicitly.", hint=f"A Deny statement is in {where}.")
    if found["user"] == "anonymous":
        return CallDenied(f"{description}.", hint="The request arrived without a signature: a proxy may have removed it.")
    return CallDenied(f"{description}.", hint=needed.hint)


_PROVIDERS = {
    "NoCredentials": "No AWS credentials were found: set them in the environment, a profile or a role, or pass `session`.",
    "NoCredentialsError": "No AWS credentials were found: set them in the environment, a profile or a role, or pass `session`.",
    "NoRegion": "No AWS region was found: set AWS_DEFAULT_REGION, or pass `region`.",
    "NoRegionError": "No AWS region was found: set AWS_DEFAULT_REGION, or pass `region`.",
    "ProfileNotFound": "AWS_PROFILE names a profile that does not exist.",
    "UnauthorizedSSOTokenError": "The session of AWS IAM Identity Center has ended: aws sso login.",
    "SSOTokenLoadError": "There is no session of AWS IAM Identity Center: aws sso login.",
    "TokenRetrievalError": "The session of AWS IAM Identity Center has ended: aws sso login.",
    "PartialCredentialsError": "The AWS credentials are incomplete: an access key needs its secret key.",
    "CredentialRetrievalError": "The provider of AWS credentials failed (credential_process, container or instance role).",
    "ParamValidationError": "The function's name is not one: check it (stack output TokenFunctionArn).",
    "InvalidRegionError": "The region's name is not one.",
}


def cannot_be_made(reason: str) -> CallDenied:
    """Return the exception for a call that this side cannot make; `reason`: the name of botocore's exception."""
    default = "Credentials and a region come from the environment, a profile, or `session` and `region`."
    return CallDenied(f"The call cannot be made: {reason}.", hint=_PROVIDERS.get(reason, default))


@contextlib.contextmanager
def named() -> Iterator[None]:
    """Raise what goes wrong with the caller's own session in the block as an error of this client's."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  boto3 is imported by the first call

    try:
        yield
    except ClientError as error:
        raise credentials_refused(error.operation_name, error.response.get("Error", {}).get("Code", "")) from error
    except BotoCoreError as error:
        raise cannot_be_made(type(error).__name__) from error


def credentials_refused(operation: str, code: str) -> CallDenied:
    """Return the exception for a refusal that the caller's provider of credentials met, such as of sts:AssumeRole."""
    hint = "See the role and its trust policy in the caller's AWS configuration."
    return CallDenied(f"The caller's AWS credentials cannot be had: {operation} was refused ({code}).", hint=hint)
