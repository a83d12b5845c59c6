"""The broker's errors, as one tree with a closed set of `error` codes. `api.response` maps them to HTTP.

    BrokerError
    |-- InvalidRequest              the caller's request is malformed
    |   |-- NotFound                ... or names no route
    |   `-- MinTtlUnsatisfiable     ... or asks for a longer life than tokens have
    |-- AccessDenied                the caller may not have this subject
    |-- SettingsInvalid             an environment variable of the function is missing or malformed
    |-- SigningKeyUnusable          the secret was read, but holds no usable RSA key
    |-- SigningKeyUnavailable       the secret could not be read
    |-- SalesforceError             Salesforce refused, or could not be reached
    |   |-- AppRefused              "config": the app, its certificate, audience or host are set up wrongly
    |   |-- UserRefused             "user": this user cannot log in
    |   |-- AssertionRefused        "key": the signature does not fit the app's certificate
    |   |-- AssertionExpired        "clock": Salesforce's clock says the assertion is over
    |   |-- LoginRateExceeded       "rate": over 3,600 logins of this user in an hour
    |   |-- SalesforceBusy          "busy": transient, worth another attempt
    |   `-- TokenRefused            a call with the token failed because the token is not (or no longer) valid
    |-- EmergencyStopActive         no key is tested or activated during an emergency stop
    |-- EmergencyIncomplete         an emergency stop (or resume) was only partly done
    `-- InternalError               a defect of the broker itself

No exception of this tree carries a key, an assertion, a token or a response body.
"""

from __future__ import annotations

from typing import ClassVar


class BrokerError(Exception):
    """An answer that is not a token.

    `description` says what happened, `hint` what to change and where, `retry_after` (seconds) when asking again makes
    sense; `retryable` is whether the same request may succeed later without anybody changing anything. A failure that is
    remembered, so that Salesforce was not asked again, has `since` (epoch seconds) and the number of `attempts` until now.
    """

    code: ClassVar[str]
    retryable = False
    since: float | None = None
    attempts: int | None = None

    def __init__(self, description: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(description)
        self.description = description
        self.hint = hint
        self.retry_after = retry_after


class InvalidRequest(BrokerError):
    """The request is malformed, has an unknown field or a field of the wrong type."""

    code = "invalid_request"


class NotFound(InvalidRequest):
    """No such method and path."""

    code = "not_found"


class MinTtlUnsatisfiable(InvalidRequest):
    """`min_ttl` is more than a token of this configuration can have left."""

    code = "min_ttl_unsatisfiable"


class AccessDenied(BrokerError):
    """The caller may not have a token for this subject."""

    code = "access_denied"


class SettingsInvalid(BrokerError):
    """A setting is missing or malformed; the description names it."""

    code = "broker_misconfigured"


class SigningKeyUnusable(BrokerError):
    """The secret holds something that cannot sign for this app."""

    code = "signing_key_unusable"


class SigningKeyUnavailable(BrokerError):
    """AWS Secrets Manager did not hand out the secret; `retryable` unless somebody has to change something first."""

    code = "signing_key_unavailable"

    def __init__(self, description: str, *, hint: str = "", retryable: bool) -> None:
        super().__init__(description, hint=hint)
        self.retryable = retryable


class SalesforceError(BrokerError):
    """Salesforce refused, or could not be reached."""


class AppRefused(SalesforceError):
    """The set-up of the app, the audience or the host is wrong; somebody has to change it."""

    code = "salesforce_config"


class UserRefused(SalesforceError):
    """This user cannot log in: inactive, frozen, locked, or outside its login ranges."""

    code = "salesforce_user"


class AssertionRefused(SalesforceError):
    """The assertion's signature does not fit the certificate on the app."""

    code = "salesforce_key"


class AssertionExpired(SalesforceError):
    """Salesforce holds the assertion to be expired; `server_time` is its clock (epoch seconds), if known."""

    code = "salesforce_clock"

    def __init__(
        self,
        description: str,
        *,
        hint: str = "",
        retry_after: float | None = None,
        server_time: float | None = None,
    ) -> None:
        super().__init__(description, hint=hint, retry_after=retry_after)
        self.server_time = server_time


class LoginRateExceeded(SalesforceError):
    """This user has logged in too often within the hour; Salesforce blocks it for minutes."""

    code = "salesforce_rate"
    retryable = True


class SalesforceBusy(SalesforceError):
    """Salesforce is unreachable, slow or says to try again."""

    code = "salesforce_busy"
    retryable = True


class TokenRefused(SalesforceError):
    """Salesforce did not accept the token on a call."""

    code = "salesforce_token"
    retryable = True


class EmergencyStopActive(BrokerError):
    """An emergency stop is in force: no key is tested or activated until somebody ends it."""

    code = "emergency_stop"


class EmergencyIncomplete(BrokerError):
    """Some steps of an operator's action failed, all others were done; the same action again does what is left."""

    code = "emergency_incomplete"
    retryable = True


class InternalError(BrokerError):
    """A defect of the broker; the log has its place under the same request id."""

    code = "internal_error"
