"""Find or create an Account in Salesforce for an order's customer, without knowing anything about tokens."""

from __future__ import annotations

from typing import Any

from salesforce_broker_client import Broker

salesforce = Broker().session()
"""Outside the handler, so that warm invocations share its connections and its token."""

DATA = "/services/data/v65.0"
TIMEOUT = 10


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take {"customer": name}; return the Account of that name, and whether it was created."""
    name = event["customer"]
    query = f"SELECT Id FROM Account WHERE Name = '{escaped(name)}'"  # noqa: S608  escaped
    found = salesforce.get(f"{DATA}/query", params={"q": query}, timeout=TIMEOUT)
    found.raise_for_status()
    if records := found.json()["records"]:
        return {"account": records[0]["Id"], "created": False}
    created = salesforce.post(f"{DATA}/sobjects/Account", json={"Name": name}, timeout=TIMEOUT)
    created.raise_for_status()
    return {"account": created.json()["id"], "created": True}


def escaped(text: str) -> str:
    r"""Write text as it stands between quotes in SOQL: \ and ' after a \."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
