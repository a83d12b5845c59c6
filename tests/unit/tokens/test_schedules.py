"""Many random lives: whatever happens in whatever order, the invariants of docs/token-life.md hold."""

from __future__ import annotations

import random
from collections.abc import Mapping

import jwt
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from salesforce_broker.clock import Deadline
from salesforce_broker.errors import BrokerError, SalesforceBusy, SalesforceError
from salesforce_broker.salesforce.transport import Reply
from salesforce_broker.tokens.circuit_breaker import BUSY_SECONDS, CONFIG_SECONDS
from salesforce_broker.tokens.envelope import TokenIdentity
from salesforce_broker.tokens.memory_cache import MemoryCache
from salesforce_broker.tokens.model import IssuedToken
from salesforce_broker.tokens.service import TokenService
from tests.support import builders
from tests.support.builders import refusal, reply
from tests.support.clocks import ManualClock
from tests.support.fakes import FakeTransport
from tests.support.stage import Stage

SUBJECTS = (builders.USERNAME, builders.OTHER_USERNAME)
SCHEDULES = 100_000
SEED = 20261123
SESSION_SECONDS = 900
"""The shortest that an admin can set, and what the broker assumes."""


def test_no_schedule_of_freezes_and_clock_steps_serves_an_expired_token() -> None:
    """100,000 schedules. Freezes stop the monotonic clock, steps move the wall clock; one of the two tells the truth.

    Frozen and set back at once, no clock of the machine knows the time: that is out of anybody's reach, and left out.
    """
    chance = random.Random(SEED)
    identity = TokenIdentity("https://acme.my.salesforce.com", "a", "c", "s")
    served = 0
    for _ in range(SCHEDULES):
        hands = ManualClock()
        memory = MemoryCache(hands.clock())
        freezes = chance.random() < 0.5
        true_age = 0.0
        memory.put(identity, builders.token())
        for _ in range(6):
            seconds = chance.choice((1.0, 40.0, 300.0, 420.0, 850.0, 5000.0)) * chance.random()
            kind = chance.random()
            if kind < 0.5:
                hands.advance(seconds)
                true_age += seconds
            elif kind < 0.75 and freezes:
                hands.wall += seconds
                true_age += seconds
            elif kind < 0.75:
                hands.wall -= seconds
            else:
                hands.wall += seconds / 10
            if memory.get(identity) is not None:
                served += 1
                assert true_age < SESSION_SECONDS
    assert served > SCHEDULES / 2


class ModelSalesforce(FakeTransport):
    """A Salesforce on a page: one session a user, an idle timer, and troubles that come and go."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.sessions: dict[str, tuple[str, float]] = {}
        self.owners: dict[str, str] = {}
        self.down = self.refuses_key = False
        self.locked: set[str] = set()
        self.posts = 0

    def post_form(self, url: str, form: Mapping[str, str], deadline: Deadline) -> Reply:
        """Log in; the session that lives is handed out again."""
        assert url.endswith("/token")
        assert deadline.seconds_left > 0
        self.posts += 1
        if self.down:
            raise SalesforceBusy("down")
        if self.refuses_key:
            return refusal("invalid_grant", "invalid assertion")
        subject = jwt.decode(form["assertion"], options={"verify_signature": False})["sub"]
        if subject in self.locked:
            return refusal("invalid_grant", "user is locked")
        token = self.living(subject)
        if token is None:
            token = f"00D000000000001!session-{len(self.owners)}"
            self.owners[token] = subject
            self.sessions[subject] = (token, self.stage.clock.wall)
        return reply(builders.answer(access_token=token))

    def get(self, url: str, bearer: str, deadline: Deadline) -> Reply:
        """Tell whose the token is, which restarts the idle timer."""
        assert "/id/" in url
        assert deadline.seconds_left > 0
        if self.down:
            raise SalesforceBusy("down")
        subject = self.owners.get(bearer, "")
        if self.living(subject) != bearer:
            return reply(b"Bad_OAuth_Token", status=403)
        self.sessions[subject] = (bearer, self.stage.clock.wall)
        return reply(builders.identity(username=subject))

    def living(self, subject: str) -> str | None:
        """Return the user's token, if its session lives."""
        token, used = self.sessions.get(subject, ("", -1.0))
        return token if token and self.stage.clock.wall - used < SESSION_SECONDS else None


class LifeOfABroker(RuleBasedStateMachine):
    """A fleet of three environments that lives through everything."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.salesforce = ModelSalesforce(self.stage)
        self.fleet: list[TokenService] = [self.stage.environment(self.salesforce) for _ in range(3)]
        self.versions = 1

    def ask(self, broker: TokenService, subject: str, rejected: str | None = None) -> IssuedToken | None:
        """Ask; check whatever comes."""
        before = self.salesforce.posts
        try:
            issued = broker.answer(builders.request(subject=subject, rejected=rejected))
        except BrokerError as error:
            # I3, I8: an error of the closed set, after a bounded number of posts.
            assert isinstance(error, SalesforceError)
            assert self.salesforce.posts - before <= 3
            return None
        assert isinstance(issued, IssuedToken)
        # I1: of this subject, and not expired.
        assert subject == self.salesforce.owners[issued.token.value]
        assert issued.token.expires_at > self.stage.clock.wall
        # I5: a session or an exchange, not both by the dozen.
        assert self.salesforce.posts - before <= 3
        return issued

    @rule(number=st.integers(0, 2), subject=st.sampled_from(SUBJECTS), again=st.booleans())
    def invoke(self, number: int, subject: str, again: bool) -> None:
        """Ask for a token, and perhaps report it at once."""
        issued = self.ask(self.fleet[number], subject)
        if issued and again:
            self.ask(self.fleet[number], subject, rejected=issued.token.fingerprint)

    @rule(seconds=st.sampled_from([1, 20, 100, 400, 700, 1000, 8000]))
    def time_passes(self, seconds: int) -> None:
        """For everybody."""
        self.stage.clock.advance(seconds)

    @rule(seconds=st.sampled_from([100, 1000, 8000]))
    def freeze(self, seconds: int) -> None:
        """Lambda stops the environments, and their monotonic clock with them."""
        self.stage.clock.wall += seconds

    @rule(subject=st.sampled_from(SUBJECTS))
    def revoke(self, subject: str) -> None:
        """End a session, as an administrator does."""
        self.salesforce.sessions.pop(subject, None)

    @rule(subject=st.sampled_from(SUBJECTS))
    def lock(self, subject: str) -> None:
        """Lock a user and end the session, as an administrator does."""
        self.salesforce.locked.add(subject)
        self.salesforce.sessions.pop(subject, None)

    @rule(down=st.booleans(), refuses=st.booleans(), ssm=st.sampled_from([False, "ThrottlingException", None]))
    def trouble(self, down: bool, refuses: bool, ssm: str | bool | None) -> None:
        """Salesforce, the certificate and SSM break, or are mended."""
        self.salesforce.down, self.salesforce.refuses_key, self.stage.parameters.broken = down, refuses, ssm

    @rule()
    def rotate(self) -> None:
        """Store another version of the secret, with the same key."""
        self.versions += 1
        self.stage.secrets.version_id = f"v{self.versions}"

    @rule()
    def poison(self) -> None:
        """Somebody writes into every parameter."""
        self.stage.parameters.values = dict.fromkeys(self.stage.parameters.values, "poison")

    @rule(number=st.integers(0, 2))
    def replace_environment(self, number: int) -> None:
        """Lambda ends an environment and starts another."""
        self.fleet[number] = self.stage.environment(self.salesforce)

    @rule()
    def heal(self) -> None:
        """I7: with every trouble gone, and what was said about waiting respected, everybody gets a token."""
        self.salesforce.down = self.salesforce.refuses_key = self.stage.parameters.broken = False
        self.salesforce.locked.clear()
        self.stage.clock.advance(max(CONFIG_SECONDS[1], BUSY_SECONDS[2]))
        for broker in self.fleet:
            for subject in SUBJECTS:
                assert self.ask(broker, subject)


TestLifeOfABroker = LifeOfABroker.TestCase
TestLifeOfABroker.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
