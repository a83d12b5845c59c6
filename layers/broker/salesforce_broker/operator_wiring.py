"""Settings -> what the operators' functions do: the rotation of the key, and the emergency stop.

Apart from `wiring`, so that the doors that hand out tokens import none of it. Owns time-outs and retries of the AWS clients.
"""

from __future__ import annotations

import dataclasses
import functools

import boto3
from botocore.config import Config

from salesforce_broker import operator_settings, settings, wiring
from salesforce_broker.certificate_upload import CertificateUpload
from salesforce_broker.clock import Clock
from salesforce_broker.emergency import EmergencyStop
from salesforce_broker.key_change import KeyChange, in_the_secret
from salesforce_broker.key_versions import KeyVersions
from salesforce_broker.kms_key import KmsKeys
from salesforce_broker.lambda_doors import LambdaDoors
from salesforce_broker.minter import Minter
from salesforce_broker.revocation import Revocation
from salesforce_broker.rotation import KeyRotation

IN_AN_EMERGENCY = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
"""Of every AWS client of a stop: nobody waits for a token, and each call counts."""

BRIDGE_SECONDS = 660
"""For which a shared token outlives the change of a certificate: known everywhere after ten minutes at most."""


@functools.cache
def key_rotation() -> KeyRotation:
    """Return what makes keys, built at the first call."""
    return build_rotation(settings.load(), operator_settings.load_rotation(), clock=Clock())


def build_rotation(given: settings.Settings, rotation: operator_settings.RotationSettings, *, clock: Clock) -> KeyRotation:
    """Build a rotation with clients of its own."""
    versions = KeyVersions(boto3.client("secretsmanager", config=wiring.SECRETS_MANAGER), given.signing_key_secret_arn)
    announced = wiring.announcements_of(given)
    in_kms = rotation.key_store == "kms"
    change = KeyChange(
        given,
        rotation,
        versions=versions,
        make=KmsKeys(wiring.kms(), stack=rotation.stack, signers=rotation.signers).make if in_kms else in_the_secret,
        kms=wiring.kms,
        parameters=boto3.client("ssm", config=wiring.PARAMETER_STORE),
        minter=_minter(given, clock),
        upload=_upload(given, rotation, clock) if rotation.admin_secret_arn else None,
        bridge=lambda deadline: wiring.build(given, clock=clock).bridge(
            deadline.seconds_left, min(BRIDGE_SECONDS, given.token_lifetime_seconds - 1)
        ),
        announcements=announced,
        clock=clock,
    )
    return KeyRotation(versions=versions, change=change, announcements=announced, clock=clock)


def _upload(given: settings.Settings, rotation: operator_settings.RotationSettings, clock: Clock) -> CertificateUpload:
    """Build the administrator's connection: another app's key, in a secret of its own."""
    admin = dataclasses.replace(given, signing_key_secret_arn=rotation.admin_secret_arn, client_id="")
    keys, minter = wiring.keys_of(admin, clock, wiring.SECRETS_MANAGER), _minter(admin, clock)
    return CertificateUpload(
        admin=lambda deadline: minter.mint(keys.recheck(), rotation.admin_username, deadline, others=False)[1],
        transport=wiring.transport(),
        app=rotation.app,
        clock=clock,
    )


def _minter(given: settings.Settings, clock: Clock) -> Minter:
    keys = wiring.keys_of(given, clock, wiring.SECRETS_MANAGER)
    return Minter(keys, wiring.salesforce_of(given, clock), audience=given.audience, clock=clock)


@functools.cache
def emergency_stop() -> EmergencyStop:
    """Return what stops everything, built at the first call."""
    given, clock = operator_settings.load_emergency(), Clock()
    return EmergencyStop(
        given,
        doors=LambdaDoors(boto3.client("lambda", config=IN_AN_EMERGENCY), given),
        parameters=boto3.client("ssm", config=IN_AN_EMERGENCY),
        revocation=lambda: _revocation(settings.load(), clock),
        clock=clock,
    )


def _revocation(given: settings.Settings, clock: Clock) -> Revocation:
    keys, salesforce = wiring.keys_of(given, clock, IN_AN_EMERGENCY), wiring.salesforce_of(given, clock)
    return Revocation(
        given,
        keys=keys,
        shared=wiring.shared_cache_of(given, clock, IN_AN_EMERGENCY),
        minter=Minter(keys, salesforce, audience=given.audience, clock=clock),
        salesforce=salesforce,
    )
