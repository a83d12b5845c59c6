"""Builds the operators' objects from their settings: key rotation and emergency stop."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from salesforce_broker import bootstrap, config
from salesforce_broker.clock import Clock
from salesforce_broker.config import Settings
from salesforce_broker.operations.config import RotationSettings, load_emergency, load_rotation
from salesforce_broker.operations.emergency.generation import CacheGeneration
from salesforce_broker.operations.emergency.lambda_functions import LambdaFunctions
from salesforce_broker.operations.emergency.revocation import Revocation
from salesforce_broker.operations.emergency.stop_state import StopState
from salesforce_broker.operations.emergency.workflow import EmergencyStop
from salesforce_broker.operations.rotation.certificate_upload import CertificateUpload
from salesforce_broker.operations.rotation.key_change import KeyChange
from salesforce_broker.operations.rotation.kms_keys import KmsKeys
from salesforce_broker.operations.rotation.secret_versions import SecretVersions
from salesforce_broker.operations.rotation.workflow import KeyRotation
from salesforce_broker.salesforce.jwt_bearer import JwtBearerFlow

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

EMERGENCY = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
"""For every AWS client of an emergency stop: no caller waits for a token, and each call counts."""


@functools.cache
def key_rotation() -> KeyRotation:
    """Return the key rotation, built at the first call."""
    return build_rotation(config.load(), load_rotation(), clock=Clock())


def build_rotation(settings: Settings, rotation: RotationSettings, *, clock: Clock) -> KeyRotation:
    """Build a rotation with clients of its own."""
    versions = SecretVersions(
        boto3.client("secretsmanager", config=bootstrap.SECRETS_MANAGER),
        settings.signing_key_secret_arn,
        client_id=settings.client_id,
        kms=bootstrap.kms_client,
    )
    events = bootstrap.event_publisher(settings)
    change = KeyChange(
        settings,
        rotation,
        versions=versions,
        kms_keys=_kms_keys(rotation) if rotation.key_store == "kms" else None,
        parameters=boto3.client("ssm", config=bootstrap.PARAMETER_STORE),
        flow=_flow(settings, clock),
        upload=_upload(settings, rotation, clock) if rotation.admin_secret_arn else None,
        require_running=StopState(_lambda_client, rotation.token_functions).require_running,
        events=events,
        clock=clock,
    )
    return KeyRotation(rotation, versions=versions, change=change, events=events, clock=clock)


def _kms_keys(rotation: RotationSettings) -> KmsKeys:
    tagged = boto3.client("resourcegroupstaggingapi", config=bootstrap.KEY_MANAGEMENT)
    return KmsKeys(bootstrap.kms_client(), tagged, stack=rotation.stack, signers=rotation.signers)


def _lambda_client() -> LambdaClient:
    return boto3.client("lambda", config=EMERGENCY)


def _upload(settings: Settings, rotation: RotationSettings, clock: Clock) -> CertificateUpload:
    """Build the administrator's connection: another app's key, in a secret of its own."""
    admin = dataclasses.replace(settings, signing_key_secret_arn=rotation.admin_secret_arn, client_id="")
    keys, flow = bootstrap.signing_key_source(admin, clock, bootstrap.SECRETS_MANAGER), _flow(admin, clock)
    return CertificateUpload(
        admin=lambda deadline: flow.login(keys.recheck(deadline), rotation.admin_username, deadline, other_versions=False)[1],
        transport=bootstrap.transport(),
        app=rotation.app,
        clock=clock,
    )


def _flow(settings: Settings, clock: Clock) -> JwtBearerFlow:
    keys = bootstrap.signing_key_source(settings, clock, bootstrap.SECRETS_MANAGER)
    return JwtBearerFlow(keys, bootstrap.salesforce_client(settings, clock), audience=settings.audience, clock=clock)


@functools.cache
def emergency_stop() -> EmergencyStop:
    """Return the emergency stop, built at the first call."""
    settings, clock = load_emergency(), Clock()
    return EmergencyStop(
        settings,
        functions=LambdaFunctions(_lambda_client(), settings),
        generation=CacheGeneration(boto3.client("secretsmanager", config=EMERGENCY), settings.signing_key_secret_arn),
        parameters=boto3.client("ssm", config=EMERGENCY),
        revocation=lambda: _revocation(config.load(), clock),
        clock=clock,
    )


def _revocation(settings: Settings, clock: Clock) -> Revocation:
    keys = bootstrap.signing_key_source(settings, clock, EMERGENCY)
    salesforce = bootstrap.salesforce_client(settings, clock)
    return Revocation(
        settings,
        keys=keys,
        shared=bootstrap.shared_cache(settings, clock, EMERGENCY),
        flow=JwtBearerFlow(keys, salesforce, audience=settings.audience, clock=clock),
        salesforce=salesforce,
    )
