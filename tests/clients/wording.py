"""How each client words what went wrong: its own error, word for word."""

from __future__ import annotations

import re
from typing import Any

CLI_SAYS = (
    "We encountered a JSON web token error, which is likely not an issue with Salesforce CLI. "
    "Here\N{RIGHT SINGLE QUOTATION MARK}s the error: JwtAuthError::Error authenticating with JWT.\nErrors encountered:\n"
)
"""A line for each pair of login host and audience that it tried follows, that of the given host first."""

PUBSUB_SAYS = "Error: Failed to authenticate with Salesforce: Authentication error: HTTP "

REFUSALS = {
    "simple-salesforce": r"Authentication failed \(code: (?P<error>\w+)\): (?P<description>.*)",
    "aiosalesforce": r"\[(?P<error>\w+)\] (?P<description>.*)",
    "CumulusCI": r'Error [^{]+: \{"error": ?"(?P<error>\w+)", ?"error_description": ?"(?P<description>[^"]*)"\}',
    "jsforce": r"(?P<error>\w+): (?P<description>.*)",
    "Authlib": r"(?P<error>\w+): (?P<description>.*)",
    # It keeps nothing of the answer but its status.
    "salesforce-cdp-connector": r"Core token retrieval failed with code 400",
    "salesforce-pubsub-api-client": re.escape(PUBSUB_SAYS)
    + r'400 - \{"error":"(?P<error>\w+)","error_description":"(?P<description>[^"]*)"\}',
    "salesforce-jwt-bearer-token-flow": r'\{"error":"(?P<error>\w+)","error_description":"(?P<description>[^"]*)"\}',
    # It adds audience and host to what is about an audience, and knows nothing of the code.
    "Salesforce CLI": re.escape(CLI_SAYS) + r"(?P<description>.*?)(  \[audience=\S+ login=\S+\])?\n(.|\n)*",
}

KINDS = {
    "simple-salesforce": "SalesforceAuthenticationFailed",
    "aiosalesforce": "AuthenticationError",
    "CumulusCI": "SalesforceCredentialsException",
    "Salesforce CLI": "JwtGrantError",
    "Authlib": "OAuth2Error",
    "salesforce-cdp-connector": "Error",
    "salesforce-pubsub-api-client": "Error",
}
"""The class or name of its error for a refused login; the others name it by Salesforce's code."""

MAINTENANCE = "<html><body><h1>Scheduled Maintenance</h1></body></html>"

ODD_WORDS: dict[str, dict[str, tuple[str, str]]] = {
    "no description": {
        "simple-salesforce": ("SalesforceAuthenticationFailed", "Authentication failed (code: invalid_grant): "),
        "aiosalesforce": ("AuthenticationError", '{"error":"invalid_grant"}'),
        "CumulusCI": ("SalesforceCredentialsException", 'Error retrieving access token: {"error":"invalid_grant"}'),
        "jsforce": ("invalid_grant", "invalid_grant: "),
        "salesforce-jwt-bearer-token-flow": ("invalid_grant", '{"error":"invalid_grant"}'),
        "Salesforce CLI": ("JwtGrantError", CLI_SAYS + "\n"),
        "Authlib": ("OAuth2Error", "invalid_grant: "),
        "salesforce-cdp-connector": ("Error", "Core token retrieval failed with code 400"),
        "salesforce-pubsub-api-client": ("Error", PUBSUB_SAYS + '400 - {"error":"invalid_grant"}'),
    },
    "login limit in plain text": {
        "simple-salesforce": ("SalesforceAuthenticationFailed", "Authentication failed (code: 400): login rate exceeded"),
        "aiosalesforce": ("AuthenticationError", "login rate exceeded"),
        "CumulusCI": ("SalesforceCredentialsException", "Error retrieving access token: login rate exceeded"),
        "jsforce": ("ERROR_HTTP_400", "ERROR_HTTP_400: login rate exceeded"),
        "salesforce-jwt-bearer-token-flow": ("SyntaxError", "SyntaxError: Unexpected token 'l'"),
        "Salesforce CLI": ("JwtGrantError", CLI_SAYS + "login rate exceeded\n"),
        "Authlib": ("HTTPError", "400 Client Error: Bad Request for url: "),
        "salesforce-cdp-connector": ("Error", "Core token retrieval failed with code 400"),
        "salesforce-pubsub-api-client": ("Error", PUBSUB_SAYS + "400 - login rate exceeded"),
    },
    "maintenance page": {
        "simple-salesforce": ("SalesforceAuthenticationFailed", f"Authentication failed (code: 503): {MAINTENANCE}"),
        "aiosalesforce": ("AuthenticationError", MAINTENANCE),
        "CumulusCI": ("SalesforceCredentialsException", f"Error retrieving access token: {MAINTENANCE}"),
        "jsforce": ("ERROR_HTTP_503", f"ERROR_HTTP_503: {MAINTENANCE}"),
        "salesforce-jwt-bearer-token-flow": ("SyntaxError", "SyntaxError: Unexpected token '<'"),
        "Salesforce CLI": ("JwtGrantError", CLI_SAYS + MAINTENANCE + "\n"),
        "Authlib": ("HTTPError", "503 Server Error: Service Unavailable for url: "),
        "salesforce-cdp-connector": ("Error", "Core token retrieval failed with code 503"),
        "salesforce-pubsub-api-client": ("Error", PUBSUB_SAYS + "503 - " + MAINTENANCE),
    },
}
"""The kind, and how the message begins, for answers that are not a refusal in the form of OAuth."""


def refusal_in(client: str, did: dict[str, Any]) -> dict[str, str]:
    """Read what a client's error says of a refusal: `kind`, `description`, and `error` where it tells the code."""
    assert "error" in did, did
    found = re.fullmatch(REFUSALS[client], did["error"])
    assert found, did["error"]
    return {"kind": did["kind"]} | found.groupdict()


def refusal_by(client: str, error: str, description: str) -> dict[str, str]:
    """Say what `refusal_in` must find."""
    told = {"kind": KINDS.get(client, error), "error": error, "description": description}
    return {name: words for name, words in told.items() if f"?P<{name}>" in REFUSALS[client] or name == "kind"}
