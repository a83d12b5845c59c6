"""The journal of token requests: what the assertion said, the certificate, each check with its result, the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME, key_material
from local_salesforce.journal import MAX_LOGIN_ATTEMPTS
from local_salesforce.login_attempt import LoginAttempt
from tests.integration.local_salesforce.conftest import GRANT_TYPE, Desk

CHECKS = [
    *("concurrency", "method", "grant_type", "assertion", "app", "certificate", "signature", "audience", "expiry"),
    *("replay", "user", "org_state", "user_state", "approval", "login_ranges", "scopes", "login_rate"),
]
TOKEN = "/services/oauth2/token"


def logins(desk: Desk) -> Any:
    """Return what the admin API shows."""
    return desk.session.get(f"{desk.salesforce.url}/__admin/logins", timeout=30).json()


def results(attempt: dict[str, Any]) -> dict[str, list[str]]:
    """Return the names of the checks by their result, in their order."""
    found: dict[str, list[str]] = {"passed": [], "failed": [], "not reached": []}
    for check in attempt["checks"]:
        found[check["result"]].append(check["name"])
    return found


def test_a_login_is_recorded_with_every_check(desk: Desk) -> None:
    """Header, claims, certificate, address, time and answer."""
    before = desk.salesforce.clock.now()
    desk.log_in(headers={"kid": "mine"})
    (attempt,) = logins(desk)
    assert {"passed": CHECKS, "failed": [], "not reached": []} == results(attempt)
    assert {"alg": "RS256", "typ": "JWT", "kid": "mine"} == attempt["header"]
    assert DEFAULT_CONSUMER_KEY == attempt["claims"]["iss"]
    assert DEFAULT_USERNAME == attempt["claims"]["sub"]
    certificate = x509.load_pem_x509_certificate(desk.key.certificate.encode())
    assert {
        "subject": certificate.subject.rfc4514_string(),
        "sha256_fingerprint": certificate.fingerprint(hashes.SHA256()).hex(),
        "not_valid_before": certificate.not_valid_before_utc.isoformat(),
        "not_valid_after": certificate.not_valid_after_utc.isoformat(),
    } == attempt["certificate"]
    answer = {"site": "acme", "address": "127.0.0.1", "parameters_in": "body", "status": 200, "error": "", "fault": ""}
    assert answer == {name: attempt[name] for name in answer}
    assert 0 <= attempt["time"] - before < 60


def test_neither_assertion_nor_signature_nor_token_is_recorded(desk: Desk) -> None:
    """Nor any part of them that opens something."""
    assertion = desk.assertion()
    answer = desk.call("POST", TOKEN, "", params={"grant_type": GRANT_TYPE, "assertion": assertion})
    shown = json.dumps(logins(desk))
    assert assertion.rpartition(".")[2] not in shown
    assert assertion.split(".")[1] not in shown
    assert answer.json()["access_token"] not in shown
    assert "query" == logins(desk)[0]["parameters_in"]


@pytest.mark.parametrize(
    ("change", "failed", "reason"),
    [
        ({"iss": "3MVG9.unknown"}, "app", "no app has the consumer key 3MVG9.unknown"),
        ({"key": key_material.make().private_key}, "signature", "not RS256 with the key of the app's certificate"),
        ({"aud": "https://other.my.salesforce.com"}, "audience", "https://acme.my.salesforce.com"),
        ({"exp": 1}, "expiry", "seconds ago"),
        ({"sub": "nobody@acme.example"}, "user", "no user has this username"),
        ({"sub": "frozen@acme.example"}, "user_state", "the user is frozen"),
        ({"sub": "unassigned@acme.example"}, "approval", "no permission set of the app"),
        ({"sub": "elsewhere@acme.example"}, "login_ranges", "does not allow logins from 127.0.0.1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_check_that_failed_says_why(desk: Desk, change: dict[str, Any], failed: str, reason: str) -> None:
    """Those before it passed, those after it were not reached; the answer's error stands beside."""
    answer = desk.log_in(**change).json()
    (attempt,) = logins(desk)
    place = CHECKS.index(failed)
    assert {"passed": CHECKS[:place], "failed": [failed], "not reached": CHECKS[place + 1 :]} == results(attempt)
    assert reason in attempt["checks"][place]["reason"]
    assert 400 == attempt["status"]
    assert answer == {"error": attempt["error"], "error_description": attempt["error_description"]}


def test_a_fault_is_named_beside_what_it_replaced(desk: Desk) -> None:
    """An answer that was not Salesforce's decision has no checks."""
    desk.salesforce.faults.order("temporarily_unavailable")
    desk.log_in()
    (attempt,) = logins(desk)
    assert CHECKS == results(attempt)["not reached"]
    assert "temporarily_unavailable" == attempt["fault"]
    assert 503 == attempt["status"]
    assert "temporarily_unavailable" == attempt["error"]


def test_what_is_no_jwt_is_recorded_without_claims(desk: Desk) -> None:
    """And what has numbers that JSON does not know is shown as text."""
    desk.call("POST", TOKEN, "", data={"grant_type": GRANT_TYPE, "assertion": "no.jwt"})
    desk.log_in(exp=float("nan"))
    first, second = logins(desk)
    assert first["claims"] is None
    assert ["assertion"] == results(first)["failed"]
    assert "nan" == second["claims"]["exp"]


def test_an_assertion_of_any_size_is_refused_and_recorded_small(desk: Desk) -> None:
    """A megabyte of claims is not kept."""
    answer = desk.log_in(padding="x" * 1_000_000)
    assert 400 == answer.status_code
    assert len(json.dumps(logins(desk))) < 10_000


def test_only_the_newest_attempts_are_kept(desk: Desk) -> None:
    """A thousand."""
    for number in range(MAX_LOGIN_ATTEMPTS + 5):
        desk.salesforce.login_attempts.append(LoginAttempt(time=number, site="acme", address="127.0.0.1"))
    assert MAX_LOGIN_ATTEMPTS == len(desk.salesforce.login_attempts)
    assert 5 == desk.salesforce.login_attempts[0].time


def test_the_attempts_can_be_forgotten(desk: Desk) -> None:
    """By DELETE."""
    desk.log_in()
    desk.session.delete(f"{desk.salesforce.url}/__admin/logins", timeout=30)
    assert [] == logins(desk)
