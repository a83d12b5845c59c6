"""Token functions in moto's Lambda: they have a concurrency, by which an emergency stop is seen, and never run."""

from __future__ import annotations

import io
import zipfile

import boto3


def create(*names: str) -> None:
    """Create functions of these names in the present account."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as package:
        package.writestr("handler.py", "")
    role = boto3.client("iam").create_role(RoleName="token-functions", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    for name in names:
        boto3.client("lambda").create_function(
            FunctionName=name, Role=role, Runtime="python3.13", Handler="handler.run", Code={"ZipFile": code.getvalue()}
        )


def stop(name: str) -> None:
    """Stop a function, as EmergencyStopFunction does."""
    boto3.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)


def start(name: str) -> None:
    """Let it be invoked again."""
    boto3.client("lambda").delete_function_concurrency(FunctionName=name)
