"""Write the app in Salesforce as a project for the Salesforce CLI, of a stack's values: its certificate, as it lies in SSM.

    make salesforce-project STACK=salesforce-token-broker APP=Token_Broker CONTACT=you@acme.example

Then `sf project deploy start --target-org <org>` in the folder that it names. Never touches a private key.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import boto3

from salesforce_broker.operations.rotation.app_metadata import App, project


def certificate_of(stack: str) -> str:
    """Return the certificate that the stack has published; SystemExit says what is missing."""
    outputs = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    names = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    if "CertificateParameter" not in names:
        sys.exit(f"{stack} has no output CertificateParameter: is it a stack of the token broker?")
    parameters = boto3.client("ssm")
    try:
        return str(parameters.get_parameter(Name=names["CertificateParameter"])["Parameter"]["Value"])
    except parameters.exceptions.ParameterNotFound:
        sys.exit("There is no key yet: invoke RotateKeyFunction with the action create first.")


def main(arguments: list[str] | None = None) -> None:
    """Write the project."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--stack", help="the stack's name")
    source.add_argument("--certificate", type=Path, help="a certificate's file instead")
    parser.add_argument("--app", default="Salesforce_Token_Broker", help="API name of the app (and of its permission set)")
    parser.add_argument("--contact", required=True, help="e-mail address that Salesforce wants for an app")
    parser.add_argument("--kind", choices=("external", "connected"), default="external", help="connected: for old orgs alone")
    parser.add_argument("--consumer-key", default="", help="of an app that exists; Salesforce makes that of a new one")
    parser.add_argument("--folder", type=Path, default=Path("salesforce"))
    options = parser.parse_args(arguments)
    certificate = options.certificate.read_text() if options.certificate else certificate_of(options.stack)
    app = App(options.app, options.kind, options.consumer_key, options.contact)
    for path, text in project(app, certificate).items():
        file = options.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    print(f"{options.folder} is a project: sf project deploy start --target-org <org>, in there.")
    print(f"Then assign the permission set: sf org assign permset --name {options.app} --on-behalf-of <integration user>")


if __name__ == "__main__":
    main()
