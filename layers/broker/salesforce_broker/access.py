"""Who may have whose token. Pure: a decision over values.

Owns the answer to "may this subject be asked for". Does not authenticate the caller: IAM has done so before the function
runs.
"""

from __future__ import annotations

from collections.abc import Collection

from salesforce_broker.errors import AccessDenied, InvalidRequest
from salesforce_broker.grants import Grants


def check(subject: str | None, caller: str, *, default: str, allowed: Collection[str], grants: Grants) -> str:
    """Return the subject to log in as; AccessDenied unless everybody, or the caller (an ARN), may have it.

    Everybody may have the default and what is `allowed`. Compared exactly as given: no case folding, no trimming, so that
    what was allowed is what is signed.
    """
    if subject is None:
        if not default:
            raise InvalidRequest(
                "The field 'sub' is needed: this broker has no default user.",
                hint="Send the Salesforce username as 'sub', or set SALESFORCE_USERNAME.",
            )
        return default
    if subject != default and subject not in allowed and not grants.allow(caller, subject):
        raise AccessDenied(
            "This broker does not hand out tokens for that 'sub' to this caller.",
            hint="Add the exact username to ALLOWED_SUBJECTS for everybody, or to SUBJECT_GRANTS for the caller"
            " (template parameters AllowedSubjects and SubjectGrants).",
        )
    return subject
