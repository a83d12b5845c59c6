"""An app's certificate: replaced, propagated, deployed."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
import requests

from local_salesforce import (
    DEFAULT_CONNECTED_APP_KEY,
    DEFAULT_CONSUMER_KEY,
    KeyMaterial,
    LocalSalesforce,
    World,
    key_material,
)
from tests.integration.local_salesforce.conftest import Desk, said
from tests.support import keys

DEPLOY = "/services/data/v65.0/metadata/deployRequest"
NAMESPACE = 'xmlns="http://soap.sforce.com/2006/04/metadata"'
EXTERNAL = "extlClntAppGlobalOauthSets/Token_Broker_glbloauth.ecaGlblOauth"
CONNECTED = "connectedApps/Connected_Broker.connectedApp"


def accepted(desk: Desk, key: KeyMaterial, connections: int = 1) -> int:
    """Count on how many new connections an assertion of that key is taken."""
    return sum(Desk(desk.salesforce, key).log_in().ok for _ in range(connections))


def test_an_expired_certificate_is_accepted(desk: Desk) -> None:
    """As it is there: expiry is the client's alarm."""
    desk.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, key_material.self_signed(keys.rsa_key(), days_left=-1))
    assert desk.log_in(key=keys.pem(keys.rsa_key())).ok


def test_a_replaced_certificate_is_the_only_one(desk: Desk) -> None:
    """Known at once, unless propagation is switched on."""
    other = key_material.make()
    desk.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, other.certificate)
    assert (0, 1) == (accepted(desk, desk.key), accepted(desk, other))


def test_while_it_propagates_answers_are_mixed(desk: Desk) -> None:
    """By connection, for as long as is said; each connection meets one node."""
    other = key_material.make()
    desk.salesforce.world.switches.certificate_propagation = 600
    desk.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, other.certificate)
    old, new = accepted(desk, desk.key, 30), accepted(desk, other, 30)
    assert 5 < old < 25
    assert 5 < new < 25
    one = Desk(desk.salesforce, other)
    assert 1 == len({one.log_in().status_code for _ in range(5)})
    desk.salesforce.clock.advance(600)
    assert (0, 10) == (accepted(desk, desk.key, 10), accepted(desk, other, 10))


def test_the_mixture_is_seeded(salesforce_key: KeyMaterial) -> None:
    """The same seed, the same order of answers."""

    def statuses(seed: int) -> list[int]:
        with LocalSalesforce(World.default(), seed=seed) as salesforce:
            salesforce.world.switches.certificate_propagation = 600
            salesforce.set_certificate(DEFAULT_CONSUMER_KEY, salesforce_key.certificate)
            return [Desk(salesforce, salesforce_key).log_in().status_code for _ in range(20)]

    assert statuses(1) == statuses(1) != statuses(2)


@pytest.mark.parametrize("ends", [False, True])
def test_whether_a_swap_ends_sessions_is_a_switch(desk: Desk, ends: bool) -> None:
    """Nobody knows."""
    desk.salesforce.world.switches.certificate_swap_ends_sessions = ends
    token = desk.token()
    desk.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, key_material.make().certificate)
    assert ends != desk.alive(token)


def package(path: str, xml: str, *, manifest: bool = True) -> bytes:
    """Zip a deployment of one component."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        if manifest:
            archive.writestr("package.xml", f"<Package {NAMESPACE}><version>65.0</version></Package>")
        archive.writestr(path, xml)
    return packed.getvalue()


def external(pem: str, consumer_key: str = DEFAULT_CONSUMER_KEY) -> str:
    """Write an External Client App's global OAuth settings."""
    return (
        f"<ExtlClntAppGlobalOauthSettings {NAMESPACE}><certificate>{pem}</certificate><consumerKey>{consumer_key}</consumerKey>"
        "<externalClientApplication>Token_Broker</externalClientApplication></ExtlClntAppGlobalOauthSettings>"
    )


def connected(pem: str) -> str:
    """Write a connected app."""
    config = (
        f"<oauthConfig><certificate>{pem}</certificate><consumerKey>{DEFAULT_CONNECTED_APP_KEY}</consumerKey></oauthConfig>"
    )
    return f"<ConnectedApp {NAMESPACE}><label>Connected Broker</label>{config}</ConnectedApp>"


def deploy(desk: Desk, zipped: bytes, *, token: str | None = None, **options: Any) -> requests.Response:
    """Post a deployment."""
    parts = {
        "json": (None, json.dumps({"deployOptions": {"singlePackage": True} | options}), "application/json"),
        "file": ("deploy.zip", zipped, "application/zip"),
    }
    return desk.call("POST", DEPLOY, desk.admin_token() if token is None else token, files=parts)


def outcome(desk: Desk, started: requests.Response) -> Any:
    """Poll until it is done."""
    for _ in range(10):
        state = desk.get(f"{DEPLOY}/{started.json()['id']}?includeDetails=true", desk.admin_token()).json()["deployResult"]
        if state["done"]:
            return state
    raise AssertionError(state)


@pytest.mark.parametrize("kind", ["external_client_app", "connected_app"])
def test_a_deployment_changes_an_apps_certificate(desk: Desk, kind: str) -> None:
    """Started, in progress, done; then the new key logs in."""
    other = key_material.make()
    path, xml = (
        (EXTERNAL, external(other.certificate)) if kind == "external_client_app" else (CONNECTED, connected(other.certificate))
    )
    started = deploy(desk, package(path, xml))
    assert (201, "Pending") == (started.status_code, started.json()["deployResult"]["status"])
    state = desk.get(f"{DEPLOY}/{started.json()['id']}", desk.admin_token()).json()["deployResult"]
    assert ("InProgress", False) == (state["status"], state["done"])
    state = outcome(desk, started)
    assert ("Succeeded", True, 1) == (state["status"], state["success"], state["numberComponentsDeployed"])
    client = Desk(desk.salesforce, other)
    assert client.log_in().ok if kind == "external_client_app" else client.connected("login").ok


def test_a_deployment_propagates_as_any_change_does(desk: Desk) -> None:
    """Mixed answers, for the time that is switched on."""
    other = key_material.make()
    admin = desk.admin_token()
    desk.salesforce.world.switches.certificate_propagation = 300
    deploy(desk, package(EXTERNAL, external(other.certificate)), token=admin)
    assert 0 < accepted(desk, other, 20) < 20


@pytest.mark.parametrize(
    ("zipped", "problem"),
    [
        (package(EXTERNAL, external("no certificate")), "The certificate is invalid."),
        (package(EXTERNAL, external(keys.certificate(), "3MVG9.unknown").replace("Token_Broker", "No")), "no app named"),
        (package(EXTERNAL, "<not xml"), "Error parsing file"),
        (package(EXTERNAL, connected(keys.certificate())), "Unexpected element ConnectedApp"),
        (package(EXTERNAL, external(keys.certificate()), manifest=False), "No package.xml found"),
    ],
    ids=["certificate", "app", "xml", "element", "manifest"],
)
def test_a_deployment_that_fails_changes_nothing(desk: Desk, zipped: bytes, problem: str) -> None:
    """And says why."""
    state = outcome(desk, deploy(desk, zipped))
    assert ("Failed", False, 0) == (state["status"], state["success"], state["numberComponentsDeployed"])
    assert problem in state["details"]["componentFailures"][0]["problem"]
    assert desk.log_in().ok


def test_a_validation_changes_nothing(desk: Desk) -> None:
    """checkOnly."""
    state = outcome(desk, deploy(desk, package(EXTERNAL, external(key_material.make().certificate)), checkOnly=True))
    assert ("Succeeded", True) == (state["status"], state["checkOnly"])
    assert desk.log_in().ok


def test_deploying_needs_an_administrator(desk: Desk) -> None:
    """Near-admin rights."""
    answer = deploy(desk, package(EXTERNAL, external(keys.certificate())), token=desk.token())
    assert (403, "INSUFFICIENT_ACCESS") == (answer.status_code, answer.json()[0]["errorCode"])


def test_a_deployment_without_its_parts_is_refused(desk: Desk) -> None:
    """400."""
    answer = desk.call("POST", DEPLOY, desk.admin_token(), data=b"nothing")
    assert (400, "INVALID_MULTIPART_REQUEST") == (answer.status_code, answer.json()[0]["errorCode"])


def test_no_certificate_is_mixed_with_the_first_one(desk: Desk) -> None:
    """The node that does not know of it yet says what it says of an app without one."""
    desk.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, None)
    assert "invalid_client" == said(desk.log_in())[1]
    desk.salesforce.world.switches.certificate_propagation = 300
    desk.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, desk.key.certificate)
    answers = {said(Desk(desk.salesforce, desk.key).log_in())[1] for _ in range(20)}
    assert {"", "invalid_client"} == answers
