"""Settings of the operators' functions: each mistake is named."""

from __future__ import annotations

import pytest

from salesforce_broker.errors import SettingsInvalid
from salesforce_broker.operations import config as operations_config
from salesforce_broker.operations.config import load_rotation
from salesforce_broker.operations.rotation.app_metadata import App
from tests.support.builders import SECRET_ARN

ADMIN = {
    "SALESFORCE_ADMIN_SECRET_ARN": SECRET_ARN,
    "SALESFORCE_ADMIN_USERNAME": "admin@acme.example",
    "SALESFORCE_CLIENT_ID": "3MVG9.blue",
    "SALESFORCE_APP_NAME": "Broker",
}
TWO = ADMIN | {"SALESFORCE_OTHER_CLIENT_ID": "3MVG9.green", "SALESFORCE_OTHER_APP_NAME": "Other_Broker"}


def test_by_default_a_person_uploads_to_one_app() -> None:
    """And the key lies in the secret."""
    settings = load_rotation({})
    assert ("secret", "", 1) == (settings.key_store, settings.admin_secret_arn, len(settings.apps))


def test_an_app_is_found_by_its_consumer_key() -> None:
    """Of two; of one it is that one, whose key may be in the secret alone."""
    two = load_rotation(TWO | {"SALESFORCE_APP_KIND": "connected"})
    assert App("Other_Broker", "connected", "3MVG9.green", "admin@acme.example") == two.app("3MVG9.green")
    assert "Broker" == load_rotation({"SALESFORCE_APP_NAME": "Broker"}).app("3MVG9.in-the-secret").name


@pytest.mark.parametrize(
    "changes",
    [
        {"KEY_STORE": "disk"},
        {"STACK_NAME": "", "KEY_STORE": "kms", "SIGNER_ROLE_ARNS": "arn:aws:iam::123456789012:role/x"},
        {"SIGNER_ROLE_ARNS": "", "KEY_STORE": "kms", "STACK_NAME": "stack"},
        {"SALESFORCE_APP_KIND": "mobile"},
        {"SALESFORCE_ADMIN_SECRET_ARN": "admin"},
        {"SALESFORCE_ADMIN_USERNAME": ""},
        {"SALESFORCE_APP_NAME": ""},
        {"SALESFORCE_APP_NAME": "../../x"},
        {"SALESFORCE_APP_NAME": "Two__underscores"},
        {"SALESFORCE_OTHER_APP_NAME": ""},
        {"SALESFORCE_OTHER_CLIENT_ID": "3MVG9.blue"},
        {"SALESFORCE_ADMIN_USERNAME": "admin@acme.example", "SALESFORCE_ADMIN_SECRET_ARN": ""},
        {"SALESFORCE_ADMIN_SECRET_ARN": SECRET_ARN, "SALESFORCE_OTHER_CLIENT_ID": ""},
        {"SALESFORCE_ADMIN_SECRET_ARN": SECRET_ARN, "SALESFORCE_CLIENT_ID": ""},
        {"ALLOW_IMPORT": "yes"},
        {"TOKEN_FUNCTIONS": "a, b"},
    ],
)
def test_a_setting_of_the_rotation_that_makes_no_sense_is_named(changes: dict[str, str]) -> None:
    """By its variable."""
    with pytest.raises(SettingsInvalid) as caught:
        load_rotation(TWO | changes)
    named = next(iter(changes)).replace("OTHER_APP", "APP").replace("ADMIN_USERNAME", "ADMIN_SECRET_ARN")
    assert named in caught.value.description


EMERGENCY = {"TOKEN_FUNCTIONS": "stack-TokenApiFunction-1a,stack-TokenFunction-2b"}


def test_an_emergency_stop_reads_its_own_settings_alone() -> None:
    """Empty is none; that the rest makes no sense is no matter."""
    settings = operations_config.load_emergency(EMERGENCY | {"SALESFORCE_LOGIN_URL": "https://evil.example"})
    assert (("stack-TokenApiFunction-1a", "stack-TokenFunction-2b"), None, 0, "") == (
        settings.functions,
        settings.reserved_concurrency,
        settings.provisioned_concurrency,
        settings.token_cache_prefix,
    )
    more = {"RESERVED_CONCURRENCY": "50", "PROVISIONED_CONCURRENCY": "2", "TOKEN_CACHE_PREFIX": "/broker/tokens"}
    settings = operations_config.load_emergency(EMERGENCY | more)
    assert (50, 2, "/broker/tokens") == (
        settings.reserved_concurrency,
        settings.provisioned_concurrency,
        settings.token_cache_prefix,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKEN_FUNCTIONS", ""),
        ("TOKEN_FUNCTIONS", "a, b"),
        ("TOKEN_FUNCTIONS", "a,"),
        ("TOKEN_FUNCTIONS", "arn:aws:lambda:eu-central-1:123456789012:function:a"),
        ("RESERVED_CONCURRENCY", "many"),
        ("RESERVED_CONCURRENCY", "-1"),
        ("PROVISIONED_CONCURRENCY", "٢"),
        ("TOKEN_CACHE_PREFIX", "tokens"),
    ],
)
def test_a_setting_of_an_emergency_stop_that_makes_no_sense_is_named(name: str, value: str) -> None:
    """As the others."""
    with pytest.raises(SettingsInvalid, match=name) as caught:
        operations_config.load_emergency(EMERGENCY | {name: value})
    assert caught.value.hint
