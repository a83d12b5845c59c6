"""The caller's AWS session: credentials, region, CA bundle and clients of boto3 or botocore."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from salesforce_broker_client import errors, fork


class AwsSession:
    """A session that was given, else boto3's default one if somebody has set that up, else one of this object's own.

    In a forked child its own is made anew. One that was given is used on, with the locks of its credentials as they were at the
    fork: where credentials may be refreshed just then, make the Broker, or the session, after the fork.
    """

    def __init__(self, session: Any = None) -> None:
        self._given = session
        self._own: Any = None
        # Sessions of boto3 and botocore serve one thread at a time.
        self._lock = threading.Lock()
        fork.register(self)

    def reset_after_fork(self) -> None:
        """Forget this object's own session, and the lock."""
        self._own = None
        self._lock = threading.Lock()

    def client(self, service: str, region: str | None, config: Any) -> Any:
        """Make a client; BrokerError."""
        from salesforce_broker_client.transports import aws_refusals  # noqa: PLC0415  no call, no import

        with self._lock, aws_refusals.named():
            session = self._session()
            make = session.client if hasattr(session, "client") else session.create_client
            return make(service, region_name=region, config=config)

    def sign(self, request: Any, service: str, region: str | None) -> None:
        """Sign an AWSRequest with Signature Version 4; BrokerError."""
        from botocore.auth import SigV4Auth  # noqa: PLC0415  no call, no import

        from salesforce_broker_client.transports import aws_refusals  # noqa: PLC0415  likewise

        with self._lock, aws_refusals.named():
            session = self._session()
            credentials = session.get_credentials()
            region = region or _region(session)
            if credentials is None or not region:
                raise aws_refusals.cannot_be_made("NoCredentials" if credentials is None else "NoRegion")
            frozen = credentials.get_frozen_credentials()
        SigV4Auth(frozen, service, region).add_auth(request)

    def ca_bundle(self) -> str | None:
        """Return the file or folder of CA certificates that the environment or the profile names, else None; BrokerError."""
        from salesforce_broker_client.transports import aws_refusals  # noqa: PLC0415  no call, no import

        with self._lock, aws_refusals.named():
            session = self._session()
            # boto3's sessions have no way of their own to read a setting.
            settings = getattr(session, "_session", session)
            read = getattr(settings, "get_config_variable", None)
            path: str | None = (read("ca_bundle") if read else None) or os.environ.get("REQUESTS_CA_BUNDLE")
        if path and not os.path.exists(path):  # noqa: PTH110  pathlib would cost every caller's cold start
            raise errors.CallDenied(f"There is no CA bundle at {path}.", hint="AWS_CA_BUNDLE (or ca_bundle) names it.")
        return path

    def _session(self) -> Any:
        if self._given is not None:
            return self._given
        default = getattr(sys.modules.get("boto3"), "DEFAULT_SESSION", None)
        if default is not None:
            return default
        if self._own is None:
            import botocore.session  # noqa: PLC0415  likewise

            self._own = botocore.session.get_session()
        return self._own


def _region(session: Any) -> str | None:
    region: str | None = session.region_name if hasattr(session, "region_name") else session.get_config_variable("region")
    return region
