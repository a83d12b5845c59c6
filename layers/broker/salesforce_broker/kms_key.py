"""A private key that never leaves AWS KMS, in the form in which every other room takes a key.

Owns the calls of KMS. Does not decide which key signs (see `signing_key`).

PyJWT and x509 ask a key of `cryptography`'s interface for a signature; this one has KMS make it.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding as paddings
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from salesforce_broker import key_material
from salesforce_broker.errors import SigningKeyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

ALGORITHM: Literal["RSASSA_PKCS1_V1_5_SHA_256"] = "RSASSA_PKCS1_V1_5_SHA_256"
"""KMS's name of what JWT calls RS256."""

STACK_TAG = "salesforce-token-broker:stack"
"""Whose a key is; RotateKeyFunction may make none without it."""

SEALING_KEY_BYTES = 32

_HINT = "Check the KMS key of the secret's version (enabled, not scheduled for deletion), its policy and the function's role."


class KmsPrivateKey(RSAPrivateKey):
    """Signs by kms:Sign; everything else that a private key can do is refused."""

    def __init__(self, client: KMSClient, arn: str, public_key: RSAPublicKey) -> None:
        self._client = client
        self._arn = arn
        self._public_key = public_key

    @property
    def key_size(self) -> int:
        """Bits of the modulus."""
        return self._public_key.key_size

    def public_key(self) -> RSAPublicKey:
        """Return the other half, which is no secret."""
        return self._public_key

    def sign(self, data: bytes, padding: AsymmetricPadding, algorithm: object) -> bytes:
        """Sign; SigningKeyUnavailable if KMS does not."""
        if not isinstance(padding, paddings.PKCS1v15) or not isinstance(algorithm, hashes.SHA256):
            raise UnsupportedAlgorithm("RS256 is all that this key is for.")
        try:
            # Whole, which KMS takes up to 4,096 bytes: an assertion and a certificate have some 600 each.
            answer = self._client.sign(KeyId=self._arn, Message=data, MessageType="RAW", SigningAlgorithm=ALGORITHM)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error
        return answer["Signature"]

    def decrypt(self, *_: object) -> NoReturn:
        """Refuse."""
        raise UnsupportedAlgorithm("This key only signs.")

    def private_numbers(self) -> NoReturn:
        """Refuse."""
        raise UnsupportedAlgorithm("The key never leaves KMS.")

    def private_bytes(self, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        raise UnsupportedAlgorithm("The key never leaves KMS.")

    def __copy__(self) -> KmsPrivateKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> KmsPrivateKey:
        return self


class KmsKeys:
    """Makes keys in KMS: one for each version of the secret, found again by an alias."""

    def __init__(self, client: KMSClient, *, stack: str, signers: Collection[str]) -> None:
        """`signers`: ARNs of the roles that may sign; nobody else may, whatever IAM allows."""
        self._client = client
        self._stack = stack
        self._signers = list(signers)

    def make(self, version_id: str, *, bits: int, days: int, now: float) -> dict[str, str]:
        """Return the fields of the secret's version `version_id`; the same key for the same version, however often."""
        try:
            arn = self._find(version_id) or self._create(version_id, bits)
            encoded = self._client.get_public_key(KeyId=arn)["PublicKey"]
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error
        public_key = serialization.load_der_public_key(encoded)
        assert isinstance(public_key, RSAPublicKey)
        certificate = key_material.certificate(KmsPrivateKey(self._client, arn, public_key), days=days, now=now)
        # Seals the shared tokens: with the key itself out of reach, nothing can be derived from it.
        sealing_key = base64.b64encode(os.urandom(SEALING_KEY_BYTES)).decode()
        return {"kms_key_arn": arn, "certificate": certificate, "sealing_key": sealing_key}

    def _find(self, version_id: str) -> str | None:
        try:
            return self._client.describe_key(KeyId=self._alias(version_id))["KeyMetadata"]["Arn"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NotFoundException":
                return None
            raise

    def _create(self, version_id: str, bits: int) -> str:
        wanted: dict[str, Any] = {
            "KeySpec": f"RSA_{bits}",
            "KeyUsage": "SIGN_VERIFY",
            "Description": f"Signs the assertions of {self._stack}: version {version_id} of its secret",
            "Tags": [{"TagKey": STACK_TAG, "TagValue": self._stack}],
            "Policy": json.dumps(self._policy()),
        }
        arn = self._client.create_key(**wanted)["KeyMetadata"]["Arn"]
        self._client.create_alias(AliasName=self._alias(version_id), TargetKeyId=arn)
        return arn

    def _alias(self, version_id: str) -> str:
        return f"alias/salesforce-token-broker/{self._stack}/{version_id}"

    def _policy(self) -> dict[str, object]:
        """Let the stack's roles sign, and nobody else, whatever IAM allows him; leave the rest to IAM, as KMS does by itself.

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


def _unavailable(error: Exception) -> SigningKeyUnavailable:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    permanent = {"AccessDeniedException", "DisabledException", "NotFoundException", "KMSInvalidStateException"}
    return SigningKeyUnavailable(f"AWS KMS refused: {code}.", hint=_HINT, retryable=code not in permanent)
