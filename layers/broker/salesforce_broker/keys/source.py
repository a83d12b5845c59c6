"""The signing key source: reads the secret in AWS Secrets Manager and holds the key in memory.

The secret holds the private key itself, or the ARN of a key in KMS. A key that could not be read or used is never remembered:
the next call reads again, so that a repaired secret works without a deployment.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from salesforce_broker import observability
from salesforce_broker.aws import call_before, error_code
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import BrokerError, SigningKeyUnavailable, SigningKeyUnusable
from salesforce_broker.keys import pem
from salesforce_broker.keys.generation import latest_stop
from salesforce_broker.keys.kms import KmsSigner
from salesforce_broker.keys.refusals import STORE_HINT
from salesforce_broker.keys.signer import RsaSigner, Signer

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

RECHECK_SECONDS = 300
"""A rotated key is seen within minutes, at some twelve reads an hour and environment; a refused signature reads at once."""

MAX_READ_SECONDS, MAX_RECHECK_SECONDS = 7.0, 3.0
"""Of one read of the secret, name and connection included; less where a key is held that serves if reading fails."""

SEALING_KEY_BYTES = 32

DAY = 24 * 3600

_REASONS = {
    "ResourceNotFoundException": (
        "the secret does not exist, or has no value yet",
        f"{STORE_HINT} Check SIGNING_KEY_SECRET_ARN if the secret has a value.",
    ),
    "AccessDeniedException": (
        "the function's role may not read it",
        "Allow secretsmanager:GetSecretValue on the secret and kms:Decrypt on its key; check the secret's own policy.",
    ),
    "DecryptionFailure": ("its KMS key cannot decrypt it", "Check that the KMS key is enabled, and its policy."),
    "InvalidRequestException": ("it is scheduled for deletion", "Restore the secret: secretsmanager restore-secret."),
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One version of the app's key.

    `sealing_key` (32 bytes) authenticates the shared cache: derived from the private key or, for a key in KMS, from bytes that
    are stored beside its ARN; from the version's id and its generation, too. `certificate`: where the secret has it.
    """

    client_id: str
    version_id: str
    signer: Signer = field(repr=False)
    public_key: RSAPublicKey = field(repr=False)
    sealing_key: bytes = field(repr=False)
    certificate: x509.Certificate | None = field(default=None, repr=False)
    generation: str = field(default="", repr=False)

    @property
    def certificate_ends(self) -> float | None:
        """Return when the certificate ends (epoch seconds); None without one."""
        return self.certificate.not_valid_after_utc.timestamp() if self.certificate else None


class SigningKeySource:
    """Reads the key and holds it by version id; reads again at most every RECHECK_SECONDS, or when asked to."""

    def __init__(
        self, client: SecretsManagerClient, *, secret_arn: str, client_id: str, kms: Callable[[], KMSClient], clock: Clock
    ) -> None:
        """`client_id` is used where the secret has none; `kms` is called for a key in KMS."""
        self._client = client
        self._secret_arn = secret_arn
        self._client_id = client_id
        self._kms = kms
        self._clock = clock
        self._held: SigningKey | None = None
        self._preferred: SigningKey | None = None
        self._read_at = self._prefer_until = 0.0

    def current(self, deadline: Deadline) -> SigningKey:
        """Return the key to sign with: the one accepted last, else the current version; read only where none is held."""
        if self._preferred and self._clock.wall() < self._prefer_until:
            return self._preferred
        return self._held or self.refresh(deadline)

    def recheck(self, deadline: Deadline) -> SigningKey:
        """Return the key to sign with, read within RECHECK_SECONDS; if reading fails, the one that is held."""
        if self._held and not 0 <= self._clock.wall() - self._read_at < RECHECK_SECONDS:
            try:
                self.refresh(deadline.within(MAX_RECHECK_SECONDS))
            except BrokerError as error:
                observability.report(error)
        return self.current(deadline)

    def prefer(self, key: SigningKey) -> SigningKey:
        """Sign with this version for RECHECK_SECONDS: Salesforce accepted it and refused the current one.

        Return it with the current version's `sealing_key`, under which the environments share tokens.
        """
        sealing_key = self._held.sealing_key if self._held else key.sealing_key
        self._preferred, self._prefer_until = replace(key, sealing_key=sealing_key), self._clock.wall() + RECHECK_SECONDS
        return self._preferred

    def refresh(self, deadline: Deadline) -> SigningKey:
        """Read the current version again and hold it; if that fails, the held one stays."""
        self._read_at = self._clock.wall()
        self._held = self._read("AWSCURRENT", deadline, self._held)
        if self._held.certificate_ends is not None:
            observability.gauge("CertificateDaysLeft", (self._held.certificate_ends - self._read_at) / DAY)
        return self._held

    def pending(self, deadline: Deadline) -> SigningKey:
        """Read the pending version of a rotation; SigningKeyUnavailable if there is none."""
        return self._read("AWSPENDING", deadline)

    def previous(self, deadline: Deadline) -> SigningKey:
        """Read the previous version; SigningKeyUnavailable if there is none."""
        return self._read("AWSPREVIOUS", deadline)

    def _read(self, stage: str, deadline: Deadline, held: SigningKey | None = None) -> SigningKey:
        """Read a version of the secret; return `held`, without parsing again, if it is that version."""
        try:
            answer = call_before(
                deadline.within(MAX_READ_SECONDS),
                self._client.get_secret_value,
                SecretId=self._secret_arn,
                VersionStage=stage,
            )
        except ClientError as error:
            code = error_code(error)
            reason, hint = _REASONS.get(code, ("AWS Secrets Manager failed", "Transient; AWS's own code: " + code))
            raise SigningKeyUnavailable(
                f"The signing key cannot be read: {reason}.", hint=hint, retryable=code not in _REASONS
            ) from error
        except BotoCoreError as error:
            raise SigningKeyUnavailable(
                "The signing key cannot be read: AWS Secrets Manager did not answer.",
                hint="Transient if it passes; in a VPC check the route or the endpoint to Secrets Manager.",
                retryable=True,
            ) from error
        if stage == "AWSCURRENT" and "CreatedDate" in answer:
            observability.gauge("KeyAgeDays", (self._clock.wall() - answer["CreatedDate"].timestamp()) / DAY)
        version_id, stop = answer["VersionId"], latest_stop(answer.get("VersionStages", ()))
        if held is not None and (held.version_id, held.generation) == (version_id, stop):
            return held
        content = answer.get("SecretString") or answer.get("SecretBinary", b"")
        return parse_secret(content, version_id=version_id, default_client_id=self._client_id, kms=self._kms, generation=stop)


def parse_secret(
    content: str | bytes, *, version_id: str, default_client_id: str, kms: Callable[[], KMSClient], generation: str = ""
) -> SigningKey:
    """Make a SigningKey of a secret's content, string or binary; SigningKeyUnusable. `pem` says what is accepted."""
    fields = pem.read_secret_fields(content)
    if fields.get("kms_key_arn"):
        client_id = _client_id(pem.read_client_id(fields.get("client_id")), default_client_id)
        return _kms_key(fields, client_id, version_id, kms, generation)
    material = pem.read_key_material(content)
    client_id = _client_id(material.client_id, default_client_id)
    _report_forms(version_id, material.forms)
    private_key = material.private_key
    encoded = private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SigningKey(
        client_id,
        version_id,
        RsaSigner(private_key, version_id),
        private_key.public_key(),
        _sealing_key(encoded, version_id, generation),
        material.certificate,
        generation,
    )


def _sealing_key(secret: bytes, version_id: str, generation: str) -> bytes:
    """Derive the sealing key of one version in one generation."""
    info = json.dumps(["salesforce-token-broker token cache 2", version_id, generation]).encode()
    return HKDF(algorithm=hashes.SHA256(), length=SEALING_KEY_BYTES, salt=None, info=info).derive(secret)


def _client_id(found: str, default: str) -> str:
    client_id = found or pem.read_client_id(default)
    if not client_id:
        raise SigningKeyUnusable(
            "The app's consumer key is set nowhere.",
            hint="Put it into the secret as 'client_id', or set SALESFORCE_CLIENT_ID (template parameter SalesforceClientId).",
        )
    return client_id


@functools.lru_cache(maxsize=64)
def _report_forms(version_id: str, forms: tuple[str, ...]) -> None:
    """Log once for each version in which odd form its key was accepted: which, never what."""
    if forms:
        observability.logger.info("signing key accepted in an unusual form", version_id=version_id, forms=list(forms))


def _kms_key(
    fields: dict[str, Any], client_id: str, version_id: str, kms: Callable[[], KMSClient], generation: str
) -> SigningKey:
    """Make a SigningKey of a key in KMS: its public half is in the certificate."""
    certificate = pem.read_certificate(fields.get("certificate", ""))
    public_key = certificate.public_key()
    assert isinstance(public_key, RSAPublicKey)
    try:
        secret = base64.b64decode(fields.get("sealing_key", ""), validate=True)
    except (ValueError, TypeError):
        secret = b""
    arn = fields["kms_key_arn"]
    if not isinstance(arn, str) or len(secret) != SEALING_KEY_BYTES:
        raise SigningKeyUnusable(
            "The secret names a KMS key, but lacks its certificate or sealing key.",
            hint="Create the key with RotateKeyFunction.",
        )
    sealing_key = _sealing_key(secret, version_id, generation)
    return SigningKey(client_id, version_id, KmsSigner(kms(), arn), public_key, sealing_key, certificate, generation)
