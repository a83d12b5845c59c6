"""What is built: clients that give up soon, and environments that do not act as one."""

from __future__ import annotations

import pytest

from salesforce_broker import bootstrap
from tests.support import builders
from tests.support.clocks import ManualClock


def test_each_environment_draws_its_own_renewal_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, so that it is stable; apart, so that a fleet does not renew as a crowd."""
    for name, value in (("DEFAULT_REGION", "eu-central-1"), ("ACCESS_KEY_ID", "none"), ("SECRET_ACCESS_KEY", "none")):
        monkeypatch.setenv(f"AWS_{name}", value)
    fleet = [bootstrap.build(builders.settings(), clock=ManualClock().clock()) for _ in range(5)]
    points = {broker._tokens._renewal_point for broker in fleet}  # noqa: SLF001  no caller can see it
    assert 5 == len(points)
    assert bootstrap.MIN_RENEWAL_POINT <= min(points) < max(points) <= bootstrap.MAX_RENEWAL_POINT
