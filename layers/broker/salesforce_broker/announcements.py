"""Says what somebody may have to act on, as an event on EventBridge: logins that are paused or go on, and a key's changes.

Owns the form of the events. Never fatal: an event that cannot be sent is logged and counted, and the request goes on.
Of logins only the environment whose own one failed, or succeeded again, says so; those that heed it are silent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from salesforce_broker import observability
from salesforce_broker.clock import Deadline
from salesforce_broker.errors import SalesforceError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "salesforce-token-broker"
PAUSED, RESUMED = "Logins Paused", "Logins Resumed"
UPLOAD, IN_USE, FAILED, EXPIRES = "Certificate To Upload", "Key In Use", "Key Rotation Failed", "Certificate Expires"

SECONDS_FOR_AN_EVENT = 2.5
"""What sending one may take at worst; with less left until the answer is due it stays unsent."""


class Announcements:
    """Sends to the bus `bus`, to none if that is empty."""

    def __init__(self, client: Callable[[], EventBridgeClient], *, bus: str, login_url: str) -> None:
        """`client` is called for the first event: most environments never send one."""
        self._client = client
        self._bus = bus
        self._login_url = login_url

    def paused(self, subject: str, error: SalesforceError, seconds: float, deadline: Deadline) -> None:
        """Say that nobody logs in as `subject` for `seconds`, and why."""
        observability.count("LoginsPaused")
        why: dict[str, Any] = {
            "error": error.code,
            "error_description": error.description,
            "hint": error.hint,
            "seconds": round(seconds),
        }
        self.tell(PAUSED, {"subject": subject, **why}, deadline)

    def resumed(self, subject: str, deadline: Deadline) -> None:
        """Say that a login as `subject` succeeded after a pause."""
        observability.count("LoginsResumed")
        self.tell(RESUMED, {"subject": subject}, deadline)

    def tell(self, kind: str, what: Mapping[str, Any], deadline: Deadline) -> None:
        """Write a line and send an event; its detail says of which org and function, too."""
        observability.logger.warning(kind.lower(), **what)
        if not self._bus:
            return
        if deadline.seconds_left < SECONDS_FOR_AN_EVENT:
            _unsent("no time was left")
            return
        detail = {"login_url": self._login_url, "function_name": observability.FUNCTION_NAME, **what}
        entry: PutEventsRequestEntryTypeDef = {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": kind,
            "Detail": json.dumps(detail),
        }
        try:
            answer = self._client().put_events(Entries=[entry])
        except ClientError as error:
            _unsent(error.response["Error"]["Code"])
        except BotoCoreError as error:
            _unsent(type(error).__name__)
        else:
            if answer["FailedEntryCount"]:
                _unsent(answer["Entries"][0].get("ErrorCode", "refused"))


def _unsent(reason: str) -> None:
    observability.count("EventNotSent")
    observability.logger.warning("event was not sent", reason=reason)
