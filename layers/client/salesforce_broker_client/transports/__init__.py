"""The two transports to the broker: Lambda invoke and HTTPS."""

from __future__ import annotations

from typing import Any, Protocol


class Transport(Protocol):
    """Sends one request to the broker."""

    def call(self, action: str, fields: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send an action ("token" or "identity") with its fields; return the answer's JSON object in time; BrokerError."""
