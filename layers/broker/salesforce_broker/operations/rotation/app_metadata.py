"""An app in Salesforce as files of the Metadata API: the package that changes its certificate. Pure.

Source: Metadata API Developer Guide, ExternalClientApplication, ExtlClntAppGlobalOauthSettings (its `certificate`: "When
provided, it enables the JWT Bearer flow"), ExtlClntAppOauthSettings, ExtlClntAppOauthConfigurablePolicies, ConnectedApp. The
endings of the names are those that Salesforce gives the parts of an app made in Setup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from cryptography import x509

from salesforce_broker.keys.pem import encode_certificate

API_VERSION = "65.0"

CALLBACK_URL = "https://login.salesforce.com/services/oauth2/success"
"""An app must have one; this flow never goes there."""

SCOPES = ("Api", "Basic", "RefreshToken")
"""api and id; without refresh_token some orgs take a user that was approved for one that was not. None is given out."""

Kind = Literal["external", "connected"]


@dataclass(frozen=True, slots=True)
class App:
    """An app by its API name. `consumer_key`: empty until Salesforce has made one."""

    name: str
    kind: Kind = "external"
    consumer_key: str = ""
    contact: str = ""


def package(app: App, certificate: x509.Certificate) -> dict[str, str]:
    """Return what changes the certificate of an app and nothing else, by path in a deployment's zip."""
    if app.kind == "connected":
        member, path, text = app.name, f"connectedApps/{app.name}.connectedApp", connected_app(app, certificate)
    else:
        member = f"{app.name}_glbloauth"
        path, text = f"extlClntAppGlobalOauthSets/{member}.ecaGlblOauth", global_oauth(app, certificate)
    kind = "ConnectedApp" if app.kind == "connected" else "ExtlClntAppGlobalOauthSettings"
    members = f"    <types>\n        <members>{escape(member)}</members>\n        <name>{kind}</name>\n    </types>\n"
    return {path: text, "package.xml": document("Package", f"{members}    <version>{API_VERSION}</version>\n")}


def global_oauth(app: App, certificate: x509.Certificate) -> str:
    """Return the settings of an external client app that hold its certificate."""
    return element(
        "ExtlClntAppGlobalOauthSettings",
        {
            "callbackUrl": CALLBACK_URL,
            "certificate": encode_certificate(certificate).strip(),
            **({"consumerKey": app.consumer_key} if app.consumer_key else {}),
            "externalClientApplication": app.name,
            "isConsumerSecretOptional": "false",
            "isIntrospectAllTokens": "false",
            "isPkceRequired": "true",
            "isSecretRequiredForRefreshToken": "true",
            "label": f"{app.name}_glbloauth",
            "shouldRotateConsumerKey": "false",
            "shouldRotateConsumerSecret": "false",
        },
    )


def connected_app(app: App, certificate: x509.Certificate) -> str:
    """Return a connected app."""
    scopes = "".join(f"        <scopes>{scope}</scopes>\n" for scope in SCOPES)
    key = f"        <consumerKey>{escape(app.consumer_key)}</consumerKey>\n" if app.consumer_key else ""
    return document(
        "ConnectedApp",
        f"    <contactEmail>{escape(app.contact)}</contactEmail>\n"
        f"    <label>{escape(app.name)}</label>\n"
        "    <oauthConfig>\n"
        f"        <callbackUrl>{CALLBACK_URL}</callbackUrl>\n"
        f"        <certificate>{escape(encode_certificate(certificate).strip())}</certificate>\n"
        f"{key}"
        "        <isAdminApproved>true</isAdminApproved>\n"
        f"{scopes}"
        "    </oauthConfig>\n"
        "    <oauthPolicy>\n"
        "        <ipRelaxation>ENFORCE</ipRelaxation>\n"
        "        <refreshTokenPolicy>zero</refreshTokenPolicy>\n"
        "    </oauthPolicy>\n"
        f"    <permissionSetName>{escape(app.name)}</permissionSetName>\n",
    )


def element(kind: str, fields: Mapping[str, str | Mapping[str, str]]) -> str:
    """Return a document with these elements."""
    return document(kind, _fields(fields, "    "))


def _fields(fields: Mapping[str, str | Mapping[str, str]], indent: str) -> str:
    lines = []
    for name, value in fields.items():
        inner = escape(value) if isinstance(value, str) else f"\n{_fields(value, indent + '    ')}{indent}"
        lines.append(f"{indent}<{name}>{inner}</{name}>\n")
    return "".join(lines)


def document(kind: str, content: str) -> str:
    """Return a document of the Metadata API."""
    namespace = "http://soap.sforce.com/2006/04/metadata"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{kind} xmlns="{namespace}">\n{content}</{kind}>\n'
