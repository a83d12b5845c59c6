"""What AWS refuses before the broker runs has a name, and the same one by both transports."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    UnauthorizedSSOTokenError,
)

from salesforce_broker_client import BrokerError, CallDenied
from salesforce_broker_client.transports import api_gateway_errors, aws_refusals, lambda_errors
from tests.unit.client.conftest import Start

ROLE = "arn:aws:sts::123456789012:assumed-role/orders/orders-fn"
RESOURCES = {
    "lambda:InvokeFunction": "arn:aws:lambda:eu-west-1:123456789012:function:broker:live",
    "execute-api:Invoke": "arn:aws:execute-api:eu-west-1:********9012:abc123/v1/POST/token",
}
SIGNATURE = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key."
EARLIER = "20260101T120000Z is now earlier than 20260101T121000Z (20260101T121500Z - 5 min.)"
LATER = "20260101T130000Z is still later than 20260101T120500Z (20260101T120000Z + 5 min.)"

REFUSALS = [
    ("ExpiredTokenException", "The security token included in the request is expired", "have expired", "Get new ones"),
    ("UnrecognizedClientException", "The security token included in the request is invalid.", "does not know", "partition"),
    ("InvalidSignatureException", f"Signature expired: {EARLIER}", "clock is slow", "five minutes"),
    ("InvalidSignatureException", f"Signature not yet current: {LATER}", "clock is fast", "five minutes"),
    ("InvalidSignatureException", SIGNATURE, "signature does not match", "secret access key is wrong"),
    (
        "InvalidSignatureException",
        "Credential should be scoped to a valid region, not 'eu-west-1'.",
        "signed for another region",
        "Broker(region=",
    ),
    (
        "IncompleteSignatureException",
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter.",
        "cannot read the request's signature",
        "proxy",
    ),
    (
        "IncompleteSignatureException",
        "'Bearer' not a valid key=value pair (missing equal-sign) in Authorization header: 'Bearer x'.",
        "cannot read the request's signature",
        "proxy",
    ),
]
"""Code, AWS's text, and what of description and hint tells it from the others."""

DENIALS = [
    ("", "needs {action} on"),
    (" because no identity-based policy allows the {action} action", "Missing: {action} in a policy of the caller's role"),
    (" because no resource-based policy allows the {action} action", "Missing: {action} in the resource policy"),
    (" because no permissions boundary allows the {action} action", "Missing: {action} in the permissions boundary"),
    (" because no session policy allows the {action} action", "Missing: {action} in the session policy"),
    (" because no VPC endpoint policy allows the {action} action", "Missing: {action} in the policy of the VPC endpoint"),
    (" because no service control policy allows the {action} action", "Missing: {action} in a service control policy"),
    (" with an explicit deny", "A Deny statement is in a policy (of the caller, the API"),
    (" with an explicit deny in an identity-based policy", "A Deny statement is in a policy of the caller's role or user"),
    (" with an explicit deny in a resource-based policy", "A Deny statement is in the resource policy"),
    (" with an explicit deny in a service control policy", "A Deny statement is in a service control policy"),
    (" with an explicit deny in a VPC endpoint policy", "A Deny statement is in the policy of the VPC endpoint"),
    (" with an explicit deny in a policy of tomorrow", "A Deny statement is in a policy of tomorrow"),
]
"""How IAM goes on after the resource, and what the hint says."""


def by_lambda(code: str, message: str) -> BrokerError:
    """Return the error for Lambda's refusal."""
    return lambda_errors.classify(code, message=message, status=403)


def by_api(code: str, message: str) -> BrokerError:
    """Return the error for API Gateway's; a resource policy's refusal has its text in a field with a capital."""
    lower = api_gateway_errors.classify(403, code, {"message": message})
    assert str(lower) == str(api_gateway_errors.classify(403, code, {"Message": message}))
    return lower


@pytest.mark.parametrize(("code", "message", "description", "hint"), REFUSALS)
def test_each_refusal_is_named_alike_by_both_transports(code: str, message: str, description: str, hint: str) -> None:
    """What happened and what to change; API Gateway's without the header with the code, too."""
    found = [by_lambda(code, message), by_api(code, message), by_api("", message)]
    assert {CallDenied} == {type(error) for error in found}
    assert 1 == len({str(error) for error in found})
    assert description in found[0].description
    assert hint in found[0].hint
    assert not found[0].retryable


def test_no_two_refusals_are_named_alike() -> None:
    """But for those that call for the same."""
    found = {str(by_lambda(code, message)) for code, message, _, _ in REFUSALS}
    assert len(REFUSALS) - 1 == len(found)


@pytest.mark.parametrize(("rest", "hint"), DENIALS)
@pytest.mark.parametrize(("action", "name"), [("lambda:InvokeFunction", by_lambda), ("execute-api:Invoke", by_api)])
def test_a_denial_says_who_what_and_where(action: str, name: Any, rest: str, hint: str) -> None:
    """The principal, the action, the resource, and which policy has to be changed."""
    rest, hint = rest.format(action=action), hint.format(action=action)
    message = f"User: {ROLE} is not authorized to perform: {action} on resource: {RESOURCES[action]}{rest}"
    error = name("AccessDeniedException", message)
    assert f"AWS denies {action} to {ROLE} on {RESOURCES[action]}" in error.description
    assert hint in error.hint
    assert CallDenied is type(error)


def test_a_resource_policys_refusal_of_an_unsigned_request_is_named() -> None:
    """A proxy has removed the signature."""
    message = f"User: anonymous is not authorized to perform: execute-api:Invoke on resource: {RESOURCES['execute-api:Invoke']}"
    assert "without a signature" in by_api("AccessDeniedException", message).hint


@pytest.mark.parametrize("name", [by_lambda, by_api])
def test_nothing_of_a_strange_text_is_repeated(name: Any) -> None:
    """Only what has the form of a principal, an action, a resource and a policy."""
    strange = ["<script>", "a\x1b[31m", "a b", "00D!token", "x" * 5000]
    for user, action, resource in itertools.product(strange, repeat=3):
        message = f"User: {user} is not authorized to perform: {action} on resource: {resource}"
        error = name("AccessDeniedException", message)
        assert CallDenied is type(error)
        assert not any(each in str(error) for each in strange)


PROVIDERS = [
    (NoCredentialsError(), "No AWS credentials were found"),
    (NoRegionError(), "AWS_DEFAULT_REGION"),
    (ProfileNotFound(profile="x"), "AWS_PROFILE"),
    (UnauthorizedSSOTokenError(), "aws sso login"),
    (PartialCredentialsError(provider="env", cred_var="secret"), "secret key"),
    (CredentialRetrievalError(provider="process", error_msg="x"), "provider of AWS credentials failed"),
    (ParamValidationError(report="x"), "function's name"),
]


@pytest.mark.parametrize(("failure", "hint"), PROVIDERS)
def test_a_call_that_cannot_be_made_says_what_is_missing(start: Start, failure: Exception, hint: str) -> None:
    """On this side."""
    with pytest.raises(CallDenied) as caught:
        start(failure).broker.token()
    assert hint in caught.value.hint


def test_a_refusal_of_the_callers_own_role_is_not_taken_for_lambdas(start: Start) -> None:
    """botocore raises it from within the call."""
    refused = ClientError({"Error": {"Code": "AccessDenied", "Message": "x"}}, "AssumeRole")
    with pytest.raises(CallDenied) as caught:
        start(refused).broker.token()
    assert "The caller's AWS credentials cannot be had: AssumeRole was refused (AccessDenied)." == caught.value.description


def test_what_is_no_refusal_of_awss_is_none() -> None:
    """The transports have other names for it."""
    assert aws_refusals.classify("ServiceException", "x", aws_refusals.INVOKE) is None
