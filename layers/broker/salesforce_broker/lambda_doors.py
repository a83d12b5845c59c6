"""The functions that hand out tokens, as Lambda keeps them: whether it invokes them, and with whose memory.

Owns the calls of Lambda's API about them. Does not decide the order of an emergency stop (see `emergency`).

Reserved concurrency 0 has Lambda itself refuse every invocation, of any version and alias, from then on; requests that it has
begun go on to their end. Environments belong to a version: once the alias leads to a new one, nobody comes to the old ones.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from salesforce_broker.operator_settings import EmergencySettings
from salesforce_broker.steps import Failed, NotReady

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

ALIAS = "live"
"""What callers invoke (AutoPublishAlias in the template)."""

LONGEST_DESCRIPTION = 256
"""Of a function, in Lambda."""

_PURGED = re.compile(r" \(memory purged [^)]*\)\Z")


class LambdaDoors:
    """Stops doors, opens them, and has them forget."""

    def __init__(self, client: LambdaClient, settings: EmergencySettings) -> None:
        self._client = client
        self._settings = settings

    def is_stopped(self, door: str) -> bool:
        """Tell whether Lambda refuses to invoke a door."""
        return self._client.get_function_concurrency(FunctionName=door).get("ReservedConcurrentExecutions") == 0

    def release(self, door: str) -> None:
        """Give up environments that are kept warm: Lambda refuses to reserve less than they are."""
        try:
            self._client.delete_provisioned_concurrency_config(FunctionName=door, Qualifier=ALIAS)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ProvisionedConcurrencyConfigNotFoundException":
                raise

    def stop(self, door: str) -> None:
        """Have Lambda refuse every invocation; NotReady while it still counts environments that were kept warm."""
        try:
            self._client.put_function_concurrency(FunctionName=door, ReservedConcurrentExecutions=0)
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidParameterValueException":
                raise NotReady from error
            raise

    def open(self, door: str) -> None:
        """Have Lambda invoke a door as the template says."""
        if self._settings.reserved_concurrency is None:
            self._client.delete_function_concurrency(FunctionName=door)
        else:
            self._client.put_function_concurrency(
                FunctionName=door, ReservedConcurrentExecutions=self._settings.reserved_concurrency
            )

    def keep_warm(self, door: str) -> None:
        """Have Lambda keep as many environments warm as the template says."""
        if self._settings.provisioned_concurrency:
            self._client.put_provisioned_concurrency_config(
                FunctionName=door,
                Qualifier=ALIAS,
                ProvisionedConcurrentExecutions=self._settings.provisioned_concurrency,
            )

    def mark(self, door: str, now: float) -> None:
        """Change nothing but a door's description, so that Lambda publishes another version of it."""
        before = _PURGED.sub("", self._client.get_function_configuration(FunctionName=door).get("Description", ""))
        purged = f" (memory purged {datetime.datetime.fromtimestamp(now, datetime.UTC):%Y-%m-%dT%H:%M:%SZ})"
        after = before[: LONGEST_DESCRIPTION - len(purged)] + purged
        self._client.update_function_configuration(FunctionName=door, Description=after)

    def publish(self, door: str) -> str:
        """Publish a version of a marked door; return its number, raise NotReady until Lambda has taken the mark."""
        _insist(self._client.get_function_configuration(FunctionName=door), "LastUpdateStatus")
        return self._client.publish_version(FunctionName=door)["Version"]

    def point(self, door: str, version: str) -> None:
        """Lead the alias to `version`; NotReady until that can be invoked (with SnapStart: until its snapshot is there)."""
        _insist(self._client.get_function_configuration(FunctionName=door, Qualifier=version), "State")
        self._client.update_alias(FunctionName=door, Name=ALIAS, FunctionVersion=version)


def _insist(configuration: FunctionConfigurationResponseTypeDef, field: str) -> None:
    """Raise unless a state or status of a function is one from which Lambda goes on."""
    now = dict(configuration).get(field)
    if now in {"InProgress", "Pending"}:
        raise NotReady
    if now == "Failed":
        raise Failed
