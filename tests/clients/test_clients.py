"""Clients that nobody here wrote log in, use the data API, and fail as they do at the real Salesforce."""

from __future__ import annotations

from typing import Any

import pytest

from local_stack.salesforce import DEFAULT_USERNAME
from tests.clients.conftest import CLIENTS, SALESFORCE_CLI, Bench
from tests.clients.setups import SETUPS, UNREACHABLE, words_of

RENEWS_BY_ITSELF = {"aiosalesforce", "simple-salesforce", SALESFORCE_CLI}
"""They log in again when a session has ended; the others hand its error on."""


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_logs_in_queries_creates_and_reads(bench: Bench, client: str) -> None:
    """With its own assertion, its own way of posting, and its own idea of the data API."""
    did = bench.run(client)
    assert "Made by a client" == did.get("read"), did
    assert [("00D0000000localEAA", "Acme")] == [(record["Id"], record["Name"]) for record in did["records"]]
    login = next(entry for entry in bench.salesforce.journal if entry.subject)
    assert (200, DEFAULT_USERNAME) == (login.status, login.subject)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_killed_session_is_what_the_client_takes_it_for(bench: Bench, client: str) -> None:
    """INVALID_SESSION_ID, which some answer by logging in again."""
    did = bench.run(client, kill=f"{bench.salesforce.url}/__admin/sessions")
    if client in RENEWS_BY_ITSELF:
        assert ("Acme", 2) == (did["after"][0]["Name"], bench.salesforce.logins())
    else:
        assert "INVALID_SESSION_ID" in did["error"]
        assert "Session expired or invalid" in did["error"]
        assert 1 == bench.salesforce.logins()


@pytest.mark.parametrize("setup", list(SETUPS))
@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_set_up_is_told_in_the_clients_own_words(bench: Bench, client: str, setup: str) -> None:
    """Which hold the words of Salesforce that the client was written for."""
    if (client, setup) in UNREACHABLE:
        pytest.skip(UNREACHABLE[client, setup])
    change, error, description = SETUPS[setup]
    did: dict[str, Any] = bench.run(client, **change(bench))
    assert "error" in did, did
    for words in words_of(client, error, description):
        assert words in did["error"]
    assert 0 == bench.salesforce.logins()


def test_the_cli_says_who_is_connected(bench: Bench) -> None:
    """`sf org display`, after a login by JWT."""
    bench.run(SALESFORCE_CLI)
    shown = bench.cli("org", "display", "--target-org", DEFAULT_USERNAME)["result"]
    assert ("Connected", bench.salesforce.url, "00D0000000localEAA") == (
        shown["connectedStatus"],
        shown["instanceUrl"],
        shown["id"],
    )
