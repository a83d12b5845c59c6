"""Whose a token is: the org and the user, at each login, each adoption and at the identity URL."""

from __future__ import annotations

from typing import Any

import pytest

from salesforce_broker.errors import AppRefused, BrokerError, SalesforceBusy
from salesforce_broker.salesforce.transport import Reply
from salesforce_broker.tokens.model import Action, IssuedToken, Source
from tests.support import builders, keys
from tests.support.stage import Stage
from tests.unit.conftest import Script

OTHER_ORG, OTHER_USER = "00D000000000002EAA", "005000000000002AAA"
ID = "https://login.salesforce.com/id/{org}/{user}"


def login(**changes: Any) -> Reply:
    """Return the reply to a login, with changes to its answer."""
    return builders.reply(builders.answer(**changes))


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({"id": ID.format(org=OTHER_ORG, user="005000000000001AAA")}, {}),
        ({"access_token": "00D000000000002!a"}, {}),
        ({}, {"organization_id": OTHER_ORG}),
        ({}, {"organization_id": OTHER_ORG[:15]}),
        ({"access_token": "e30.e30.e30"}, {"organization_id": OTHER_ORG}),
    ],
    ids=["id", "prefix", "setting", "setting-15", "jwt"],
)
def test_a_token_of_another_org_is_refused(
    stage: Stage, salesforce: Script, changes: dict[str, str], settings: dict[str, str]
) -> None:
    """Its prefix, its identity URL and the configured org must agree; nothing is held or shared."""
    broker = stage.environment(salesforce(login(**changes)), settings=builders.settings(**settings))
    with pytest.raises(AppRefused, match="another org"):
        broker.answer(builders.request())
    with pytest.raises(AppRefused):
        broker.answer(builders.request())


@pytest.mark.parametrize("settings", [{}, {"organization_id": "00D000000000001"}, {"organization_id": "00D000000000001EAA"}])
def test_a_token_of_the_own_org_is_issued_with_its_owner(stage: Stage, salesforce: Script, settings: dict[str, str]) -> None:
    """The setting may have 15 or 18 characters."""
    issued = stage.environment(salesforce("00D000000000001!a"), settings=builders.settings(**settings)).answer(
        builders.request()
    )
    assert isinstance(issued, IssuedToken)
    assert builders.USERNAME == issued.subject
    assert "00D000000000001EAA" == issued.token.organization_id


@pytest.mark.parametrize("other", [{"org": OTHER_ORG, "user": OTHER_USER}, {"org": "00D000000000001EAA", "user": OTHER_USER}])
def test_the_first_login_pins_the_owner(stage: Stage, salesforce: Script, other: dict[str, str]) -> None:
    """A later login that answers for another org or another user is refused; another version of the key starts anew."""
    later = login(id=ID.format(**other), access_token=f"{other['org'][:15]}!b")
    broker = stage.environment(salesforce("00D000000000001!a", later, later))
    broker.answer(builders.request())
    stage.clock.advance(1000)
    with pytest.raises(AppRefused, match="belongs to another"):
        broker.answer(builders.request())
    stage.secrets.text, stage.secrets.version_id = keys.secret("next"), "v2"
    stage.clock.advance(1000)
    issued = broker.answer(builders.request())
    assert isinstance(issued, IssuedToken)
    assert other["org"] == issued.token.organization_id


def test_two_users_of_one_org_are_two_pins(stage: Stage, salesforce: Script) -> None:
    """And a user of another org is none of them."""
    second = login(id=ID.format(org="00D000000000001EAA", user=OTHER_USER), access_token="00D000000000001!b")
    third = login(id=ID.format(org=OTHER_ORG, user=OTHER_USER), access_token="00D000000000002!c")
    broker = stage.environment(salesforce("00D000000000001!a", second, third))
    broker.answer(builders.request())
    broker.answer(builders.request(subject=builders.OTHER_USERNAME))
    stage.clock.advance(1000)
    with pytest.raises(AppRefused):
        broker.answer(builders.request(subject=builders.OTHER_USERNAME))


def test_a_shared_token_of_another_owner_is_not_adopted(stage: Stage, salesforce: Script) -> None:
    """The environment that knows the owner logs in for itself."""
    here = stage.environment(salesforce("00D000000000001!a", "00D000000000001!c"))
    here.answer(builders.request())
    stage.clock.advance(1000)
    stage.environment(salesforce(login(id=ID.format(org=OTHER_ORG, user=OTHER_USER), access_token="00D000000000002!b"))).answer(
        builders.request()
    )
    stage.clock.advance(40)
    issued = here.answer(builders.request())
    assert isinstance(issued, IssuedToken)
    assert ("00D000000000001!c", Source.SALESFORCE) == (issued.token.value, issued.source)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"organization_id": OTHER_ORG}, AppRefused),
        ({"user_id": OTHER_USER}, AppRefused),
        ({"username": builders.OTHER_USERNAME}, AppRefused),
        ({"organization_id": None}, SalesforceBusy),
        ({"user_id": None}, SalesforceBusy),
        ({"username": None}, SalesforceBusy),
        ({"username": 7}, SalesforceBusy),
        ({"organization_id": None, "user_id": None, "username": None}, SalesforceBusy),
    ],
)
def test_an_identity_that_is_not_the_tokens_is_refused(
    stage: Stage, salesforce: Script, changes: dict[str, Any], kind: type[BrokerError]
) -> None:
    """An empty document and one of somebody else alike."""
    broker = stage.environment(salesforce("00D000000000001!a", builders.reply(builders.identity(**changes))))
    with pytest.raises(kind, match="identity"):
        broker.answer(builders.request(action=Action.IDENTITY))


def test_usernames_differ_in_case_only(stage: Stage, salesforce: Script) -> None:
    """Salesforce answers with its own spelling."""
    document = builders.identity(username=builders.USERNAME.upper())
    assert stage.environment(salesforce("00D000000000001!a", builders.reply(document))).answer(
        builders.request(action=Action.IDENTITY)
    )
