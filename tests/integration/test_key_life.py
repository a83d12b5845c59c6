"""The life of the key: Secrets Manager's steps as AWS documents them, with Salesforce verifying every signature."""

from __future__ import annotations

import datetime
import io
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.hooks import HierarchicalEmitter
from cryptography import x509

from local_salesforce import DEFAULT_ADMIN_USERNAME, DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME, KeyMaterial, key_material
from salesforce_broker import bootstrap, events
from salesforce_broker.aws import error_code
from salesforce_broker.errors import (
    AppRefused,
    AssertionRefused,
    BrokerError,
    InvalidRequest,
    SigningKeyUnavailable,
    SigningKeyUnusable,
    UserRefused,
)
from salesforce_broker.keys.generation import STOP_LABEL
from salesforce_broker.operations.emergency.generation import CacheGeneration
from salesforce_broker.operations.request import DEFAULT_KEY_BITS
from salesforce_broker.operations.rotation import certificate_upload, steps
from salesforce_broker.operations.rotation.key_change import KeyChange
from salesforce_broker.operations.rotation.kms_keys import STACK_TAG
from salesforce_broker.salesforce.transport import Transport
from tests.support import keys
from tests.support.fakes import client_error
from tests.support.key_life import ADMIN, OTHER_CONSUMER_KEY, WAYS, KeyLife, rotate_under_reads

PAIR = KeyMaterial(keys.pem(keys.rsa_key()), keys.certificate())
DAY = 24 * 3600
DEPLOY = certificate_upload.PATH

Start = Callable[..., KeyLife]


class Crash(BaseException):
    """An environment ends, between two lines of code: nobody catches it."""


@pytest.fixture(autouse=True)
def _small_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of the default size take a second each, of which this needs hundreds."""
    assert 3072 == DEFAULT_KEY_BITS
    monkeypatch.setattr(steps, "DEFAULT_KEY_BITS", 2048)


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a stack."""
    started: list[KeyLife] = []

    def begin(**settings: Any) -> KeyLife:
        started.append(KeyLife(pair=PAIR, **settings).__enter__())
        return started[-1]

    yield begin
    for life in started:
        life.__exit__(None, None, None)


def fresh(life: KeyLife) -> str:
    """Have an environment with nothing in memory, and nobody to share with, log in anew."""
    life.salesforce.sessions.end()
    return life.read(life.broker(TOKEN_CACHE_PREFIX="")).token.value


def told(life: KeyLife, kind: str) -> list[Any]:
    """Return what was announced of a kind."""
    return [what for heard, what in life.announced if heard == kind]


def stored(life: KeyLife, label: str = "AWSCURRENT") -> dict[str, str]:
    """Return the fields of the version with a label."""
    fields: dict[str, str] = json.loads(
        life.secrets.get_secret_value(SecretId=life.secret_arn, VersionStage=label)["SecretString"]
    )
    return fields


def held(life: KeyLife, consumer_key: str) -> str | None:
    """Return an app's certificate."""
    return next(app.certificate for app in life.salesforce.world.apps if app.consumer_key == consumer_key)


STACKS = [
    pytest.param({"apps": apps, "uploads": uploads, "key_store": store}, id=f"{apps} apps, uploads={uploads}, {store}")
    for (apps, uploads), store in itertools.product(WAYS, ("secret", "kms"))
]


@pytest.mark.parametrize("way", STACKS)
def test_whatever_crashes_a_second_try_brings_it_to_its_end(
    start: Start, way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every call that leaves the function, in every step: legal labels, one key for each version, and callers served."""
    life = start(**way)
    crash = CrashAfter(monkeypatch)
    for number in itertools.count(1):
        before = life.secrets_manager.labels["AWSCURRENT"]
        version_id = life.secrets_manager.begin()
        values: set[str] = set()
        crash.arm(number)
        for _ in range(6):
            try:
                life.secrets_manager.run(version_id, life.invoke)
                break
            except (Crash, BrokerError):
                values.add(life.secrets_manager.value(version_id))
                life.pass_time(60)
                if not way["uploads"]:
                    life.be_the_person()
            assert life.secrets_manager.labels["AWSCURRENT"] in {before, version_id}
        crashed = crash.disarm()
        labels = life.secrets_manager.labels
        assert life.secrets_manager.is_over
        assert {"AWSCURRENT": version_id, "AWSPREVIOUS": before} == {
            label: labels[label] for label in ("AWSCURRENT", "AWSPREVIOUS")
        }
        assert 1 == len((values | {life.secrets_manager.value(version_id)}) - {""})
        assert fresh(life)
        if not crashed:
            assert number > 12, "there were that many calls"
            print(f"crashed after each of {number - 1} calls")  # noqa: T201  shown by pytest -rP
            return


class CrashAfter:
    """Ends the environment after the call of that number: of AWS, or of Salesforce."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = 0
        self._crashed = False
        emit, send = HierarchicalEmitter.emit, Transport._send  # noqa: SLF001  where calls end

        def emit_or_crash(emitter: Any, event_name: str, **rest: Any) -> Any:
            answers = emit(emitter, event_name, **rest)
            if event_name.startswith("after-call."):
                self._count()
            return answers

        def send_or_crash(transport: Any, *args: Any, **kwargs: Any) -> Any:
            reply = send(transport, *args, **kwargs)
            self._count()
            return reply

        monkeypatch.setattr(HierarchicalEmitter, "emit", emit_or_crash)
        monkeypatch.setattr(Transport, "_send", send_or_crash)

    def arm(self, number: int) -> None:
        """Crash after so many calls from now."""
        self._left, self._crashed = number, False

    def disarm(self) -> bool:
        """Crash no more; tell whether it did."""
        self._left = 0
        return self._crashed

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._crashed = True
            raise Crash


@pytest.mark.parametrize("propagation", [0, 600])
@pytest.mark.parametrize(("apps", "uploads"), WAYS)
def test_no_read_fails_while_the_key_changes(apps: int, uploads: bool, propagation: int) -> None:
    """`make bench-rotation` in small: cold environments, warm ones, with a shared cache and without."""
    life = rotate_under_reads(apps=apps, uploads=uploads, propagation=propagation, reads=5_000, pair=PAIR)
    assert [] == life.failures
    assert min(life.reads.values()) > 5


def test_with_two_apps_nothing_in_use_is_touched(start: Start) -> None:
    """The idle one gets the new certificate; then it is the other's turn."""
    life = start(apps=2, uploads=True)
    first = life.rotate()
    assert OTHER_CONSUMER_KEY == stored(life)["client_id"]
    assert PAIR.certificate == held(life, DEFAULT_CONSUMER_KEY)
    assert not [entry for entry in life.salesforce.journal if entry.error == "invalid_grant"]
    life.rotate()
    assert DEFAULT_CONSUMER_KEY == stored(life)["client_id"]
    assert stored(life)["certificate"].strip() == str(held(life, DEFAULT_CONSUMER_KEY)).strip()
    assert first == life.secrets_manager.labels["AWSPREVIOUS"]
    assert fresh(life)


def test_environments_share_between_an_upload_and_the_move(start: Start) -> None:
    """A person uploads, the check runs within the hour: until then one login serves all who share."""
    life = start()
    life.invoke({"action": "create", "bits": 2048})
    life.be_the_person()
    first = life.read(life.broker())
    assert ["shared"] * 5 == [life.read(life.broker()).source.value for _ in range(5)]
    life.pass_time(400)
    assert first.token.value == life.read(life.broker()).token.value
    assert 1 == life.salesforce.logins()


def test_a_certificate_that_is_never_accepted_leaves_the_key_pending(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test polls for as long as Salesforce may take; then nothing in use has changed, and the hourly check goes on."""
    life = start(apps=2, uploads=True)
    before = life.secrets_manager.labels["AWSCURRENT"]
    version_id = life.secrets_manager.begin()
    log_in = KeyChange._log_in  # noqa: SLF001  where Salesforce refuses
    began = life.clock.monotonic()
    monkeypatch.setattr(KeyChange, "_log_in", refuse)
    with pytest.raises(AssertionRefused):
        life.secrets_manager.run(version_id, life.invoke)
    assert life.clock.monotonic() - began > 600, "as long as it may take to be known everywhere"
    assert {} == check(life, 1)
    assert (before, version_id) == (life.secrets_manager.labels["AWSCURRENT"], life.secrets_manager.labels["AWSPENDING"])
    assert PAIR.certificate == held(life, DEFAULT_CONSUMER_KEY)
    monkeypatch.setattr(KeyChange, "_log_in", log_in)
    assert version_id == check(life, 2)["version_id"]
    assert fresh(life)


def refuse(*_: object) -> None:
    """Refuse as Salesforce does while it does not know a certificate."""
    raise AssertionRefused("invalid assertion")


def test_a_salesforce_that_is_down_undoes_nothing(start: Start) -> None:
    """Whether it takes the key is not known then: the next try goes on."""
    life = start(apps=2, uploads=True)
    version_id = life.secrets_manager.begin()
    for step in ("createSecret", "setSecret"):
        life.invoke({"Step": step, "SecretId": life.secret_arn, "ClientRequestToken": version_id})
    life.salesforce.faults.order("empty_500", times=None)
    with pytest.raises(BrokerError, match=r"."):
        life.secrets_manager.run(version_id, life.invoke)
    assert version_id == life.secrets_manager.labels["AWSPENDING"]
    life.salesforce.faults.clear()
    life.secrets_manager.run(version_id, life.invoke)
    assert version_id == life.secrets_manager.labels["AWSCURRENT"]


def test_what_an_upload_does_not_change_is_named_without_polling(start: Start) -> None:
    """A user who may not log in, for example: the app in use is left alone, and the rotation goes on once he may."""
    life = start(apps=2, uploads=True)
    life.salesforce.user(DEFAULT_USERNAME).state = "frozen"
    version_id, began = life.secrets_manager.begin(), life.clock.monotonic()
    with pytest.raises(UserRefused):
        life.secrets_manager.run(version_id, life.invoke)
    assert life.clock.monotonic() - began < 60
    assert PAIR.certificate == held(life, DEFAULT_CONSUMER_KEY)
    life.salesforce.user(DEFAULT_USERNAME).state = "active"
    life.secrets_manager.run(version_id, life.invoke)
    assert version_id == life.secrets_manager.labels["AWSCURRENT"]


def test_an_event_says_what_to_upload_where_until_a_person_has_done_it(start: Start) -> None:
    """Every hour the function looks, once a day it says so again; whoever uploads has nothing else to do."""
    life = start(apps=2)
    version_id = life.secrets_manager.begin()
    with pytest.raises(AppRefused):
        life.secrets_manager.run(version_id, life.invoke)
    (wanted,) = told(life, events.UPLOAD)
    assert (OTHER_CONSUMER_KEY, version_id) == (wanted["consumer_key"], wanted["version_id"])
    assert wanted["certificate"] == stored(life, "AWSPENDING")["certificate"]
    assert "External Client App" in wanted["where"]
    assert "PRIVATE" not in json.dumps(wanted)
    parameter = boto3.client("ssm").get_parameter(Name=wanted["certificate_parameter"])["Parameter"]
    assert wanted["certificate"] == parameter["Value"]
    for hour in range(48):
        assert {} == check(life, hour)
    assert 3 == len(told(life, events.UPLOAD))
    life.be_the_person()
    assert version_id == check(life, 48)["version_id"]
    assert version_id == life.secrets_manager.labels["AWSCURRENT"]
    assert [{"version_id": version_id}] == told(life, events.IN_USE)
    life.secrets_manager.run(version_id, life.invoke)
    assert life.secrets_manager.is_over
    assert {} == check(life, 49)
    assert fresh(life)


def check(life: KeyLife, hour: int) -> dict[str, Any]:
    """Run the hourly check."""
    at = datetime.datetime.fromtimestamp(life.salesforce.clock.now() // DAY * DAY + hour * 3600, datetime.UTC)
    return life.invoke({"action": "check", "at": f"{at:%Y-%m-%dT%H:%M:%SZ}"})


def test_the_end_of_a_certificate_is_announced_three_times(start: Start) -> None:
    """Thirty, fourteen and three days ahead, once each, however often the check runs."""
    life = start()
    life.invoke({"action": "create", "days": 40})
    life.be_the_person()
    life.invoke({"action": "finish"})
    for hour in range(41 * 24):
        check(life, hour)
    ahead = told(life, events.EXPIRES)
    assert [30, 14, 3] == [each["days"] for each in ahead]
    assert {int(x509.load_pem_x509_certificate(stored(life)["certificate"].encode()).not_valid_after_utc.timestamp())} == {
        each["ends"] for each in ahead
    }


def test_a_check_without_a_key_is_quiet(start: Start) -> None:
    """A stack of today has no key yet; one that was brought as a PEM has no certificate."""
    life = start()
    assert {} == check(life, 0)
    life.secret_arn = life.secrets.create_secret(Name="empty")["ARN"]
    life.variables["SIGNING_KEY_SECRET_ARN"] = life.secret_arn
    assert {} == check(life, 0)
    assert [] == life.announced


@pytest.mark.parametrize("way", STACKS)
def test_moving_back_answers_at_once(start: Start, way: dict[str, Any]) -> None:
    """The version before is current again; environments, warm and cold, go on."""
    life = start(**way)
    before, warm = life.secrets_manager.labels["AWSCURRENT"], life.broker()
    life.read(warm)
    after = life.rotate()
    assert before == life.invoke({"action": "rollback"})["version_id"]
    assert (before, after) == (life.secrets_manager.labels["AWSCURRENT"], life.secrets_manager.labels["AWSPREVIOUS"])
    assert fresh(life)
    life.pass_time(1000)
    assert life.read(warm)
    assert after == life.invoke({"action": "rollback"})["version_id"]
    assert fresh(life)


def test_moving_back_by_the_label_alone_answers_at_once(start: Start) -> None:
    """As whoever has no other means would do it."""
    life = start(apps=2, uploads=True)
    before, after = life.secrets_manager.labels["AWSCURRENT"], life.rotate()
    life.secrets.update_secret_version_stage(
        SecretId=life.secret_arn, VersionStage="AWSCURRENT", MoveToVersionId=before, RemoveFromVersionId=after
    )
    assert fresh(life)


def test_there_is_nothing_to_move_back_to(start: Start) -> None:
    """Before the first change."""
    with pytest.raises(InvalidRequest, match="no previous key"):
        start().invoke({"action": "rollback"})


def test_a_pair_that_was_made_elsewhere_is_imported(start: Start) -> None:
    """server.key and server.crt, as `openssl req` makes them; as the first key, or as the next one."""
    life = start()
    brought = key_material.make()
    fields = {"private_key": brought.private_key, "certificate": brought.certificate}
    assert "AWSPENDING" == life.invoke({"action": "import", **fields})["stage"]
    life.be_the_person()
    assert "AWSCURRENT" == life.invoke({"action": "finish"})["stage"]
    assert fields | {"client_id": DEFAULT_CONSUMER_KEY} == stored(life)
    assert fresh(life)
    life.secret_arn = life.secrets.create_secret(Name="empty")["ARN"]
    life.variables["SIGNING_KEY_SECRET_ARN"] = life.secret_arn
    assert "AWSCURRENT" == life.invoke({"action": "import", **fields})["stage"]
    assert fresh(life)


def test_halves_of_two_pairs_are_refused(start: Start) -> None:
    """Before anything is stored; nothing of them is repeated."""
    life = start()
    before = life.secrets_manager.labels
    with pytest.raises(SigningKeyUnusable, match="does not belong") as caught:
        life.invoke({"action": "import", "private_key": key_material.make().private_key, "certificate": PAIR.certificate})
    assert "BEGIN" not in repr(caught.value)
    assert before == life.secrets_manager.labels


def test_a_first_key_is_uploaded_where_that_is_configured(start: Start) -> None:
    """Made, and on the app: nothing else to do."""
    life = start(apps=2, uploads=True)
    life.secret_arn = life.secrets.create_secret(Name="empty")["ARN"]
    life.variables["SIGNING_KEY_SECRET_ARN"] = life.secret_arn
    assert "AWSCURRENT" == life.invoke({"action": "create", "bits": 2048})["stage"]
    assert fresh(life)


def test_an_operator_changes_the_key_with_two_actions(start: Start) -> None:
    """Without Secrets Manager's schedule: `create`, `finish`; the second uploads, polls and activates."""
    life = start(apps=2, uploads=True)
    life.salesforce.world.switches.certificate_propagation = 300
    made = life.invoke({"action": "create", "bits": 2048})
    assert made["version_id"] == life.invoke({"action": "finish"})["version_id"]
    assert fresh(life)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"client_id": "3MVG9.somebody-elses"}, "another app"), ({"login_url": "https://evil.example"}, "fields: login_url")],
)
@pytest.mark.parametrize("apps", [1, 2])
def test_a_version_that_somebody_else_wrote_is_not_moved_to(
    start: Start, fields: dict[str, str], words: str, apps: int
) -> None:
    """Another app's, or one with more to it than a key: refused in every step, by an operator's word too."""
    life = start(apps=apps, uploads=apps > 1)
    other = key_material.make()
    version_id = life.secrets_manager.begin()
    planted = {"client_id": DEFAULT_CONSUMER_KEY, "private_key": other.private_key, "certificate": other.certificate} | fields
    life.secrets.put_secret_value(
        SecretId=life.secret_arn, ClientRequestToken=version_id, SecretString=json.dumps(planted), VersionStages=["AWSPENDING"]
    )
    for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        with pytest.raises(SigningKeyUnusable, match=words):
            life.invoke({"Step": step, "SecretId": life.secret_arn, "ClientRequestToken": version_id})
    with pytest.raises(SigningKeyUnusable, match=words):
        life.invoke({"action": "finish"})
    assert [] == told(life, events.UPLOAD)
    assert "ParameterNotFound" == parameter_error(life)
    assert PAIR.certificate == held(life, DEFAULT_CONSUMER_KEY)
    assert version_id != life.secrets_manager.labels["AWSCURRENT"]


def parameter_error(life: KeyLife) -> str | None:
    """Return AWS's error for reading the certificate's parameter; None if it is there."""
    client = boto3.client("ssm")
    try:
        client.get_parameter(Name=life.variables["CERTIFICATE_PARAMETER"])
    except client.exceptions.ParameterNotFound as error:
        return error_code(error)
    return None


def test_a_step_that_secrets_manager_did_not_begin_is_refused(start: Start) -> None:
    """Of another secret, of a version that nobody labelled, where rotation is off, before there is a key, before its own."""
    life = start()
    known = life.secrets_manager.labels["AWSCURRENT"]
    step = {"Step": "createSecret", "SecretId": life.secret_arn, "ClientRequestToken": known}
    assert {} == life.invoke(step)
    for changed in ({"SecretId": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"}, {"ClientRequestToken": "x"}):
        with pytest.raises(InvalidRequest):
            life.invoke(step | changed)
    waiting = step | {"ClientRequestToken": life.secrets_manager.begin()}
    for name in ("setSecret", "testSecret", "finishSecret"):
        with pytest.raises(InvalidRequest, match="no key yet"):
            life.invoke(waiting | {"Step": name})
    life.secrets_manager.end()
    with pytest.raises(InvalidRequest, match="not a rotation"):
        life.invoke(waiting)
    assert known == life.secrets_manager.labels["AWSCURRENT"]


@pytest.mark.parametrize("way", STACKS)
def test_a_new_schedule_is_tried_by_secrets_manager(start: Start, way: dict[str, Any]) -> None:
    """With testSecret alone, on a copy of the version in use: it is a login with the key in use."""
    life = start(**way)
    if way["key_store"] == "kms":
        life.rotate()
    before, logins = life.secrets_manager.labels["AWSCURRENT"], life.salesforce.logins()
    version_id = life.secrets_manager.begin()
    copy = life.secrets_manager.value(before)
    life.secrets.put_secret_value(
        SecretId=life.secret_arn, ClientRequestToken=version_id, SecretString=copy, VersionStages=["AWSPENDING"]
    )
    life.invoke({"Step": "testSecret", "SecretId": life.secret_arn, "ClientRequestToken": version_id})
    assert logins + 1 == life.salesforce.logins()
    assert before == life.secrets_manager.labels["AWSCURRENT"]


def test_there_is_a_first_key_before_the_first_rotation(start: Start) -> None:
    """It is named what to do."""
    life = start()
    life.secrets.put_secret_value(SecretId=life.secret_arn, SecretString="{}")
    with pytest.raises(SigningKeyUnusable, match="no key to change"):
        life.secrets_manager.run(life.secrets_manager.begin(), life.invoke)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda life: setattr(life.salesforce.world.apps[-1], "kind", "connected_app"), "did not deploy"),
        (lambda life: setattr(life.salesforce.user(DEFAULT_ADMIN_USERNAME), "profile", "Salesforce Integration"), "refused"),
        (lambda life: life.salesforce.faults.order("empty_500", path=DEPLOY, times=None), "no answer"),
        (lambda life: setattr(life.salesforce.world.switches, "polls_of_a_deployment", 10_000), "in time"),
    ],
    ids=["another kind of app", "no administrator", "down", "never done"],
)
def test_an_upload_that_fails_is_named_and_changes_nothing(
    start: Start, spoil: Callable[[KeyLife], object], words: str
) -> None:
    """Who reads it knows where to look; the key in use stays, the pending one stays pending."""
    life = start(apps=2, uploads=True)
    before = life.secrets_manager.labels["AWSCURRENT"]
    spoil(life)
    version_id = life.secrets_manager.begin()
    with pytest.raises(BrokerError, match=words) as caught:
        life.secrets_manager.run(version_id, life.invoke)
    assert caught.value.code in {"salesforce_config", "salesforce_busy"}
    assert (before, version_id) == (life.secrets_manager.labels["AWSCURRENT"], life.secrets_manager.labels["AWSPENDING"])
    assert life.read(life.broker())
    assert PAIR.certificate == held(life, DEFAULT_CONSUMER_KEY)


# ---------------------------------------------------------------------------------------------------------------------
# A key that lies in KMS
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_a_key_in_kms_signs_and_is_nowhere_else(start: Start, bits: int, log: io.StringIO) -> None:
    """Created there; its certificate's signature is its own, Salesforce takes its assertions, environments share tokens."""
    life = start(key_store="kms")
    made = life.invoke({"action": "create", "bits": bits})
    life.be_the_person()
    life.invoke({"action": "finish"})
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    certificate.verify_directly_issued_by(certificate)
    assert bits == certificate.public_key().key_size  # type: ignore[union-attr]
    assert {"kms_key_arn", "certificate", "sealing_key", "client_id"} == set(stored(life))
    assert fresh(life)
    first = life.read(life.broker())
    assert ("salesforce", "shared") == (first.source.value, life.read(life.broker()).source.value)
    assert "PRIVATE KEY" not in json.dumps(stored(life)) + log.getvalue()
    assert stored(life)["sealing_key"] not in log.getvalue()


def test_the_stacks_roles_alone_sign_with_it(start: Start) -> None:
    """By the key's own policy, whatever IAM allows others; the tag says whose it is, the alias for which version."""
    life = start(key_store="kms")
    version_id = life.rotate()
    kms, arn = boto3.client("kms"), stored(life)["kms_key_arn"]
    assert [{"TagKey": STACK_TAG, "TagValue": "broker"}] == kms.list_resource_tags(KeyId=arn)["Tags"]
    policy = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])["Statement"]
    roles = ["arn:aws:iam::123456789012:role/broker-token"]
    assert [roles] == [each["Principal"]["AWS"] for each in policy if (each["Effect"], each["Action"]) == ("Allow", "kms:Sign")]
    (denied,) = [each for each in policy if each["Effect"] == "Deny"]
    assert ("kms:Sign", {"ArnNotEquals": {"aws:PrincipalArn": roles}}) == (denied["Action"], denied["Condition"])
    (alias,) = kms.list_aliases(KeyId=arn)["Aliases"]
    assert f"alias/salesforce-token-broker/broker/{version_id}" == alias["AliasName"]


def kms_keys(life: KeyLife) -> dict[str, str]:
    """Return the state of each signing key in KMS."""
    found = boto3.client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": STACK_TAG}])["ResourceTagMappingList"]
    kms = boto3.client("kms")
    assert life.variables["STACK_NAME"]
    return {each["ResourceARN"]: kms.describe_key(KeyId=each["ResourceARN"])["KeyMetadata"]["KeyState"] for each in found}


def test_keys_of_earlier_versions_are_deleted_after_kmss_waiting_period(start: Start) -> None:
    """Once a day, of versions without a label; current, previous and pending ones stay, and so does what is a day old."""
    life = start(key_store="kms")
    arns = [stored(life)["kms_key_arn"] for _ in range(3) if life.rotate()]
    life.invoke({"action": "create", "bits": 2048})
    pending = stored(life, "AWSPENDING")["kms_key_arn"]
    assert {} == check(life, 0)
    assert {"Enabled"} == set(kms_keys(life).values())
    life.pass_time(2 * DAY)
    assert {} == check(life, 1)
    assert {"Enabled"} == set(kms_keys(life).values())
    assert {} == check(life, 0)
    assert dict.fromkeys([*arns[1:], pending], "Enabled") | {arns[0]: "PendingDeletion"} == kms_keys(life)
    due = boto3.client("kms").describe_key(KeyId=arns[0])["KeyMetadata"]["DeletionDate"]
    assert 29 < (due - datetime.datetime.now(datetime.UTC)).days + 1 <= 31
    assert {} == check(life, 24)
    life.be_the_person()
    assert life.invoke({"action": "finish"})
    assert fresh(life)


def test_a_key_whose_alias_was_never_made_is_deleted(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function ended between two calls: nothing names that key."""
    life = start(key_store="kms")
    used = stored(life)["kms_key_arn"] if life.rotate() else ""
    with monkeypatch.context() as patch:

        def fail(**_: object) -> None:
            raise client_error("KMSInternalException")

        patch.setattr(bootstrap.kms_client(), "create_alias", fail)
        with pytest.raises(SigningKeyUnavailable):
            life.invoke({"action": "create", "bits": 2048})
    life.pass_time(2 * DAY)
    check(life, 0)
    (left,) = kms_keys(life).keys() - {used}
    assert {used: "Enabled", left: "PendingDeletion"} == kms_keys(life)


def test_a_key_that_lost_its_alias_is_not_deleted_while_it_is_used(start: Start) -> None:
    """Somebody deleted the alias: the secret's version names the key."""
    life = start(key_store="kms")
    life.rotate()
    kms = boto3.client("kms")
    for alias in kms.list_aliases(KeyId=stored(life)["kms_key_arn"])["Aliases"]:
        kms.delete_alias(AliasName=alias["AliasName"])
    life.pass_time(2 * DAY)
    check(life, 0)
    assert {stored(life)["kms_key_arn"]: "Enabled"} == kms_keys(life)


def test_a_version_that_cannot_be_read_has_nothing_deleted(start: Start) -> None:
    """Which key it has is not known; the check itself goes on."""
    life = start(key_store="kms")
    for _ in range(3):
        life.rotate()
    previous = life.secrets_manager.labels["AWSPREVIOUS"]
    life.secrets_manager._secret.versions[previous]["secret_string"] = "{}"  # noqa: SLF001  moto's own
    life.pass_time(2 * DAY)
    assert {} == check(life, 0)
    assert {"Enabled"} == set(kms_keys(life).values())


def test_labels_of_stops_leave_versions_that_nobody_uses(start: Start) -> None:
    """After two days: until then a token that was shared under the version may live."""
    life = start()
    first = life.secrets_manager.labels["AWSCURRENT"]
    CacheGeneration(life.secrets, life.secret_arn).renew(life.clock.wall())
    assert generation_labels(life, first)
    life.rotate()
    life.rotate()
    check(life, 0)
    assert generation_labels(life, first)
    life.pass_time(3 * DAY)
    check(life, 0)
    assert [] == generation_labels(life, first)


def generation_labels(life: KeyLife, version_id: str) -> list[str]:
    """Return the labels of stops on a version."""
    versions = life.secrets.describe_secret(SecretId=life.secret_arn)["VersionIdsToStages"]
    return [label for label in versions.get(version_id, []) if label.startswith(STOP_LABEL)]


def test_a_key_is_made_although_its_maker_may_not_change_its_policy(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """KMS refuses such a policy unless the call says that a lockout is prevented: administrators may still change it."""
    life = start(key_store="kms")
    made: list[dict[str, Any]] = []
    create = bootstrap.kms_client().create_key

    def note(**arguments: Any) -> Any:
        made.append(arguments)
        return create(**arguments)

    monkeypatch.setattr(bootstrap.kms_client(), "create_key", note)
    life.invoke({"action": "create", "bits": 2048})
    (arguments,) = made
    assert arguments["BypassPolicyLockoutSafetyCheck"] is True
    root = {"AWS": "arn:aws:iam::123456789012:root"}
    assert [root] == [each["Principal"] for each in json.loads(arguments["Policy"])["Statement"] if each["Action"] == "kms:*"]


@pytest.mark.parametrize(("code", "retryable"), [("DisabledException", False), ("ThrottlingException", True)])
def test_a_key_in_kms_that_cannot_sign_is_named(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    retryable: bool,
) -> None:
    """Callers get the error; once it signs again, so does the next request."""
    life = start(key_store="kms")
    life.rotate()
    broker = life.broker(TOKEN_CACHE_PREFIX="")

    def fail(**_: object) -> None:
        raise client_error(code)

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap.kms_client(), "sign", fail)
        with pytest.raises(SigningKeyUnavailable, match=code) as caught:
            life.read(broker)
    assert retryable is caught.value.retryable
    assert life.read(broker)


def test_the_key_is_never_said(start: Start, log: io.StringIO) -> None:
    """In the log, in events, in answers, in parameters: of two changes, one imported, one created and uploaded."""
    life = start(apps=2, uploads=True)
    life.variables["ALLOW_IMPORT"] = "true"
    secret = [PAIR.private_key, ADMIN.private_key]
    brought = key_material.make()
    life.invoke({"action": "import", "private_key": brought.private_key, "certificate": brought.certificate})
    life.invoke({"action": "finish"})
    life.rotate()
    secret += [brought.private_key, stored(life)["private_key"]]
    parameters = boto3.client("ssm").get_parameters_by_path(Path="/", Recursive=True)["Parameters"]
    said = log.getvalue() + json.dumps([life.announced, parameters], default=str)
    lines = [line for each in secret for line in each.splitlines() if line and not line.startswith("-----")]
    assert Counter(line in said for line in lines) == {False: len(lines)}
