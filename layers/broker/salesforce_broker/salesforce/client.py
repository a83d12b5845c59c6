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

from salesforce_broker import observability
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import AppRefused, SalesforceBusy, SalesforceError, TokenRefused
from salesforce_broker.salesforce import error_catalog, hints
from salesforce_broker.salesforce.access_token import REQUIRED_FIELDS, AccessToken, from_answer
from salesforce_broker.salesforce.hints import HintContext
from salesforce_broker.salesforce.hosts import answer_url, default_audience, instance_origin
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

OTHER_URLS = ("api_instance_url", "sfdc_community_url")
"""URLs of an answer beside `instance_url`: callers may send a token there, so each must be Salesforce's."""

_ACCESS_TOKEN = re.compile(r"[!-~]{1,32768}")
_IDENTITY_URL = re.compile(r"(?P<base>https?://[^?#\s]{1,500}?)(?P<path>/id/[A-Za-z0-9]{15,18}/[A-Za-z0-9]{15,18})")

_NOT_REVOCABLE_HINT = "It ends by its own time-out; freeze the user in Salesforce, or block the app, to end it now."
_CLOCK_HINT = "The broker's clock may be ahead of Salesforce's. Otherwise see the app's time-out for JWT-based access tokens."


class SalesforceClient:
    """One org's (or app's) endpoints, reached at `login_url`."""

    def __init__(
        self,
        transport: Transport,
        *,
        login_url: str,
        token_lifetime_seconds: int,
        clock: Clock,
        context: HintContext | None = None,
    ) -> None:
        """`context`: the settings that hints read; without it they assume the login URL's own audience."""
        self._transport = transport
        self._login_url = login_url
        self._context = context or HintContext(login_url, default_audience(login_url))
        self._token_lifetime_seconds = token_lifetime_seconds
        self._clock = clock

    def exchange(self, assertion: str, deadline: Deadline) -> AccessToken:
        """Exchange an assertion for an access token; raise a SalesforceError of the right class."""
        sent_at = self._clock.wall()
        form = {"grant_type": GRANT_TYPE, "assertion": assertion}
        reply = self._transport.post_form(self._login_url + TOKEN_PATH, form, deadline)
        if reply.status != HTTPStatus.OK:
            raise self._to_error(reply)
        answer = self._json_object(reply)
        if not all(isinstance(answer.get(name), str) for name in REQUIRED_FIELDS):
            raise SalesforceBusy("Salesforce's answer lacks a field, or has one of the wrong type.")
        if not _ACCESS_TOKEN.fullmatch(answer["access_token"]) or answer["token_type"].casefold() != "bearer":
            raise SalesforceBusy("Salesforce's answer holds no bearer token.")
        # Counted from when the request was sent: expiry errs on the early side.
        token = from_answer(answer | self._urls(answer), now=sent_at, assumed_lifetime=self._token_lifetime_seconds)
        if token.is_over(self._clock.wall()):
            raise SalesforceBusy("The token that Salesforce gave is over, by its own word.", hint=_CLOCK_HINT)
        return token

    def _urls(self, answer: Mapping[str, Any]) -> dict[str, str | None]:
        """Return the answer's URLs, rebuilt; raise where a token would go to somebody else."""
        instance_url = instance_origin(answer["instance_url"], login_url=self._login_url)
        if instance_url is None:
            raise AppRefused(
                "The answer's 'instance_url' is not a host of Salesforce.", hint=hints.for_wrong_host(self._context)
            )
        identity = _IDENTITY_URL.fullmatch(answer["id"])
        if identity is None:
            raise SalesforceBusy("Salesforce's answer holds no identity URL.")
        identity_base = answer_url(identity["base"], login_url=self._login_url)
        if identity_base is None:
            raise AppRefused("The answer's 'id' is not at a host of Salesforce.", hint=hints.for_wrong_host(self._context))
        urls: dict[str, str | None] = {"instance_url": instance_url, "id": identity_base + identity["path"]}
        for name in OTHER_URLS:
            if name in answer:
                urls[name] = answer_url(answer[name], login_url=self._login_url)
                if urls[name] is None:
                    observability.logger.warning("answer's URL left out: not a host of Salesforce", field=name)
        return urls

    def identity(self, token: AccessToken, deadline: Deadline) -> dict[str, Any]:
        """Ask whose `token` is: the IDENTITY_FIELDS that Salesforce tells; raise TokenRefused if it is not valid.

        The identity URL's path is requested at the token's instance: `id` names login.salesforce.com, which would
        redirect, and redirects are not followed.
        """
        identity = _IDENTITY_URL.fullmatch(token.id)
        if identity is None:
            raise SalesforceBusy("The token has no identity URL.")
        reply = self._transport.get(f"{token.instance_url}{identity['path']}?format=json", token.value, deadline)
        if reply.status == HTTPStatus.OK:
            document = self._json_object(reply)
            return {name: document[name] for name in IDENTITY_FIELDS if name in document}
        if reply.status == HTTPStatus.UNAUTHORIZED or reply.body.strip() == b"Bad_OAuth_Token":
            raise TokenRefused("Salesforce does not accept the token any more.")
        if reply.status == HTTPStatus.FORBIDDEN:
            raise AppRefused(
                "Salesforce does not let this token read its identity.",
                hint="Add the scope 'id' (Access the identity URL service) or 'openid' to the app's OAuth scopes.",
            )
        raise self._to_error(reply)

    def revoke(self, token: AccessToken, deadline: Deadline) -> None:
        """End the session of `token`, for everybody who holds it; raise a SalesforceError unless it is over.

        "unsupported_token_type" is said of a token that is dead as well as of one that cannot be revoked (RFC 7009 section
        2.2.1), so it is asked whether it lives.
        """
        reply = self._transport.post_form(self._login_url + REVOKE_PATH, {"token": token.value}, deadline)
        if reply.status == HTTPStatus.OK:
            return
        error = self._revocation_error(reply)
        if error == "invalid_token":
            return
        if error != "unsupported_token_type":
            raise self._to_error(reply)
        try:
            self.identity(token, deadline)
        except TokenRefused:
            return
        raise AppRefused("Salesforce does not revoke this kind of token.", hint=_NOT_REVOCABLE_HINT)

    def _revocation_error(self, reply: Reply) -> str | None:
        """Return the error's code; the endpoint has been seen to answer with a form instead of JSON."""
        if reply.status != HTTPStatus.BAD_REQUEST:
            return None
        try:
            return str(self._json_object(reply).get("error"))
        except SalesforceError:
            return dict(urllib.parse.parse_qsl(reply.body.decode(errors="replace"))).get("error")

    def _to_error(self, reply: Reply) -> SalesforceError:
        """Return the error that an unsuccessful answer stands for."""
        if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
            location = reply.headers.get("Location", "")
            return AppRefused("Salesforce answered with a redirect.", hint=hints.for_wrong_host(self._context, location))
        error, description = _refusal(reply)
        retry_after = _retry_after(reply.headers, now=self._clock.wall())
        if not error and error_catalog.is_rate(reply.body.decode(errors="replace")):
            return error_catalog.rate("", retry_after)
        busy = reply.status == HTTPStatus.TOO_MANY_REQUESTS or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if error or busy:
            return error_catalog.classify(
                error,
                description,
                context=self._context,
                status=reply.status,
                server_time=_http_date(reply.headers.get("Date", "")),
                retry_after=retry_after,
            )
        return AppRefused(
            f"The answer has status {reply.status} and is not Salesforce's.",
            hint=hints.for_wrong_host(self._context) + hints.for_sporadic_refusals(self._context),
        )

    def _json_object(self, reply: Reply) -> dict[str, Any]:
        """Parse the body; a web page means that the host is wrong, anything else unreadable that it broke off."""
        if reply.body.lstrip()[:1] == b"<":
            raise AppRefused("A web page came back instead of Salesforce's answer.", hint=hints.for_wrong_host(self._context))
        answer = _json(reply)
        if answer is None:
            raise SalesforceBusy("Salesforce's answer is not JSON.")
        if not isinstance(answer, dict):
            raise SalesforceBusy("Salesforce's answer is not a JSON object.")
        return answer


def _json(reply: Reply) -> Any:
    """Parse the body, or return None; never an exception, since JSONDecodeError carries the whole body."""
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        return None


def _refusal(reply: Reply) -> tuple[str, str]:
    """Return the code and the description of a refusal, in OAuth's form or in that of the data APIs; empty without one."""
    answer = _json(reply)
    if isinstance(answer, list) and answer:
        answer = answer[0]
    if not isinstance(answer, dict):
        return "", ""
    for code, text in (("error", "error_description"), ("errorCode", "message")):
        if isinstance(answer.get(code), str):
            return answer[code], str(answer.get(text, ""))
    return "", ""


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
