"""Every error of this client, as one tree: the broker's own answers, and failures of the call to it.

    BrokerError
    |-- InvalidRequest          "invalid_request", "not_found": this client and the broker do not fit
    |   `-- MinTtlUnsatisfiable "min_ttl_unsatisfiable"
    |-- AccessDenied            "access_denied": the broker does not let this caller have that user's token
    |-- BrokerMisconfigured     "broker_misconfigured", "signing_key_unusable": who operates the broker has to act
    |-- SigningKeyUnavailable   "signing_key_unavailable"
    |-- SalesforceRefused       "salesforce_config", "salesforce_user", "salesforce_key", "salesforce_clock": the hint says
    |                           what the administrator has to change
    |-- SalesforceUnavailable   "salesforce_busy", "salesforce_rate", "salesforce_token": ask again after `retry_after`
    |-- BrokerFailed            "internal_error", or the function ended without an answer
    |-- BrokerUnreachable       "broker_unreachable": no answer in time, or no connection (DNS, TLS, proxy, network)
    |-- BrokerThrottled         "broker_throttled": too many calls of the broker itself
    |-- CallDenied              "call_denied": IAM, credentials, signature, or no such function or path
    `-- AnswerInvalid           "answer_invalid": not the answer of a broker, or the answer for another user or org

No exception of this tree carries a token, nor text of an answer that was not understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from salesforce_broker_client import json_values

MAX_TEXT = 2000
"""Characters of a text that an exception carries: the broker's hints have a few hundred."""


def printable(text: str) -> str:
    r"""Return text of somebody else's for a log or a terminal: control characters as escapes (\x1b), at most MAX_TEXT long."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[:MAX_TEXT])
    return shown if len(text) <= MAX_TEXT else f"{shown} ..."


class BrokerError(Exception):
    """The broker handed out no token.

    `code` is of a closed set (a newer broker may have others), `description` says what happened, `hint` what to change and
    where; `retryable`: the same request may succeed later without anybody changing anything, after `retry_after` seconds
    if known. For a refusal of Salesforce's that the broker remembers, `since` (epoch seconds) says since when, and `attempts`
    after how many logins.
    """

    code = "unknown"
    retryable = False

    def __init__(  # noqa: PLR0913  what the broker says, field by field
        self,
        description: str,
        *,
        code: str = "",
        hint: str = "",
        retryable: bool | None = None,
        retry_after: float | None = None,
        request_id: str = "",
        since: int | None = None,
        attempts: int | None = None,
    ) -> None:
        self.description = printable(description)
        self.hint = printable(hint)
        super().__init__(f"{self.description} {self.hint}".strip())
        self.code = printable(code) or self.code
        self.retryable = self.retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.request_id = printable(request_id)
        self.since = since
        self.attempts = attempts


class InvalidRequest(BrokerError):
    """The broker does not understand the request."""

    code = "invalid_request"


class MinTtlUnsatisfiable(InvalidRequest):
    """`min_ttl` is more than tokens of this broker have left."""

    code = "min_ttl_unsatisfiable"


class AccessDenied(BrokerError):
    """This caller may not have a token for that user."""

    code = "access_denied"


class BrokerMisconfigured(BrokerError):
    """A setting or the key of the broker is wrong."""

    code = "broker_misconfigured"


class SigningKeyUnavailable(BrokerError):
    """The broker cannot read its key."""

    code = "signing_key_unavailable"


class SalesforceRefused(BrokerError):
    """Salesforce said no, and will until somebody changes something there."""

    code = "salesforce_config"


class SalesforceUnavailable(BrokerError):
    """Salesforce cannot be asked now."""

    code = "salesforce_busy"
    retryable = True


class BrokerFailed(BrokerError):
    """The broker failed by a defect, or ended without an answer."""

    code = "internal_error"
    retryable = True


class BrokerUnreachable(BrokerError):
    """There was no answer in time."""

    code = "broker_unreachable"
    retryable = True


class BrokerThrottled(BrokerError):
    """The broker, or Lambda, or API Gateway, has too many requests."""

    code = "broker_throttled"
    retryable = True


class CallDenied(BrokerError):
    """The call did not reach the broker: not permitted, no credentials, no such function or address."""

    code = "call_denied"


class AnswerInvalid(BrokerError):
    """The answer is not from a broker, is incomplete, or is for another user or org than the one asked for."""

    code = "answer_invalid"


_CLASSES: dict[str, type[BrokerError]] = {
    "invalid_request": InvalidRequest,
    "not_found": InvalidRequest,
    "min_ttl_unsatisfiable": MinTtlUnsatisfiable,
    "access_denied": AccessDenied,
    "broker_misconfigured": BrokerMisconfigured,
    "signing_key_unusable": BrokerMisconfigured,
    "signing_key_unavailable": SigningKeyUnavailable,
    "salesforce_config": SalesforceRefused,
    "salesforce_user": SalesforceRefused,
    "salesforce_key": SalesforceRefused,
    "salesforce_clock": SalesforceRefused,
    "salesforce_busy": SalesforceUnavailable,
    "salesforce_rate": SalesforceUnavailable,
    "salesforce_token": SalesforceUnavailable,
    "internal_error": BrokerFailed,
}
"""The broker's closed set."""


def of_answer(body: Mapping[str, Any]) -> BrokerError:
    """Return the exception for the broker's own error (its JSON object); AnswerInvalid if it is none."""
    code = body.get("error")
    if not isinstance(code, str):
        return AnswerInvalid("The answer is not from a broker.", hint="Check the function's name, or the URL.")
    retryable = body.get("retryable")
    return _CLASSES.get(code, BrokerError)(
        str(body.get("error_description") or code),
        code=code,
        hint=str(body.get("hint") or ""),
        retryable=retryable if isinstance(retryable, bool) else None,
        retry_after=json_values.duration(body.get("retry_after")),
        request_id=str(body.get("request_id") or ""),
        since=json_values.epoch(body.get("since")),
        attempts=json_values.count(body.get("attempts")),
    )
