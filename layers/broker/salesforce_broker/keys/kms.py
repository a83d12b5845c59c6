"""A signer whose private key never leaves AWS KMS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from salesforce_broker.aws import AWS_ERRORS, call_before, error_code
from salesforce_broker.clock import Deadline
from salesforce_broker.errors import SigningKeyUnavailable, SigningKeyUnusable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

ALGORITHM: Literal["RSASSA_PKCS1_V1_5_SHA_256"] = "RSASSA_PKCS1_V1_5_SHA_256"
"""KMS's name of what JWT calls RS256."""

_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}")

_PERMANENT_CODES = {"AccessDeniedException", "DisabledException", "NotFoundException", "KMSInvalidStateException"}


class KmsSigner:
    """Signs by kms:Sign."""

    def __init__(self, client: KMSClient, arn: str) -> None:
        """`arn` is the key's own, not an alias's: a version of the secret stays with its key. SigningKeyUnusable."""
        if not _KEY_ARN.fullmatch(arn):
            raise SigningKeyUnusable(
                "'kms_key_arn' is not the ARN of a KMS key.", hint="Create the key with RotateKeyFunction."
            )
        self._client = client
        self.key_id = arn

    def sign(self, message: bytes, deadline: Deadline) -> bytes:
        """Sign as `keys.signer.Signer` says."""
        try:
            # RAW: KMS hashes. It takes up to 4,096 bytes; an assertion and a certificate have some 600 each.
            answer = call_before(
                deadline,
                self._client.sign,
                KeyId=self.key_id,
                Message=message,
                MessageType="RAW",
                SigningAlgorithm=ALGORITHM,
            )
        except AWS_ERRORS as error:
            raise kms_unavailable(error) from error
        return answer["Signature"]


def kms_unavailable(error: Exception) -> SigningKeyUnavailable:
    """Return the broker's error for a failed call of KMS."""
    code = error_code(error)
    return SigningKeyUnavailable(
        f"AWS KMS refused: {code}.",
        hint="Check the KMS key of the secret's version (enabled, not scheduled for deletion), its policy and the"
        " function's role.",
        retryable=code not in _PERMANENT_CODES,
    )
