"""The login budget of one subject: a token bucket that holds over all environments, because its state is shared.

Salesforce allows 3,600 logins per user and hour, for everybody who logs in as that user. The broker takes 115 of them at most,
whatever callers report and whatever Salesforce says: a burst of ten, then one login per 34 s.
"""

from __future__ import annotations

from dataclasses import dataclass

BURST = 10
"""Logins at once: a deployment, a change of the key and a few sessions that an administrator ends come together."""

SECONDS_PER_LOGIN = 34
"""10 + 3,600 / 34 = 115 in the worst hour, and 11 in the worst minute."""


@dataclass(frozen=True, slots=True)
class LoginBudget:
    """The bucket's `level` (logins) at the moment `at` (epoch seconds)."""

    level: float = BURST
    at: float = 0.0

    def available(self, now: float) -> float:
        """Return the logins that are available at `now`; a clock that was set back adds none."""
        return min(BURST, self.level + max(0.0, now - self.at) / SECONDS_PER_LOGIN)

    def spend(self, now: float) -> LoginBudget:
        """Return the budget after one login at `now`."""
        return LoginBudget(self.available(now) - 1, now)

    def seconds_to_next(self, now: float) -> float:
        """Return in how many seconds the next login is available; 0 if one is."""
        return max(0.0, 1 - self.available(now)) * SECONDS_PER_LOGIN


def stricter(one: LoginBudget, other: LoginBudget | None, now: float) -> LoginBudget:
    """Return the budget with fewer logins at `now`: nobody who resets the shared one widens this environment's own."""
    return one if other is None or one.available(now) <= other.available(now) else other
