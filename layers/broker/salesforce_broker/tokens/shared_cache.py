"""The shared cache: what execution environments share, in SSM Parameter Store. Optional, and never fatal.

Two parameters for each identity: the sealed state (last token, last failure, login budget) and, for seconds, a lease: its
creator logs in for all. A principal with SSM write access can delay a login by 35 s. It can forge no state; a replayed one
counts for MAX_DELAY_SECONDS from when it was true; and leases are respected for as long. Every failure of SSM counts as a miss.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from salesforce_broker import observability
from salesforce_broker.aws import AWS_ERRORS, THROTTLING_CODES, call_before, error_code
from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.config import MAX_PARAMETER_BYTES, Tier
from salesforce_broker.salesforce.access_token import AccessToken
from salesforce_broker.salesforce.hosts import instance_origin
from salesforce_broker.tokens.envelope import TokenIdentity, open_envelope, seal
from salesforce_broker.tokens.login_budget import LoginBudget

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

MAX_DELAY_SECONDS = 35
"""For which a failure or a lease of others keeps an environment from logging in. Long enough for one attempt of the fleet at a
time to stay within the login budget; short enough for who can write parameters."""

LEASE_SECONDS = 10
"""A login takes under a second, and up to all of a function's time with Salesforce at its worst."""

WRITE_PAUSES = (0.3, 0.5, 0.7)
"""Maximum seconds between tries of a throttled write, for which many may be polling. Reads have none: a miss is cheap."""

MAX_CALL_SECONDS = 2.0
"""Of one call of SSM, name and connection included: a cache must not use up the time in which Salesforce could answer."""

ACCOUNT_KEY = "alias/aws/ssm"
"""The account's own KMS key for SSM, used where the stack has none."""


@dataclass(frozen=True, slots=True)
class SharedFailure:
    """A failed login at `at` (epoch seconds): its error, since when and after how many attempts, and when it is retried."""

    code: str
    description: str
    hint: str
    since: float
    attempts: int
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class SharedState:
    """What environments share about one identity: the last token (perhaps expired), the last failure, the login budget.

    `throttled`: SSM throttled the read, so many are asking it. `read_error`: AWS's code where the read failed for any reason.
    """

    token: AccessToken | None = None
    failure: SharedFailure | None = None
    budget: LoginBudget | None = None
    throttled: bool = False
    read_error: str = ""


class NoSharedCache:
    """Stands in where a stack has no shared cache: every environment is alone, so each acquires every lease."""

    def read(self, identity: TokenIdentity, sealing_key: bytes, deadline: Deadline) -> SharedState:
        """Return that nothing is shared."""
        del identity, sealing_key, deadline
        return SharedState()

    def write(self, identity: TokenIdentity, state: SharedState, sealing_key: bytes, deadline: Deadline) -> None:
        """Share nothing."""

    def acquire_lease(self, identity: TokenIdentity, deadline: Deadline) -> str | None:
        """Return a lease: there is nobody to compete with."""
        del identity, deadline
        return ""

    def release_lease(self, name: str, deadline: Deadline) -> None:
        """Release nothing."""


class SharedCache:
    """Parameters `<prefix>/<hash of identity>`."""

    def __init__(  # noqa: PLR0913  the settings, by their names
        self, client: SSMClient, *, prefix: str, kms_key_id: str, tier: Tier, max_lifetime: int, clock: Clock
    ) -> None:
        """`kms_key_id` encrypts the SecureString; empty for ACCOUNT_KEY. A token too large for `tier` is not shared.

        `max_lifetime` (seconds) bounds tokens that were shared while a longer one was configured.
        """
        self._client = client
        self._prefix = prefix
        self._kms_key_id = kms_key_id
        self._tier = tier
        self._max_lifetime = max_lifetime
        self._clock = clock

    def read(self, identity: TokenIdentity, sealing_key: bytes, deadline: Deadline) -> SharedState:
        """Read the state in one call; a value that does not verify is a miss, a token of a host not allowed is left out."""
        name = self._name(identity)
        try:
            # GetParameters, not GetParameter: an absent parameter is an ordinary answer, not an exception.
            answer = self._call(deadline, self._client.get_parameters, Names=[name], WithDecryption=True)
        except AWS_ERRORS as error:
            _report_degraded("shared cache cannot be read", error)
            return SharedState(throttled=error_code(error) in THROTTLING_CODES, read_error=error_code(error))
        if not answer["Parameters"]:
            return SharedState()
        content = open_envelope(answer["Parameters"][0].get("Value", ""), identity.encode(), sealing_key)
        state = _decode(content) if content else None
        if state is None or (state.token and not instance_origin(state.token.instance_url, login_url=identity.login_url)):
            _report_degraded("shared cache holds a value that was not sealed here")
            return SharedState()
        return replace(state, token=state.token.bounded(self._max_lifetime)) if state.token else state

    def write(self, identity: TokenIdentity, state: SharedState, sealing_key: bytes, deadline: Deadline) -> None:
        """Share a state with the other environments; without its token if that is too large for a parameter."""
        sealed = seal(_encode(state), identity.encode(), sealing_key)
        if len(sealed) > MAX_PARAMETER_BYTES[self._tier]:
            _report_degraded("token is too large for the shared cache")
            sealed = seal(_encode(replace(state, token=None)), identity.encode(), sealing_key)
        self._write(self._name(identity), sealed, deadline)

    def acquire_lease(self, identity: TokenIdentity, deadline: Deadline) -> str | None:
        """Try to become the one that logs in during this LEASE_SECONDS; return the lease's name, None if another has it.

        Creating a parameter succeeds for exactly one. The name contains the time, so a lease that nobody released expires.
        Throttled counts as lost: many are asking. Any other failure of SSM counts as won: it costs one login more, where
        polling a broken cache would cost an outage.
        """
        name = f"{self._name(identity)}.lease.{int(self._clock.wall() // LEASE_SECONDS)}"
        try:
            self._call(deadline, self._client.put_parameter, Name=name, Value="taken", Type="String", Tier="Standard")
        except AWS_ERRORS as error:
            if error_code(error) in {"ParameterAlreadyExists"} | THROTTLING_CODES:
                return None
            _report_degraded("lease cannot be taken", error)
        return name

    def release_lease(self, name: str, deadline: Deadline) -> None:
        """Delete a lease that was acquired."""
        self._delete(name, deadline)

    def _write(self, name: str, sealed: str, deadline: Deadline) -> None:
        for max_pause in (*WRITE_PAUSES, None):
            try:
                self._call(
                    deadline,
                    self._client.put_parameter,
                    Name=name,
                    Value=sealed,
                    Type="SecureString",
                    KeyId=self._kms_key_id or ACCOUNT_KEY,
                    Overwrite=True,
                    Tier=self._tier,
                )
            except AWS_ERRORS as error:
                if max_pause is None or error_code(error) not in THROTTLING_CODES:
                    _report_degraded("shared cache cannot be written", error)
                    return
                self._clock.sleep(min(random.uniform(max_pause / 2, max_pause), deadline.seconds_left))  # noqa: S311  jitter
            else:
                return

    def _delete(self, name: str, deadline: Deadline) -> None:
        try:
            self._call(deadline, self._client.delete_parameter, Name=name)
        except AWS_ERRORS as error:
            if error_code(error) != "ParameterNotFound":
                _report_degraded("shared cache cannot be cleaned", error)

    def _call(self, deadline: Deadline, method: Callable[..., Any], **arguments: Any) -> Any:
        return call_before(deadline.within(MAX_CALL_SECONDS), method, **arguments)

    def _name(self, identity: TokenIdentity) -> str:
        """Name the parameter by a hash: a username is personal data, and holds characters that SSM does not allow."""
        return f"{self._prefix}/{hashlib.sha256(identity.encode()).hexdigest()[:32]}"


def _encode(state: SharedState) -> dict[str, Any]:
    return {
        "token": asdict(state.token) if state.token else None,
        "failure": asdict(state.failure) if state.failure else None,
        "budget": asdict(state.budget) if state.budget else None,
    }


def _decode(content: Mapping[str, Any]) -> SharedState | None:
    """Return the state of an envelope's content; None if it is not of this release's form."""
    try:
        return SharedState(
            AccessToken(**content["token"]) if content["token"] else None,
            SharedFailure(**content["failure"]) if content["failure"] else None,
            LoginBudget(**content["budget"]) if content["budget"] else None,
        )
    except (KeyError, TypeError):
        return None


def _report_degraded(what: str, error: Exception | None = None) -> None:
    """Log that the request goes on without the shared cache: AWS's error code, not its message."""
    observability.count("SharedCacheDegraded")
    observability.logger.warning(what, aws_error=error_code(error) if error else None)
