"""One login, and what everybody learns of it: the token, or for how long nobody is to try.

Owns asking Salesforce or not. Does not decide that a token is needed (see `broker`) nor what is tried within one request
(see `minter`).
"""

from __future__ import annotations

from collections.abc import Collection

from salesforce_broker import observability
from salesforce_broker.access_token import AccessToken
from salesforce_broker.announcements import Announcements
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import AppRefused, LoginRateExceeded, SalesforceError, TokenRefused, UserRefused
from salesforce_broker.latch import Latch
from salesforce_broker.minter import MOST_POSTS, Minter
from salesforce_broker.salesforce import Salesforce
from salesforce_broker.signing_key import SigningKey
from salesforce_broker.token_cache import Shared, SharedCache, TokenIdentity

SHORTEST_SHARED_PAUSE_SECONDS = 30
"""A shorter one would be over before the others had read of it."""


class Login:
    """Logs in at Salesforce unless that is known to fail."""

    def __init__(
        self, minter: Minter, salesforce: Salesforce, shared: SharedCache | None, announcements: Announcements, clock: Clock
    ) -> None:
        self._minter = minter
        self._salesforce = salesforce
        self._shared = shared
        self._announcements = announcements
        self._clock = clock
        self._latch = Latch(clock)

    def check(self, identity: TokenIdentity, key: SigningKey) -> None:
        """Raise the last failure while it is too early to try again."""
        self._latch.check(identity, key.version_id)

    def failing(self, identity: TokenIdentity, key: SigningKey) -> bool:
        """Tell whether the last try failed."""
        return self._latch.failing(identity, key.version_id)

    def heed(self, identity: TokenIdentity, key: SigningKey, shared: Shared) -> None:
        """Raise if another environment has said that nobody is to try yet."""
        if shared.paused_until > self._clock.wall():
            told = LoginRateExceeded(
                "Salesforce is not to be asked yet: another environment was told to wait, or found it down.",
                hint="See the log of the other environments for the reason.",
            )
            self._latch.hold(identity, key.version_id, told, until=shared.paused_until)
            self.check(identity, key)

    def token(
        self, key: SigningKey, identity: TokenIdentity, known: Collection[str | None], deadline: Deadline
    ) -> tuple[SigningKey, AccessToken]:
        """Return a token that Salesforce gave now, and the key it was given for; share a failure with everybody.

        A token whose fingerprint is `known` was given before: it is believed only if Salesforce says that it lives.
        """
        posts = 1 if self.failing(identity, key) else MOST_POSTS
        try:
            accepted, token = self._minter.mint(key, identity.subject, deadline, most_posts=posts)
            if token.fingerprint in known:
                self.confirm(token, deadline)
        except SalesforceError as error:
            pause = self._latch.close(identity, key.version_id, error)
            observability.count(f"LoginFailed.{error.code}")
            if self._shared and isinstance(error, UserRefused):
                self._shared.purge(identity)
            elif self._shared and error.retryable and pause.seconds >= SHORTEST_SHARED_PAUSE_SECONDS:
                self._shared.pause(identity, self._clock.wall() + pause.seconds, key.sealing_key)
            if pause.begins:
                self._announcements.paused(identity.subject, error, pause.seconds, deadline)
            raise
        if self._latch.open(identity):
            self._announcements.resumed(identity.subject, deadline)
        return accepted, token

    def confirm(self, token: AccessToken, deadline: Deadline) -> None:
        """Have Salesforce say that a token lives, else raise; the question restarts the session's idle timer.

        While a session lives Salesforce hands out the same token, and how much of its time is left nobody says.
        """
        try:
            self._salesforce.identity(token, deadline)
        except AppRefused:
            # It lacks the scope to ask whose it is; a dead one would have been called so.
            return

    def dead(self, token: AccessToken, deadline: Deadline) -> bool:
        """Tell whether Salesforce itself calls the token dead; where it cannot be asked, it does not."""
        try:
            self.confirm(token, deadline)
        except TokenRefused:
            return True
        except SalesforceError:
            return False
        return False
