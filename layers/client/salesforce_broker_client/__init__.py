"""Salesforce access tokens from the Salesforce Token Broker, for Lambdas, services and shells.

    from salesforce_broker_client import Broker

    broker = Broker()  # SALESFORCE_BROKER_FUNCTION in the environment, or Broker("function"), or Broker(url="https://...")
    broker.session().get("/services/data/v65.0/limits").json()

What needs another package (requests, httpx, simple-salesforce, aiosalesforce) is imported when it is first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from salesforce_broker_client.broker import Broker
from salesforce_broker_client.errors import (
    AccessDenied,
    AnswerInvalid,
    BrokerError,
    BrokerFailed,
    BrokerMisconfigured,
    BrokerThrottled,
    BrokerUnreachable,
    CallDenied,
    InvalidRequest,
    MinTtlUnsatisfiable,
    SalesforceRefused,
    SalesforceUnavailable,
    SigningKeyUnavailable,
)
from salesforce_broker_client.token import Token

if TYPE_CHECKING:
    from salesforce_broker_client.adapters.aiosalesforce import BrokerAuth
    from salesforce_broker_client.adapters.httpx import SalesforceHttpxAuth
    from salesforce_broker_client.adapters.requests import SalesforceAuth, SalesforceSession

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "AnswerInvalid",
    "Broker",
    "BrokerAuth",
    "BrokerError",
    "BrokerFailed",
    "BrokerMisconfigured",
    "BrokerThrottled",
    "BrokerUnreachable",
    "CallDenied",
    "InvalidRequest",
    "MinTtlUnsatisfiable",
    "SalesforceAuth",
    "SalesforceHttpxAuth",
    "SalesforceRefused",
    "SalesforceSession",
    "SalesforceUnavailable",
    "SigningKeyUnavailable",
    "Token",
]

_ADAPTERS = {
    "BrokerAuth": "aiosalesforce",
    "SalesforceAuth": "requests",
    "SalesforceHttpxAuth": "httpx",
    "SalesforceSession": "requests",
}


def __getattr__(name: str) -> Any:
    if name not in _ADAPTERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.adapters.{_ADAPTERS[name]}"), name)
