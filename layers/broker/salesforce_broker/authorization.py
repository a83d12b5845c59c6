"""Who may have whose token: a pure decision over values. IAM has authenticated the caller before the function runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from salesforce_broker.errors import AccessDenied, InvalidRequest

_NAME = r"[A-Za-z0-9+=,.@_-]"
_PATTERN = re.compile(
    rf"arn:aws[a-z-]*:iam::[0-9]{{12}}:role/(?:{_NAME}*\*|{_NAME}+)"
    rf"|arn:aws[a-z-]*:iam::[0-9]{{12}}:user/(?:{_NAME}+/)*(?:{_NAME}*\*|{_NAME}+)"
    rf"|arn:aws[a-z-]*:sts::[0-9]{{12}}:federated-user/(?:{_NAME}*\*|{_NAME}+)"
    r"|arn:aws[a-z-]*:iam::[0-9]{12}:root"
    r"|arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+(?::(?:[A-Za-z0-9_$-]*\*|[A-Za-z0-9_$-]+))?"
)
"""One principal or, with `*` at its end, all whose name begins so. Nowhere else: an account is never a pattern."""

_ROLE_WITH_PATH = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/.*/.*", re.DOTALL)
_ASSUMED_ROLE = re.compile(r"arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([^/]+)/[^/]+")


class MalformedGrants(ValueError):
    """The text is not a grants document; the message names the fault and quotes nothing but a position."""


@dataclass(frozen=True, slots=True)
class Grants:
    """Subjects by principal pattern."""

    subjects: tuple[tuple[str, frozenset[str]], ...] = ()

    def allow(self, principal: str, subject: str) -> bool:
        """Tell whether `principal`, as AWS reports it, was granted `subject`, compared exactly."""
        one = _canonical(principal)
        return any(subject in subjects and _matches(pattern, one) for pattern, subjects in self.subjects)


def parse_grants(text: str, *, is_subject: Callable[[str], object]) -> Grants:
    """Read `{"<pattern>": ["<subject>", ...], ...}`, empty for none; MalformedGrants."""
    if not text:
        return Grants()
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        # Without the cause: JSONDecodeError carries the whole text.
        raise MalformedGrants("is not JSON, or names a principal twice") from None
    if not isinstance(document, dict):
        raise MalformedGrants("is not a JSON object")
    grants = []
    for position, (pattern, subjects) in enumerate(document.items(), start=1):
        if _ROLE_WITH_PATH.fullmatch(pattern):
            raise MalformedGrants(
                f"principal {position} is a role with a path, which AWS does not report of a caller: give role/<name> alone"
            )
        if not _PATTERN.fullmatch(pattern):
            raise MalformedGrants(f"principal {position} is not the ARN of a role, a user or an alias of this function")
        if not isinstance(subjects, list) or not all(isinstance(each, str) and is_subject(each) for each in subjects):
            raise MalformedGrants(f"the subjects of principal {position} are not a list of Salesforce usernames")
        grants.append((pattern, frozenset(subjects)))
    return Grants(tuple(grants))


def authorize(subject: str, caller: str, *, default: str, allowed: Collection[str], grants: Grants) -> None:
    """Raise AccessDenied unless everybody, or the caller (an ARN), may have `subject`.

    Everybody may have the default and what is `allowed`. Compared exactly as given, without case folding or trimming, so that
    what was allowed is what is signed.
    """
    if not subject:
        raise InvalidRequest(
            "The field 'sub' is needed: this broker has no default user.",
            hint="Send the Salesforce username as 'sub', or set SALESFORCE_USERNAME.",
        )
    if subject != default and subject not in allowed and not grants.allow(caller, subject):
        raise AccessDenied(
            "This broker does not hand out tokens for that 'sub' to this caller.",
            hint="Add the exact username to ALLOWED_SUBJECTS for everybody, or to SUBJECT_GRANTS for the caller"
            " (template parameters AllowedSubjects and SubjectGrants).",
        )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError
    return fields


def _canonical(principal: str) -> str:
    """Replace a session of a role by the role, of which it has only the name; return every other principal as it is."""
    role = _ASSUMED_ROLE.fullmatch(principal)
    return f"arn:{role[1]}:iam::{role[2]}:role/{role[3]}" if role else principal


def _matches(pattern: str, principal: str) -> bool:
    if not pattern.endswith("*"):
        return pattern == principal
    rest = principal.removeprefix(pattern[:-1])
    return principal.startswith(pattern[:-1]) and not re.search(r"[/:]", rest)
