"""What may become the key, and when: imports, emergency stops, and what happens after a key was activated."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from local_salesforce import DEFAULT_CONSUMER_KEY, KeyMaterial, key_material
from salesforce_broker import bootstrap
from salesforce_broker.errors import EmergencyStopActive, InvalidRequest, SettingsInvalid, SigningKeyUnusable
from salesforce_broker.operations import bootstrap as operations_bootstrap
from salesforce_broker.operations.rotation import steps
from tests.support import keys, token_functions
from tests.support.fakes import client_error
from tests.support.key_life import OTHER_CONSUMER_KEY, TOKEN_FUNCTION, KeyLife

PAIR = KeyMaterial(keys.pem(keys.rsa_key()), keys.certificate())
AT_MIDNIGHT = {"action": "check", "at": "2026-11-24T00:00:00Z"}


@pytest.fixture(autouse=True)
def _small_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "DEFAULT_KEY_BITS", 2048)


def logins(life: KeyLife) -> int:
    """Count what Salesforce was asked, refused logins included."""
    return life.salesforce.exchanges()


def imported(**changes: str) -> dict[str, str]:
    """Return the payload of an import of a fresh pair."""
    pair = key_material.make()
    return {"action": "import", "private_key": pair.private_key, "certificate": pair.certificate} | changes


def test_nothing_is_imported_where_keys_are_in_kms() -> None:
    """Whatever the setting that opens imports says: a plaintext key would take the place of one that nobody can copy."""
    with KeyLife(pair=PAIR, key_store="kms") as life:
        life.variables["ALLOW_IMPORT"] = "true"
        before = life.secrets_manager.labels
        with pytest.raises(InvalidRequest, match="KMS"):
            life.invoke(imported())
        assert before == life.secrets_manager.labels


def test_an_import_where_certificates_are_uploaded_needs_to_be_opened() -> None:
    """Else whoever may invoke this function installs a key of his own, and has the org."""
    with KeyLife(pair=PAIR, apps=2, uploads=True) as life:
        with pytest.raises(InvalidRequest, match="Import is off") as caught:
            life.invoke(imported())
        assert "ALLOW_IMPORT" in caught.value.hint
        life.variables["ALLOW_IMPORT"] = "true"
        assert "AWSPENDING" == life.invoke(imported())["stage"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"client_id": "3MVG9.somebody-elses"}, "another app"),
        ({"client_id": "not a consumer key"}, "client_id"),
        ({"certificate": keys.certificate("other")}, "does not belong"),
    ],
)
def test_an_import_that_could_not_be_activated_is_refused_before_it_is_stored(fields: dict[str, str], words: str) -> None:
    """Named, and nothing is stored or published."""
    with KeyLife(pair=PAIR) as life:
        before = life.secrets_manager.labels
        with pytest.raises(SigningKeyUnusable, match=words):
            life.invoke(imported(**fields))
        assert before == life.secrets_manager.labels
        assert [] == life.announced


def test_an_import_needs_a_certificate() -> None:
    """In a field of its own, or in the file of the key."""
    pair = key_material.make()
    with KeyLife(pair=PAIR) as life:
        with pytest.raises(InvalidRequest, match="certificate"):
            life.invoke({"action": "import", "private_key": pair.private_key})
        answer = life.invoke({"action": "import", "private_key": pair.private_key + pair.certificate})
        assert pair.certificate.split() == answer["certificate"].split()


def test_a_certificate_with_written_line_ends_is_taken() -> None:
    r"""`\n` as two characters, as consoles and shells make of it; the hourly check and `finish` work with it."""
    pair = key_material.make()
    with KeyLife(pair=PAIR) as life:
        mangled = pair.certificate.replace("\n", "\\n")
        answer = life.invoke({"action": "import", "private_key": pair.private_key, "certificate": mangled})
        assert pair.certificate == answer["certificate"]
        assert {} == life.invoke(AT_MIDNIGHT)
        life.be_the_person()
        assert "AWSCURRENT" == life.invoke({"action": "finish"})["stage"]


@pytest.mark.parametrize("action", ["certificate", "finish", "check"])
def test_a_hand_made_version_with_other_fields_is_refused_before_anything_is_published(action: str) -> None:
    """By the fields' names; a name that may be a piece of a key is not repeated."""
    pair = key_material.make()
    line = pair.private_key.splitlines()[1]
    fields = {"private_key": pair.private_key, "certificate": pair.certificate, "login_url": "x", line: "x"}
    with KeyLife(pair=PAIR) as life:
        life.secrets.put_secret_value(SecretId=life.secret_arn, SecretString=json.dumps(fields), VersionStages=["AWSPENDING"])
        payload = AT_MIDNIGHT if action == "check" else {"action": action}
        with pytest.raises(SigningKeyUnusable, match="login_url") as caught:
            life.invoke(payload)
        assert line not in str(caught.value)
        assert [] == life.announced
        assert [] == boto3.client("ssm").get_parameters_by_path(Path="/", Recursive=True)["Parameters"]


# ---------------------------------------------------------------------------------------------------------------------
# Emergency stops
# ---------------------------------------------------------------------------------------------------------------------


def step(life: KeyLife, name: str, version_id: str) -> Callable[[], Any]:
    """Return one of Secrets Manager's steps, to run."""
    return lambda: life.invoke({"Step": name, "SecretId": life.secret_arn, "ClientRequestToken": version_id})


@pytest.mark.parametrize(("apps", "uploads"), [(1, False), (2, True)])
def test_no_key_is_tested_or_activated_during_an_emergency_stop(apps: int, uploads: bool) -> None:
    """No login, no upload, no move of a label; a key can be created, and its certificate had. After the stop it goes on."""
    with KeyLife(pair=PAIR, apps=apps, uploads=uploads) as life:
        life.rotate()
        current = life.secrets_manager.labels["AWSCURRENT"]
        version_id = life.secrets_manager.begin()
        token_functions.stop(TOKEN_FUNCTION)
        before = logins(life)
        step(life, "createSecret", version_id)()
        assert version_id == life.invoke({"action": "certificate"})["version_id"]
        refused: list[Callable[[], Any]] = [
            step(life, "setSecret", version_id),
            step(life, "testSecret", version_id),
            step(life, "finishSecret", version_id),
            lambda: life.invoke({"action": "finish"}),
            lambda: life.invoke({"action": "rollback"}),
            lambda: life.invoke(AT_MIDNIGHT),
        ]
        for run in refused:
            with pytest.raises(EmergencyStopActive, match="emergency stop is in force"):
                run()
        assert before == logins(life)
        assert current == life.secrets_manager.labels["AWSCURRENT"]
        token_functions.start(TOKEN_FUNCTION)
        life.finish(version_id)
        assert version_id == life.secrets_manager.labels["AWSCURRENT"]


def test_keys_are_created_and_imported_during_an_emergency_stop() -> None:
    """As after the theft of a key: the next one is ready when the stop ends. A check without a pending key is quiet."""
    with KeyLife(pair=PAIR) as life:
        token_functions.stop(TOKEN_FUNCTION)
        assert {} == life.invoke(AT_MIDNIGHT)
        assert "AWSPENDING" == life.invoke(imported())["stage"]


def test_the_first_key_is_announced_instead_of_uploaded_during_an_emergency_stop() -> None:
    """An upload is a login, too."""
    with KeyLife(pair=PAIR, apps=2, uploads=True) as life:
        life.secret_arn = life.secrets.create_secret(Name="empty")["ARN"]
        life.variables["SIGNING_KEY_SECRET_ARN"] = life.secret_arn
        token_functions.stop(TOKEN_FUNCTION)
        before = logins(life)
        made = life.invoke({"action": "create", "bits": 2048})
        assert "AWSCURRENT" == made["stage"]
        assert before == logins(life)
        assert ["Certificate To Upload"] == [kind for kind, _ in life.announced]


def test_a_stop_that_cannot_be_seen_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS refuses to tell, or nobody says which functions there are: named, and no login."""
    with KeyLife(pair=PAIR) as life:
        life.invoke({"action": "create", "bits": 2048})
        life.be_the_person()
        before = logins(life)
        with monkeypatch.context() as patch:

            def fail(**_: object) -> None:
                raise client_error("AccessDeniedException")

            patch.setattr(lambda_client(), "get_function_concurrency", fail)
            with pytest.raises(EmergencyStopActive, match="AccessDeniedException"):
                life.invoke({"action": "finish"})
        life.variables["TOKEN_FUNCTIONS"] = ""
        with pytest.raises(SettingsInvalid, match="TOKEN_FUNCTIONS"):
            life.invoke({"action": "finish"})
        assert before == logins(life)


def lambda_client() -> Any:
    """Return the client that the functions here have: KeyLife makes each only once."""
    return operations_bootstrap._lambda_client()  # noqa: SLF001  the same arguments, the same client


# ---------------------------------------------------------------------------------------------------------------------
# After the move of the label
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["label", "answer", "parameter"])
def test_finish_reports_no_failure_after_the_key_was_activated(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Neither the other label, nor a lost answer, nor the parameter of the certificate makes it fail; the next change works."""
    with KeyLife(pair=PAIR) as life:
        made = life.invoke({"action": "create", "bits": 2048})
        life.be_the_person()
        secrets, ssm = clients(life)
        move = secrets.update_secret_version_stage

        def fail_after(**arguments: Any) -> Any:
            answer = move(**arguments) if arguments["VersionStage"] == "AWSCURRENT" else None
            if broken == "answer" or answer is None:
                raise client_error("InternalServiceError")
            return answer

        def fail(**_: object) -> None:
            raise client_error("AccessDeniedException")

        with monkeypatch.context() as patch:
            if broken == "parameter":
                patch.setattr(ssm, "put_parameter", fail)
            else:
                patch.setattr(secrets, "update_secret_version_stage", fail_after)
            done = life.invoke({"action": "finish"})
        assert (made["version_id"], "AWSCURRENT", made["certificate"]) == (
            done["version_id"],
            done["stage"],
            done["certificate"],
        )
        assert made["version_id"] == life.secrets_manager.labels["AWSCURRENT"]
        assert life.secrets_manager.is_over
        assert "AWSPENDING" == life.invoke({"action": "create", "bits": 2048})["stage"]


def clients(life: KeyLife) -> tuple[Any, Any]:
    """Return the clients of Secrets Manager and SSM that the function has: KeyLife makes each only once."""
    assert life.secret_arn
    return (
        boto3.client("secretsmanager", config=bootstrap.SECRETS_MANAGER),
        boto3.client("ssm", config=bootstrap.PARAMETER_STORE),
    )


def test_the_idle_app_is_the_next_one_for_an_import_too() -> None:
    """Without a client_id of its own an imported key is for the app whose turn it is."""
    with KeyLife(pair=PAIR, apps=2) as life:
        assert OTHER_CONSUMER_KEY == life.invoke(imported())["consumer_key"]
        with pytest.raises(InvalidRequest, match="pending key already"):
            life.invoke(imported(client_id=DEFAULT_CONSUMER_KEY))
