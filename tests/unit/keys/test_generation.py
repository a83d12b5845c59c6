"""Generations: which stop is the latest, and that each version and each stop has a sealing key of its own."""

from __future__ import annotations

from typing import Any, cast

from salesforce_broker.keys.generation import latest_stop, stop_label
from salesforce_broker.keys.source import SigningKeySource, parse_secret
from tests.support import keys
from tests.support.clocks import START, ManualClock
from tests.support.fakes import FakeSecretsManager, no_kms


class LabelledSecret(FakeSecretsManager):
    """A secret whose current version has further labels."""

    labels: tuple[str, ...] = ()

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, Any]:  # noqa: N803  boto3's own
        """Return the labels, too, as Secrets Manager does."""
        answer = super().get_secret_value(SecretId=SecretId, VersionStage=VersionStage)
        return answer | {"VersionStages": [VersionStage, *self.labels]}


def test_the_latest_stop_is_the_generation() -> None:
    """Whatever the order of the labels; Secrets Manager's own are none."""
    first, second = stop_label(START, "v1"), stop_label(START + 1, "v1")
    assert second == latest_stop(["AWSCURRENT", second, first]) == latest_stop([first, second])
    assert "" == latest_stop(["AWSCURRENT", "mine"])


def test_each_version_and_each_stop_has_its_own_sealing_key() -> None:
    """Of one private key: the same twice, another for another version, another after a stop."""
    found = [
        parse_secret(keys.secret(), version_id=version_id, default_client_id="", kms=no_kms, generation=stop).sealing_key
        for version_id, stop in (("v1", ""), ("v1", ""), ("v2", ""), ("v1", "EmergencyStop-1"), ("v1", "EmergencyStop-2"))
    ]
    assert found[0] == found[1]
    assert 4 == len(set(found))


def test_a_stop_is_seen_with_the_next_reading_of_the_key() -> None:
    """The version is the same, its label is new: it is parsed again, and seals under another key."""
    secret, clock = LabelledSecret(keys.secret()), ManualClock()
    source = SigningKeySource(cast("Any", secret), secret_arn="arn", client_id="", kms=no_kms, clock=clock.clock())
    soon = clock.clock().deadline(60)
    before = source.current(soon)
    assert before is source.refresh(soon)
    secret.labels = (stop_label(START, "v1"),)
    after = source.refresh(soon)
    assert (before.version_id, before.client_id) == (after.version_id, after.client_id)
    assert before.sealing_key != after.sealing_key
    assert after is source.refresh(soon)
