"""docs/openapi.yaml, made of the code: `make openapi` writes it, `--check` tells whether it still says what the code does.

The form of the document is written here. What may be sent and what is answered is read from the package: routes, limits,
codes and statuses, which are written down nowhere else.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from salesforce_broker import __version__
from salesforce_broker.api import request, response
from salesforce_broker.config import USERNAME
from salesforce_broker.salesforce.access_token import OPTIONAL_FIELDS
from salesforce_broker.salesforce.client import IDENTITY_FIELDS
from salesforce_broker.tokens.model import Action, Outcome, Source

DOCUMENT = Path(__file__).parents[1] / "docs" / "openapi.yaml"

FINGERPRINT = "^[0-9a-f]{16}$"

SUMMARY = {
    "/token": "A token for the default user, or for `sub`",
    "/api/jwtauth": "The same, at the path of the Node server that this replaces",
    "/identity": "Whose token it is, as Salesforce says",
    "/health": "Settings make sense; touches neither key nor Salesforce",
}

NO_SALESFORCE = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}
"""Statuses that need somebody to have asked Salesforce or for the key."""

GATEWAY = {413: "The request is too long", 429: "Too many requests", 504: "The function did not answer in time"}
"""Statuses that API Gateway answers with by itself."""

STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}


def document() -> dict[str, Any]:
    """Return the whole document (OpenAPI 3.0)."""
    paths: dict[str, Any] = {}
    for (method, path), action in request.ROUTES.items():
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, action)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Salesforce Token Broker",
            "version": __version__,
            "license": {"name": "Apache-2.0"},
            "description": "Salesforce access tokens for IAM principals. Requests are signed (SigV4, service execute-api)."
            " API Gateway's own refusals have a `message` alone: what is not signed, not allowed or no route, too long or too"
            " often, or did not reach the function.",
        },
        "servers": [
            {
                "url": "https://{api}.execute-api.{region}.amazonaws.com/v1",
                "variables": {"api": {"default": "api-id"}, "region": {"default": "eu-central-1"}},
            }
        ],
        "security": [{"sigv4": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
            "responses": {
                **{_name(status): _refusal(status) for status in sorted(set(response.HTTP_STATUS.values()))},
                **{_name(status): _described(why, _ref("schemas", "GatewayError")) for status, why in GATEWAY.items()},
            },
            "schemas": {
                "TokenRequest": gateway_model(),
                "IdentityRequest": _object({}, {"sub": username()}),
                "Token": _token(),
                "Identity": _identity(),
                "Health": _object({"status": {"type": "string", "enum": ["ok"]}, "version": STRING}),
                "Error": _error(response.HTTP_STATUS),
                "GatewayError": _object({"message": STRING}),
            },
        },
    }


def gateway_model() -> dict[str, Any]:
    """Return what may be sent, in the words that API Gateway's models (JSON schema, draft 4) know too."""
    fields = {
        "sub": username(),
        "min_ttl": {"type": "integer", "minimum": 0, "maximum": request.MAX_MIN_TTL_SECONDS},
        "rejected": {"type": "string", "pattern": FINGERPRINT},
    }
    return {"type": "object", "additionalProperties": False, "properties": fields}


def username() -> dict[str, Any]:
    """Return the form of a Salesforce username; the look-ahead of the code's pattern is what lengths are for here."""
    parts = re.fullmatch(r"\(\?=\.\{(?P<least>\d+),(?P<most>\d+)\}\\Z\)(?P<rest>.+)", USERNAME.pattern)
    assert parts, "the pattern of usernames has another form now"
    return {
        "type": "string",
        "minLength": int(parts["least"]),
        "maxLength": int(parts["most"]),
        "pattern": f"^{parts['rest']}$",
    }


def _operation(method: str, path: str, action: Action) -> dict[str, Any]:
    name = path.strip("/").replace("/", "_")
    by_query = action is Action.IDENTITY and method == "GET"
    operation: dict[str, Any] = {"summary": SUMMARY[path], "operationId": f"{name}_by_query" if by_query else name}
    if method == "POST":
        operation["requestBody"] = {
            "required": False,
            "description": f"At most {request.MAX_BODY_BYTES} bytes; without one it is about the default user.",
            "content": {"application/json": {"schema": _ref("schemas", f"{action.value.capitalize()}Request")}},
        }
    if by_query:
        operation["parameters"] = [{"name": "sub", "in": "query", "required": False, "schema": username()}]
    answer = {Action.TOKEN: "Token", Action.IDENTITY: "Identity", Action.HEALTH: "Health"}[action]
    left_out = NO_SALESFORCE | {HTTPStatus.FORBIDDEN} if action is Action.HEALTH else set()
    statuses = sorted(set(response.HTTP_STATUS.values()) - left_out - {HTTPStatus.NOT_FOUND})
    operation["responses"] = {
        "200": _unstored(_described("What was asked for", _ref("schemas", answer))),
        **{str(int(status)): _ref("responses", _name(status)) for status in sorted({*statuses, *GATEWAY})},
    }
    return operation


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    codes = [code for code, mapped in response.HTTP_STATUS.items() if mapped == status]
    phrase = f"{status.phrase}: {', '.join(codes)}"
    refusal = _unstored(_described(phrase, _error(codes)))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        refusal["headers"]["Retry-After"] = {"description": "Seconds", "schema": {"type": "integer", "minimum": 0}}
    return refusal


def _described(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {response.HEADERS["Content-Type"]: {"schema": schema}}}


def _unstored(answer: dict[str, Any]) -> dict[str, Any]:
    store = {"required": True, "schema": {"type": "string", "enum": [response.HEADERS["Cache-Control"]]}}
    return answer | {"headers": {"Cache-Control": store}}


def _name(status: int) -> str:
    return f"Refused{int(status)}"


def _token() -> dict[str, Any]:
    fields = {
        "access_token": STRING,
        "token_type": STRING,
        "instance_url": {"type": "string", "format": "uri", "description": "Where the token is to be used: an origin"},
        "id": {"type": "string", "format": "uri", "description": "Salesforce's identity URL of the user"},
        "scope": STRING,
        "expires_in": {"type": "integer", "minimum": 1, "description": "Seconds"},
        "expires_at": {"type": "integer", "description": "Epoch seconds"},
        "expiry_basis": {"type": "string", "enum": ["assumed", "jwt_exp", "expires_in"]},
        "fingerprint": {"type": "string", "pattern": FINGERPRINT, "description": "Of the token; what `rejected` takes"},
        "source": {"type": "string", "enum": [each.value for each in Source]},
        "outcome": {"type": "string", "enum": [each.value for each in Outcome]},
        "degraded": {"type": "boolean", "description": "Its renewal failed, but it is still valid"},
        **_whose(),
    }
    retry_after = {"type": "integer", "minimum": 0, "description": "Seconds after which a suppressed report makes sense again"}
    return _object(fields, {**dict.fromkeys(OPTIONAL_FIELDS, STRING), "retry_after": retry_after})


def _identity() -> dict[str, Any]:
    known = {"fingerprint": {"type": "string", "pattern": FINGERPRINT}, "expires_at": INTEGER, **_whose()}
    from_salesforce = {name: BOOLEAN if name == "active" else {"type": "string", "nullable": True} for name in IDENTITY_FIELDS}
    return _object(known, {name: each for name, each in from_salesforce.items() if name not in known})


def _whose() -> dict[str, Any]:
    return {
        "sub": STRING | {"description": "The Salesforce username that it is for"},
        "organization_id": STRING | {"description": "The org's id, 15 or 18 characters"},
    }


def _error(codes: Collection[str]) -> dict[str, Any]:
    remembered = {
        "since": {"type": "integer", "description": "Epoch seconds of the first of the failures that are remembered"},
        "attempts": {"type": "integer", "minimum": 1, "description": "Logins that have failed since"},
    }
    return _object(
        {
            "error": {"type": "string", "enum": list(codes)},
            "error_description": STRING,
            "retryable": BOOLEAN,
            "retry_after": {"type": "integer", "minimum": 0, "nullable": True, "description": "Seconds"},
            "hint": {"type": "string", "description": "What to change, and where"},
            "request_id": STRING,
        },
        remembered,
    )


def _object(fields: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    properties = fields | (optional or {})
    return {"type": "object", "additionalProperties": False, "required": list(fields), "properties": properties}


def _ref(kind: str, name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{name}"}


class _Plain(yaml.SafeDumper):
    """Writes every value where it stands, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def text() -> str:
    """Return the document as it is written."""
    made = "# Made of the code by `make openapi`: change it there.\n"
    return made + yaml.dump(document(), Dumper=_Plain, sort_keys=False, width=128)


def main() -> int:
    """Write the document, or compare it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the document is not what the code says")
    if not parser.parse_args().check:
        DOCUMENT.write_text(text())
        return 0
    if DOCUMENT.read_text() != text():
        print("docs/openapi.yaml is not what the code says: run 'make openapi'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
