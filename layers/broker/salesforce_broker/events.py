"""Publishes what somebody may have to act on to EventBridge: paused and resumed logins, and changes of the key.

Never fatal: an event that cannot be sent is logged and counted, and the request goes on. Only the environment whose own login
failed, or succeeded again, publishes; those that respect its backoff do not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from salesforce_broker import observability
from salesforce_broker.aws import AWS_ERRORS, call_before, error_code
from salesforce_broker.clock import Deadline
from salesforce_broker.errors import BrokerError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "salesforce-token-broker"
PAUSED, RESUMED = "Logins Paused", "Logins Resumed"
UPLOAD, IN_USE, EXPIRES = "Certificate To Upload", "Key In Use", "Certificate Expires"

MIN_SECONDS_TO_PUBLISH = 2.5
"""Publishing may take that long at worst; with less left until the deadline the event is not sent."""


class EventPublisher:
    """Publishes to the bus `bus`; to none if that is empty."""

    def __init__(self, client: Callable[[], EventBridgeClient], *, bus: str, login_url: str) -> None:
        """`client` is called for the first event: most environments never send one."""
        self._client = client
        self._bus = bus
        self._login_url = login_url

    def logins_paused(self, subject: str, error: BrokerError, seconds: float, deadline: Deadline) -> None:
        """Publish that nobody logs in as `subject` for `seconds`, and why."""
        observability.count("LoginsPaused")
        why: dict[str, Any] = {
            "error": error.code,
            "error_description": error.description,
            "hint": error.hint,
            "seconds": round(seconds),
        }
        self.publish(PAUSED, {"subject": subject, **why}, deadline)

    def logins_resumed(self, subject: str, deadline: Deadline) -> None:
        """Publish that a login as `subject` succeeded after a pause."""
        observability.count("LoginsResumed")
        self.publish(RESUMED, {"subject": subject}, deadline)

    def publish(self, kind: str, detail: Mapping[str, Any], deadline: Deadline) -> None:
        """Log and send an event; its detail names the org and the function, too. Never raises."""
        observability.logger.warning(kind.lower(), **detail)
        if not self._bus:
            return
        if deadline.seconds_left < MIN_SECONDS_TO_PUBLISH:
            _report_unsent("no time was left")
            return
        common = {"login_url": self._login_url, "function_name": observability.FUNCTION_NAME}
        entry: PutEventsRequestEntryTypeDef = {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": kind,
            "Detail": json.dumps({**common, **detail}),
        }
        try:
            answer = call_before(deadline.within(MIN_SECONDS_TO_PUBLISH), self._client().put_events, Entries=[entry])
        except AWS_ERRORS as error:
            _report_unsent(error_code(error))
        else:
            if answer["FailedEntryCount"]:
                _report_unsent(answer["Entries"][0].get("ErrorCode", "refused"))


def _report_unsent(reason: str) -> None:
    observability.count("EventNotSent")
    observability.logger.warning("event was not sent", reason=reason)
