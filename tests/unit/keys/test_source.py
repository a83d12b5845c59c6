"""The secret: every form that works, and a named error for every one that cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from salesforce_broker.clock import Clock
from salesforce_broker.errors import SigningKeyUnavailable, SigningKeyUnusable
from salesforce_broker.keys import source
from salesforce_broker.keys.source import SigningKeySource
from tests.support import keys
from tests.support.clocks import ManualClock
from tests.support.fakes import FakeSecretsManager, no_kms

SOON = Clock().deadline(600)
PEM = keys.pem(keys.rsa_key())
PKCS1 = keys.pem(keys.rsa_key(), pkcs1=True)


def parse(text: str) -> source.SigningKey:
    """Parse a secret's text where the settings carry a client id."""
    return source.parse_secret(text, version_id="v1", default_client_id="from-settings", kms=no_kms)


@pytest.mark.parametrize("pem", [PEM, PKCS1], ids=["pkcs8", "pkcs1"])
@pytest.mark.parametrize(
    "mangle",
    [
        lambda pem: pem,
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: pem.replace("\n", "\\r\\n"),
        lambda pem: pem.replace("\n", " "),
        lambda pem: pem.replace("\n", ""),
        lambda pem: "\n  " + pem.replace("\n", "\n  ") + "\n\n",
        lambda pem: "Bag Attributes\n    localKeyID: 01\n" + pem,
    ],
    ids=["clean", "crlf", "escaped", "escaped-crlf", "spaces", "one-line", "indented", "bag-attributes"],
)
def test_a_pem_works_however_it_was_pasted(pem: str, mangle: Callable[[str], str]) -> None:
    """Consoles, shells and JSON break lines in many ways; the key is the same."""
    text = json.dumps({"client_id": "from-secret", "private_key": mangle(pem)})
    parsed = parse(text)
    assert "from-secret" == parsed.client_id
    assert keys.rsa_key().public_key() == parsed.public_key
    keys.rsa_key().public_key().verify(parsed.signer.sign(b"message", SOON), b"message", PKCS1v15(), SHA256())


def test_a_bare_pem_takes_the_client_id_from_the_settings() -> None:
    """The simplest secret is the key file itself."""
    assert "from-settings" == parse(PEM).client_id


def test_a_certificate_that_fits_is_accepted() -> None:
    """And one that does not is refused before Salesforce calls it an invalid assertion."""
    fits = {"private_key": PEM, "certificate": keys.certificate()}
    assert parse(json.dumps(fits)).signer
    with pytest.raises(SigningKeyUnusable, match="does not belong"):
        parse(json.dumps(fits | {"certificate": keys.certificate("next")}))


def _public_pem() -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return keys.rsa_key().public_key().public_bytes(serialization.Encoding.PEM, form).decode()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "is empty"),
        ("not json", "nothing that is known as a key"),
        ("[]", "a JSON list, not an object"),
        ("[" * 60_000, "nothing that is known as a key"),
        ('{"a":' * 12_000, "damaged at line 1"),
        ("[" * 100_000, "longer than 64 KB"),
        ("{}", "no 'private_key'"),
        (json.dumps({"private_key": ""}), "no 'private_key'"),
        (json.dumps({"private_key": 7}), "no 'private_key'"),
        (json.dumps({"private_key": "MIIE"}), "nothing that is known as a key"),
        (PEM[:-40], "a part is missing"),
        (PEM.replace(PEM.splitlines()[2], ""), "a part is missing"),
        (PEM.replace(PEM[500:520], PEM[501:521]), "damaged"),
        (keys.pem(keys.rsa_key(), password=b"x"), "an encrypted private key"),
        (keys.pem(keys.rsa_key(), pkcs1=True, password=b"x"), "an encrypted private key"),
        (_public_pem(), "a public key"),
        (keys.certificate(), "a certificate"),
        (keys.pem(ec.generate_private_key(ec.SECP256R1())), "an elliptic-curve private key"),
        (keys.pem(ec.generate_private_key(ec.SECP256R1()), pkcs1=True), "elliptic-curve"),
        (keys.pem(ed25519.Ed25519PrivateKey.generate()), "an Ed25519 private key"),
        (keys.pem(keys.rsa_key(bits=1024)), "1024 bits"),
        (json.dumps({"private_key": PEM, "client_id": 7}), "consumer key"),
        (json.dumps({"private_key": PEM, "certificate": "x"}), "There is no certificate"),
    ],
)
def test_an_unusable_secret_is_named(text: str, named: str) -> None:
    """The description says what was found, the hint what belongs there, and neither quotes the secret."""
    with pytest.raises(SigningKeyUnusable, match=named) as caught:
        parse(text)
    said = caught.value.description + caught.value.hint
    assert caught.value.hint
    assert not [line for line in PEM.splitlines()[1:-1] if line in said]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_without_any_client_id_the_error_says_where_to_put_it() -> None:
    """Neither secret nor settings have it."""
    with pytest.raises(SigningKeyUnusable, match="consumer key") as caught:
        source.parse_secret(PEM, version_id="v1", default_client_id="", kms=no_kms)
    assert "SALESFORCE_CLIENT_ID" in caught.value.hint


def test_the_key_is_not_in_the_repr() -> None:
    """Nor is what is derived from it."""
    parsed = parse(PEM)
    assert "SigningKey(client_id='from-settings', version_id='v1')" == repr(parsed)


def test_the_sealing_key_belongs_to_the_private_key() -> None:
    """The same key in another coat seals alike; another key does not."""
    assert parse(PEM).sealing_key == parse(PKCS1).sealing_key
    assert parse(PEM).sealing_key != parse(keys.pem(keys.rsa_key("next"))).sealing_key


@given(st.text())
def test_no_secret_makes_another_exception(text: str) -> None:
    """Whatever somebody stores."""
    with pytest.raises(SigningKeyUnusable):
        parse(text)


def test_the_key_is_pulled_once() -> None:
    """current() holds it."""
    secrets = FakeSecretsManager(keys.secret())
    source = SigningKeySource(cast("Any", secrets), secret_arn="arn", client_id="", kms=no_kms, clock=ManualClock().clock())
    assert source.current(SOON) is source.current(SOON)
    assert 1 == secrets.calls


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        ("ResourceNotFoundException", False),
        ("AccessDeniedException", False),
        ("DecryptionFailure", False),
        ("InvalidRequestException", False),
        ("ThrottlingException", True),
        ("InternalServiceError", True),
    ],
)
def test_a_secret_that_cannot_be_read_says_why(code: str, retryable: bool) -> None:
    """What somebody has to mend is not retryable, what AWS has to mend is; neither repeats AWS's message."""
    secrets = FakeSecretsManager(keys.secret())
    secrets.fails_with = code
    source = SigningKeySource(cast("Any", secrets), secret_arn="arn", client_id="", kms=no_kms, clock=ManualClock().clock())
    with pytest.raises(SigningKeyUnavailable) as caught:
        source.current(SOON)
    assert retryable == caught.value.retryable
    assert caught.value.hint
    assert "must not be repeated" not in caught.value.description + caught.value.hint


def test_a_binary_secret_is_read_as_it_is() -> None:
    """DER is no text: decoding it would damage it."""
    form = serialization.PrivateFormat.PKCS8
    der = keys.rsa_key().private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
    for binary in (der, keys.secret().encode(), PEM.encode("utf-16")):
        secrets = FakeSecretsManager("")
        secrets.get_secret_value = lambda binary=binary, **_: {"SecretBinary": binary, "VersionId": "v1"}  # type: ignore[method-assign]
        source = SigningKeySource(
            cast("Any", secrets), secret_arn="arn", client_id=keys.CLIENT_ID, kms=no_kms, clock=ManualClock().clock()
        )
        assert keys.rsa_key().public_key() == source.current(SOON).public_key


def test_an_unusable_secret_heals_without_a_restart() -> None:
    """Nothing of a failure is held."""
    secrets = FakeSecretsManager("{}")
    source = SigningKeySource(cast("Any", secrets), secret_arn="arn", client_id="", kms=no_kms, clock=ManualClock().clock())
    with pytest.raises(SigningKeyUnusable):
        source.current(SOON)
    secrets.text = keys.secret()
    assert keys.CLIENT_ID == source.current(SOON).client_id
