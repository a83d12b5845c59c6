"""Signing keys in AWS KMS: one for each version of the secret, found again by an alias, deleted when nobody needs it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from salesforce_broker import observability
from salesforce_broker.aws import AWS_ERRORS, error_code
from salesforce_broker.keys.kms import ALGORITHM, KmsSigner, kms_unavailable
from salesforce_broker.keys.pem import encode_certificate
from salesforce_broker.keys.source import SEALING_KEY_BYTES
from salesforce_broker.operations.rotation.key_pair import self_signed_certificate

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_kms import KMSClient

STACK_TAG = "salesforce-token-broker:stack"
"""The stack that a key belongs to; RotateKeyFunction may create none without it."""


MIN_AGE_SECONDS = 24 * 3600
"""A younger key may be one that is being created: it gets its alias, and its version a label, moments later."""

WAITING_DAYS = 30
"""KMS's waiting period: so long is the key disabled before it is deleted, and `kms cancel-key-deletion` brings it back."""


class KmsKeys:
    """Creates keys in KMS, and schedules the deletion of those that no version in use has."""

    def __init__(self, client: KMSClient, tagged: BaseClient, *, stack: str, signers: Collection[str]) -> None:
        """`tagged`: Resource Groups Tagging API; KMS cannot list keys by tag. `signers`: ARNs of the roles that may sign."""
        self._client = client
        self._tagged = tagged
        self._stack = stack
        self._signers = list(signers)

    def generate_fields(self, version_id: str, *, bits: int, days: int, now: float) -> dict[str, str]:
        """Return the fields of the secret's version `version_id`; the same key for the same version, however often."""
        try:
            arn = self._find(version_id) or self._create(version_id, bits)
            encoded = self._client.get_public_key(KeyId=arn)["PublicKey"]
        except AWS_ERRORS as error:
            raise kms_unavailable(error) from error
        public_key = serialization.load_der_public_key(encoded)
        assert isinstance(public_key, RSAPublicKey)
        certificate = self_signed_certificate(KmsSigner(self._client, arn), public_key, days=days, now=now)
        # Seals the shared tokens: with the key itself out of reach, nothing can be derived from it.
        sealing_key = base64.b64encode(os.urandom(SEALING_KEY_BYTES)).decode()
        return {"kms_key_arn": arn, "certificate": encode_certificate(certificate), "sealing_key": sealing_key}

    def delete_unused(self, versions: Collection[str], arns: Collection[str], now: float) -> None:
        """Schedule the deletion of the stack's keys but for those with these ARNs, and those made for these versions.

        What is left are keys of earlier versions, and keys whose creation ended before they had an alias.
        """
        try:
            for arn in self._all() - {self._find(version_id) for version_id in versions} - set(arns):
                key = self._client.describe_key(KeyId=arn)["KeyMetadata"]
                if key["KeyState"] != "PendingDeletion" and now - key["CreationDate"].timestamp() >= MIN_AGE_SECONDS:
                    self._client.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=WAITING_DAYS)
                    observability.audit("key deletion scheduled", kms_key_arn=arn, days=WAITING_DAYS)
        except AWS_ERRORS as error:
            raise kms_unavailable(error) from error

    def _all(self) -> set[str]:
        """Return the ARNs of all keys that have the stack's tag."""
        pages = self._tagged.get_paginator("get_resources").paginate(
            TagFilters=[{"Key": STACK_TAG, "Values": [self._stack]}], ResourceTypeFilters=["kms:key"]
        )
        return {found["ResourceARN"] for page in pages for found in page["ResourceTagMappingList"]}

    def _find(self, version_id: str) -> str | None:
        try:
            return self._client.describe_key(KeyId=self._alias(version_id))["KeyMetadata"]["Arn"]
        except ClientError as error:
            if error_code(error) == "NotFoundException":
                return None
            raise

    def _create(self, version_id: str, bits: int) -> str:
        arguments: dict[str, Any] = {
            "KeySpec": f"RSA_{bits}",
            "KeyUsage": "SIGN_VERIFY",
            "Description": f"Signs the assertions of {self._stack}: version {version_id} of its secret",
            "Tags": [{"TagKey": STACK_TAG, "TagValue": self._stack}],
            "Policy": json.dumps(self._policy()),
            # KMS would refuse a policy under which the caller may not change it later. LeaveToIam prevents a lockout:
            # it leaves the policy to the account's administrators, and this role is none.
            "BypassPolicyLockoutSafetyCheck": True,
        }
        arn = self._client.create_key(**arguments)["KeyMetadata"]["Arn"]
        self._client.create_alias(AliasName=self._alias(version_id), TargetKeyId=arn)
        return arn

    def _alias(self, version_id: str) -> str:
        return f"alias/salesforce-token-broker/{self._stack}/{version_id}"

    def _policy(self) -> dict[str, object]:
        """Let the stack's roles sign, and nobody else, whatever IAM allows; leave the rest to IAM, as KMS does by default.

        Here and not by a tag in the roles: what a tag allows is known only after minutes.
        """
        partition, account = self._signers[0].split(":")[1], self._signers[0].split(":")[4]
        everybody, own = {"AWS": f"arn:{partition}:iam::{account}:root"}, {"AWS": self._signers}
        only = {"StringEquals": {"kms:SigningAlgorithm": ALGORITHM}}
        about = ["kms:CreateAlias", "kms:DescribeKey", "kms:GetPublicKey"]
        others = {"ArnNotEquals": {"aws:PrincipalArn": self._signers}}
        sids: dict[str, dict[str, object]] = {
            "LeaveToIam": {"Effect": "Allow", "Principal": everybody, "Action": "kms:*"},
            "SignAssertions": {"Effect": "Allow", "Principal": own, "Action": "kms:Sign", "Condition": only},
            "NameAndPublish": {"Effect": "Allow", "Principal": own, "Action": about},
            "NobodyElseSigns": {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "kms:Sign", "Condition": others},
        }
        return {
            "Version": "2012-10-17",
            "Statement": [{"Sid": sid, "Resource": "*", **statement} for sid, statement in sids.items()],
        }
