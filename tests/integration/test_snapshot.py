"""SnapStart: what is in a snapshot of a function, and what each environment that is restored from it does for itself."""

from __future__ import annotations

import random

import pytest
import snapshot_restore_py

from salesforce_broker import bootstrap
from tests.integration.conftest import Account
from tests.support.events import Context

TOKEN_FUNCTIONS = ["token_api", "token_invoke"]


@pytest.fixture
def snapshot(account: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Return an account whose functions are opened as Lambda does it before a snapshot; no hook is there yet."""
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    snapshot_restore_py.get_after_restore().clear()
    return account


def restore() -> None:
    """Do what Lambda's runtime does after a restore."""
    for function, arguments, named in snapshot_restore_py.get_after_restore():
        function(*arguments, **named)


@pytest.mark.parametrize("handler", TOKEN_FUNCTIONS)
def test_a_snapshot_holds_no_secret_and_no_client(snapshot: Account, handler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a function builds nothing, asks AWS nothing and draws nothing."""
    monkeypatch.setattr("boto3.client", lambda *_, **__: pytest.fail("a client was made"))
    state = random.getstate()
    snapshot.open(handler)
    assert 0 == bootstrap.token_service.cache_info().currsize
    assert state == random.getstate()


@pytest.mark.parametrize("handler", TOKEN_FUNCTIONS)
def test_a_restored_environment_pulls_the_key_ahead_of_the_first_request(snapshot: Account, handler: str) -> None:
    """The key is there before the request, which asks Secrets Manager no more."""
    opened = snapshot.open(handler)
    restore()
    assert 1 == bootstrap.token_service.cache_info().currsize
    snapshot.secrets.delete_secret(SecretId=snapshot.secret_arn, ForceDeleteWithoutRecovery=True)
    if handler == "token_api":
        assert 200 == snapshot.call({"httpMethod": "POST", "resource": "/token"}, handler=opened)[0]
    else:
        assert "salesforce" == snapshot.invoke({}, handler=opened)["source"]


def test_environments_of_one_snapshot_do_not_act_as_one(snapshot: Account) -> None:
    """The same state of the generator in each: their renewal points differ all the same."""
    snapshot.open("token_invoke")
    state, points = random.getstate(), set()
    for _ in range(5):
        random.setstate(state)
        bootstrap.token_service.cache_clear()
        restore()
        points.add(bootstrap.token_service()._tokens._renewal_point)  # noqa: SLF001  no caller can see it
    assert 5 == len(points)


def test_a_key_that_cannot_be_pulled_is_tried_again_by_the_first_request(snapshot: Account) -> None:
    """A hook that raised would end the environment."""
    secret = snapshot.secrets.get_secret_value(SecretId=snapshot.secret_arn)["SecretString"]
    snapshot.put_secret("{}")
    opened = snapshot.open("token_invoke")
    restore()
    snapshot.put_secret(secret)
    assert "salesforce" == opened.lambda_handler({}, Context())["source"]


def test_without_snapstart_nothing_waits_for_a_restore(account: Account) -> None:
    """The key is pulled at once."""
    snapshot_restore_py.get_after_restore().clear()
    account.open("token_invoke")
    assert ([], 1) == (snapshot_restore_py.get_after_restore(), bootstrap.token_service.cache_info().currsize)
