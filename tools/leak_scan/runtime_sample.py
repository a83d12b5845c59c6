"""A sample of requests in the real Lambda runtime, where awslambdaric writes what a function raises; every library at DEBUG."""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from leak_scan import allowed, key_texts, shapes
from leak_scan.account import DEBUG
from leak_scan.capture import Capture
from leak_scan.cold_start import private_key
from leak_scan.fault_tables import REFUSALS, USER_STATES
from leak_scan.faults import QUICK, TOKEN
from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME, KeyMaterial
from local_stack.build import Build
from local_stack.runtime import FunctionError, LambdaRuntime
from local_stack.stack import OTHER_USERNAME, LocalStack
from salesforce_broker.clock import Clock
from salesforce_broker.keys.source import SigningKeySource
from tests.support.events import api_event

FAULTY = 0.7
SUBJECTS = (DEFAULT_USERNAME, OTHER_USERNAME, "nobody@acme.example")


def run(capture: Capture, built: Build, requests: int, rng: random.Random) -> int:
    """Send so many requests; collect answers, logs, parameters and files. Return how many were sent."""
    with tempfile.TemporaryDirectory() as folder, LocalStack(built) as stack:
        pairs = [KeyMaterial(stack.key.private_key, stack.key.certificate)]
        capture.learn_key(private_key(pairs[0]))
        places = {"HOME": folder, "TMPDIR": folder, "EVENT_BUS_NAME": "default", "ALLOW_IMPORT": "true"}
        functions = {
            name: stack.environment(name, **DEBUG, **places)
            for name in ("TokenApiFunction", "TokenFunction", "RotateKeyFunction")
        }
        log_in = stack.salesforce.sessions.log_in

        def noted_log_in(*arguments: Any, **rest: Any) -> Any:
            session = log_in(*arguments, **rest)
            capture.learn_token(session.token)
            return session

        with mock.patch.object(stack.salesforce.sessions, "log_in", noted_log_in), capture.hooks():
            for number in range(1, requests + 1):
                name = rng.choice(("TokenApiFunction", "TokenFunction", "TokenFunction", "RotateKeyFunction"))
                capture.request = f"{number}: {name} in the Lambda runtime"
                fault = _fault(stack, rng) if rng.random() < FAULTY else "no fault"
                capture.request += f", {fault}"
                _invoke(capture, functions[name], _payload(name, pairs, rng))
                _mend(stack)
        capture.request = "what is left of the stack"
        _learn_keys(capture, stack)
        _collect(capture, stack, Path(folder))
    return requests


def _invoke(capture: Capture, function: LambdaRuntime, payload: object) -> None:
    try:
        answer = function.invoke(payload)
    except FunctionError as error:
        capture.add("exception", json.dumps([error.type, error.message, error.trace]))
    else:
        capture.add("answer", json.dumps(allowed.in_answer(answer)))


def _payload(name: str, pairs: list[KeyMaterial], rng: random.Random) -> object:
    fields: dict[str, Any] = {"sub": rng.choice(SUBJECTS)}
    if name == "TokenApiFunction":
        path = rng.choice(("/token", "/token", "/identity"))
        return api_event(path=path, body=rng.choice((json.dumps(fields), pairs[0].private_key, None)))
    if name == "TokenFunction":
        return rng.choice((fields, fields | {"action": "identity"}, fields | {"colour": pairs[0].private_key}, None))
    return rng.choice(
        (
            {"action": "import", **key_texts.any_key(rng, pairs)},
            {"action": "import", **key_texts.any_key(rng, pairs)},
            {"action": "create", "bits": 2048},
            {"action": "certificate"},
            {"action": "finish"},
            {"action": pairs[0].private_key},
        )
    )


def _fault(stack: LocalStack, rng: random.Random) -> str:
    """Have something go wrong at Salesforce."""
    kind = rng.choice(("fault", "fault", "refusal", "user", "certificate", "ended"))
    salesforce = stack.salesforce
    salesforce.sessions.end()
    match kind:
        case "fault":
            salesforce.faults.order(rng.choice(QUICK), times=3)
        case "refusal":
            body = json.dumps({"error": rng.choice(REFUSALS), "error_description": "invalid assertion"})
            salesforce.faults.order(path=TOKEN, status=400, body=body)
        case "user":
            salesforce.user(DEFAULT_USERNAME).state = rng.choice(USER_STATES)
        case "certificate":
            salesforce.set_certificate(DEFAULT_CONSUMER_KEY, None)
    return kind


def _mend(stack: LocalStack) -> None:
    stack.salesforce.faults.clear()
    stack.salesforce.user(DEFAULT_USERNAME).state = "active"
    stack.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, stack.key.certificate)


def _learn_keys(capture: Capture, stack: LocalStack) -> None:
    """Search for every key that lies in the secret by now, and for the one under which tokens are shared."""
    secrets = stack.aws.client("secretsmanager")
    versions = secrets.list_secret_version_ids(SecretId=stack.secret_arn, IncludeDeprecated=True)["Versions"]
    for version in versions:
        text = secrets.get_secret_value(SecretId=stack.secret_arn, VersionId=version["VersionId"])["SecretString"]
        capture.learn_key(private_key(KeyMaterial(json.loads(text)["private_key"], "")))
    clock = Clock()
    source = SigningKeySource(
        secrets, secret_arn=stack.secret_arn, client_id=DEFAULT_CONSUMER_KEY, kms=lambda: stack.aws.client("kms"), clock=clock
    )
    capture.index.add(shapes.of_sealing_key(source.current(clock.deadline(60)).sealing_key))


def _collect(capture: Capture, stack: LocalStack, folder: Path) -> None:
    lines = stack.logs.splitlines(keepends=True)
    metrics = [line for line in lines if line.startswith('{"_aws"')]
    capture.add("metrics", "".join(metrics))
    capture.add("log", "".join(line for line in lines if line not in metrics))
    parameters = stack.aws.client("ssm")
    for page in parameters.get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True):
        for found in page["Parameters"]:
            with contextlib.suppress(parameters.exceptions.ParameterNotFound):
                history = parameters.get_parameter_history(Name=found["Name"], WithDecryption=True)["Parameters"]
                capture.add("parameter", json.dumps([found, history], default=repr))
    capture.add_files(folder)
