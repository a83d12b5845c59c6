"""The data API: enough that a real client can query, create, and be told what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from local_salesforce import DEFAULT_SANDBOX_KEY, DEFAULT_SANDBOX_USERNAME
from tests.integration.local_salesforce.conftest import Desk

V = "/services/data/v65.0"
USER = {
    "Username": "new@acme.example",
    "LastName": "New",
    "Email": "new@acme.example",
    "Alias": "new",
    "ProfileId": "00e000000000001AAA",
    "TimeZoneSidKey": "Europe/Berlin",
    "LocaleSidKey": "en_US",
    "EmailEncodingKey": "UTF-8",
    "LanguageLocaleKey": "en_US",
}


def create(desk: Desk, kind: str = "Account", **fields: Any) -> str:
    """Create a record; return its id."""
    return str(desk.call("POST", f"{V}/sobjects/{kind}", json=fields).json()["id"])


def test_versions_need_no_token(desk: Desk) -> None:
    """Where clients look for the newest one."""
    versions = desk.get("/services/data/", "").json()
    assert {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"} == versions[-1]
    labels = {version["version"]: version["label"] for version in versions}
    assert ("Spring '24", "Winter '25", "Summer '25") == (labels["60.0"], labels["62.0"], labels["64.0"])
    assert ("Winter '26", "Spring '26") == (labels["65.0"], labels["66.0"])


def test_resources_and_limits(desk: Desk) -> None:
    """Usage is counted, and told in a header."""
    resources = desk.get(f"{V}/").json()
    assert {"query", "sobjects", "limits"} <= set(resources)
    assert resources["identity"] == desk.log_in().json()["id"]
    answer = desk.get(f"{V}/limits")
    assert 15000 == answer.json()["DailyApiRequests"]["Max"]
    assert "api-usage=2/15000" == answer.headers["Sforce-Limit-Info"]


@pytest.mark.parametrize(
    ("kind", "fields", "prefix"),
    [
        ("Account", {"Name": "Acme & Sons"}, "001"),
        ("Contact", {"LastName": "Doe", "FirstName": "Jo"}, "003"),
        ("Case", {"Subject": "Broken"}, "500"),
        ("User", USER, "005"),
    ],
)
def test_a_record_is_created_read_changed_and_deleted(desk: Desk, kind: str, fields: dict[str, Any], prefix: str) -> None:
    """Of each of the standard objects."""
    made = desk.call("POST", f"{V}/sobjects/{kind}", json=fields)
    assert (201, True, []) == (made.status_code, made.json()["success"], made.json()["errors"])
    path = f"{V}/sobjects/{kind}/{made.json()['id']}"
    assert (prefix, 18) == (made.json()["id"][:3], len(made.json()["id"]))
    record = desk.get(path).json()
    assert fields == {name: record[name] for name in fields}
    assert ({"type": kind, "url": path}, "005000000000001AAA") == (record["attributes"], record["CreatedById"])
    first = next(iter(fields))
    assert 204 == desk.call("PATCH", path, json={first: "changed"}).status_code
    assert "changed" == desk.get(path, params={"fields": first}).json()[first]
    assert 204 == desk.call("DELETE", path).status_code
    assert 404 == desk.get(path).status_code


def test_objects_derive_what_salesforce_derives(desk: Desk) -> None:
    """A contact's name, a case's number and status."""
    assert (
        "Jo Doe" == desk.get(f"{V}/sobjects/Contact/{create(desk, 'Contact', LastName='Doe', FirstName='Jo')}").json()["Name"]
    )
    case = desk.get(f"{V}/sobjects/Case/{create(desk, 'Case', Subject='Broken')}").json()
    assert ("New", False, 8) == (case["Status"], case["IsClosed"], len(case["CaseNumber"]))


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("", ["Ada", "Bob", "Cy O'Neil"]),
        ("WHERE Account.Name = 'bob' ORDER BY account.Name", ["Bob"]),
        ("WHERE Name = 'bob'", ["Bob"]),
        ("WHERE Name = 'Cy O\\'Neil'", ["Cy O'Neil"]),
        ("WHERE Name LIKE '%o%'", ["Bob", "Cy O'Neil"]),
        ("WHERE Name IN ('Ada', 'Bob')", ["Ada", "Bob"]),
        ("WHERE NOT Name IN ('Ada')", ["Bob", "Cy O'Neil"]),
        ("WHERE Name NOT IN ('Ada')", ["Bob", "Cy O'Neil"]),
        ("WHERE Phone = null AND (Name = 'Ada' OR Name = 'Bob')", ["Ada", "Bob"]),
        ("WHERE Name > 'Ada' AND Name <= 'Bob'", ["Bob"]),
        ("WHERE CreatedDate > 2020-01-01T00:00:00Z AND IsDeleted = false LIMIT 1", ["Ada"]),
        ("ORDER BY Name DESC NULLS LAST LIMIT 2", ["Cy O'Neil", "Bob"]),
        ("order by Name limit 1 offset 1", ["Bob"]),
    ],
)
def test_a_query_finds_what_it_asks_for(desk: Desk, where: str, names: list[str]) -> None:
    """Conditions, order, limit, offset."""
    for name in ("Ada", "Bob", "Cy O'Neil"):
        create(desk, Name=name)
    answer = desk.query(f"SELECT Id, Name FROM Account {where}")  # noqa: S608  SOQL
    assert names == [record["Name"] for record in answer["records"]]
    assert (len(names), True) == (answer["totalSize"], answer["done"])
    assert all(record["attributes"]["url"].endswith(record["Id"]) for record in answer["records"])


def test_a_query_counts(desk: Desk) -> None:
    """COUNT() has no records."""
    create(desk, Name="Ada")
    assert {"totalSize": 1, "done": True, "records": []} == desk.query("SELECT COUNT() FROM Account")


def test_a_large_result_comes_in_batches(desk: Desk) -> None:
    """Of 2,000, by nextRecordsUrl."""
    records, world = desk.salesforce.records, desk.salesforce.world
    for number in range(2001):
        records.create(world.org("acme"), "Account", {"Name": f"{number:04}"}, world.users[0])
    first = desk.query("SELECT Name FROM Account")
    assert (False, 2000, 2001) == (first["done"], len(first["records"]), first["totalSize"])
    rest = desk.get(first["nextRecordsUrl"]).json()
    assert (True, ["2000"]) == (rest["done"], [record["Name"] for record in rest["records"]])


def test_orgs_do_not_see_each_others_records(desk: Desk) -> None:
    """Organization and User come of the world, and are changed there."""
    create(desk, Name="Ada")
    dev = desk.token(site="acme--dev", iss=DEFAULT_SANDBOX_KEY, sub=DEFAULT_SANDBOX_USERNAME, aud="https://test.salesforce.com")
    query = f"{V}/query?q=SELECT+Name+FROM+Account"
    assert (1, 0) == (desk.get(query).json()["totalSize"], desk.get(query, dev, site="acme--dev").json()["totalSize"])
    for method in ("PATCH", "DELETE"):
        answer = desk.call(method, f"{V}/sobjects/User/005000000000001AAA", json={"Alias": "x"})
        assert "INSUFFICIENT_ACCESS_OR_READONLY" == answer.json()[0]["errorCode"]
    assert "Acme" == desk.query("SELECT Name, IsSandbox FROM Organization")["records"][0]["Name"]
    users = desk.query("SELECT Username FROM User WHERE IsActive = false")["records"]
    assert ["inactive@acme.example"] == [user["Username"] for user in users]


@pytest.mark.parametrize(
    ("soql", "code", "words"),
    [
        ("SELECT Id FROM", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELEC Id FROM Account", "MALFORMED_QUERY", "unexpected token: 'SELEC'"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Account WHERE Name ~ 'x'", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Account LIMIT x", "MALFORMED_QUERY", "unexpected token: 'x'"),
        ("", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Nme FROM Account", "INVALID_FIELD", "No such column 'Nme' on entity 'Account'"),
        ("SELECT Id FROM Account WHERE Nme = 'x'", "INVALID_FIELD", "No such column 'Nme' on entity 'Account'"),
        ("SELECT Id FROM Acount", "INVALID_TYPE", "sObject type 'Acount' is not supported."),
    ],
)
def test_a_query_that_is_none_is_refused_in_salesforces_words(desk: Desk, soql: str, code: str, words: str) -> None:
    """400, an array, with the place."""
    answer = desk.get(f"{V}/query", params={"q": soql})
    (error,) = answer.json()
    assert (400, code) == (answer.status_code, error["errorCode"])
    assert words in error["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("sobjects/Account", {"Phone": "1"}, 400, "REQUIRED_FIELD_MISSING"),
        ("sobjects/Account", {"Name": "x", "Colour": "red"}, 400, "INVALID_FIELD"),
        ("sobjects/Account", {"Name": "x", "CreatedDate": "2020-01-01"}, 400, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ("sobjects/Organization", {"Name": "x"}, 400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"),
        ("sobjects/Account", ["x"], 400, "JSON_PARSER_ERROR"),
        ("sobjects/Nothing", {"Name": "x"}, 404, "NOT_FOUND"),
        ("nothing", {}, 404, "NOT_FOUND"),
        ("limits/x/../../../v1.0/limits", {}, 404, "NOT_FOUND"),
        ("sobjects/Account/001000000000001AAA", {}, 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_a_record_that_is_none_is_refused(desk: Desk, path: str, body: object, status: int, code: str) -> None:
    """With Salesforce's codes."""
    answer = desk.call("POST", f"{V}/{path}", json=body)
    assert (status, code) == (answer.status_code, answer.json()[0]["errorCode"])


def test_a_record_that_is_not_there_is_a_404(desk: Desk) -> None:
    """In its own words."""
    (error,) = desk.get(f"{V}/sobjects/Account/001000000000009AAA").json()
    assert error["message"].startswith("Provided external ID field does not exist or is not accessible")
