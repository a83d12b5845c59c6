"""Whether an emergency stop is in force: Lambda itself says so, whoever stopped the token functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from salesforce_broker.aws import AWS_ERRORS, error_code
from salesforce_broker.errors import EmergencyStopActive, SettingsInvalid

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class StopState:
    """Looks at the concurrency of the token functions; 0 is an emergency stop."""

    def __init__(self, client: Callable[[], LambdaClient], functions: Sequence[str]) -> None:
        """`client` is called when the state is first needed."""
        self._client = client
        self._functions = functions

    def require_running(self) -> None:
        """Raise EmergencyStopActive if a token function is stopped, or if that cannot be seen."""
        if not self._functions:
            raise SettingsInvalid(
                "TOKEN_FUNCTIONS is missing: an emergency stop could not be seen.",
                hint="Deploy the template as it is: it sets TOKEN_FUNCTIONS.",
            )
        try:
            stopped = [name for name in self._functions if self._is_stopped(name)]
        except AWS_ERRORS as error:
            raise EmergencyStopActive(
                f"Whether an emergency stop is in force cannot be seen: {error_code(error)}.",
                hint="Check that the function's role may call lambda:GetFunctionConcurrency on the token functions, and its way"
                " to Lambda's API in a VPC.",
            ) from error
        if stopped:
            raise EmergencyStopActive(
                "An emergency stop is in force: no key is tested or activated.",
                hint="Invoke EmergencyStopFunction with the action 'resume' first; 'create', 'import' and 'certificate' work.",
            )

    def _is_stopped(self, function: str) -> bool:
        return self._client().get_function_concurrency(FunctionName=function).get("ReservedConcurrentExecutions") == 0
