"""Who is granted which subject: exact names, roles behind assumed roles, a star at the end of a name."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_broker.authorization import Grants, MalformedGrants, authorize, parse_grants
from salesforce_broker.config import USERNAME
from salesforce_broker.errors import AccessDenied, InvalidRequest

ORDERS = "orders@acme.example"
ACCOUNT = "arn:aws:iam::123456789012"
ASSUMED = "arn:aws:sts::123456789012:assumed-role"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:broker"


def grants(pattern: str) -> Grants:
    """Grant ORDERS to a pattern."""
    return parse_grants(json.dumps({pattern: [ORDERS]}), is_subject=USERNAME.fullmatch)


@pytest.mark.parametrize(
    ("pattern", "principal", "allowed"),
    [
        (f"{ACCOUNT}:role/orders", f"{ASSUMED}/orders/session", True),
        (f"{ACCOUNT}:role/orders", f"{ACCOUNT}:role/orders", True),
        (f"{ACCOUNT}:role/orders-*", f"{ASSUMED}/orders-eu/session", True),
        (f"{ACCOUNT}:role/*", f"{ASSUMED}/anything/session", True),
        (f"{ACCOUNT}:user/people/jo", f"{ACCOUNT}:user/people/jo", True),
        (f"{ACCOUNT}:user/people/*", f"{ACCOUNT}:user/people/jo", True),
        (f"{ACCOUNT}:user/jo", f"{ACCOUNT}:user/people/jo", False),
        (f"{ACCOUNT}:user/people/*", f"{ACCOUNT}:user/jo", False),
        (f"{ACCOUNT}:user/people/*", f"{ACCOUNT}:user/people/interns/jo", False),
        (f"{ACCOUNT}:role/orders", f"{ACCOUNT}:role/team/orders", False),
        (f"{ACCOUNT}:role/orders", f"{ASSUMED}/orders/a/b", False),
        (f"{ACCOUNT}:root", f"{ACCOUNT}:root", True),
        ("arn:aws:sts::123456789012:federated-user/jo", "arn:aws:sts::123456789012:federated-user/jo", True),
        (f"{FUNCTION}:orders", f"{FUNCTION}:orders", True),
        (f"{FUNCTION}", f"{FUNCTION}", True),
        (f"{ACCOUNT}:role/orders", f"{ASSUMED}/billing/orders", False),
        (f"{ACCOUNT}:role/orders", f"{ASSUMED}/orders-eu/session", False),
        (f"{ACCOUNT}:role/orders", f"{ASSUMED}/Orders/session", False),
        (f"{ACCOUNT}:role/orders", f"{ACCOUNT}:user/orders", False),
        (f"{ACCOUNT}:role/orders-*", "arn:aws:sts::210987654321:assumed-role/orders-eu/session", False),
        (f"{ACCOUNT}:user/*", f"{ASSUMED}/orders/session", False),
        (f"{FUNCTION}:orders", f"{FUNCTION}", False),
        (f"{FUNCTION}", f"{FUNCTION}:orders", False),
        (f"{FUNCTION}:o*", f"{FUNCTION}2:orders", False),
        (f"{ACCOUNT}:role/*", "", False),
        (f"{ACCOUNT}:role/*", "arn:aws:sts::123456789012:assumed-role/", False),
    ],
)
def test_a_pattern_means_its_principals(pattern: str, principal: str, allowed: bool) -> None:
    """And no other account, name, kind or alias."""
    assert allowed == grants(pattern).allow(principal, ORDERS)


@pytest.mark.parametrize(
    "subject", ["Orders@acme.example", " orders@acme.example", "orders@acme.example ", "other@acme.example"]
)
def test_subjects_are_compared_exactly(subject: str) -> None:
    """No folding, no trimming."""
    assert not grants(f"{ACCOUNT}:role/orders").allow(f"{ASSUMED}/orders/session", subject)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "orders",
        '{"a": ',
        '{"*": ["orders@acme.example"]}',
        '{"arn:aws:iam::*:role/orders": ["orders@acme.example"]}',
        '{"arn:aws:iam::123456789012:role/*orders": ["orders@acme.example"]}',
        '{"arn:aws:iam::123456789012:role/*/orders": ["orders@acme.example"]}',
        '{"arn:aws:iam::123456789012:*": ["orders@acme.example"]}',
        '{"arn:aws:sts::123456789012:assumed-role/orders/session": ["orders@acme.example"]}',
        '{"arn:aws:iam::123456789012:role/orders": "orders@acme.example"}',
        '{"arn:aws:iam::123456789012:role/orders": ["*"]}',
        '{"arn:aws:iam::123456789012:role/orders": [7]}',
        '{"arn:aws:iam::123456789012:role/orders": ["a@b.c"], "arn:aws:iam::123456789012:role/orders": ["d@e.f"]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_grant_is_refused(text: str) -> None:
    """At the first use of the settings, without quoting anything."""
    with pytest.raises(MalformedGrants) as caught:
        parse_grants(text, is_subject=USERNAME.fullmatch)
    assert "acme" not in str(caught.value)


def test_nothing_is_granted_by_default() -> None:
    """Nobody but the default user, and the allowed ones, without a grant."""
    assert not parse_grants("", is_subject=USERNAME.fullmatch).allow(f"{ASSUMED}/orders/session", ORDERS)
    with pytest.raises(AccessDenied):
        authorize(ORDERS, f"{ASSUMED}/orders/session", default="", allowed=(), grants=Grants())
    with pytest.raises(InvalidRequest):
        authorize("", f"{ASSUMED}/orders/session", default="", allowed=(), grants=grants(f"{ACCOUNT}:role/orders"))


@given(st.text(max_size=60))
def test_no_other_principal_slips_through(principal: str) -> None:
    """Whatever is reported: only the role itself, or a session of it, has the grant of a role."""
    meant = rf"{ACCOUNT}:role/orders|{ASSUMED}/orders/[^/]+"
    assert bool(re.fullmatch(meant, principal)) == grants(f"{ACCOUNT}:role/orders").allow(principal, ORDERS)


@pytest.mark.parametrize(
    "pattern", ["role/team-orders/*", "role/prod/app-*", "role/team/orders", "role//orders", "role/orders/"]
)
def test_a_role_with_a_path_is_refused_by_name(pattern: str) -> None:
    """A caller's ARN has the role's name alone: with the path dropped, a role of any path would match."""
    with pytest.raises(MalformedGrants, match="role with a path"):
        grants(f"{ACCOUNT}:{pattern}")


def as_written(pattern: str, principal: str) -> bool:
    """Tell whether a principal matches a pattern, segment by segment: the oracle, which knows no normal form."""
    head, _, rest = principal.partition("assumed-role/")
    if rest:
        # arn:aws:sts::<account>:assumed-role/<name>/<session> is a session of arn:aws:iam::<account>:role/<name>
        name, _, session = rest.partition("/")
        if not name or not session or "/" in session:
            return False
        principal = head.replace(":sts:", ":iam:") + "role/" + name
    wanted, found = re.split(r"([/:])", pattern), re.split(r"([/:])", principal)
    if len(wanted) != len(found) or wanted[:-1] != found[:-1]:
        return False
    last, other = wanted[-1], found[-1]
    return other.startswith(last[:-1]) if last.endswith("*") else other == last


def test_no_principal_matches_what_it_does_not_match_as_written() -> None:
    """100,000 pairs of patterns and principals of few names, so that many nearly match."""
    chance = random.Random(20261125)
    names = ["orders", "orders-eu", "team", "team-orders", "app", "app-1", "o", "*", "orders-*", "app-*", "o*"]
    accounts, matched = ["123456789012", "210987654321"], 0
    for _ in range(100_000):
        account, other = chance.choices(accounts, weights=[9, 1], k=2)
        kind = chance.choice(["role", "user", "role", "user"])
        pattern = f"arn:aws:iam::{account}:{kind}/" + "/".join(
            [*chance.choices(names[:7], k=chance.choice([0, 0, 1, 2])), chance.choice(names)]
        )
        path = "/".join(chance.choices(names[:7], k=chance.randint(1, 3)))
        principal = chance.choice(
            [
                f"arn:aws:sts::{other}:assumed-role/{path}/session",
                f"arn:aws:sts::{other}:assumed-role/{chance.choice(names[:7])}/session",
                f"arn:aws:iam::{other}:role/{path}",
                f"arn:aws:iam::{other}:user/{path}",
            ]
        )
        try:
            allowed = grants(pattern).allow(principal, ORDERS)
        except MalformedGrants:
            continue
        assert as_written(pattern, principal) == allowed, (pattern, principal)
        matched += allowed
    assert matched > 1_000
