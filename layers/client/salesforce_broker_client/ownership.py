"""Whose answers a Broker accepts: for the user that was asked for, and always of the same org."""

from __future__ import annotations

from salesforce_broker_client.errors import AnswerInvalid

RESTART = "If that is what the broker's operator wants, make a new Broker (restart the process)."


class Ownership:
    """What the first answers named; safe to share between threads.

    Compares usernames without regard to case, as Salesforce does.
    """

    def __init__(self) -> None:
        self._pinned: dict[str, str] = {}

    def check(self, requested: str | None, sub: str, organization_id: str) -> None:
        """Refuse an answer for somebody else; remember the first answer's org, and its user where none was requested."""
        if requested is not None and sub.lower() != requested.lower():
            raise AnswerInvalid(f"The broker answered for {sub}, not for {requested}.", hint="The answer was not used.")
        organization = self._pinned.setdefault("organization_id", organization_id)
        if organization_id != organization:
            raise AnswerInvalid(f"The broker answered for the org {organization_id}, before for {organization}.", hint=RESTART)
        if requested is None:
            default = self._pinned.setdefault("sub", sub)
            if sub.lower() != default.lower():
                raise AnswerInvalid(f"The broker's default user is {sub}, before it was {default}.", hint=RESTART)
