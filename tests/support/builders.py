"""Keyword-only builders of the values that tests start from."""

from __future__ import annotations

import json
from typing import Any

from salesforce_broker.authorization import Grants
from salesforce_broker.config import Settings
from salesforce_broker.salesforce.access_token import AccessToken
from salesforce_broker.salesforce.transport import Reply
from salesforce_broker.tokens.model import Action, TokenRequest
from tests.support.clocks import START

LOGIN_URL = "https://acme.my.salesforce.com"
USERNAME = "integration@acme.example"
OTHER_USERNAME = "orders@acme.example"
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:salesforce-AbCdEf"
ID_URL = "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA"


def environment(**changes: str) -> dict[str, str]:
    """Return a function's environment that makes sense, with `changes`."""
    return {
        "SIGNING_KEY_SECRET_ARN": SECRET_ARN,
        "SALESFORCE_LOGIN_URL": LOGIN_URL,
        "SALESFORCE_USERNAME": USERNAME,
        "ALLOWED_SUBJECTS": OTHER_USERNAME,
        "EVENT_BUS_NAME": "default",
    } | changes


def settings(**changes: Any) -> Settings:
    """Return settings that make sense, with `changes`."""
    fields: dict[str, Any] = {
        "signing_key_secret_arn": SECRET_ARN,
        "login_url": LOGIN_URL,
        "audience": LOGIN_URL,
        "username": USERNAME,
        "client_id": "",
        "organization_id": "",
        "allowed_subjects": frozenset({OTHER_USERNAME}),
        "subject_grants": Grants(),
        "token_lifetime_seconds": 900,
        "token_cache_prefix": "/broker/tokens",
        "token_cache_kms_key_id": "",
        "token_cache_tier": "Standard",
        "event_bus_name": "default",
        "gateway_token_secret_arn": "",
    }
    return Settings(**fields | changes)


def answer(**changes: Any) -> dict[str, Any]:
    """Return the JSON of a successful exchange, with `changes`; None leaves a field out."""
    fields = {
        "access_token": "00D000000000001!first",
        "scope": "api id",
        "instance_url": LOGIN_URL,
        "id": ID_URL,
        "token_type": "Bearer",
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


def identity(**changes: Any) -> dict[str, Any]:
    """Return the identity document of `answer`'s user, with `changes`; None leaves a field out."""
    document = {
        "user_id": "005000000000001AAA",
        "organization_id": "00D000000000001EAA",
        "username": USERNAME,
    } | changes
    return {name: value for name, value in document.items() if value is not None}


def reply(body: Any = None, *, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Return a reply with a JSON body, or with bytes as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, headers or {}, raw)


def refusal(error: str, description: str | None = None, **headers: str) -> Reply:
    """Return a refusal as the token endpoint words it."""
    body = {"error": error} | ({} if description is None else {"error_description": description})
    return reply(body, status=400, headers=headers)


def token(**changes: Any) -> AccessToken:
    """Return a token issued at START that lives for 900 s, with `changes`."""
    fields: dict[str, Any] = {
        "value": "00D000000000001!first",
        "token_type": "Bearer",
        "instance_url": LOGIN_URL,
        "id": ID_URL,
        "scope": "api id",
        "issued_at": int(START),
        "expires_at": int(START) + 900,
        "expiry_basis": "assumed",
    }
    return AccessToken(**fields | changes)


def request(**changes: Any) -> TokenRequest:
    """Return a request for the default user's token, with `changes`."""
    fields: dict[str, Any] = {
        "entry_point": "api",
        "action": Action.TOKEN,
        "caller": "arn:aws:iam::123456789012:role/orders",
        "seconds_left": 20,
    }
    return TokenRequest(**fields | changes)
