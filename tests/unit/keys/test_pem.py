"""The reader of key text, whatever it is given: one exception, linear time, and a short way for what a cold start reads."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from salesforce_broker.errors import SigningKeyUnusable
from salesforce_broker.keys import der, pem
from salesforce_broker.keys.key_text import KeyText
from salesforce_broker.keys.refusals import MAX_KEY_BITS, Kind
from tests.support import keys

PEM = keys.pem(keys.rsa_key())
DER = keys.rsa_key().private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
VALID: list[str | bytes] = [
    PEM,
    keys.secret(),
    keys.certificate(),
    keys.certificate() + PEM,
    keys.secret().encode("utf-16"),
    base64.b64encode(PEM.encode()),
    json.dumps(keys.secret()),
    DER,
    keys.rsa_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()),
]

PIECES = [
    "-----BEGIN PRIVATE KEY-----",
    "-----END",
    "-",
    "\\n",
    "\r",
    "\0",
    '"',
    "{",
    "[",
    "\ufeff",
    "=",
    "%0A",
    "Proc-Type: 4,ENCRYPTED",
]

LIBRARY = Path(__file__).parents[3] / "layers" / "broker"


def read(content: Any) -> None:
    """Read a text in each way; SigningKeyUnusable alone may come, without a cause or a context."""
    for reader in (pem.read_key_material, pem.read_certificate, pem.read_secret_fields):
        try:
            reader(content)
        except SigningKeyUnusable as error:
            assert error.hint
            assert error.__cause__ is None
            assert error.__context__ is None


@given(
    st.one_of(
        st.none(),
        st.integers(),
        st.text(),
        st.binary(),
        st.binary().map(lambda tail: b"\x30\x82" + tail),
        st.lists(st.text()),
        st.dictionaries(st.text(), st.text()),
        st.dictionaries(st.sampled_from(["private_key", "key", "certificate", "client_id"]), st.text()).map(json.dumps),
        st.recursive(st.none() | st.text() | st.integers(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)).map(
            json.dumps
        ),
    )
)
def test_no_input_of_any_type_makes_another_exception(content: object) -> None:
    """Whatever somebody stores or sends."""
    read(content)


@settings(max_examples=150)
@given(data=st.data())
def test_no_mutation_of_a_valid_text_makes_another_exception(data: st.DataObject) -> None:
    """Cut, repeated, with a byte changed, or with what has a meaning put somewhere into it."""
    valid = data.draw(st.sampled_from(VALID))
    text = valid if isinstance(valid, str) else valid.decode("latin-1")
    begin, end = sorted((data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))))
    piece = data.draw(st.sampled_from(PIECES) | st.text(max_size=3))
    changed = data.draw(
        st.sampled_from(
            [
                text[:begin],
                text[begin:],
                text[:begin] + text[end:],
                text[:end] + text[begin:],
                text[:begin] + piece + text[begin:],
            ]
        )
    )
    read(changed)
    if isinstance(valid, bytes):
        read(changed.encode("latin-1", errors="replace"))


@settings(max_examples=100)
@given(at=st.integers(0, len(DER) - 1), value=st.integers(0, 255))
def test_no_changed_byte_of_a_key_makes_another_exception(at: int, value: int) -> None:
    """Lengths, tags, numbers."""
    read(DER[:at] + bytes([value]) + DER[at + 1 :])


@pytest.mark.parametrize(
    "unit",
    [
        "-", "\\", "\\n", " ", "\n", "A", "=", '"', "-BEGIN", "-END ",
        "-BEGIN A-", "-BEGIN A-\n-END A-", '" ', '" +', "%0A", "[",
        "{", "\0", "\ufeff", "client_id", "client_id: ", "A:\n", "Proc-Type", "arn:aws", "<", "your ", "0\x82", "x",
        "/a", "ssh-rsa ",
    ],
)  # fmt: skip
def test_a_text_is_read_in_linear_time(unit: str) -> None:
    """Eight times the text takes some eight times as long, not sixty-four."""

    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        tries = []
        for _ in range(3):
            begin = time.process_time()
            read(text)
            read("{" + text)
            tries.append(time.process_time() - begin)
        return min(tries)

    small, large = seconds(pem.MAX_CONTENT // 8 - 1), seconds(pem.MAX_CONTENT - 1)
    assert large < 24 * small + 0.02


def test_a_clean_secret_is_read_without_the_search_for_odd_forms() -> None:
    """A cold start neither imports nor compiles what it does not need."""
    program = (
        "import sys; from salesforce_broker.keys import pem; text = sys.stdin.read();"
        " pem.read_secret_fields(text); pem.read_key_material(text);"
        " print('salesforce_broker.keys.key_text' in sys.modules)"
    )
    fields = json.loads(keys.secret())
    for text, searched in (
        (keys.secret(), False),
        (PEM, False),
        (json.dumps(fields | {"certificate": keys.certificate()}), False),
        (json.dumps(fields | {"private_key": PEM.replace("\n", " ")}), True),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(LIBRARY)},
        )
        assert str(searched) == done.stdout.strip()


def test_the_short_way_and_the_search_find_the_same() -> None:
    """The one is only faster."""
    fields = json.loads(keys.secret()) | {"certificate": keys.certificate()}
    for text in (keys.secret(), PEM, keys.pem(keys.rsa_key(), pkcs1=True), json.dumps(fields), json.dumps(fields, indent=2)):
        searched = KeyText()
        searched.add(text)
        material = pem.read_key_material(text)
        assert [Kind.RSA] == [block.kind for block in searched.blocks]
        assert {} == searched.forms
        assert () == material.forms
        assert PEM == material.key_pem()


def test_nothing_but_what_was_parsed_is_in_the_material() -> None:
    """The key and one certificate, encoded again; neither is in the repr."""
    certificate = keys.certificate()
    material = pem.read_key_material(PEM, certificate=PEM + certificate, client_id=f" '{keys.CLIENT_ID}'\n")
    assert PEM == material.key_pem()
    assert certificate == material.certificate_pem()
    assert keys.CLIENT_ID == material.client_id
    assert f"KeyMaterial(client_id='{keys.CLIENT_ID}', forms={material.forms!r})" == repr(material)


def test_without_a_certificate_there_is_none_to_encode() -> None:
    """Empty, as the field of a secret that has none."""
    assert "" == pem.read_key_material(PEM).certificate_pem()


@pytest.mark.parametrize(
    "given_id", [" 3MVG9.a_b ", '"3MVG9.a_b"', "'3MVG9.a_b'\n", "3MVG9.a_b\r\n", "\ufeff3MVG9.a_b", "3MVG9.a_b\\n"]
)
def test_a_consumer_key_is_freed_of_what_is_around_it(given_id: str) -> None:
    """And the log says that it was."""
    material = pem.read_key_material(json.dumps({"client_id": given_id, "private_key": PEM}))
    assert "3MVG9.a_b" == material.client_id
    assert (pem.ODD_CLIENT_ID,) == material.forms


@pytest.mark.parametrize(
    "given_id",
    ["3MVG9 a", "3MVG9\ta", "3MVG9\n3MVG9", "3MVG9\x00a", "<consumer key>", "3MVG9ü", "a" * 257, 7, ["a"], True, " "],
)
def test_a_consumer_key_that_cannot_be_one_is_refused(given_id: object) -> None:
    """It would be sent to Salesforce, and into logs."""
    with pytest.raises(SigningKeyUnusable, match="client_id") as caught:
        pem.read_key_material(json.dumps({"client_id": given_id, "private_key": PEM}))
    assert "3MVG9" not in caught.value.description + caught.value.hint


def test_the_argument_and_the_text_may_not_name_different_apps() -> None:
    """One of them would be ignored."""
    text = json.dumps({"client_id": "one", "private_key": PEM})
    assert "one" == pem.read_key_material(text, client_id="one").client_id
    with pytest.raises(SigningKeyUnusable, match="two different consumer keys"):
        pem.read_key_material(text, client_id="two")


def test_the_same_key_in_two_fields_is_one_key() -> None:
    """Another key in the second field is another key."""
    assert PEM == pem.read_key_material(json.dumps({"private_key": PEM, "key": keys.pem(keys.rsa_key(), pkcs1=True)})).key_pem()
    with pytest.raises(SigningKeyUnusable, match="two different private keys"):
        pem.read_key_material(json.dumps({"private_key": PEM, "key": keys.pem(keys.rsa_key("next"))}))


def test_key_and_certificate_in_each_other_s_field_are_taken() -> None:
    """Both are there, and what they are is plain."""
    certificate = keys.certificate()
    material = pem.read_key_material(json.dumps({"private_key": certificate, "certificate": PEM}))
    assert PEM == material.key_pem()
    assert certificate == material.certificate_pem()


def test_fields_of_a_secret_have_their_own_names() -> None:
    """Other fields stay as they are: who changes the key refuses them."""
    fields = pem.read_secret_fields('{"kmsKeyArn": "arn", "sealing-key": "c2VhbA==", "host": "x", "Private Key": ""}')
    assert {"kms_key_arn": "arn", "sealing_key": "c2VhbA==", "host": "x", "private_key": ""} == fields
    assert {"private_key": PEM} == pem.read_secret_fields(PEM)
    assert {"private_key": PEM.strip()} == pem.read_secret_fields(f"\ufeff{PEM}")


def test_a_giant_number_is_refused_before_it_is_checked() -> None:
    """A check of 40,000 bits takes hours."""

    def integer(value: int) -> bytes:
        content = value.to_bytes(value.bit_length() // 8 + 1)
        return b"\x02\x82" + len(content).to_bytes(2) + content

    giant = integer((1 << 40_000) + 1)
    modulus = integer((1 << (MAX_KEY_BITS - 1)) + 1)
    for first, named in ((giant, "40001 bits"), (modulus, "damaged")):
        numbers = b"\x02\x01\x00" + first + integer(65537) + giant + integer(1) * 5
        with pytest.raises(SigningKeyUnusable, match=named):
            pem.read_key_material(b"\x30\x82" + len(numbers).to_bytes(2) + numbers)


def test_a_public_certificate_is_named_as_a_library_reads_it() -> None:
    """The outer parts tell the same as the whole."""
    certificate = x509.load_pem_x509_certificate(keys.certificate().encode())
    assert Kind.CERTIFICATE is der.kind(certificate.public_bytes(serialization.Encoding.DER))
    assert Kind.RSA is der.kind(DER)
