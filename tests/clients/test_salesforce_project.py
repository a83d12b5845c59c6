"""The project that sets up an org, read by the Salesforce CLI's own parser of source format, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pytest

import salesforce_project
from local_salesforce import KeyMaterial
from salesforce_broker.operations.rotation import app_metadata
from salesforce_broker.operations.rotation.app_metadata import App
from tests.clients.conftest import Bench

NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"

PARTS = {
    "external": {
        "ExternalClientApplication": "Token_Broker",
        "ExtlClntAppGlobalOauthSettings": "Token_Broker_glbloauth",
        "ExtlClntAppOauthSettings": "Token_Broker_oauth",
        "ExtlClntAppOauthConfigurablePolicies": "Token_Broker_oauthPlcy",
        "PermissionSet": "Token_Broker",
    },
    "connected": {"ConnectedApp": "Token_Broker", "PermissionSet": "Token_Broker"},
}


def converted(bench: Bench) -> dict[str, str]:
    """Have the CLI make a package of the project; return the members of its manifest, by type."""
    done = bench.cli("project", "convert", "source", "--root-dir", "force-app", "--output-dir", "package")
    assert done["status"] == 0, done
    manifest = ElementTree.parse(bench.home / "package" / "package.xml").getroot()  # noqa: S314  the CLI's own
    return {
        str(types.findtext(f"{NAMESPACE}name")): str(types.findtext(f"{NAMESPACE}members"))
        for types in manifest.iter(f"{NAMESPACE}types")
    }


def write(bench: Bench, key: KeyMaterial, kind: str) -> None:
    """Write the project where the CLI runs."""
    certificate = bench.home / "server.crt"
    certificate.write_text(key.certificate)
    arguments = ["--certificate", str(certificate), "--app", "Token_Broker", "--contact", "admin@acme.example", "--kind", kind]
    salesforce_project.main([*arguments, "--folder", str(bench.home)])


@pytest.mark.parametrize("kind", ["external", "connected"])
def test_the_salesforce_cli_understands_every_part(
    bench: Bench, salesforce_key: KeyMaterial, kind: Literal["external", "connected"]
) -> None:
    """Each file is of a type that it knows, by folder, suffix and root; with the certificate, and no private key."""
    write(bench, salesforce_key, kind)
    assert PARTS[kind] == converted(bench)
    texts = [path.read_text() for path in (bench.home / "package").rglob("*") if path.is_file()]
    body = salesforce_key.certificate.strip().splitlines()[1]
    assert 1 == sum(body in text for text in texts)
    assert not [text for text in texts if "PRIVATE" in text]


def test_a_file_of_no_known_type_would_be_noticed(bench: Bench, salesforce_key: KeyMaterial) -> None:
    """The check above can fail."""
    write(bench, salesforce_key, "external")
    (wrong,) = (bench.home / "force-app").rglob("*.ecaOauthPlcy-meta.xml")
    wrong.rename(wrong.with_name("Token_Broker.ecaPolicy-meta.xml"))
    done = bench.cli("project", "convert", "source", "--root-dir", "force-app", "--output-dir", "package")
    assert done["status"] != 0 or "ExtlClntAppOauthConfigurablePolicies" not in converted(bench)


@pytest.mark.parametrize("kind", ["external", "connected"])
def test_what_an_upload_deploys_is_a_package_that_the_cli_reads(
    bench: Bench, salesforce_key: KeyMaterial, kind: Literal["external", "connected"]
) -> None:
    """Metadata format: the CLI turns it into source again."""
    app = App("Token_Broker", kind, "3MVG9.key", "admin@acme.example")
    for path, text in app_metadata.package(app, salesforce_key.certificate).items():
        file = bench.home / "deploy" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (bench.home / "sfdx-project.json").write_text('{"packageDirectories": [{"path": "source", "default": true}]}')
    (bench.home / "source").mkdir()
    done = bench.cli("project", "convert", "mdapi", "--root-dir", "deploy", "--output-dir", "source")
    assert done["status"] == 0, done
    (file,) = [path for path in (bench.home / "source").rglob("*-meta.xml") if path.is_file()]
    assert Path(file).name.startswith("Token_Broker")
    assert "3MVG9.key" in file.read_text()
