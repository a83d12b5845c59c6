"""What an account needs of keys, answers and cold starts, without a state of its own."""

from __future__ import annotations

import functools
import json
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from local_salesforce import KeyMaterial, key_material
from salesforce_broker import bootstrap
from salesforce_broker.operations import bootstrap as operations_bootstrap


@functools.cache
def certificate_of(pem: str) -> str:
    """Return a certificate of a private key."""
    return key_material.self_signed(private_key(KeyMaterial(pem, "")))


def outcome_of(answer: dict[str, Any]) -> str:
    """Return the code of the error in an answer; "success" if there is none."""
    body = json.loads(answer["body"]) if "body" in answer else answer
    return str(body.get("error", "success"))


def forget_clients() -> None:
    """Drop what an environment keeps for its life."""
    for module in (bootstrap, operations_bootstrap):
        for name in dir(module):
            clear = getattr(getattr(module, name), "cache_clear", None)
            if clear:
                clear()


def private_key(pair: KeyMaterial) -> RSAPrivateKey:
    """Return a pair's private key."""
    key = serialization.load_pem_private_key(pair.private_key.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    return key
