"""Salesforce's OAuth endpoints: an assertion for a token, a token for its identity, and revocation.

Checks what an answer must look like to be accepted. Facts about the endpoints: Salesforce help, "OAuth 2.0 JWT Bearer Flow for
Server-to-Server Integration", "Identity URLs" and "Revoke OAuth Tokens".
"""

from __future__ import annotations

import email.utils
import json
import re
import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import AppRefused, SalesforceBusy, SalesforceError, TokenRefused
from salesforce_broker.salesforce import error_catalog
from salesforce_broker.salesforce.access_token import REQUIRED_FIELDS, AccessToken, from_answer
from salesforce_broker.salesforce.hosts import instance_origin
from salesforce_broker.salesforce.transport import Reply, Transport

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105  a path
REVOKE_PATH = "/services/oauth2/revoke"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"

MAX_RETRY_AFTER_SECONDS = 3600
"""Retry-After is capped at one hour, the period of the login limit."""

IDENTITY_FIELDS = (
    "id",
    "user_id",
    "organization_id",
    "username",
    "display_name",
    "email",
    "user_type",
    "active",
    "language",
    "locale",
)
"""Who the token belongs to. The rest of the document (addresses, phone numbers, photos) is nobody's business here."""

_ACCESS_TOKEN = re.compile(r"[!-~]{1,32768}")
_IDENTITY_PATH = re.compile(r"https?://[^/?#\s]+(?P<path>/id/[A-Za-z0-9]{15,18}/[A-Za-z0-9]{15,18})")

_WRONG_HOST_HINT = "Check SALESFORCE_LOGIN_URL: something other than Salesforce's token endpoint answered there."


_NOT_REVOCABLE_HINT = "It ends by its own time-out; freeze the user in Salesforce, or block the app, to end it now."


class SalesforceClient:
    """One org's (or app's) endpoints, reached at `login_url`."""

    def __init__(self, transport: Transport, *, login_url: str, token_lifetime_seconds: int, clock: Clock) -> None:
        self._transport = transport
        self._login_url = login_url
        self._token_lifetime_seconds = token_lifetime_seconds
        self._clock = clock

    def exchange(self, assertion: str, deadline: Deadline) -> AccessToken:
        """Exchange an assertion for an access token; raise a SalesforceError of the right class."""
        sent_at = self._clock.wall()
        form = {"grant_type": GRANT_TYPE, "assertion": assertion}
        reply = self._transport.post_form(self._login_url + TOKEN_PATH, form, deadline)
        if reply.status != HTTPStatus.OK:
            raise _to_error(reply, now=self._clock.wall())
        answer = _json_object(reply)
        if not all(isinstance(answer.get(name), str) for name in REQUIRED_FIELDS):
            raise SalesforceBusy("Salesforce's answer lacks a field, or has one of the wrong type.")
        if not _ACCESS_TOKEN.fullmatch(answer["access_token"]) or answer["token_type"].casefold() != "bearer":
            raise SalesforceBusy("Salesforce's answer holds no bearer token.")
        if not _IDENTITY_PATH.fullmatch(answer["id"]):
            raise SalesforceBusy("Salesforce's answer holds no identity URL.")
        instance_url = instance_origin(answer["instance_url"], login_url=self._login_url)
        if instance_url is None:
            raise AppRefused("The answer's 'instance_url' is not a host of Salesforce.", hint=_WRONG_HOST_HINT)
        # Counted from when the request was sent: expiry errs on the early side.
        return from_answer(answer | {"instance_url": instance_url}, now=sent_at, assumed_lifetime=self._token_lifetime_seconds)

    def identity(self, token: AccessToken, deadline: Deadline) -> dict[str, Any]:
        """Ask whose `token` is: the IDENTITY_FIELDS that Salesforce tells; raise TokenRefused if it is not valid.

        The identity URL's path is requested at the token's instance: `id` names login.salesforce.com, which would
        redirect, and redirects are not followed.
        """
        path = _IDENTITY_PATH.fullmatch(token.id)
        if path is None:
            raise SalesforceBusy("The token has no identity URL.")
        reply = self._transport.get(f"{token.instance_url}{path['path']}?format=json", token.value, deadline)
        if reply.status == HTTPStatus.OK:
            document = _json_object(reply)
            return {name: document[name] for name in IDENTITY_FIELDS if name in document}
        if reply.status == HTTPStatus.UNAUTHORIZED or reply.body.strip() == b"Bad_OAuth_Token":
            raise TokenRefused("Salesforce does not accept the token any more.")
        if reply.status == HTTPStatus.FORBIDDEN:
            raise AppRefused(
                "Salesforce does not let this token read its identity.",
                hint="Add the scope 'id' (Access the identity URL service) or 'openid' to the app's OAuth scopes.",
            )
        raise _to_error(reply, now=self._clock.wall())

    def revoke(self, token: AccessToken, deadline: Deadline) -> None:
        """End the session of `token`, for everybody who holds it; raise a SalesforceError unless it is over.

        "unsupported_token_type" is said of a token that is dead as well as of one that cannot be revoked (RFC 7009 section
        2.2.1), so it is asked whether it lives.
        """
        reply = self._transport.post_form(self._login_url + REVOKE_PATH, {"token": token.value}, deadline)
        if reply.status == HTTPStatus.OK:
            return
        error = _revocation_error(reply)
        if error == "invalid_token":
            return
        if error != "unsupported_token_type":
            raise _to_error(reply, now=self._clock.wall())
        try:
            self.identity(token, deadline)
        except TokenRefused:
            return
        raise AppRefused("Salesforce does not revoke this kind of token.", hint=_NOT_REVOCABLE_HINT)


def _revocation_error(reply: Reply) -> str | None:
    """Return the error's code; the endpoint has been seen to answer with a form instead of JSON."""
    if reply.status != HTTPStatus.BAD_REQUEST:
        return None
    try:
        return str(_json_object(reply).get("error"))
    except SalesforceError:
        return dict(urllib.parse.parse_qsl(reply.body.decode(errors="replace"))).get("error")


def _to_error(reply: Reply, *, now: float) -> SalesforceError:
    """Return the error that an unsuccessful answer stands for."""
    if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
        return AppRefused("Salesforce answered with a redirect.", hint=_WRONG_HOST_HINT)
    retry_after = _retry_after(reply.headers, now=now)
    try:
        answer = _json_object(reply)
    except SalesforceError:
        answer = {}
    error, description = answer.get("error"), answer.get("error_description", "")
    if isinstance(error, str):
        server_time = _http_date(reply.headers.get("Date", ""))
        return error_catalog.classify(error, str(description), server_time=server_time, retry_after=retry_after)
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SalesforceBusy(f"Salesforce answered with status {reply.status}.", retry_after=retry_after)
    return AppRefused(f"The answer has status {reply.status} and is not Salesforce's.", hint=_WRONG_HOST_HINT)


def _json_object(reply: Reply) -> dict[str, Any]:
    """Parse the body; a web page means that the host is wrong, anything else unreadable that it broke off."""
    if reply.body.lstrip()[:1] == b"<":
        raise AppRefused("A web page came back instead of Salesforce's answer.", hint=_WRONG_HOST_HINT)
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        # Without the cause: JSONDecodeError carries the whole body.
        raise SalesforceBusy("Salesforce's answer is not JSON.") from None
    if not isinstance(answer, dict):
        raise SalesforceBusy("Salesforce's answer is not a JSON object.")
    return answer


def _retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Read Retry-After (RFC 9110 section 10.2.3): seconds or a date; None where it is absent or nonsense."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
        seconds = float(value)
    elif (date := _http_date(value)) is not None:
        seconds = date - now
    else:
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _http_date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
