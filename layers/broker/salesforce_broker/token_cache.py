"""Where tokens wait to be asked for again: memory of this environment, then SSM Parameter Store for all of them.

Owns storage and the envelope in which a token lies in SSM. Does not decide when to renew (see `broker`). The shared cache is
optional and never fatal: whatever is wrong with it, or in it, is a miss.

The envelope is AES-256-GCM under a key derived from the app's private key, bound (as associated data) to everything that
changes a token's power. So who can write the parameter, but has no signing key, can neither plant a token nor move one
from another subject, org or app; and who can read it sees no token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salesforce_broker import observability
from salesforce_broker.access_token import EXPIRY_MARGIN_SECONDS, AccessToken
from salesforce_broker.clock import Clock
from salesforce_broker.settings import LONGEST_PARAMETER_BYTES, Tier, instance_origin

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

FORMAT = "1"
"""Of the envelope's content; part of what it is bound to, so that another format is a miss."""

NONCE_BYTES = 12
"""What AES-GCM is defined for; random, far below the number of writes at which that would matter."""

PAUSE = ".pause"
"""Appended to a token's name; and what the envelope of a pause is bound to."""

LEASE_SECONDS = 10
"""A login takes under a second, and up to all of a function's time with Salesforce at its worst."""

THROTTLED = {"ThrottlingException", "TooManyUpdates", "RequestLimitExceeded"}
"""SSM's codes for: there is a crowd."""

WRITE_PAUSES = (0.3, 0.5, 0.7)
"""Seconds at most between tries of a throttled write, for which a crowd may be waiting. Reads have none: a miss is cheap."""

ACCOUNT_KEY = "alias/aws/ssm"
"""The account's own key for SSM, where the stack has none."""

WALL_CLOCK_STEP_SECONDS = 300
"""A wall clock further back than this behind the moment of storing cannot be trusted with an expiry."""


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """Everything that changes a token's power: tokens are equal in use only if all of it is."""

    login_url: str
    audience: str
    client_id: str
    subject: str

    def encode(self, purpose: str = "token") -> bytes:
        """Return it unambiguously as bytes (a JSON array: no separator that a value could contain)."""
        return json.dumps([FORMAT, purpose, self.login_url, self.audience, self.client_id, self.subject]).encode()


class MemoryCache:
    """Tokens of this environment. Expiry is judged by two clocks: Lambda freezes the monotonic one, NTP moves the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[TokenIdentity, tuple[AccessToken, float, float]] = {}

    def get(self, identity: TokenIdentity) -> AccessToken | None:
        """Return the token, or None if there is none or either clock says that it has expired."""
        if identity not in self._held:
            return None
        token, stored_wall, stored_monotonic = self._held[identity]
        now = self._clock.wall()
        aged = self._clock.monotonic() - stored_monotonic
        life = token.seconds_left(stored_wall)
        if min(token.seconds_left(now), life - aged) <= EXPIRY_MARGIN_SECONDS or now < stored_wall - WALL_CLOCK_STEP_SECONDS:
            self.drop(identity)
            return None
        return token

    def put(self, identity: TokenIdentity, token: AccessToken) -> None:
        """Hold `token` until it expires or is replaced."""
        self._held[identity] = (token, self._clock.wall(), self._clock.monotonic())

    def drop(self, identity: TokenIdentity) -> None:
        """Forget the token of `identity`, if any."""
        self._held.pop(identity, None)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the environments tell each other of one identity: the last token, perhaps expired, and a pause until when.

    `crowded`: SSM throttled the question, so nobody knows; there are many who ask it. `unread`: AWS's code where the question
    got no answer for whatever reason.
    """

    token: AccessToken | None = None
    paused_until: float = 0.0
    crowded: bool = False
    unread: str = ""


class SharedCache:
    """What environments share, in SSM parameters `<prefix>/<hash of identity>`; every failure is a miss.

    Beside a token's parameter there may lie a pause (nobody is to log in before its end) and, for seconds, a lease (who
    created it logs in for all). What a writer of parameters without the key can do is delay: it can forge neither.
    """

    def __init__(self, client: SSMClient, *, prefix: str, kms_key_id: str, tier: Tier, clock: Clock) -> None:
        """`kms_key_id` encrypts the SecureString; empty for ACCOUNT_KEY. A token too large for `tier` is not shared."""
        self._client = client
        self._prefix = prefix
        self._kms_key_id = kms_key_id
        self._tier = tier
        self._clock = clock

    def get(self, identity: TokenIdentity, sealing_key: bytes) -> Shared:
        """Read token and pause in one call; nothing that does not verify or does not belong to an allowed instance."""
        name = self._name(identity)
        try:
            # GetParameters, not GetParameter: an absent parameter is an ordinary answer, not an exception.
            answer = self._client.get_parameters(Names=[name, name + PAUSE], WithDecryption=True)
        except (BotoCoreError, ClientError) as error:
            _degrade("shared cache cannot be read", error)
            return Shared(crowded=_code(error) in THROTTLED, unread=_code(error))
        values = {found.get("Name"): found.get("Value", "") for found in answer["Parameters"]}
        token, paused_until = None, 0.0
        if name in values:
            content = open_envelope(values[name], identity.encode(), sealing_key)
            token = AccessToken(**content) if content else None
            if token is None or not instance_origin(token.instance_url, login_url=identity.login_url):
                _degrade("shared cache holds something that is not ours")
                token = None
        if name + PAUSE in values:
            content = open_envelope(values[name + PAUSE], identity.encode(PAUSE), sealing_key)
            paused_until = content["until"] if content else 0.0
        return Shared(token, paused_until)

    def put(self, identity: TokenIdentity, token: AccessToken, sealing_key: bytes) -> None:
        """Share a token with the other environments, and so end a pause."""
        self._write(self._name(identity), seal(asdict(token), identity.encode(), sealing_key))

    def pause(self, identity: TokenIdentity, until: float, sealing_key: bytes) -> None:
        """Tell the other environments not to log in before `until` (epoch seconds)."""
        self._write(self._name(identity) + PAUSE, seal({"until": until}, identity.encode(PAUSE), sealing_key))

    def purge(self, identity: TokenIdentity) -> None:
        """Delete the shared token."""
        self._delete(self._name(identity))

    def take_lease(self, identity: TokenIdentity) -> str | None:
        """Be the one who logs in during this LEASE_SECONDS; return the lease's name, None if another is.

        Creating a parameter succeeds for exactly one. The name holds the time, so a lease that nobody ended is in nobody's
        way for long. Throttled counts as lost: there is a crowd. Any other failure of SSM counts as won: it costs one
        login more, where waiting for a cache that is broken would cost an outage.
        """
        name = f"{self._name(identity)}.lease.{int(self._clock.wall() // LEASE_SECONDS)}"
        try:
            self._client.put_parameter(Name=name, Value="taken", Type="String", Tier="Standard")
        except (BotoCoreError, ClientError) as error:
            if _code(error) in {"ParameterAlreadyExists"} | THROTTLED:
                return None
            _degrade("lease cannot be taken", error)
        return name

    def end_lease(self, name: str) -> None:
        """Clean up a lease that was taken."""
        self._delete(name)

    def _write(self, name: str, sealed: str) -> None:
        if len(sealed) > LONGEST_PARAMETER_BYTES[self._tier]:
            _degrade("token is too large for the shared cache")
            return
        for longest_pause in (*WRITE_PAUSES, None):
            try:
                self._client.put_parameter(
                    Name=name,
                    Value=sealed,
                    Type="SecureString",
                    KeyId=self._kms_key_id or ACCOUNT_KEY,
                    Overwrite=True,
                    Tier=self._tier,
                )
            except (BotoCoreError, ClientError) as error:
                if longest_pause is None or _code(error) not in THROTTLED:
                    _degrade("shared cache cannot be written", error)
                    return
                self._clock.sleep(random.uniform(longest_pause / 2, longest_pause))  # noqa: S311  jitter
            else:
                return

    def _delete(self, name: str) -> None:
        try:
            self._client.delete_parameter(Name=name)
        except (BotoCoreError, ClientError) as error:
            if _code(error) != "ParameterNotFound":
                _degrade("shared cache cannot be cleaned", error)

    def _name(self, identity: TokenIdentity) -> str:
        """Name the parameter by a hash: a username is personal, and holds characters that SSM does not allow."""
        return f"{self._prefix}/{hashlib.sha256(identity.encode()).hexdigest()[:32]}"


def seal(content: Mapping[str, Any], bound_to: bytes, sealing_key: bytes) -> str:
    """Seal `content` (JSON) under a key of 32 bytes, bound to what it is for; return base64."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(sealing_key).encrypt(nonce, json.dumps(content).encode(), bound_to)
    return base64.b64encode(nonce + sealed).decode()


def open_envelope(envelope: str, bound_to: bytes, sealing_key: bytes) -> dict[str, Any] | None:
    """Return the content; None unless a holder of the same signing key sealed it for this."""
    try:
        raw = base64.b64decode(envelope, validate=True)
        content: dict[str, Any] = json.loads(AESGCM(sealing_key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to))
    except (ValueError, InvalidTag):
        return None
    return content


def _degrade(what: str, error: Exception | None = None) -> None:
    """Say that the request goes on without the shared cache. AWS's error code is logged, not its message."""
    observability.count("SharedCacheDegraded")
    observability.logger.warning(what, aws_error=_code(error) if error else None)


def _code(error: Exception) -> str:
    """Return AWS's code for an error, or the name of an exception that never came to AWS."""
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
