"""Which principals may have which subjects, beyond those that everybody may have.

Owns the patterns: what they may look like, and which principal one of them means. Does not decide alone (see `access`) and
reads no environment (see `settings`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_NAME = r"[A-Za-z0-9+=,.@_-]"
_PATTERN = re.compile(
    rf"arn:aws[a-z-]*:iam::[0-9]{{12}}:(?:role|user)/(?:{_NAME}+/)*(?:{_NAME}*\*|{_NAME}+)"
    rf"|arn:aws[a-z-]*:sts::[0-9]{{12}}:federated-user/(?:{_NAME}*\*|{_NAME}+)"
    r"|arn:aws[a-z-]*:iam::[0-9]{12}:root"
    r"|arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+(?::(?:[A-Za-z0-9_$-]*\*|[A-Za-z0-9_$-]+))?"
)
"""One principal, or with `*` at its end all whose name begins so. Nowhere else: an account is never a pattern."""

_ASSUMED_ROLE = re.compile(r"arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([^/]+)/.+")
_PATH = re.compile(r"(arn:aws[a-z-]*:iam::[0-9]{12}:(?:role|user)/)(?:[^/]+/)*([^/]+)")


class Malformed(ValueError):
    """A text that is no grants; says what is wrong, and quotes nothing but a position."""


@dataclass(frozen=True, slots=True)
class Grants:
    """Subjects by pattern."""

    subjects: tuple[tuple[str, frozenset[str]], ...] = ()

    def allow(self, principal: str, subject: str) -> bool:
        """Tell whether a principal, as AWS reports it, was granted a subject, compared exactly."""
        one = _canonical(principal)
        return any(subject in subjects and _means(pattern, one) for pattern, subjects in self.subjects)


def parse(text: str, *, is_subject: Callable[[str], object]) -> Grants:
    """Read `{"<pattern>": ["<subject>", ...], ...}`, empty for none; Malformed."""
    if not text:
        return Grants()
    try:
        given = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        # Without the cause: JSONDecodeError carries the whole text.
        raise Malformed("is not JSON, or names a principal twice") from None
    if not isinstance(given, dict):
        raise Malformed("is not a JSON object")
    grants = []
    for position, (pattern, subjects) in enumerate(given.items(), start=1):
        if not _PATTERN.fullmatch(pattern):
            raise Malformed(f"principal {position} is not the ARN of a role, a user or an alias of this function")
        if not isinstance(subjects, list) or not all(isinstance(each, str) and is_subject(each) for each in subjects):
            raise Malformed(f"the subjects of principal {position} are not a list of Salesforce usernames")
        grants.append((_canonical(pattern), frozenset(subjects)))
    return Grants(tuple(grants))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError
    return fields


def _canonical(principal: str) -> str:
    """Bring an assumed role to its role, and a name to itself without its path: names are unique in an account."""
    role = _ASSUMED_ROLE.fullmatch(principal)
    if role:
        return f"arn:{role[1]}:iam::{role[2]}:role/{role[3]}"
    named = _PATH.fullmatch(principal)
    return f"{named[1]}{named[2]}" if named else principal


def _means(pattern: str, principal: str) -> bool:
    if not pattern.endswith("*"):
        return pattern == principal
    rest = principal.removeprefix(pattern[:-1])
    return principal.startswith(pattern[:-1]) and not re.search(r"[/:]", rest)
