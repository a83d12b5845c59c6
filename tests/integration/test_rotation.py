"""Creation and rotation of the key inside AWS, with Salesforce verifying every signature."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from local_salesforce import DEFAULT_CONSUMER_KEY
from salesforce_broker.errors import AssertionRefused, InvalidRequest, SigningKeyUnavailable
from salesforce_broker.operations import bootstrap as operations_bootstrap
from tests.integration.conftest import OTHER_USERNAME, Account
from tests.support import token_functions
from tests.support.events import Context

CERTIFICATE_PARAMETER = "/broker/certificate"
TOKEN_FUNCTION = "broker-TokenFunction"


@pytest.fixture(autouse=True)
def _token_functions(account: Account) -> None:
    del account  # functions are of its AWS
    token_functions.create(TOKEN_FUNCTION)


def operate(account: Account, action: str, **fields: Any) -> dict[str, Any]:
    """Invoke the operator's function."""
    account.set(CERTIFICATE_PARAMETER=CERTIFICATE_PARAMETER, TOKEN_FUNCTIONS=TOKEN_FUNCTION)
    operations_bootstrap.key_rotation.cache_clear()
    answer: dict[str, Any] = account.open("rotate_key").lambda_handler({"action": action, **fields}, Context(seconds=60))
    return answer


def upload(account: Account, certificate: str) -> None:
    """Do what the administrator does in Salesforce."""
    account.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, certificate)


def fresh_token(account: Account) -> str:
    """Have an environment with nothing in memory log in anew."""
    account.salesforce.sessions.end()
    account.set(TOKEN_CACHE_PREFIX="")
    return str(account.invoke({})["access_token"])


def labels(account: Account) -> dict[str, str]:
    """Return the version of each label."""
    stages = account.secrets.describe_secret(SecretId=account.secret_arn)["VersionIdsToStages"]
    return {label: version for version, found in stages.items() for label in found}


@pytest.fixture
def first_key(account: Account) -> dict[str, Any]:
    """Begin with an empty secret, and have the key made."""
    account.secret_arn = account.secrets.create_secret(Name="empty")["ARN"]
    account.set(SIGNING_KEY_SECRET_ARN=account.secret_arn, SALESFORCE_CLIENT_ID=DEFAULT_CONSUMER_KEY)
    made = operate(account, "create")
    upload(account, made["certificate"])
    return made


def test_a_key_is_created_in_aws(account: Account, first_key: dict[str, Any], log: io.StringIO) -> None:
    """Only its certificate leaves: in the answer and in a parameter; the next token is signed with it."""
    assert ("AWSCURRENT", "nothing to do") == (first_key["stage"], first_key["next"])
    assert fresh_token(account)
    parameter = account.parameters.get_parameter(Name=CERTIFICATE_PARAMETER)["Parameter"]
    assert ("String", first_key["certificate"]) == (parameter["Type"], parameter["Value"])
    certificate = x509.load_pem_x509_certificate(first_key["certificate"].encode())
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    assert (3072, 825) == (key.key_size, (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days)
    assert int(certificate.not_valid_after_utc.timestamp()) == first_key["not_after"]
    stored = json.loads(account.secrets.get_secret_value(SecretId=account.secret_arn)["SecretString"])
    assert {"private_key", "certificate"} == set(stored)
    said = log.getvalue() + json.dumps(first_key)
    assert not [line for line in stored["private_key"].splitlines()[1:-1] if line in said]


@pytest.mark.parametrize("bits", [2048, 4096])
def test_its_size_and_days_are_the_operators(account: Account, bits: int) -> None:
    """2048 to 4096 bits."""
    account.secret_arn = account.secrets.create_secret(Name="empty")["ARN"]
    account.set(SIGNING_KEY_SECRET_ARN=account.secret_arn, SALESFORCE_CLIENT_ID=DEFAULT_CONSUMER_KEY)
    certificate = x509.load_pem_x509_certificate(operate(account, "create", bits=bits, days=30)["certificate"].encode())
    assert bits == certificate.public_key().key_size  # type: ignore[union-attr]
    assert 30 == (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days


def test_a_key_is_changed_without_a_gap(account: Account, first_key: dict[str, Any]) -> None:
    """The next one waits; Salesforce's refusal of the old one is the sign to use it; then the label moves."""
    following = operate(account, "create")
    assert ("AWSPENDING", first_key["version_id"]) == (following["stage"], labels(account)["AWSCURRENT"])
    assert fresh_token(account)
    upload(account, following["certificate"])
    assert fresh_token(account)
    done = operate(account, "finish")
    assert (following["version_id"], "AWSCURRENT") == (done["version_id"], done["stage"])
    assert {"AWSCURRENT": following["version_id"], "AWSPREVIOUS": first_key["version_id"]} == labels(account)
    assert fresh_token(account)
    assert "AWSPENDING" == operate(account, "create")["stage"]


def test_mixed_answers_cost_no_request(account: Account, first_key: dict[str, Any]) -> None:
    """While the change makes its way to every node: forty environments, each with a login of its own."""
    del first_key
    following = operate(account, "create")
    account.salesforce.world.switches.certificate_propagation = 200
    upload(account, following["certificate"])
    for _ in range(40):
        assert fresh_token(account)
    refused = [entry.error for entry in account.salesforce.journal].count("invalid_grant")
    assert 5 < refused < 35
    account.salesforce.clock.advance(200)
    assert following["version_id"] == operate(account, "finish")["version_id"]
    assert fresh_token(account)


def test_there_is_one_pending_key(account: Account, first_key: dict[str, Any]) -> None:
    """Another one would push it away; its certificate can be had again."""
    assert first_key == operate(account, "certificate")
    following = operate(account, "create")
    with pytest.raises(InvalidRequest, match="pending key already"):
        operate(account, "create")
    assert following == operate(account, "certificate")


def test_finishing_before_the_upload_changes_nothing(account: Account, first_key: dict[str, Any]) -> None:
    """Salesforce itself is asked whether it takes the new key."""
    with pytest.raises(InvalidRequest, match="no pending key"):
        operate(account, "finish")
    operate(account, "create")
    before = labels(account)
    with pytest.raises(AssertionRefused):
        operate(account, "finish")
    assert before == labels(account)
    assert first_key["version_id"] == before["AWSCURRENT"]
    assert fresh_token(account)


def test_a_finish_that_ended_halfway_is_finished(account: Account, first_key: dict[str, Any]) -> None:
    """Between the two labels: the same action again brings it to its end."""
    following = operate(account, "create")
    upload(account, following["certificate"])
    account.secrets.update_secret_version_stage(
        SecretId=account.secret_arn,
        VersionStage="AWSCURRENT",
        MoveToVersionId=following["version_id"],
        RemoveFromVersionId=first_key["version_id"],
    )
    assert following["version_id"] == operate(account, "finish")["version_id"]
    assert "AWSPENDING" not in labels(account)
    assert following["version_id"] == labels(account)["AWSCURRENT"]


def test_finishing_needs_a_user_to_try_with(account: Account, first_key: dict[str, Any]) -> None:
    """The default one, else one of the allowed; none is a named mistake."""
    del first_key
    following = operate(account, "create")
    upload(account, following["certificate"])
    account.set(SALESFORCE_USERNAME=None, ALLOWED_SUBJECTS=None)
    with pytest.raises(InvalidRequest, match="no user"):
        operate(account, "finish")
    account.set(ALLOWED_SUBJECTS=OTHER_USERNAME)
    assert "AWSCURRENT" == operate(account, "finish")["stage"]


def test_a_key_that_somebody_brought_is_replaced_likewise(account: Account) -> None:
    """It has no certificate in the secret to tell of."""
    with pytest.raises(SigningKeyUnavailable):
        operate(account, "certificate")
    following = operate(account, "create")
    assert "AWSPENDING" == following["stage"]
    upload(account, following["certificate"])
    assert fresh_token(account)
    assert "AWSCURRENT" == operate(account, "finish")["stage"]


def test_a_key_waits_for_its_app_to_be_named(account: Account) -> None:
    """Made before the app exists, it is not replaced by a second `create`; named by the setting, it signs."""
    account.secret_arn = account.secrets.create_secret(Name="empty")["ARN"]
    account.set(SIGNING_KEY_SECRET_ARN=account.secret_arn, SALESFORCE_CLIENT_ID=None)
    made = operate(account, "create")
    assert "AWSPENDING" == operate(account, "create")["stage"]
    assert made["version_id"] == labels(account)["AWSCURRENT"]
    upload(account, made["certificate"])
    account.set(SALESFORCE_CLIENT_ID=DEFAULT_CONSUMER_KEY)
    assert fresh_token(account)


def test_the_consumer_key_in_the_secret_is_kept(account: Account) -> None:
    """From version to version."""
    operate(account, "create")
    stored = account.secrets.get_secret_value(SecretId=account.secret_arn, VersionStage="AWSPENDING")["SecretString"]
    assert DEFAULT_CONSUMER_KEY == json.loads(stored)["client_id"]


def test_an_unusable_secret_is_no_key(account: Account) -> None:
    """What cannot sign is nothing to wait beside."""
    account.put_secret("{}")
    account.set(SALESFORCE_CLIENT_ID=DEFAULT_CONSUMER_KEY)
    assert "AWSCURRENT" == operate(account, "create")["stage"]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"action": "rotate"},
        {"action": ["create"]},
        {"action": "create", "bits": 1024},
        {"action": "create", "bits": True},
        {"action": "create", "days": 0},
        {"action": "create", "days": "30"},
        {"action": "create", "colour": "red"},
        {"action": "finish", "bits": 2048},
        {"Step": "createSecret", "SecretId": "x"},
        {"Step": "rotate", "SecretId": "x", "ClientRequestToken": "y"},
        {"Step": "createSecret", "SecretId": "x", "ClientRequestToken": "y", "colour": "red"},
        {"action": "check"},
        {"action": "check", "at": "now"},
        {"action": "import", "certificate": "x"},
        {"action": "import", "private_key": "x", "certificate": 1},
        {"action": "import", "private_key": "x" * 20_000, "certificate": "y"},
    ],
)
def test_an_operators_mistake_is_named(account: Account, payload: object) -> None:
    """And makes no key."""
    before = labels(account)
    with pytest.raises(InvalidRequest):
        account.open("rotate_key").lambda_handler(payload, Context())
    assert before == labels(account)
