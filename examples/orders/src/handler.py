"""Create an Account in Salesforce for an order's customer, without knowing anything about tokens."""

from __future__ import annotations

from typing import Any

from salesforce_broker_client import Broker

salesforce = Broker().session()
"""Outside the handler, so that warm invocations share its connections and its token."""

TIMEOUT = 10


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take {"customer": name}; return the id of the new Account, and what Salesforce has under it."""
    accounts = "/services/data/v65.0/sobjects/Account"
    created = salesforce.post(accounts, json={"Name": event["customer"]}, timeout=TIMEOUT)
    created.raise_for_status()
    account = created.json()["id"]
    stored = salesforce.get(f"{accounts}/{account}", params={"fields": "Name"}, timeout=TIMEOUT)
    stored.raise_for_status()
    return {"account": account, "customer": stored.json()["Name"]}
