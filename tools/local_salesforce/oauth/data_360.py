"""The second exchange of Data 360: an access token for a token of its tenant, whose APIs are not here.

Form: as salesforce-cdp-connector 1.0.20 sends and reads it, with the parameters in the body or in the URL's query. The words of
the refusals are unknown.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from local_salesforce.addresses import Addresses
from local_salesforce.sessions import Sessions
from local_salesforce.wire import Answer, Request

PATH = "/services/a360/token"
GRANT_TYPE = "urn:salesforce:grant-type:external:cdp"
SUBJECT_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  a type
SCOPES = {"cdp_query_api", "cdp_profile_api", "cdp_ingest_api", "full"}
EXPIRES_IN = 7200
"""Seconds; a Data 360 token says when it ends."""


def exchange(request: Request, sessions: Sessions, addresses: Addresses) -> Answer:
    """Answer a request for a tenant's token."""
    parameters = request.parameters
    if parameters.get("grant_type") != GRANT_TYPE or parameters.get("subject_token_type") != SUBJECT_TOKEN_TYPE:
        return _error("unsupported_grant_type", "grant type not supported")
    session = sessions.use(parameters.get("subject_token", ""), request.address)
    if session is None:
        return _error("invalid_grant", "invalid subject token")
    if not SCOPES & set(session.app.scopes.split()):
        return _error("invalid_scope", "the app has no scope of Data 360")
    return Answer.json(
        {
            "access_token": sessions.tenant_token(session, EXPIRES_IN),
            "instance_url": urlsplit(addresses.my_domain(session.user.org).url).netloc,
            "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "expires_in": EXPIRES_IN,
        }
    )


def _error(error: str, description: str) -> Answer:
    return Answer.json({"error": error, "error_description": description}, HTTPStatus.BAD_REQUEST, error=error)
