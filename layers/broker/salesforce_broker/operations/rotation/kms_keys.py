"""Creates signing keys in AWS KMS: one for each version of the secret, found again by an alias."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from salesforce_broker.aws import AWS_ERRORS, error_code
from salesforce_broker.keys.kms import ALGORITHM, KmsSigner, kms_unavailable
from salesforce_broker.keys.source import SEALING_KEY_BYTES
from salesforce_broker.operations.rotation.key_pair import self_signed_certificate

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

STACK_TAG = "salesforce-token-broker:stack"
"""The stack that a key belongs to; RotateKeyFunction may create none without it."""


class KmsKeys:
    """Makes keys in KMS: one for each version of the secret, found again by an alias."""

    def __init__(self, client: KMSClient, *, stack: str, signers: Collection[str]) -> None:
        """`signers`: ARNs of the roles that may sign; nobody else may, whatever IAM allows."""
        self._client = client
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
        return {"kms_key_arn": arn, "certificate": certificate, "sealing_key": sealing_key}

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
