"""The key's birth and its change: a private key that is made inside AWS, and of which only the certificate ever leaves.

Owns new versions of the secret and their labels. Does not upload a certificate to Salesforce.

The first key becomes AWSCURRENT at once. A later one waits as AWSPENDING beside the one in use: the broker signs with the
current key until Salesforce refuses it, which is when the new certificate is on the app, and then tries the pending one
(see `minter`). `finish` moves the label once Salesforce takes the new key. At no moment is there no key that works.
"""

from __future__ import annotations

import datetime
import json
import secrets
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from salesforce_broker import assertion, observability
from salesforce_broker.answer import PublishedKey
from salesforce_broker.clock import Clock
from salesforce_broker.errors import InvalidRequest, SigningKeyUnavailable, SigningKeyUnusable
from salesforce_broker.request import KeyAction, KeyRequest
from salesforce_broker.salesforce import Salesforce
from salesforce_broker.settings import Settings
from salesforce_broker.signing_key import SigningKey, parse

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

COMMON_NAME = "salesforce-token-broker"
ANSWER_SECONDS = 1.0
"""Kept back from the invocation's time."""

BACKDATED = datetime.timedelta(minutes=5)
"""Of a certificate's beginning: clocks differ."""


class KeyRotation:
    """Makes keys, and moves on to them."""

    def __init__(
        self,
        settings: Settings,
        *,
        secret: SecretsManagerClient,
        parameters: SSMClient,
        salesforce: Salesforce,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._parameters = parameters
        self._salesforce = salesforce
        self._clock = clock

    def answer(self, asked: KeyRequest) -> PublishedKey:
        """Do what is asked."""
        observability.logger.append_keys(door="operator", action=asked.action.value)
        steps: dict[KeyAction, Callable[[], PublishedKey]] = {
            KeyAction.CREATE: lambda: self.create(asked.bits, asked.days),
            KeyAction.CERTIFICATE: self.certificate,
            KeyAction.FINISH: lambda: self.finish(asked.seconds_left - ANSWER_SECONDS),
        }
        key = steps[asked.action]()
        observability.count(f"Key.{asked.action.value}")
        return key

    def create(self, bits: int, days: int) -> PublishedKey:
        """Make a key and publish its certificate; InvalidRequest while an earlier one still waits to be finished."""
        version_id, text = self._text("AWSCURRENT")
        current = self._key(version_id, text)
        if current and self._key(*self._text("AWSPENDING")):
            raise InvalidRequest(
                "There is a key already that waits for its certificate to be uploaded.",
                hint="Upload that certificate (action 'certificate' tells it), then finish; or finish what was uploaded.",
            )
        private_key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        fields = {"private_key": _pem(private_key), "certificate": self._certificate(private_key, days)}
        # Where the setting names the app, it goes on naming it.
        client_id = _fields(text).get("client_id")
        if client_id:
            fields["client_id"] = client_id
        stage = "AWSPENDING" if current else "AWSCURRENT"
        version_id = str(uuid.uuid4())
        self._call("put_secret_value", ClientRequestToken=version_id, SecretString=json.dumps(fields), VersionStages=[stage])
        observability.audit("key made", version_id=version_id, stage=stage, bits=bits, days=days)
        return self._publish(version_id, stage, fields["certificate"])

    def certificate(self) -> PublishedKey:
        """Publish the certificate of the key that waits, else of the one in use, again."""
        for stage in ("AWSPENDING", "AWSCURRENT"):
            version_id, text = self._text(stage)
            certificate = _fields(text).get("certificate")
            if certificate:
                return self._publish(version_id, stage, certificate)
        raise SigningKeyUnavailable(
            "There is no key that was made here.",
            hint="Make one: invoke this function with the action 'create'.",
            retryable=False,
        )

    def finish(self, seconds: float) -> PublishedKey:
        """Move on to the key that waits, if Salesforce takes it; else raise what it says (AssertionRefused: not uploaded)."""
        pending = self._key(*self._text("AWSPENDING"))
        if pending is None:
            raise InvalidRequest("There is no key that waits.", hint="Make one: the action 'create'.")
        signed = assertion.mint(
            issuer=pending.client_id,
            subject=self._subject(),
            audience=self._settings.audience,
            key=pending.private_key,
            now=self._clock.wall(),
            token_id=secrets.token_hex(16),
        )
        self._salesforce.exchange(signed, self._clock.deadline(seconds))
        before, _ = self._text("AWSCURRENT")
        if before != pending.version_id:  # else an earlier finish ended between the two
            moved = {"MoveToVersionId": pending.version_id, "RemoveFromVersionId": before}
            self._call("update_secret_version_stage", VersionStage="AWSCURRENT", **moved)
        self._call("update_secret_version_stage", VersionStage="AWSPENDING", RemoveFromVersionId=pending.version_id)
        observability.audit("key in use", version_id=pending.version_id, before=before)
        return self.certificate()

    def _subject(self) -> str:
        """Return a user to try the new key with."""
        for subject in (self._settings.username, *sorted(self._settings.allowed_subjects)):
            if subject:
                return subject
        raise InvalidRequest(
            "There is no user to try the new key with.", hint="Set SALESFORCE_USERNAME (template parameter SalesforceUsername)."
        )

    def _key(self, version_id: str, text: str) -> SigningKey | None:
        """Return the key in a version's text; None if there is none, or nothing that can sign."""
        try:
            # A key waits for its app to be named, too: it is a key all the same.
            return parse(text, version_id=version_id, default_client_id=self._settings.client_id or "unknown") if text else None
        except SigningKeyUnusable:
            return None

    def _text(self, stage: str) -> tuple[str, str]:
        try:
            answer = self._secret.get_secret_value(SecretId=self._settings.signing_key_secret_arn, VersionStage=stage)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return "", ""
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error
        return answer["VersionId"], answer.get("SecretString", "")

    def _publish(self, version_id: str, stage: str, certificate: str) -> PublishedKey:
        """Write the certificate, which is no secret, where administrators find it."""
        try:
            self._parameters.put_parameter(
                Name=self._settings.certificate_parameter, Value=certificate, Type="String", Overwrite=True, Tier="Standard"
            )
        except (BotoCoreError, ClientError) as error:
            # The answer has it too.
            observability.logger.warning("certificate cannot be published", aws_error=type(error).__name__)
        ends = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
        return PublishedKey(version_id, stage, certificate, int(ends.timestamp()))

    def _certificate(self, key: rsa.RSAPrivateKey, days: int) -> str:
        """Sign a certificate of the key's own; Salesforce takes no notice of its name nor of its end."""
        now = datetime.datetime.fromtimestamp(self._clock.wall(), datetime.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + datetime.timedelta(days=days))
            .sign(key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _call(self, operation: str, **arguments: object) -> None:
        try:
            getattr(self._secret, operation)(SecretId=self._settings.signing_key_secret_arn, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error


def _fields(text: str) -> dict[str, str]:
    """Return the fields of a secret; none of a bare PEM."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _pem(key: rsa.RSAPrivateKey) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def _unavailable(error: Exception) -> SigningKeyUnavailable:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    hint = "Check the function's role, the secret's own policy and its KMS key."
    return SigningKeyUnavailable(f"Secrets Manager refused: {code}.", hint=hint, retryable=isinstance(error, BotoCoreError))
