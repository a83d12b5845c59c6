"""The project for the Salesforce CLI, of a stack's values (tests/clients has the CLI itself read it)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import boto3
import pytest
from cryptography import x509
from moto import mock_aws

import salesforce_project
from salesforce_broker.operations.rotation.app_metadata import App, package
from tests.support import keys

NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
CERTIFICATE = x509.load_pem_x509_certificate(keys.certificate().encode())
PARAMETER = "/salesforce-token-broker/stack/certificate"


class FakeStacks:
    """CloudFormation's answer about one stack."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self._outputs = outputs

    def describe_stacks(self, **_: str) -> dict[str, Any]:
        """Describe it."""
        outputs = [{"OutputKey": name, "OutputValue": value} for name, value in self._outputs.items()]
        return {"Stacks": [{"Outputs": outputs}]}


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the outputs of the stack that there is."""
    outputs = {"CertificateParameter": PARAMETER}
    client = boto3.client
    monkeypatch.setattr(
        boto3, "client", lambda name, **rest: FakeStacks(outputs) if name == "cloudformation" else client(name, **rest)
    )
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return outputs


@mock_aws
def test_the_certificate_is_the_stacks(outputs: dict[str, str], tmp_path: Path) -> None:
    """As it lies in SSM; the folder is a project with the app and the permission set."""
    assert outputs
    certificate = keys.certificate()
    boto3.client("ssm").put_parameter(Name=PARAMETER, Value=certificate, Type="String")
    arguments = ["--stack", "stack", "--contact", "admin@acme.example", "--folder", str(tmp_path)]
    salesforce_project.main(arguments)
    (settings,) = tmp_path.rglob("*.ecaGlblOauth-meta.xml")
    found = ElementTree.parse(settings).findtext(f"{NAMESPACE}certificate")  # noqa: S314  our own
    assert certificate.strip() == found
    assert (tmp_path / "sfdx-project.json").exists()


def test_a_combined_file_leaves_its_private_key_behind(tmp_path: Path) -> None:
    """As `openssl pkcs12 -nodes` writes it; and a file without a certificate is named."""
    combined, private_key = tmp_path / "combined.pem", keys.pem(keys.rsa_key())
    certificate = keys.certificate()
    combined.write_text(certificate + private_key)
    options = ["--contact", "admin@acme.example", "--folder", str(tmp_path / "project"), "--certificate"]
    salesforce_project.main([*options, str(combined)])
    written = "".join(path.read_text() for path in (tmp_path / "project").rglob("*") if path.is_file())
    assert certificate.strip() in written
    assert not [line for line in private_key.splitlines() if line in written]
    combined.write_text(private_key)
    with pytest.raises(SystemExit, match="no certificate"):
        salesforce_project.main([*options, str(combined)])


@mock_aws
def test_what_is_missing_is_said(outputs: dict[str, str]) -> None:
    """A key that is not made yet, and a stack that is none."""
    with pytest.raises(SystemExit, match="action create"):
        salesforce_project.certificate_of("stack")
    outputs.clear()
    with pytest.raises(SystemExit, match="no output"):
        salesforce_project.certificate_of("stack")


@pytest.mark.parametrize("kind", ["external", "connected"])
def test_values_are_escaped_and_an_unknown_key_is_left_to_salesforce(kind: Any) -> None:
    """Whatever stands in them, the files are XML; no consumer key before Salesforce has made one."""
    app = App("Broker", kind, "", "a&b@acme.example")
    for files in (salesforce_project.project(app, CERTIFICATE), package(app, CERTIFICATE)):
        texts = [text for path, text in files.items() if not path.endswith(".json")]
        assert [ElementTree.fromstring(text).tag for text in texts]  # noqa: S314  our own
        assert "consumerKey" not in "".join(texts)
    assert "<consumerKey>3MVG9.x</consumerKey>" in "".join(package(App("Broker", kind, "3MVG9.x"), CERTIFICATE).values())


def test_only_pre_authorized_users_of_the_permission_set_are_admitted() -> None:
    """And addresses count: the policy is the strict one."""
    files = salesforce_project.project(App("Broker", contact="a@acme.example"), CERTIFICATE)
    (policy,) = [text for path, text in files.items() if "ecaOauthPlcy" in path]
    for field, value in {
        "permittedUsersPolicyType": "AdminApprovedPreAuthorized",
        "commaSeparatedPermissionSet": "Broker",
        "ipRelaxationPolicyType": "Enforce",
    }.items():
        assert f"<{field}>{value}</{field}>" in policy
