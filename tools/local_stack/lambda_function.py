"""A function as Lambda keeps it: its configuration, versions, the alias `live`, its concurrency, and environments by version.

Owns when Lambda invokes and when it refuses to. Does not know the wire form (see `lambda_api`). There is one environment for
each version; a version that the alias leaves loses it, once that is idle.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from local_stack.runtime import LambdaRuntime

LATEST = "$LATEST"
ALIAS = "live"


class Refused(Exception):
    """Lambda's API says no: `kind` is the error's name."""

    def __init__(self, status: HTTPStatus, kind: str, message: str, **fields: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.status = status
        self.kind = kind
        self.body = {"Type": "User", "message": message, **fields}


class LambdaFunction:
    """One function, published once."""

    def __init__(self, name: str, start: Callable[[], LambdaRuntime]) -> None:
        """`start` starts an environment, cold."""
        self.name = name
        self.reserved: int | None = None
        self.provisioned = 0
        self._start = start
        self._description = f"{name} of a stack on one machine"
        self._published = [self._description]
        self._live = "1"
        self._updating = False
        self._environments: dict[str, LambdaRuntime] = {}
        self._guard = threading.RLock()

    def invoke(self, payload: Any, qualifier: str = LATEST) -> Any:
        """Invoke a version; raise Refused, or FunctionError for what the function raises."""
        with self._guard:
            if self.reserved == 0:
                raise Refused(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "TooManyRequestsException",
                    "Rate Exceeded.",
                    Reason="ReservedFunctionConcurrentInvocationLimitExceeded",
                )
            environment = self.environment(qualifier)
        return environment.invoke(payload)

    def environment(self, qualifier: str = LATEST) -> LambdaRuntime:
        """Return the environment of a version, started if there is none."""
        with self._guard:
            version = self.version(qualifier)
            if version not in self._environments:
                self._environments[version] = self._start()
            return self._environments[version]

    def version(self, qualifier: str) -> str:
        """Return the version that a qualifier names."""
        if qualifier == ALIAS:
            return self._live
        if qualifier == LATEST or (qualifier.isdecimal() and 1 <= int(qualifier) <= len(self._published)):
            return qualifier
        raise _not_found(f"{self.name}:{qualifier}")

    def reserve(self, concurrency: int | None) -> None:
        """Bound how many environments there may be: 0 for none at all, None for any number."""
        if concurrency is not None and concurrency < self.provisioned:
            raise _invalid("The reserved concurrency is below the provisioned concurrency of the function.")
        self.reserved = concurrency

    def provision(self, qualifier: str, concurrency: int) -> None:
        """Keep environments of the alias warm; none with 0."""
        if qualifier != ALIAS:
            raise _not_found(f"{self.name}:{qualifier}")
        if self.reserved is not None and concurrency > self.reserved:
            raise _invalid("The provisioned concurrency is above the reserved concurrency of the function.")
        self.provisioned = concurrency

    def configuration(self, qualifier: str = LATEST) -> dict[str, Any]:
        """Return what GetFunctionConfiguration tells; the first time after an update, that it is in progress."""
        with self._guard:
            version = self.version(qualifier)
            status = "InProgress" if self._updating and version == LATEST else "Successful"
            self._updating = self._updating and version != LATEST
            description = self._description if version == LATEST else self._published[int(version) - 1]
        return {
            "FunctionName": self.name,
            "Version": version,
            "Description": description,
            "State": "Active",
            "LastUpdateStatus": status,
        }

    def update(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Change the description, and nothing else here; environments of $LATEST end."""
        if set(changes) != {"Description"}:
            raise _invalid("Only the description can be changed here.")
        with self._guard:
            self._refuse_while_updating()
            self._description = changes["Description"]
            self._updating = True
            self._end(LATEST)
        return {"FunctionName": self.name, "Description": self._description, "LastUpdateStatus": "InProgress"}

    def publish(self) -> dict[str, Any]:
        """Publish $LATEST; what has not changed since is the version that there is."""
        with self._guard:
            self._refuse_while_updating()
            if self._description != self._published[-1]:
                self._published.append(self._description)
            return self.configuration(str(len(self._published)))

    def point(self, version: str) -> dict[str, Any]:
        """Lead the alias to a version."""
        with self._guard:
            before, self._live = self._live, self.version(version)
            if before != self._live:
                self._end(before)
        return {"Name": ALIAS, "FunctionVersion": version}

    def _refuse_while_updating(self) -> None:
        if self._updating:
            raise Refused(HTTPStatus.CONFLICT, "ResourceConflictException", "An update is in progress for this function.")

    def _end(self, version: str) -> None:
        environment = self._environments.pop(version, None)
        if environment:
            # In a thread: what is under way goes on to its end.
            threading.Thread(target=environment.retire, daemon=True).start()


def _not_found(what: str) -> Refused:
    return Refused(HTTPStatus.NOT_FOUND, "ResourceNotFoundException", f"Function not found: {what}")


def _invalid(message: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, "InvalidParameterValueException", message)
