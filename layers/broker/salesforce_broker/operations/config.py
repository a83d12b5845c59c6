"""The settings of the operators' functions: environment variables -> frozen values, or an error that names the variable.

Apart from `salesforce_broker.config`, so that the token functions do not depend on them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from salesforce_broker.config import SECRET_ARN, USERNAME, token_cache_prefix
from salesforce_broker.errors import SettingsInvalid
from salesforce_broker.operations.rotation.app_metadata import App, Kind

KeyStore = Literal["secret", "kms"]

_FUNCTIONS_HINT = "Give the names of the functions that hand out tokens, separated by commas, without spaces."

_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_APP_NAME = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9]){0,79}")


@dataclass(frozen=True, slots=True)
class EmergencySettings:
    """What an emergency stop acts on, and what its end restores.

    `functions`: names of the token functions. `signing_key_secret_arn` is as given: a mistake in it must not prevent a stop.
    `reserved_concurrency`: None for no bound. `provisioned_concurrency`: 0 for none.
    Apart from Settings, because a stop must not depend on the rest of them.
    """

    functions: tuple[str, ...]
    signing_key_secret_arn: str
    reserved_concurrency: int | None
    provisioned_concurrency: int
    token_cache_prefix: str


@dataclass(frozen=True, slots=True)
class RotationSettings:
    """How the key is created and changed.

    `apps`: the app, or two of which one is idle, in the order of their settings. `admin_*`: who uploads certificates; empty
    where a person does. `stack` and `signers` (ARNs of roles): of keys in KMS. `token_functions`: names, to see an emergency
    stop. `allow_import`: whether a key may be imported although certificates are uploaded by the function.
    """

    apps: tuple[App, ...]
    admin_secret_arn: str
    admin_username: str
    certificate_parameter: str
    key_store: KeyStore
    stack: str
    signers: tuple[str, ...]
    token_functions: tuple[str, ...]
    allow_import: bool

    def app(self, consumer_key: str) -> App:
        """Return the app with a consumer key; of one app alone that is it, whatever its key."""
        return next((app for app in self.apps if app.consumer_key == consumer_key), self.apps[0])


def load_emergency(environment: Mapping[str, str] = os.environ) -> EmergencySettings:
    """Read what an emergency stop needs; raise SettingsInvalid naming the first that is missing or malformed."""
    functions = _token_functions(environment)
    if not functions:
        raise SettingsInvalid("TOKEN_FUNCTIONS is missing.", hint=_FUNCTIONS_HINT)
    reserved = environment.get("RESERVED_CONCURRENCY", "")
    provisioned = environment.get("PROVISIONED_CONCURRENCY", "") or "0"
    for name, value in {"RESERVED_CONCURRENCY": reserved or "0", "PROVISIONED_CONCURRENCY": provisioned}.items():
        if not re.fullmatch(r"[0-9]{1,5}", value, re.ASCII):
            raise SettingsInvalid(f"{name} is not a number of environments.", hint="Leave it empty for none.")
    return EmergencySettings(
        functions=functions,
        signing_key_secret_arn=environment.get("SIGNING_KEY_SECRET_ARN", ""),
        reserved_concurrency=int(reserved) if reserved else None,
        provisioned_concurrency=int(provisioned),
        token_cache_prefix=token_cache_prefix(environment),
    )


def _token_functions(environment: Mapping[str, str]) -> tuple[str, ...]:
    value = environment.get("TOKEN_FUNCTIONS", "")
    functions = tuple(value.split(",")) if value else ()
    if not all(_FUNCTION_NAME.fullmatch(name) for name in functions):
        raise SettingsInvalid("TOKEN_FUNCTIONS is not a list of Lambda functions.", hint=_FUNCTIONS_HINT)
    return functions


def load_rotation(environment: Mapping[str, str] = os.environ) -> RotationSettings:
    """Read how the key is created and changed; raise SettingsInvalid naming the first that is missing or malformed."""
    store = environment.get("KEY_STORE", "") or "secret"
    kind = environment.get("SALESFORCE_APP_KIND", "") or "external"
    allow_import = environment.get("ALLOW_IMPORT", "") or "false"
    for name, value, known in (
        ("KEY_STORE", store, {"secret", "kms"}),
        ("SALESFORCE_APP_KIND", kind, {"external", "connected"}),
        ("ALLOW_IMPORT", allow_import, {"true", "false"}),
    ):
        if value not in known:
            raise SettingsInvalid(f"{name} is none of {', '.join(sorted(known))}.")
    admin_secret_arn, admin = (
        environment.get("SALESFORCE_ADMIN_SECRET_ARN", ""),
        environment.get("SALESFORCE_ADMIN_USERNAME", ""),
    )
    if (admin_secret_arn or admin) and not (SECRET_ARN.fullmatch(admin_secret_arn) and USERNAME.fullmatch(admin)):
        raise SettingsInvalid(
            "SALESFORCE_ADMIN_SECRET_ARN and SALESFORCE_ADMIN_USERNAME name no connection.",
            hint="Give the ARN of a secret with client_id and private_key, and the username it logs in; or neither.",
        )
    ids = [environment.get("SALESFORCE_CLIENT_ID", ""), environment.get("SALESFORCE_OTHER_CLIENT_ID", "")]
    names = [environment.get("SALESFORCE_APP_NAME", ""), environment.get("SALESFORCE_OTHER_APP_NAME", "")]
    if ids[1] and ids[1] == ids[0]:
        raise SettingsInvalid(
            "SALESFORCE_OTHER_CLIENT_ID is the same app.", hint="Give the consumer key of the idle app, or none."
        )
    if admin_secret_arn and not all(ids):
        raise SettingsInvalid(
            "SALESFORCE_ADMIN_SECRET_ARN needs two apps: a certificate that is in use is not replaced automatically.",
            hint="Give SALESFORCE_CLIENT_ID and SALESFORCE_OTHER_CLIENT_ID, or leave the upload to a person.",
        )
    apps = [
        App(name, cast("Kind", kind), consumer_key, admin)
        for name, consumer_key in list(zip(names, ids, strict=True))[: 2 if ids[1] else 1]
    ]
    if admin_secret_arn and not all(_APP_NAME.fullmatch(app.name) for app in apps):
        raise SettingsInvalid(
            "SALESFORCE_APP_NAME or SALESFORCE_OTHER_APP_NAME is not an API name.",
            hint="Give the names of both apps in the Metadata API: letters, digits, single underscores.",
        )
    signers = tuple(filter(None, environment.get("SIGNER_ROLE_ARNS", "").split(",")))
    if store == "kms" and not (signers and environment.get("STACK_NAME")):
        raise SettingsInvalid(
            "SIGNER_ROLE_ARNS or STACK_NAME is missing: anybody could sign with a key in KMS.",
            hint="Deploy the template as it is: it sets both.",
        )
    return RotationSettings(
        apps=tuple(apps),
        admin_secret_arn=admin_secret_arn,
        admin_username=admin,
        certificate_parameter=environment.get("CERTIFICATE_PARAMETER", ""),
        key_store=cast("KeyStore", store),
        stack=environment.get("STACK_NAME", ""),
        signers=signers,
        token_functions=_token_functions(environment),
        allow_import=allow_import == "true",
    )
