"""Callers that report every token as rejected, and a Salesforce that gives another token at each login."""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable

from salesforce_broker.errors import SalesforceError
from salesforce_broker.salesforce.transport import Reply
from salesforce_broker.tokens.model import IssuedToken
from salesforce_broker.tokens.service import TokenService
from tests.support import builders
from tests.support.fakes import FakeTransport
from tests.support.stage import Stage

MAX_LOGINS_PER_HOUR, MAX_LOGINS_PER_MINUTE = 115, 11


class EverNewTokens(FakeTransport):
    """Gives another token at each login, and calls a token valid or invalid as `alive` says."""

    def __init__(self, stage: Stage, alive: Callable[[], bool]) -> None:
        super().__init__()
        self.logins: list[float] = []
        self.identity_calls = 0
        self._stage, self._alive = stage, alive

    def post_form(self, *_: object) -> Reply:
        """Log in."""
        self.logins.append(self._stage.clock.wall)
        return builders.reply(builders.answer(access_token=f"00D000000000001!{len(self.logins)}"))

    def get(self, *_: object) -> Reply:
        """Answer at the identity URL."""
        self.identity_calls += 1
        if self._alive():
            return builders.reply(builders.identity())
        return builders.reply(b"Bad_OAuth_Token", status=403)

    def worst(self, seconds: float) -> int:
        """Return the most logins within any window of `seconds`."""
        return max(bisect.bisect_left(self.logins, start + seconds) - first for first, start in enumerate(self.logins))


def report(service: TokenService, fingerprint: str | None) -> IssuedToken | None:
    """Report a token as rejected; return the answer, None for a refusal."""
    try:
        issued = service.answer(builders.request(rejected=fingerprint))
    except SalesforceError:
        return None
    assert isinstance(issued, IssuedToken)
    return issued


def report_without_end(
    stage: Stage, alive: Callable[[], bool], *, environments: int, seconds: float, reports_per_second: float, seed: int
) -> EverNewTokens:
    """Have each environment report the token that it was given last, in random order; return what Salesforce saw."""
    transport, chance = EverNewTokens(stage, alive), random.Random(seed)
    fleet = [stage.environment(transport) for _ in range(environments)]
    known: list[str | None] = [None] * environments
    end = stage.clock.wall + seconds
    while stage.clock.wall < end:
        number = chance.randrange(environments)
        issued = report(fleet[number], known[number])
        known[number] = issued.token.fingerprint if issued else known[number]
        stage.clock.advance(1 / reports_per_second)
    return transport
