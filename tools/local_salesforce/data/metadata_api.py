"""The Metadata API's REST deployment, as far as it changes an app's certificate.

Forms: Metadata API Developer Guide, "Deploy Metadata with Apex and REST"; ExtlClntAppGlobalOauthSettings, ConnectedApp.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import zipfile
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

from local_salesforce import certificate_file
from local_salesforce.certificates import Certificates
from local_salesforce.data import multipart
from local_salesforce.data.records import Invalid
from local_salesforce.sessions import Sessions
from local_salesforce.wire import Answer, Request
from local_salesforce.world import App, Org, User, World

SETTINGS = {".ecaGlblOauth": "ExtlClntAppGlobalOauthSettings", ".connectedApp": "ConnectedApp"}
"""The types that hold a certificate, by the suffix of their files."""


@dataclass(slots=True)
class _Deployment:
    result: dict[str, Any]
    polls_left: int


class MetadataApi:
    """Deployments; each is done after some polls (a switch)."""

    def __init__(self, world: World, sessions: Sessions, certificates: Certificates) -> None:
        self._world = world
        self._sessions = sessions
        self._certificates = certificates
        self._deployments: dict[str, _Deployment] = {}
        self._numbers = itertools.count(1)

    def answer(self, request: Request, base: str, rest: list[str], user: User) -> Answer:
        """Answer a request below /metadata; Invalid."""
        if rest[:1] != ["deployRequest"]:
            raise Invalid("NOT_FOUND", "The requested resource does not exist")
        if not self._world.profile(user.profile).admin:
            words = "You need the Modify Metadata Through Metadata API Functions or Modify All Data permission."
            return Answer.errors(HTTPStatus.FORBIDDEN, "INSUFFICIENT_ACCESS", words)
        if request.method == "POST" and len(rest) == 1:
            return self._start(request, base)
        deployment = self._deployments.get(rest[1]) if len(rest) > 1 else None
        if request.method != "GET" or deployment is None:
            raise Invalid("NOT_FOUND", "The requested resource does not exist")
        if deployment.polls_left > 0:
            deployment.polls_left -= 1
            return Answer.json(_state(base, rest[1], {"done": False, "status": "InProgress", "success": False}))
        return Answer.json(_state(base, rest[1], deployment.result))

    def _start(self, request: Request, base: str) -> Answer:
        assert request.site.org is not None
        options, package = _parts(request)
        number = f"0Af{next(self._numbers):012}AAA"
        outcomes = self._deploy(request.site.org, package, check_only=bool(options.get("checkOnly")))
        failures = [outcome for outcome in outcomes if not outcome["success"]]
        result = {
            "done": True,
            "status": "Failed" if failures else "Succeeded",
            "success": not failures,
            "checkOnly": bool(options.get("checkOnly")),
            "numberComponentsTotal": len(outcomes),
            "numberComponentsDeployed": 0 if failures else len(outcomes),
            "numberComponentErrors": len(failures),
            "details": {"componentSuccesses": [each for each in outcomes if each["success"]], "componentFailures": failures},
        }
        self._deployments[number] = _Deployment(result, self._world.switches.polls_of_a_deployment)
        pending = {"done": False, "status": "Pending", "success": False}
        return Answer.json(_state(base, number, pending) | {"deployOptions": options}, HTTPStatus.CREATED)

    def _deploy(self, org: Org, package: zipfile.ZipFile, *, check_only: bool) -> list[dict[str, Any]]:
        """Check each component; change certificates only if all succeed."""
        outcomes, changes = [], []
        for name in package.namelist():
            path = PurePosixPath(name)
            if path.suffix not in SETTINGS:
                continue
            outcome = {"fullName": path.stem, "componentType": SETTINGS[path.suffix], "fileName": name, "changed": True}
            try:
                changes.append(self._change(org, path, package.read(name)))
                outcomes.append(outcome | {"success": True})
            except ValueError as problem:
                outcomes.append(outcome | {"success": False, "problem": str(problem), "problemType": "Error"})
        if "package.xml" not in {PurePosixPath(name).name for name in package.namelist()}:
            outcome = {"fullName": "package.xml", "componentType": "", "fileName": "package.xml", "changed": False}
            outcomes.append(outcome | {"success": False, "problem": "No package.xml found", "problemType": "Error"})
        if not check_only and all(outcome["success"] for outcome in outcomes):
            for app, pem in changes:
                switches = self._world.switches
                self._certificates.replace(app, pem, propagation_seconds=switches.certificate_propagation)
                if switches.certificate_swap_ends_sessions:
                    self._sessions.end(consumer_key=app.consumer_key)
        return outcomes

    def _change(self, org: Org, path: PurePosixPath, xml: bytes) -> tuple[App, str]:
        """Return the app and its new certificate; ValueError with Salesforce's text."""
        try:
            settings = ElementTree.fromstring(xml)  # noqa: S314  from a client on this machine; expat knows no bombs any more
        except ElementTree.ParseError as error:
            raise ValueError(f"Error parsing file: {error}") from error
        for element in settings.iter():
            element.tag = element.tag.rpartition("}")[2]
        if settings.tag != SETTINGS[path.suffix]:
            raise ValueError(f"Unexpected element {settings.tag} in a file of type {SETTINGS[path.suffix]}")
        fields = settings.find("oauthConfig") if settings.tag == "ConnectedApp" else settings
        pem = (fields.findtext("certificate") or "").strip() if fields is not None else ""
        try:
            certificate_file.read(pem)
        except certificate_file.InvalidCertificate as error:
            raise ValueError(error.salesforce_text) from None
        assert fields is not None
        names = {
            fields.findtext("consumerKey"),
            settings.findtext("externalClientApplication"),
            settings.findtext("label"),
            path.stem,
        }
        kind = "connected_app" if settings.tag == "ConnectedApp" else "external_client_app"
        for app in self._world.apps:
            if app.org == org.name and app.kind == kind and {app.consumer_key, app.name} & names:
                return app, pem
        raise ValueError(f"In field: externalClientApplication - no app named {path.stem} found")


def _state(base: str, number: str, result: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "url": f"{base}/metadata/deployRequest/{number}", "deployResult": {"id": number, **result}}


def _parts(request: Request) -> tuple[dict[str, Any], zipfile.ZipFile]:
    """Return the two parts of the multipart body: options in JSON, and the package."""
    parts = multipart.parts(request.headers.get("content-type", ""), request.body)
    with contextlib.suppress(KeyError, ValueError, TypeError, zipfile.BadZipFile):
        options = json.loads(parts["json"])["deployOptions"]
        if isinstance(options, dict):
            return options, zipfile.ZipFile(io.BytesIO(parts["file"]))
    raise Invalid(
        "INVALID_MULTIPART_REQUEST", "A part named json with deployOptions and a part named file with a zip are needed"
    )
