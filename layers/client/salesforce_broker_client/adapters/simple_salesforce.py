"""simple-salesforce with tokens of the broker; its session's auth renews them (see `adapters.requests`)."""

from __future__ import annotations

from typing import Any

from salesforce_broker_client.adapters._extras import needs_extra
from salesforce_broker_client.token_source import TokenSource

with needs_extra("simple-salesforce", "simple_salesforce", "requests"):
    from simple_salesforce.api import Salesforce

    from salesforce_broker_client.adapters.requests import SalesforceSession


def salesforce(broker: TokenSource, sub: str | None, **arguments: Any) -> Salesforce:
    """Return a client; `arguments` are simple_salesforce.Salesforce's own, such as `version`."""
    token = broker.token(sub)
    # The session's auth replaces the header that it makes of session_id, request by request.
    return Salesforce(
        instance_url=token.instance_url, session_id=token.access_token, session=SalesforceSession(broker, sub), **arguments
    )
