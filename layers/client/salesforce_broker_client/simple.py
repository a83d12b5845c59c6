"""simple-salesforce with tokens of the broker.

Owns joining the two. Does not renew anything itself: the session's auth does (see `requests_auth`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from simple_salesforce.api import Salesforce

from salesforce_broker_client.requests_auth import SalesforceSession

if TYPE_CHECKING:
    from salesforce_broker_client.broker import Broker


def salesforce(broker: Broker, sub: str | None, **arguments: Any) -> Salesforce:
    """Return a client; `arguments` are simple_salesforce.Salesforce's own, such as `version`."""
    token = broker.token(sub)
    # The session's auth replaces the header that it makes of session_id, request by request.
    return Salesforce(
        instance_url=token.instance_url, session_id=token.access_token, session=_Session(broker, sub), **arguments
    )


class _Session(SalesforceSession):
    """simple-salesforce makes https of any instance URL, which a Salesforce on this machine need not speak."""

    def request(self, method: str, url: str, *args: Any, **given: Any) -> requests.Response:  # type: ignore[override]
        instance_url = self._broker.token(self._sub).instance_url
        return super().request(
            method, url.replace(f"https://{instance_url.partition('://')[2]}/", f"{instance_url}/", 1), *args, **given
        )
