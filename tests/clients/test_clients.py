"""Clients that nobody here wrote log in, use the data API, and fail as they do at the real Salesforce."""

from __future__ import annotations

import pytest

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME
from tests.clients.conftest import CDP_CONNECTOR, CLIENTS, DJANGO, PUBSUB_CLIENT, REST_CLIENTS, SALESFORCE_CLI, Bench
from tests.clients.setups import ODD_ANSWERS, SETUPS, UNREACHABLE
from tests.clients.wording import ODD_WORDS, refusal_by, refusal_in

RENEWS_BY_ITSELF = {"aiosalesforce", "simple-salesforce", SALESFORCE_CLI}
"""They log in again when a session has ended; the others pass its error on, django-salesforce in its own words."""


@pytest.mark.parametrize("client", REST_CLIENTS)
def test_a_client_logs_in_queries_creates_and_reads(bench: Bench, client: str) -> None:
    """With its own assertion, its own way of posting, and its own idea of the data API."""
    did = bench.run(client)
    assert "Made by a client" == did.get("read"), did
    assert [("00D0000000localEAA", "Acme")] == [(record["Id"], record["Name"]) for record in did["records"]]
    assert [(did["created"], "Made by a client")] == [(record["Id"], record["Name"]) for record in did["accounts"]]
    login = next(entry for entry in bench.salesforce.journal if entry.subject)
    assert (200, DEFAULT_USERNAME) == (login.status, login.subject)


@pytest.mark.parametrize("client", REST_CLIENTS)
def test_a_killed_session_is_what_the_client_takes_it_for(bench: Bench, client: str) -> None:
    """INVALID_SESSION_ID, which some answer by logging in again."""
    did = bench.run(client, kill=f"{bench.salesforce.url}/__admin/sessions")
    if client in RENEWS_BY_ITSELF:
        assert ("Acme", 2) == (did["after"][0]["Name"], bench.salesforce.logins())
    elif client == DJANGO:
        assert did["error"].startswith("Can never reauthenticate a token")
    else:
        assert "INVALID_SESSION_ID" in did["error"]
        assert "Session expired or invalid" in did["error"]
    if client not in RENEWS_BY_ITSELF:
        assert 1 == bench.salesforce.logins()


@pytest.mark.parametrize("setup", list(SETUPS))
@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_set_up_is_reported_in_the_clients_own_words(bench: Bench, client: str, setup: str) -> None:
    """Which hold the words of Salesforce that the client was written for."""
    if (client, setup) in UNREACHABLE:
        pytest.skip(UNREACHABLE[client, setup])
    change, error, description = SETUPS[setup]
    did = bench.run(client, **change(bench))
    assert refusal_by(client, error, description) == refusal_in(client, did)
    assert 0 == bench.salesforce.logins()


@pytest.mark.parametrize("odd", list(ODD_ANSWERS))
@pytest.mark.parametrize("client", CLIENTS)
def test_a_malformed_answer_is_reported_as_the_client_can(bench: Bench, client: str, odd: str) -> None:
    """Some show it, some lose it, one breaks on it."""
    did = bench.run(client, **ODD_ANSWERS[odd](bench))
    kind, beginning = ODD_WORDS[odd][client]
    assert (kind, beginning) == (did["kind"], did["error"][: len(beginning)])
    assert 0 == bench.salesforce.logins()


def test_simple_salesforce_knows_the_words_of_a_missing_consent(bench: Bench) -> None:
    """It compares them literally, and advises."""
    did = bench.run("simple-salesforce", **SETUPS["no consent"][0](bench))
    advice = f"authorize?response_type=code&client_id={DEFAULT_CONSUMER_KEY}"
    assert [True] == [advice in said for said in did["warnings"]]


def test_the_cli_knows_the_word_audience(bench: Bench) -> None:
    """It adds which audience it sent, and where to."""
    did = bench.run(SALESFORCE_CLI, **SETUPS["another org's audience"][0](bench))
    at = bench.salesforce.url.replace("127.0.0.1", "localhost")
    assert f"audience is invalid  [audience={at}/ login={at}/]" in did["error"].splitlines()


def test_the_cli_says_who_is_connected(bench: Bench) -> None:
    """`sf org display`, after a login by JWT."""
    bench.run(SALESFORCE_CLI)
    shown = bench.cli("org", "display", "--target-org", DEFAULT_USERNAME)["result"]
    assert ("Connected", bench.salesforce.url, "00D0000000localEAA") == (
        shown["connectedStatus"],
        shown["instanceUrl"],
        shown["id"],
    )


def test_the_cli_changes_and_deletes_a_record(bench: Bench) -> None:
    """And gets the data API's own errors for what is not there."""
    made = bench.run(SALESFORCE_CLI)["created"]
    record = ("--sobject", "Account", "--record-id", made, "--target-org", DEFAULT_USERNAME)
    assert bench.cli("data", "update", "record", *record, "--values", "Name=Renamed")["result"]["success"]
    assert "Renamed" == bench.cli("data", "get", "record", *record)["result"]["Name"]
    assert bench.cli("data", "delete", "record", *record)["result"]["success"]
    assert "NOT_FOUND" == bench.cli("data", "get", "record", *record)["name"]
    at = ("--target-org", DEFAULT_USERNAME)
    wrong = bench.cli("data", "query", "--query", "SELECT Nope FROM Account", *at)
    assert ("INVALID_FIELD", True) == (wrong["name"], "No such column 'Nope' on entity 'Account'" in wrong["message"])
    assert "DailyApiRequests" in [limit["name"] for limit in bench.cli("org", "list", "limits", *at)["result"]]


def test_jsforce_asks_who_it_is_and_revokes_its_token(bench: Bench) -> None:
    """By the identity URL of the answer, and without client authentication."""
    did = bench.run("jsforce")
    assert (DEFAULT_USERNAME, "INVALID_SESSION_ID: Session expired or invalid") == (did["username"], did["late"])
    assert [200] == [entry.status for entry in bench.salesforce.journal if entry.path == "/services/oauth2/revoke"]


def test_the_pubsub_client_sends_token_instance_and_org(bench: Bench) -> None:
    """The metadata of a gRPC call; the org's id comes from userinfo."""
    assert "00D0000000localEAA" == bench.run(PUBSUB_CLIENT)["tenant"]
    assert [200] == [entry.status for entry in bench.salesforce.journal if entry.path == "/services/oauth2/userinfo"]


def test_the_data_360_connector_logs_in_and_exchanges_its_token(bench: Bench) -> None:
    """All parameters in the URL's query; then it revokes the token that it logged in with, whoever else holds it."""
    bench.salesforce.world.app(DEFAULT_CONSUMER_KEY).scopes = "api id cdp_query_api"
    did = bench.run(CDP_CONNECTOR)
    assert 3 == did.get("tenant_token_parts"), did
    assert bench.salesforce.url == f"http://{did['tenant']}"
    assert ["query"] == [attempt.parameters_in for attempt in bench.salesforce.login_attempts]
    assert [] == bench.salesforce.sessions.living()


def test_the_data_360_connector_needs_a_scope_of_data_360(bench: Bench) -> None:
    """The login works, the second exchange is refused."""
    did = bench.run(CDP_CONNECTOR)
    assert "CDP token retrieval failed with code 400" == did["error"]
    assert 1 == bench.salesforce.logins()
