"""The shared cache adopts what a holder of the same key sealed for the same identity, and nothing else."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_broker.config import Tier
from salesforce_broker.salesforce.access_token import AccessToken
from salesforce_broker.tokens.envelope import TokenIdentity, open_envelope
from salesforce_broker.tokens.login_budget import LoginBudget
from salesforce_broker.tokens.shared_cache import LEASE_SECONDS, SharedCache, SharedFailure, SharedState
from tests.support import builders
from tests.support.clocks import START, ManualClock
from tests.support.fakes import FakeParameterStore

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
MINE = TokenIdentity(builders.LOGIN_URL, builders.LOGIN_URL, "client", builders.USERNAME)


class Shared:
    """A shared cache over a fake Parameter Store."""

    def __init__(self, tier: Tier = "Standard") -> None:
        self.clock = ManualClock()
        self.store = FakeParameterStore()
        self.cache = SharedCache(
            cast("Any", self.store),
            prefix="/broker/tokens",
            kms_key_id="",
            tier=tier,
            max_lifetime=900,
            clock=self.clock.clock(),
        )
        self.deadline = self.clock.clock().deadline(60)

    def read(self, identity: TokenIdentity = MINE, key: bytes = KEY) -> SharedState:
        """Read what is shared."""
        return self.cache.read(identity, key, self.deadline)

    def put(self, token: AccessToken, identity: TokenIdentity = MINE, key: bytes = KEY) -> str:
        """Store a token; return the parameter's name."""
        self.cache.write(identity, SharedState(token), key, self.deadline)
        return str(self.store.writes[-1]["Name"])


def test_what_was_put_comes_back() -> None:
    """All of it, optional fields too."""
    shared = Shared()
    token = builders.token(optional={"signature": "s"})
    shared.put(token)
    assert token == shared.read().token


def test_the_parameter_shows_neither_token_nor_user() -> None:
    """A SecureString of the standard tier, named by a hash, sealed beneath KMS's encryption."""
    shared = Shared()
    shared.put(builders.token())
    (write,) = shared.store.writes
    assert ("SecureString", "Standard", True) == (write["Type"], write["Tier"], write["Overwrite"])
    assert builders.USERNAME not in write["Name"]
    assert builders.token().value.encode() not in base64.b64decode(write["Value"])


@pytest.mark.parametrize(
    "other",
    [
        {"login_url": "https://other.my.salesforce.com"},
        {"audience": "https://login.salesforce.com"},
        {"client_id": "other"},
        {"subject": builders.OTHER_USERNAME},
        {"subject": builders.USERNAME.upper()},
    ],
)
def test_an_envelope_moved_to_another_identity_is_not_adopted(other: dict[str, str]) -> None:
    """Swapping parameters gives nobody another user's, org's or app's token."""
    shared = Shared()
    name = shared.put(builders.token())
    theirs = replace(MINE, **other)
    other_name = shared.put(builders.token(value="00D!other"), theirs)
    assert name != other_name
    shared.store.values[other_name] = shared.store.values[name]
    assert shared.read(theirs, KEY).token is None


def test_an_envelope_of_another_key_is_not_adopted() -> None:
    """Who can write the parameter but has no signing key plants nothing."""
    shared = Shared()
    shared.put(builders.token(), key=OTHER_KEY)
    assert shared.read().token is None


FAILURE = SharedFailure("salesforce_config", "what", "hint", since=START - 60, attempts=3, at=START, until=START + 45)


def test_a_failure_and_the_budget_come_back() -> None:
    """With the token, in one parameter."""
    shared = Shared()
    state = SharedState(builders.token(), FAILURE, LoginBudget(3.5, START))
    shared.cache.write(MINE, state, KEY, shared.deadline)
    assert state == shared.read()
    assert SharedState() == shared.read(MINE, OTHER_KEY)
    assert 1 == len(shared.store.values)


def test_a_shared_token_lives_no_longer_than_is_configured_now() -> None:
    """TOKEN_LIFETIME_SECONDS was lowered since it was shared."""
    shared = Shared()
    shared.put(builders.token(expires_at=int(START) + 7200))
    token = shared.read().token
    assert token is not None
    assert int(START) + 900 == token.expires_at


def test_a_token_too_large_to_share_keeps_no_failure_and_no_budget_from_being_shared() -> None:
    """The token alone is left out."""
    shared = Shared()
    shared.cache.write(
        MINE, SharedState(builders.token(value="x" * 9000), FAILURE, LoginBudget(3.5, START)), KEY, shared.deadline
    )
    assert SharedState(None, FAILURE, LoginBudget(3.5, START)) == shared.read()


@pytest.mark.parametrize(("tier", "shared_sizes"), [("Standard", [100]), ("Intelligent-Tiering", [100, 5000])])
def test_a_tier_shares_what_fits(tier: Tier, shared_sizes: list[int]) -> None:
    """Sealed, as SSM counts: 4 KB, or 8 KB with the tier that costs."""
    fits = []
    for size in (100, 5000, 9000):
        shared = Shared(tier)
        shared.cache.write(MINE, SharedState(builders.token(value="x" * size)), KEY, shared.deadline)
        assert tier == shared.store.writes[0]["Tier"]
        token = shared.read().token
        if token:
            fits.append(size)
            assert builders.token(value="x" * size) == token
    assert shared_sizes == fits


def test_one_environment_gets_the_lease() -> None:
    """Until it ends, or its time is over."""
    shared = Shared()
    lease = shared.cache.acquire_lease(MINE, shared.deadline)
    assert lease is not None
    assert shared.cache.acquire_lease(MINE, shared.deadline) is None
    shared.cache.release_lease(lease, shared.deadline)
    assert shared.cache.acquire_lease(MINE, shared.deadline) is not None
    shared.clock.advance(LEASE_SECONDS)
    assert shared.cache.acquire_lease(MINE, shared.deadline) is not None


@pytest.mark.parametrize(("failure", "won"), [("ThrottlingException", False), ("AccessDeniedException", True), (None, True)])
def test_a_crowd_loses_the_lease_and_a_broken_ssm_wins_it(failure: str | None, won: bool) -> None:
    """Throttled: another has it. Broken: one login more, never an outage."""
    shared = Shared()
    shared.store.broken = failure
    assert won == (shared.cache.acquire_lease(MINE, shared.deadline) is not None)


@pytest.mark.parametrize("instance_url", ["https://evil.example", "http://127.0.0.1:1", ""])
def test_a_token_for_a_foreign_instance_is_not_adopted(instance_url: str) -> None:
    """Even a well sealed one."""
    shared = Shared()
    shared.put(builders.token(instance_url=instance_url))
    assert shared.read().token is None


@given(st.data())
def test_a_tampered_envelope_is_never_adopted(data: st.DataObject) -> None:
    """Any other bytes than those that were sealed are a miss."""
    shared = Shared()
    name = shared.put(builders.token())
    raw = bytearray(base64.b64decode(shared.store.values[name]))
    position = data.draw(st.integers(0, len(raw) - 1))
    change: Any = data.draw(st.sampled_from(["flip", "cut", "grow"]))
    if change == "flip":
        raw[position] ^= data.draw(st.integers(1, 255))
    elif change == "cut":
        del raw[position:]
    else:
        raw.insert(position, data.draw(st.integers(0, 255)))
        if base64.b64decode(shared.store.values[name]) == bytes(raw):
            return
    shared.store.values[name] = base64.b64encode(bytes(raw)).decode()
    assert shared.read().token is None


def test_a_hundred_thousand_mutations_are_never_adopted() -> None:
    """Bytes flipped, cut, doubled and swapped between two envelopes of the same key and identity's neighbours."""
    chance = random.Random(20261123)
    key_identity = [(KEY, MINE), (OTHER_KEY, MINE), (KEY, replace(MINE, subject=builders.OTHER_USERNAME))]
    shared = Shared()
    sealed = []
    for key, identity in key_identity:
        shared.cache.write(identity, SharedState(builders.token()), key, shared.deadline)
        sealed.append(base64.b64decode(shared.store.writes[-1]["Value"]))
    mine = sealed[0]
    for _ in range(100_000):
        other = chance.choice(sealed)
        start, end = sorted(chance.randrange(len(mine) + 1) for _ in range(2))
        mutated = chance.choice(
            [
                mine[:start] + bytes([chance.randrange(256)]) + mine[start + 1 :],
                mine[:start] + mine[end:],
                mine[:start] + other[start:end] + mine[end:],
                other[:start] + mine[start:],
                mine + mine[start:end],
            ]
        )
        if mutated != mine:
            assert open_envelope(base64.b64encode(mutated).decode(), MINE.encode(), KEY) is None


texts = st.text(max_size=8)
identities = st.builds(TokenIdentity, texts, texts, texts, texts)


@given(identities, identities)
def test_no_two_identities_share_a_name(one: TokenIdentity, other: TokenIdentity) -> None:
    """However the parts are cut."""
    assert (one == other) == (one.encode() == other.encode())
