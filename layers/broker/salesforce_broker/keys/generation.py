"""The generation of a version of the secret: what was shared before an emergency stop is void after it.

A stop labels every version of the secret that is in use. Token functions read the labels with the key and derive the sealing
key of the shared cache from them, too. A principal that writes parameters can neither set nor remove a label.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

STOP_LABEL = "EmergencyStop-"
"""Begins the staging labels of emergency stops. The stop's role may set no others (template.yaml)."""

STOP_LABEL_SECONDS = 2 * 24 * 3600
"""For which a version that is no longer in use keeps its label: longer than any token lives."""


def stop_label(now: float, version_id: str) -> str:
    """Return the label of a stop at `now` (epoch seconds). Labels sort by time, and each is on one version only."""
    return f"{STOP_LABEL}{datetime.datetime.fromtimestamp(now, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}-{version_id}"


def latest_stop(labels: Iterable[str]) -> str:
    """Return the generation of a version with these staging labels: its latest stop, else empty."""
    return max((label for label in labels if label.startswith(STOP_LABEL)), default="")
