"""Revocation of tokens at Salesforce: the shared ones, and those that only memory or a caller holds.

Nobody knows all tokens that were handed out. But while a session lives, Salesforce answers a login of the same user to the same
app with the identical token: one login for each subject finds the token that everybody holds, and revoking it ends the session
for all of them.
"""

from __future__ import annotations

from salesforce_broker import observability
from salesforce_broker.clock import Deadline
from salesforce_broker.config import Settings
from salesforce_broker.errors import BrokerError, EmergencyIncomplete, SalesforceError
from salesforce_broker.keys.source import SigningKey, SigningKeySource
from salesforce_broker.salesforce.access_token import AccessToken
from salesforce_broker.salesforce.client import SalesforceClient
from salesforce_broker.salesforce.jwt_bearer import JwtBearerFlow
from salesforce_broker.tokens.envelope import TokenIdentity
from salesforce_broker.tokens.shared_cache import NoSharedCache, SharedCache


class Revocation:
    """Revokes the tokens of every subject in the settings; remembers what it found and what became of it."""

    def __init__(
        self,
        settings: Settings,
        *,
        keys: SigningKeySource,
        shared: SharedCache | NoSharedCache,
        flow: JwtBearerFlow,
        salesforce: SalesforceClient,
    ) -> None:
        self._settings = settings
        self.subjects = settings.subjects
        self._keys = keys
        self._shared = shared
        self._flow = flow
        self._salesforce = salesforce
        self._found: dict[str, dict[str, AccessToken]] = {}
        self.revoked: dict[str, tuple[str, ...]] = {}
        self.refused: dict[str, str] = {}

    def decrypt_shared_tokens(self, deadline: Deadline) -> None:
        """Read the shared tokens, which are about to be deleted; raise a BrokerError if that was not possible."""
        keys = self._versions(deadline)
        for subject in self.subjects:
            for key in keys:
                identity = TokenIdentity(self._settings.login_url, self._settings.audience, key.client_id, subject)
                shared = self._shared.read(identity, key.sealing_key, deadline)
                if shared.read_error:
                    raise EmergencyIncomplete(f"The shared tokens cannot be read: {shared.read_error}.")
                if shared.token:
                    self._find(subject, shared.token)

    def revoke(self, subject: str, deadline: Deadline) -> None:
        """Revoke every token of `subject` that can be found; raise a BrokerError if one is still valid, or may be.

        A subject whom Salesforce does not log in is recorded as refused; tokens found in another way are revoked all the same.
        """
        failure: BrokerError | None = None
        try:
            _, token = self._flow.login(self._keys.current(deadline), subject, deadline)
            self._find(subject, token)
            self.refused.pop(subject, None)
        except BrokerError as error:
            if isinstance(error, SalesforceError) and not error.retryable:
                self.refused[subject] = error.code
            else:
                failure = error
        for fingerprint, token in list(self._found.get(subject, {}).items()):
            try:
                self._salesforce.revoke(token, deadline)
            except SalesforceError as error:
                failure = error
                continue
            del self._found[subject][fingerprint]
            self.revoked[subject] = tuple(dict.fromkeys((*self.revoked.get(subject, ()), fingerprint)))
            observability.logger.info("token revoked", subject=subject, fingerprint=fingerprint)
        if failure:
            raise failure

    def _find(self, subject: str, token: AccessToken) -> None:
        self._found.setdefault(subject, {})[token.fingerprint] = token

    def _versions(self, deadline: Deadline) -> list[SigningKey]:
        """Return every version of the key with which a shared copy may be sealed; raise if there is none."""
        found: list[SigningKey] = []
        failures: list[BrokerError] = []
        for read in (self._keys.refresh, self._keys.pending, self._keys.previous):
            try:
                found.append(read(deadline))
            except BrokerError as error:
                failures.append(error)
        if not found:
            raise failures[0]
        return found
