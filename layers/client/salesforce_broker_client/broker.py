"""The broker, by the name of its function or its URL, with sessions for the HTTP clients that people use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from salesforce_broker_client.clock import Clock
from salesforce_broker_client.token_source import TokenSource
from salesforce_broker_client.transports import Transport
from salesforce_broker_client.transports.https import HttpsTransport
from salesforce_broker_client.transports.invoke import LambdaTransport

if TYPE_CHECKING:
    import requests
    from simple_salesforce.api import Salesforce

TIMEOUT_SECONDS = 25.0
"""The default: the broker's function ends after 20 s, API Gateway after 29 s."""


class Broker(TokenSource):
    """Hands out tokens; safe to share between threads. Make one for a process, outside the handler.

    By invoke of `function_name` (name, ARN, alias), or by HTTPS at `url`; without either, by what SALESFORCE_BROKER_FUNCTION or
    SALESFORCE_BROKER_URL in the environment name. `session`: a boto3.Session; `region`: the broker's, if it is another one;
    `timeout`: seconds for a call, where none is given with it.
    """

    def __init__(  # noqa: PLR0913  each has its default
        self,
        function_name: str | None = None,
        *,
        url: str | None = None,
        session: Any = None,
        region: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        if not function_name and not url:
            function_name = os.environ.get("SALESFORCE_BROKER_FUNCTION")
            url = None if function_name else os.environ.get("SALESFORCE_BROKER_URL")
        clock = clock or Clock()
        if function_name and not url:
            transport: Transport = LambdaTransport(function_name, session=session, region=region, clock=clock)
        elif url and not function_name:
            transport = HttpsTransport(url, session=session, region=region, clock=clock)
        else:
            raise ValueError("Give either function_name or url, or set SALESFORCE_BROKER_FUNCTION or SALESFORCE_BROKER_URL.")
        super().__init__(transport, timeout=timeout, clock=clock)

    def session(self, sub: str | None = None) -> requests.Session:
        """Return a requests.Session for paths below the instance URL, whose tokens renew themselves. Needs `requests`."""
        from salesforce_broker_client.adapters.requests import SalesforceSession  # noqa: PLC0415  an extra

        return SalesforceSession(self, sub)

    def simple_salesforce(self, sub: str | None = None, **arguments: Any) -> Salesforce:
        """Return a simple_salesforce.Salesforce whose session renews itself. Needs `simple-salesforce`."""
        from salesforce_broker_client.adapters.simple_salesforce import salesforce  # noqa: PLC0415  an extra

        return salesforce(self, sub, **arguments)
