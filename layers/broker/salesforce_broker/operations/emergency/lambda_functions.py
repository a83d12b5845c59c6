"""The token functions in Lambda: whether they can be invoked, and which version the alias points to.

Reserved concurrency 0 has Lambda itself refuse every invocation, of any version and alias, from then on; running requests
complete. Execution environments belong to a version: once the alias points to a new one, no request reaches the old ones.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from salesforce_broker.aws import error_code
from salesforce_broker.operations.config import EmergencySettings
from salesforce_broker.operations.emergency.best_effort import Failed, NotReady

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

ALIAS = "live"
"""What callers invoke (AutoPublishAlias in the template)."""

MAX_DESCRIPTION = 256
"""Of a function, in Lambda."""

_PURGED = re.compile(r" \(memory purged [^)]*\)\Z")


class LambdaFunctions:
    """Stops and restarts token functions, and gives them an empty memory."""

    def __init__(self, client: LambdaClient, settings: EmergencySettings) -> None:
        self._client = client
        self._settings = settings

    def is_stopped(self, function: str) -> bool:
        """Tell whether Lambda refuses to invoke a function."""
        return self._client.get_function_concurrency(FunctionName=function).get("ReservedConcurrentExecutions") == 0

    def delete_provisioned_concurrency(self, function: str) -> None:
        """Delete provisioned concurrency: Lambda refuses to reserve less than that."""
        try:
            self._client.delete_provisioned_concurrency_config(FunctionName=function, Qualifier=ALIAS)
        except ClientError as error:
            if error_code(error) != "ProvisionedConcurrencyConfigNotFoundException":
                raise

    def stop(self, function: str) -> None:
        """Have Lambda refuse every invocation; NotReady while it still counts provisioned environments."""
        try:
            self._client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
        except ClientError as error:
            if error_code(error) == "InvalidParameterValueException":
                raise NotReady from error
            raise

    def start(self, function: str) -> None:
        """Let Lambda invoke a function again, with the concurrency of the template."""
        if self._settings.reserved_concurrency is None:
            self._client.delete_function_concurrency(FunctionName=function)
        else:
            self._client.put_function_concurrency(
                FunctionName=function, ReservedConcurrentExecutions=self._settings.reserved_concurrency
            )

    def restore_provisioned_concurrency(self, function: str) -> None:
        """Restore the provisioned concurrency of the template."""
        if self._settings.provisioned_concurrency:
            self._client.put_provisioned_concurrency_config(
                FunctionName=function,
                Qualifier=ALIAS,
                ProvisionedConcurrentExecutions=self._settings.provisioned_concurrency,
            )

    def touch_description(self, function: str, now: float) -> None:
        """Change nothing but a function's description, so that Lambda publishes another version of it."""
        before = _PURGED.sub("", self._client.get_function_configuration(FunctionName=function).get("Description", ""))
        purged = f" (memory purged {datetime.datetime.fromtimestamp(now, datetime.UTC):%Y-%m-%dT%H:%M:%SZ})"
        after = before[: MAX_DESCRIPTION - len(purged)] + purged
        self._client.update_function_configuration(FunctionName=function, Description=after)

    def publish_version(self, function: str) -> str:
        """Publish a version of a touched function; return its number, raise NotReady until Lambda has applied the touch."""
        _require_ready(self._client.get_function_configuration(FunctionName=function), "LastUpdateStatus")
        return self._client.publish_version(FunctionName=function)["Version"]

    def update_alias(self, function: str, version: str) -> None:
        """Point the alias to `version`; NotReady until that can be invoked (with SnapStart: until its snapshot is there)."""
        _require_ready(self._client.get_function_configuration(FunctionName=function, Qualifier=version), "State")
        self._client.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=version)


def _require_ready(configuration: FunctionConfigurationResponseTypeDef, field: str) -> None:
    """Raise unless the state or status of a function allows the next call."""
    now = dict(configuration).get(field)
    if now in {"InProgress", "Pending"}:
        raise NotReady
    if now == "Failed":
        raise Failed
