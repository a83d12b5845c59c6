"""No line of a private key is in any sink, whatever text somebody imports or puts into the secret by hand.

Sinks: answers, the certificate's parameter, logs at DEBUG, events, metadata packages, exceptions with all that they carry.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ParamValidationError

from local_salesforce import KeyMaterial
from salesforce_broker import observability
from salesforce_broker.errors import BrokerError
from salesforce_broker.operations.rotation import steps
from salesforce_broker.salesforce.transport import Transport
from tests.support import keys
from tests.support.key_life import KeyLife
from tests.support.key_texts import ENCODINGS, HAS_KEYTOOL, REFUSED, TEXTS, KeyTools

PAIR = KeyMaterial(keys.pem(keys.rsa_key()), keys.certificate())
MIN_LINE = 24
"""Of base64: what is shorter may be anything."""


class Sinks:
    """A stack with uploads whose every sink is read; `answers` and `packages` show that something went there."""

    def __init__(self, life: KeyLife, log: io.StringIO, patch: pytest.MonkeyPatch) -> None:
        self.life = life
        self._log = log
        self._errors: list[str] = []
        self.answers: list[dict[str, Any]] = []
        self.packages: list[str] = []
        post = Transport.post_files

        def spy(transport: Transport, url: str, bearer: str, files: Any, deadline: Any) -> Any:
            with zipfile.ZipFile(io.BytesIO(files["file"][1])) as package:
                self.packages += [package.read(name).decode() for name in package.namelist()]
            return post(transport, url, bearer, files, deadline)

        patch.setattr(Transport, "post_files", spy)

    def invoke(self, **payload: Any) -> None:
        """Invoke the function; an error is a sink."""
        try:
            self.answers.append(self.life.invoke(payload))
        except BrokerError as error:
            self._errors += [*traceback.format_exception(error), *carried(error)]

    def try_all(self) -> None:
        """Run everything that reads what is pending, then leave nothing pending."""
        for action in ("certificate", "finish", "certificate"):
            self.invoke(action=action)
        self.invoke(action="check", at="2026-11-24T00:00:00Z")
        pending = self.life.secrets_manager.labels.get("AWSPENDING")
        if pending:
            self.invoke(Step="createSecret", SecretId=self.life.secret_arn, ClientRequestToken=pending)
            self.invoke(Step="setSecret", SecretId=self.life.secret_arn, ClientRequestToken=pending)
            if pending == self.life.secrets_manager.labels.get("AWSPENDING"):
                self.life.secrets.update_secret_version_stage(
                    SecretId=self.life.secret_arn, VersionStage="AWSPENDING", RemoveFromVersionId=pending
                )

    def plant(self, content: str | bytes) -> None:
        """Put a pending version into the secret by hand."""
        value: dict[str, Any] = {"SecretString" if isinstance(content, str) else "SecretBinary": content}
        with contextlib.suppress(self.life.secrets.exceptions.ClientError, ParamValidationError):  # empty, or too long
            self.life.secrets.put_secret_value(SecretId=self.life.secret_arn, VersionStages=["AWSPENDING"], **value)

    @property
    def content(self) -> str:
        """Return everything that is in the sinks."""
        parameters = boto3.client("ssm").get_parameters_by_path(Path="/", Recursive=True, WithDecryption=True)["Parameters"]
        sinks = [self._log.getvalue(), *self._errors, *self.packages]
        return "\n".join([*sinks, json.dumps([self.answers, self.life.announced, parameters], default=str)])


def carried(error: BaseException | None) -> Iterator[str]:
    """Yield all that an exception carries, and those that it came from."""
    while error is not None:
        yield repr((error.args, vars(error)))
        error = error.__cause__ or error.__context__


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> KeyTools:
    """Return the tools that people make keys with."""
    return KeyTools(Path(tmp_path_factory.mktemp("keys")))


@pytest.fixture
def sinks(request: pytest.FixtureRequest, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sinks]:
    """Return a stack whose every sink is read."""
    monkeypatch.setattr(steps, "DEFAULT_KEY_BITS", 2048)
    everything, root, own = logging.StreamHandler(log), logging.getLogger(), observability.logger
    before = root.level, own.log_level
    root.addHandler(everything)
    root.setLevel(logging.DEBUG)
    own.setLevel(logging.DEBUG)
    # With uploads an imported key goes to the idle app; with one app a version made by hand needs no consumer key of its own.
    two = "import" in str(getattr(request, "param", ""))
    with KeyLife(pair=PAIR, apps=2 if two else 1, uploads=two) as life:
        life.variables["ALLOW_IMPORT"] = "true"
        yield Sinks(life, log, monkeypatch)
    root.setLevel(before[0])
    own.setLevel(before[1])
    root.removeHandler(everything)


def private_lines(tools: KeyTools) -> set[str]:
    """Return the lines of every private key that the tools made, in each of its forms."""
    assert tools.chain
    texts = [tools.key, tools.pkcs1, tools.other_key, tools.openssh, (tools.folder / "ca.key").read_text(), PAIR.private_key]
    lines = {line for text in texts for line in text.splitlines() if not line.startswith("-----")}
    return {line for line in lines if len(line) >= MIN_LINE}


def text_of(content: str | bytes) -> str:
    """Return a text that can be a field of JSON."""
    return content if isinstance(content, str) else content.decode("latin-1")


WAYS: dict[str, Callable[[Sinks, KeyTools, str | bytes], None]] = {
    "imported key": lambda sinks, tools, text: sinks.invoke(
        action="import", private_key=text_of(text), certificate=tools.certificate
    ),
    "imported certificate": lambda sinks, tools, text: sinks.invoke(
        action="import", private_key=tools.key, certificate=text_of(text)
    ),
    "imported client_id": lambda sinks, tools, text: sinks.invoke(
        action="import", private_key=tools.key, certificate=tools.certificate, client_id=text_of(text)
    ),
    "secret by hand": lambda sinks, _, text: sinks.plant(text),
    "certificate by hand": lambda sinks, tools, text: sinks.plant(
        json.dumps({"private_key": tools.key, "certificate": text_of(text)})
    ),
    "KMS key by hand": lambda sinks, tools, text: sinks.plant(
        json.dumps({"kms_key_arn": text_of(text), "certificate": tools.certificate, "sealing_key": "A" * 43 + "="})
    ),
    "other field by hand": lambda sinks, tools, text: sinks.plant(
        json.dumps({"private_key": tools.key, text_of(text): text_of(text)})
    ),
}


PUBLISHED = {"imported key", "imported certificate", "secret by hand", "certificate by hand"}
"""Ways in which some of the texts are taken; the others are refused throughout."""


@pytest.mark.parametrize(("sinks", "way"), [(way, way) for way in WAYS], indirect=["sinks"], ids=WAYS)
def test_no_line_of_a_private_key_is_in_any_sink(sinks: Sinks, tools: KeyTools, way: str) -> None:
    """For each key text of the matrix in each place; combined files and everything that is refused among them."""
    combined = [tools.certificate + tools.key, tools.key + tools.certificate, tools.exported(), tools.chain + tools.key]
    possible = [each for each in (*TEXTS, *ENCODINGS, *REFUSED) if HAS_KEYTOOL or not each.needs_keytool]
    texts = [*combined, *(tools.make(situation) for situation in possible)]
    for text in texts:
        WAYS[way](sinks, tools, text)
        sinks.try_all()
    found = sinks.content
    assert [] == [line for line in private_lines(tools) if line in found]
    assert "PRIVATE KEY-----" not in found
    published = [answer for answer in sinks.answers if answer.get("certificate")]
    assert (len(published) >= len(combined)) == (way in PUBLISHED)
    assert (len(sinks.packages) > 0) == (way in {"imported key", "imported certificate"})


def test_the_search_finds_what_leaks(sinks: Sinks, tools: KeyTools) -> None:
    """A line of a key in any one of the sinks is seen."""
    line = min(private_lines(tools))
    assert line not in sinks.content
    observability.logger.debug(line)
    assert line in sinks.content
    sinks.answers.append({"certificate": f"x{line}x"})
    sinks.packages.append(line)
    boto3.client("ssm").put_parameter(Name="/broker/certificate", Value=line, Type="SecureString")
    try:
        raise BrokerError("x") from ValueError(line)
    except BrokerError as error:
        carrying = "".join(carried(error))
    assert line in carrying
    assert sinks.content.count(line) >= 4
