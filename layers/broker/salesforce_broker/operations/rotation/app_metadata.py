"""The app in Salesforce, as files of its Metadata API: a project to set up an org with, and a package with a certificate. Pure.

Source: Metadata API Developer Guide, ExternalClientApplication, ExtlClntAppGlobalOauthSettings (its `certificate`: "When
provided, it enables the JWT Bearer flow"), ExtlClntAppOauthSettings, ExtlClntAppOauthConfigurablePolicies, ConnectedApp. The
endings of the names are those that Salesforce gives the parts of an app made in Setup.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

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


def package(app: App, certificate: str) -> dict[str, str]:
    """Return what changes the certificate of an app and nothing else, by path in a deployment's zip."""
    if app.kind == "connected":
        member, path, text = app.name, f"connectedApps/{app.name}.connectedApp", _connected_app(app, certificate)
    else:
        member = f"{app.name}_glbloauth"
        path, text = f"extlClntAppGlobalOauthSets/{member}.ecaGlblOauth", _global_oauth(app, certificate)
    kind = "ConnectedApp" if app.kind == "connected" else "ExtlClntAppGlobalOauthSettings"
    members = f"    <types>\n        <members>{escape(member)}</members>\n        <name>{kind}</name>\n    </types>\n"
    return {path: text, "package.xml": _document("Package", f"{members}    <version>{API_VERSION}</version>\n")}


def project(app: App, certificate: str) -> dict[str, str]:
    """Return a project for `sf project deploy start`: the app, and the permission set of who may log in by it; by path."""
    base, name = "force-app/main/default", app.name
    files = {
        "sfdx-project.json": json.dumps(
            {"packageDirectories": [{"path": "force-app", "default": True}], "sourceApiVersion": API_VERSION}, indent=2
        ),
        f"{base}/permissionsets/{name}.permissionset-meta.xml": _element(
            "PermissionSet",
            {
                "description": "May be logged in by the Salesforce Token Broker",
                "hasActivationRequired": "false",
                "label": name,
                "userPermissions": {"enabled": "true", "name": "ApiEnabled"},
            },
        ),
    }
    if app.kind == "connected":
        return files | {f"{base}/connectedApps/{name}.connectedApp-meta.xml": _connected_app(app, certificate)}
    return files | {
        f"{base}/externalClientApps/{name}.eca-meta.xml": _element(
            "ExternalClientApplication",
            {
                "contactEmail": app.contact,
                "description": "Salesforce Token Broker: logs in by the JWT bearer flow, with a key that lies in AWS",
                "distributionState": "Local",
                "isProtected": "false",
                "label": name,
            },
        ),
        f"{base}/extlClntAppGlobalOauthSets/{name}_glbloauth.ecaGlblOauth-meta.xml": _global_oauth(app, certificate),
        f"{base}/extlClntAppOauthSettings/{name}_oauth.ecaOauth-meta.xml": _element(
            "ExtlClntAppOauthSettings",
            {"commaSeparatedOauthScopes": ", ".join(SCOPES), "externalClientApplication": name, "label": f"{name}_oauth"},
        ),
        f"{base}/extlClntAppOauthPolicies/{name}_oauthPlcy.ecaOauthPlcy-meta.xml": _element(
            "ExtlClntAppOauthConfigurablePolicies",
            {
                "commaSeparatedPermissionSet": name,
                "externalClientApplication": name,
                "ipRelaxationPolicyType": "Enforce",
                "label": f"{name}_oauthPlcy",
                "permittedUsersPolicyType": "AdminApprovedPreAuthorized",
                "refreshTokenPolicyType": "Zero",
            },
        ),
    }


def _global_oauth(app: App, certificate: str) -> str:
    return _element(
        "ExtlClntAppGlobalOauthSettings",
        {
            "callbackUrl": CALLBACK_URL,
            "certificate": certificate.strip(),
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


def _connected_app(app: App, certificate: str) -> str:
    scopes = "".join(f"        <scopes>{scope}</scopes>\n" for scope in SCOPES)
    key = f"        <consumerKey>{escape(app.consumer_key)}</consumerKey>\n" if app.consumer_key else ""
    return _document(
        "ConnectedApp",
        f"    <contactEmail>{escape(app.contact)}</contactEmail>\n"
        f"    <label>{escape(app.name)}</label>\n"
        "    <oauthConfig>\n"
        f"        <callbackUrl>{CALLBACK_URL}</callbackUrl>\n"
        f"        <certificate>{escape(certificate.strip())}</certificate>\n"
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


def _element(kind: str, fields: Mapping[str, str | Mapping[str, str]]) -> str:
    return _document(kind, _fields(fields, "    "))


def _fields(fields: Mapping[str, str | Mapping[str, str]], indent: str) -> str:
    lines = []
    for name, value in fields.items():
        inner = escape(value) if isinstance(value, str) else f"\n{_fields(value, indent + '    ')}{indent}"
        lines.append(f"{indent}<{name}>{inner}</{name}>\n")
    return "".join(lines)


def _document(kind: str, content: str) -> str:
    namespace = "http://soap.sforce.com/2006/04/metadata"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{kind} xmlns="{namespace}">\n{content}</{kind}>\n'
