"""Uploads a certificate to an app in Salesforce: a deployment by the Metadata API, through an administrator's connection.

Source: Metadata API Developer Guide, "Deploy Metadata with REST" (deployRequest).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from salesforce_broker.clock import Clock, Deadline
from salesforce_broker.errors import AppRefused, SalesforceBusy
from salesforce_broker.operations.rotation import app_metadata
from salesforce_broker.operations.rotation.app_metadata import App
from salesforce_broker.salesforce.access_token import AccessToken
from salesforce_broker.salesforce.transport import Reply, Transport

PATH = f"/services/data/v{app_metadata.API_VERSION}/metadata/deployRequest"

PAUSE_SECONDS = 2.0
"""Between two requests for a deployment's state; one of a certificate takes some seconds."""

_OPTIONS = {"deployOptions": {"rollbackOnError": True, "singlePackage": True, "checkOnly": False, "ignoreWarnings": False}}

_HINT = (
    "The administrator's user needs 'Modify Metadata Through Metadata API Functions' and the permissions to manage the app and"
    " to see its consumer secret in metadata; SalesforceAppName must be the app's API name."
)


class CertificateUpload:
    """Uploads certificates to apps."""

    def __init__(
        self, *, admin: Callable[[Deadline], AccessToken], transport: Transport, app: Callable[[str], App], clock: Clock
    ) -> None:
        """`admin` logs the administrator in; `app` tells which one has a consumer key."""
        self._admin = admin
        self._transport = transport
        self._app = app
        self._clock = clock

    def upload(self, consumer_key: str, certificate: str, deadline: Deadline) -> None:
        """Replace an app's certificate; SalesforceBusy if it is not done in time, AppRefused if Salesforce does not do it."""
        admin = self._admin(deadline)
        url = admin.instance_url + PATH
        package = {
            "json": (None, json.dumps(_OPTIONS), "application/json"),
            "file": (
                "package.zip",
                _zipped(app_metadata.package(self._app(consumer_key), certificate)),
                "application/zip",
            ),
        }
        started = _read(self._transport.post_files(url, admin.value, package, deadline), HTTPStatus.CREATED)
        number = str(started.get("id"))
        if not number.isalnum():
            raise SalesforceBusy("Salesforce's answer names no deployment.")
        while True:
            result = _read(self._transport.get(f"{url}/{number}", admin.value, deadline), HTTPStatus.OK).get("deployResult")
            if isinstance(result, dict) and result.get("done"):
                break
            if deadline.seconds_left <= PAUSE_SECONDS:
                raise SalesforceBusy("Salesforce has not deployed the certificate in time.")
            self._clock.sleep(PAUSE_SECONDS)
        if not result.get("success"):
            raise AppRefused(
                "Salesforce did not deploy the certificate.",
                hint=f"Setup > Deployment Status > {number} has the reason. {_HINT}",
            )


def _zipped(files: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        for path, text in files.items():
            package.writestr(path, text)
    return content.getvalue()


def _read(reply: Reply, expected: HTTPStatus) -> dict[str, Any]:
    """Return the answer's JSON; of any other answer say only what it means."""
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
        raise AppRefused(f"The Metadata API refused the deployment ({reply.status}).", hint=_HINT)
    try:
        answer = json.loads(reply.body) if reply.status == expected else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise SalesforceBusy("The Metadata API gave no answer that could be understood.")
    return answer
