"""Key text as real tools write it and real people send it: what is taken, what is refused and how, and that nothing leaks."""

from __future__ import annotations

import base64
import io
import json
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from salesforce_broker.errors import SigningKeyUnusable
from salesforce_broker.keys import pem
from salesforce_broker.keys.refusals import IMPORT_HINT
from salesforce_broker.keys.source import parse_secret
from tests.support import key_texts
from tests.support.fakes import no_kms
from tests.support.key_texts import (
    COMBINATIONS,
    CONSUMER_KEY,
    ENCODINGS,
    LINE_ENDS,
    REFUSED,
    TEXTS,
    WRAPPINGS,
    KeyTools,
    Situation,
)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> KeyTools:
    """Make every file once."""
    return KeyTools(tmp_path_factory.mktemp("keys"))


def made(situation: Situation, tools: KeyTools) -> str | bytes:
    """Make a situation's text."""
    if situation.needs_keytool and not key_texts.HAS_KEYTOOL:
        pytest.skip("keytool (Java) is not on this machine")
    return tools.make(situation)


def secrets_of(tools: KeyTools, content: str | bytes) -> list[str]:
    """Return what of the key, and of the text, must be nowhere."""
    clear = [tools.key, tools.pkcs1, tools.other_key]
    der = serialization.load_pem_private_key(tools.key.encode(), None).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    whole = content if isinstance(content, str) else content.decode("latin-1")
    whole = whole.replace(CONSUMER_KEY, "")
    pieces = [whole[at : at + 24] for at in range(0, len(whole) - 24, 24) if "-----" not in whole[at : at + 24]]
    lines = [line for text in clear for line in key_texts.body(text).splitlines() if len(line) > 16]
    return [*pieces, *lines, der.hex()[64:128], base64.b64encode(der[9:]).decode()[64:128]]


def nothing_of(needles: list[str], *said: str) -> None:
    """Fail if a needle is in anything that was said."""
    assert not [needle for needle in needles if any(needle in each for each in said)]


@pytest.mark.parametrize("situation", TEXTS, ids=lambda situation: situation.name)
@pytest.mark.parametrize(("line_end", "wrapping"), COMBINATIONS)
def test_a_key_is_taken_in_any_form_with_any_line_ends_in_any_wrapping(
    situation: Situation, wrapping: str, line_end: str, tools: KeyTools
) -> None:
    """The key is the same, and so is its certificate where there is one."""
    text = made(situation, tools)
    assert isinstance(text, str)
    material = pem.read_key_material(WRAPPINGS[wrapping](LINE_ENDS[line_end](text)))
    assert tools.key == material.key_pem()
    assert ("CERTIFICATE" in text) == bool(material.certificate)
    assert ("" if wrapping.startswith("bare") else CONSUMER_KEY) == material.client_id


@pytest.mark.parametrize("situation", ENCODINGS, ids=lambda situation: situation.name)
def test_a_key_is_taken_whatever_editors_and_shells_made_of_it(situation: Situation, tools: KeyTools) -> None:
    """And every form that is not the plain one has its name."""
    material = pem.read_key_material(made(situation, tools))
    assert tools.key == material.key_pem()
    assert material.forms


@pytest.mark.parametrize("situation", TEXTS + ENCODINGS, ids=lambda situation: situation.name)
def test_what_was_taken_leaves_nothing_of_the_key_in_log_or_repr(
    situation: Situation, tools: KeyTools, log: io.StringIO, request: pytest.FixtureRequest
) -> None:
    """The odd forms are logged once for a version: which, never what."""
    content = made(situation, tools)
    version_id = request.node.name
    for _ in range(2):
        key = parse_secret(content, version_id=version_id, default_client_id=CONSUMER_KEY, kms=no_kms)
    material = pem.read_key_material(content)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    forms = list(material.forms)
    assert ([("signing key accepted in an unusual form", forms)] if forms else []) == [
        (line["message"], line["forms"]) for line in lines
    ]
    nothing_of(secrets_of(tools, content), log.getvalue(), repr(material), repr(key), str(material))


@pytest.mark.parametrize("situation", REFUSED, ids=lambda situation: situation.name)
def test_what_is_no_usable_key_is_refused_by_its_name_with_the_cure(situation: Situation, tools: KeyTools) -> None:
    """Bare, in JSON and as binary alike; nobody is shown a part of the text, not even in the error's context."""
    content = made(situation, tools)
    variants: list[str | bytes] = [content]
    if isinstance(content, str):
        variants.append(content.encode())
        if not content.startswith(("{", "x")) and content:
            variants.append(key_texts.secret(content))
    for variant in variants:
        with pytest.raises(SigningKeyUnusable) as caught:
            pem.read_key_material(variant)
        error = caught.value
        assert situation.answer == error.description
        assert situation.cure in error.hint
        assert IMPORT_HINT in error.hint
        assert error.__cause__ is None
        assert error.__context__ is None
        shown = "".join(traceback.format_exception(error))
        nothing_of(secrets_of(tools, content), error.description, error.hint, repr(error), shown)


def test_the_certificate_of_the_key_is_chosen_from_a_chain(tools: KeyTools) -> None:
    """And encoded again: one certificate, whatever else was in the text."""
    material = pem.read_key_material(tools.key, certificate=tools.chain + tools.key)
    issued = "-----BEGIN" + tools.chain.split("-----BEGIN")[2]
    assert issued == material.certificate_pem()


def test_a_combined_file_as_certificate_leaves_the_key_behind(tools: KeyTools) -> None:
    """What `openssl pkcs12 -nodes` writes has certificate and key; only the certificate goes on."""
    material = pem.read_key_material(tools.key, certificate=tools.exported())
    assert tools.certificate == material.certificate_pem()
    assert tools.certificate.strip() == tools.openssl("x509", text=tools.exported()).strip()


def test_the_certificate_is_read_alone_from_each_form(tools: KeyTools) -> None:
    """A key in KMS has nothing but its certificate in the secret."""
    for text in (tools.certificate, tools.exported(), LINE_ENDS[r"\n"](tools.certificate), tools.key + tools.certificate):
        read = pem.read_certificate(text).public_bytes(serialization.Encoding.PEM).decode()
        assert tools.certificate == read


def test_of_a_chain_the_certificate_is_read_that_issued_none(tools: KeyTools) -> None:
    """The authority's own is not the app's."""
    issued = pem.read_certificate(tools.chain).public_bytes(serialization.Encoding.PEM).decode()
    assert issued in tools.chain
    assert "authority" not in pem.read_certificate(tools.chain).subject.rfc4514_string()


@pytest.mark.parametrize("text", ["key", "request", "pkcs1"])
def test_what_is_no_certificate_is_refused_by_its_name(text: str, tools: KeyTools) -> None:
    """With the command that checks the right file."""
    with pytest.raises(SigningKeyUnusable, match="There is no certificate: its text holds") as caught:
        pem.read_certificate(getattr(tools, text))
    assert "openssl x509 -in server.crt -noout" in caught.value.hint


def test_a_certificate_of_an_elliptic_curve_or_a_small_key_is_refused(tools: KeyTools) -> None:
    """Salesforce would refuse the signature only."""
    for algorithm, named in (("ec", "not one of an RSA key"), ("rsa:1024", "1024 bits")):
        curve = ("-pkeyopt", "ec_paramgen_curve:P-256") if algorithm == "ec" else ()
        new = ("-newkey", algorithm, *curve, "-nodes", "-keyout", "other.key", "-days", "3", "-subj", "/CN=other")
        with pytest.raises(SigningKeyUnusable, match=named):
            pem.read_certificate(tools.openssl("req", "-x509", *new))


def test_each_command_of_the_cures_cures(tools: KeyTools) -> None:
    """Decrypting, converting and taking out, with the arguments that the hints give."""
    encrypted = tools.openssl("pkcs8", "-topk8", "-passout", f"pass:{key_texts.PASSWORD}", text=tools.key)
    (tools.folder / "encrypted.key").write_text(encrypted)
    password = ("-passin", f"pass:{key_texts.PASSWORD}")
    tools.openssl("pkey", "-in", "encrypted.key", *password, "-out", "decrypted.key")
    tools.ssh_keygen("-p", "-N", key_texts.PASSWORD)
    tools.run("ssh-keygen", "-p", "-m", "PEM", "-f", "id_rsa", "-P", key_texts.PASSWORD, "-N", "")
    tools.pkcs12()
    tools.openssl("pkcs12", "-in", "server.p12", "-nodes", *password, "-out", "taken-out.key")
    for file in ("decrypted.key", "id_rsa", "taken-out.key"):
        assert tools.key == pem.read_key_material((tools.folder / file).read_bytes()).key_pem()


def test_the_page_about_key_text_says_what_the_reader_says() -> None:
    """Each situation with its answer, its cure and a test that there is, in the order of the matrix."""
    page = (Path(__file__).parents[2] / "docs" / "key-text.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ") and line.endswith("` |")]
    rows = [row for row in rows if row[-1].startswith("`test_")]
    expected = [(each.name, "taken") for each in TEXTS + ENCODINGS] + [(each.name, each.answer, each.cure) for each in REFUSED]
    assert expected == [tuple(row[:-1]) for row in rows]
    assert {row[-1].strip("`") for row in rows} <= globals().keys()
