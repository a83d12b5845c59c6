"""Key material for tests, made anew in each run and never written to disk."""

from __future__ import annotations

import collections
import functools
import json
import threading
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from local_salesforce import key_material

CLIENT_ID = "3MVG9.only-use-for-unit-tests"

PUBLIC_EXPONENT = 65537

_generate = rsa.generate_private_key
_load = serialization.load_pem_private_key
_load_der = serialization.load_der_private_key


class KeyPool:
    """RSA keys of this run, in the place of `rsa.generate_private_key`: a key of 4096 bits takes half a second.

    Within a test each call returns another key. The next test gets the same ones again.
    """

    def __init__(self) -> None:
        self._keys: dict[int, list[rsa.RSAPrivateKey]] = collections.defaultdict(list)
        self._taken: collections.Counter[int] = collections.Counter()
        self._lock = threading.Lock()

    def start_over(self) -> None:
        """Begin another test."""
        with self._lock:
            self._taken.clear()

    def generate(self, public_exponent: int, key_size: int, backend: Any = None) -> rsa.RSAPrivateKey:
        """Return a key that this test has not had yet."""
        assert PUBLIC_EXPONENT == public_exponent
        with self._lock:
            keys, taken = self._keys[key_size], self._taken[key_size]
            if taken == len(keys):
                keys.append(_generate(public_exponent, key_size, backend))
            self._taken[key_size] += 1
            return keys[taken]


@functools.lru_cache(maxsize=256)
def load_once(data: bytes, password: bytes | None = None, backend: Any = None, **rest: bool) -> PrivateKeyTypes:
    """Load a PEM as `serialization.load_pem_private_key` does, but once: OpenSSL tests the primes, 40 ms of 2048 bits."""
    return _load(data, password, backend, **rest)


@functools.lru_cache(maxsize=256)
def load_der_once(data: bytes, password: bytes | None = None, backend: Any = None, **rest: bool) -> PrivateKeyTypes:
    """Load a DER likewise."""
    return _load_der(data, password, backend, **rest)


def rsa_key(name: str = "current", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the run's RSA key of that name."""
    return _made(name, bits)


@functools.cache
def _made(_name: str, bits: int) -> rsa.RSAPrivateKey:
    # Not from the pool, which would hand it out once more in another test.
    return _generate(public_exponent=PUBLIC_EXPONENT, key_size=bits)


def pem(key: PrivateKeyTypes, *, pkcs1: bool = False, password: bytes | None = None) -> str:
    """Write a private key as PEM."""
    form = serialization.PrivateFormat.TraditionalOpenSSL if pkcs1 else serialization.PrivateFormat.PKCS8
    hide = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, hide).decode()


def certificate(name: str = "current") -> str:
    """Return a self-signed certificate (PEM) of the key of that name."""
    return key_material.self_signed(rsa_key(name))


def certificate_ends(name: str = "current") -> float:
    """Tell when it does (epoch seconds)."""
    return x509.load_pem_x509_certificate(certificate(name).encode()).not_valid_after_utc.timestamp()


def secret(name: str = "current", *, client_id: str = CLIENT_ID) -> str:
    """Return the text of a secret with the key of that name."""
    return json.dumps({"client_id": client_id, "private_key": pem(rsa_key(name))})
