"""Whose a token is: checked at each login, at each adoption of a shared token and at the identity URL.

One stack serves one org. The org, and the user of each subject, are pinned at their first token and compared afterwards, for as
long as the environment and the version of the key live. A refreshed sandbox or a re-created user has new ids: a new version of
the secret, or any change of the settings, starts without pins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from salesforce_broker.errors import AppRefused, SalesforceBusy
from salesforce_broker.salesforce.access_token import AccessToken

_HINT = (
    "Check SALESFORCE_LOGIN_URL and SALESFORCE_ORG_ID. After a sandbox refresh or after re-creating the user, deploy any change"
    " of the stack's parameters, or create another version of the key: that resets what the broker remembers."
)


@dataclass(frozen=True, slots=True)
class Owner:
    """The org and the user of a token, as 15-character ids: the three more of the long form only encode upper case."""

    organization_id: str
    user_id: str


def owner_of(token: AccessToken) -> Owner:
    """Return the owner that the token's identity URL names."""
    organization_id, user_id = token.id.rsplit("/", 2)[-2:]
    return Owner(organization_id[:15], user_id[:15])


class OwnerPins:
    """Compares owners; `organization_id` is the configured org, empty for none."""

    def __init__(self, organization_id: str) -> None:
        self._organization_id = organization_id[:15]
        self._pins: dict[tuple[str, str], Owner] = {}

    def check(self, version_id: str, subject: str, token: AccessToken) -> None:
        """Pin the owner at the first token of a subject under this version of the key; AppRefused if it is another one."""
        owner = owner_of(token)
        # An opaque token starts with its org's id; one in JWT format has none.
        prefix, separator, _ = token.value.partition("!")
        orgs = {owner.organization_id}
        orgs |= {self._organization_id} if self._organization_id else set()
        orgs |= {prefix[:15]} if separator else set()
        orgs |= {pin.organization_id for (version, _), pin in self._pins.items() if version == version_id}
        if len(orgs) > 1:
            raise AppRefused("Salesforce's answer belongs to another org than this stack's.", hint=_HINT)
        if self._pins.setdefault((version_id, subject), owner) != owner:
            raise AppRefused("Salesforce's answer belongs to another user than before.", hint=_HINT)


def check_identity(document: Mapping[str, Any], token: AccessToken, subject: str) -> None:
    """Compare an identity document with the token and the subject it was requested for.

    SalesforceBusy if it does not say whose it is, AppRefused if it is somebody else's. Usernames differ in case only.
    """
    names = [document.get(name) for name in ("organization_id", "user_id", "username")]
    if not all(isinstance(name, str) for name in names):
        raise SalesforceBusy("Salesforce's identity answer does not say whose it is.")
    organization_id, user_id, username = map(str, names)
    if Owner(organization_id[:15], user_id[:15]) != owner_of(token) or username.casefold() != subject.casefold():
        raise AppRefused("Salesforce's identity answer belongs to somebody else than the token.", hint=_HINT)
