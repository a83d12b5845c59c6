"""What is no certificate is refused wherever one is uploaded: files as openssl and ssh-keygen make them."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_salesforce import DEFAULT_CONSUMER_KEY, World
from tests.integration.local_salesforce.conftest import Desk

ROOT = Path(__file__).parents[3]
Make = Callable[[Path], bytes]

INVALID = "The certificate is invalid."


def run(folder: Path, tool: str, *words: str) -> bytes:
    """Run a tool in a folder; return its output."""
    found = shutil.which(tool)
    assert found, f"{tool} is not installed"
    return subprocess.run([found, *words], cwd=folder, check=True, capture_output=True, timeout=60).stdout


def openssl(folder: Path, *words: str) -> None:
    """Run openssl in a folder."""
    run(folder, "openssl", *words)


def certificate(folder: Path, *key: str) -> None:
    """Make a key and a self-signed certificate, as Salesforce's own instructions do."""
    files = ("-keyout", "server.key", "-out", "server.crt")
    openssl(folder, "req", "-x509", "-newkey", *(key or ("rsa:2048",)), "-nodes", *files, "-subj", "/CN=app")


def _private_key(folder: Path) -> bytes:
    certificate(folder)
    return (folder / "server.key").read_bytes()


def _key_and_certificate(folder: Path) -> bytes:
    certificate(folder)
    return (folder / "server.key").read_bytes() + (folder / "server.crt").read_bytes()


def _csr(folder: Path) -> bytes:
    openssl(
        folder, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "a.csr", "-subj", "/CN=app"
    )
    return (folder / "a.csr").read_bytes()


def _public_key(folder: Path) -> bytes:
    certificate(folder)
    openssl(folder, "pkey", "-in", "server.key", "-pubout", "-out", "public.pem")
    return (folder / "public.pem").read_bytes()


def _ssh_public_key(folder: Path) -> bytes:
    certificate(folder)
    return run(folder, "ssh-keygen", "-y", "-f", "server.key")


def _elliptic_curve(folder: Path) -> bytes:
    certificate(folder, "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    return (folder / "server.crt").read_bytes()


def _der(folder: Path) -> bytes:
    certificate(folder)
    openssl(folder, "x509", "-in", "server.crt", "-outform", "DER", "-out", "server.der")
    return (folder / "server.der").read_bytes()


def _der_in_base64(folder: Path) -> bytes:
    return base64.encodebytes(_der(folder))


def _pkcs12(folder: Path) -> bytes:
    certificate(folder)
    openssl(
        folder, "pkcs12", "-export", "-in", "server.crt", "-inkey", "server.key", "-out", "a.p12", "-passout", "pass:secret"
    )
    return (folder / "a.p12").read_bytes()


def _large(folder: Path) -> bytes:
    names = ",".join(f"DNS:host-{number:04}.acme.example" for number in range(150))
    words = ("-nodes", "-keyout", "server.key", "-out", "server.crt", "-subj", "/CN=app", "-addext", f"subjectAltName={names}")
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", *words)
    return (folder / "server.crt").read_bytes()


def _chain(folder: Path) -> bytes:
    certificate(folder)
    return (folder / "server.crt").read_bytes() * 2


def _damaged(folder: Path) -> bytes:
    certificate(folder)
    lines = (folder / "server.crt").read_bytes().splitlines(keepends=True)
    return b"".join(lines[:5] + lines[7:])


FILES: dict[str, tuple[Make, str]] = {
    "private key": (_private_key, "a private key"),
    "private key and certificate": (_key_and_certificate, "a private key"),
    "CSR": (_csr, "a certificate signing request"),
    "public key": (_public_key, "a public key"),
    "public key of ssh-keygen": (_ssh_public_key, "no PEM file"),
    "EC certificate": (_elliptic_curve, "RS256 needs RSA"),
    "DER": (_der, "in DER form"),
    "base64 of DER": (_der_in_base64, "in DER form"),
    "PKCS#12": (_pkcs12, "binary data"),
    "more than 4 KB": (_large, "larger than 4 KB"),
    "chain": (_chain, "a chain of certificates"),
    "damaged": (_damaged, "damaged"),
    "empty": (lambda _: b"", "empty"),
}
TEXTS = [name for name in FILES if name not in {"DER", "PKCS#12"}]
"""JSON and YAML cannot carry the others."""


def body_lines(content: bytes) -> list[str]:
    """Return the lines of a file that must not be in any message."""
    return [line for line in content.decode(errors="replace").splitlines() if len(line) > 40]


@pytest.mark.parametrize("name", list(FILES))
def test_the_command_refuses_it_at_start(tmp_path: Path, name: str) -> None:
    """In one line that names the file and says what it is, without its content."""
    make, reason = FILES[name]
    path = tmp_path / "upload.crt"
    path.write_bytes(make(tmp_path))
    command = [sys.executable, "-m", "local_salesforce", "--port", "0", "--certificate", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    (line,) = ended.stderr.splitlines()
    assert 1 == ended.returncode
    assert line.startswith(f"FAILED: {path}: The certificate is ")
    assert reason in line
    assert [] == [each for each in body_lines(path.read_bytes()) if each in line]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("way", ["PATCH", "POST"])
def test_the_admin_api_refuses_it(desk: Desk, tmp_path: Path, way: str, name: str) -> None:
    """400 with the reason in plain text; nothing has changed, not even what stood beside it."""
    make, reason = FILES[name]
    content = make(tmp_path)
    fields: dict[str, Any] = {"certificate": content.decode(), "scopes": "full"}
    path = f"apps/{DEFAULT_CONSUMER_KEY}" if way == "PATCH" else "apps"
    if way == "POST":
        fields |= {"consumer_key": "3MVG9.new", "org": "acme"}
    answer = desk.session.request(way, f"{desk.salesforce.url}/__admin/{path}", json=fields, timeout=30)
    assert 400 == answer.status_code
    assert reason in answer.json()["error"]
    assert [] == [line for line in body_lines(content) if line in answer.text]
    assert "api id" == desk.log_in().json()["scope"]
    assert 3 == len(desk.salesforce.world.apps)


@pytest.mark.parametrize("name", TEXTS)
def test_a_world_file_with_it_is_refused(tmp_path: Path, name: str) -> None:
    """With the field's name and the reason, and without the content."""
    make, reason = FILES[name]
    content = make(tmp_path)
    data = World.default().model_dump(mode="json")
    data["apps"][0]["certificate"] = content.decode()
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ValueError, match="certificate") as raised:
        World.load(path)
    assert reason in str(raised.value)
    assert [] == [line for line in body_lines(content) if line in str(raised.value)]


def test_a_certificate_of_openssl_is_taken(desk: Desk, tmp_path: Path) -> None:
    """With comments around it, too, as exports from keystores have."""
    certificate(tmp_path)
    pem = (tmp_path / "server.crt").read_text()
    for text in (pem, f"Bag Attributes\n    friendlyName: app\n{pem}\n", pem.replace("\n", "\r\n")):
        desk.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, text)
        assert desk.log_in(key=(tmp_path / "server.key").read_text()).ok
