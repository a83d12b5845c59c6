"""The main job, once, step by step: `make run`.

Owns the order of the steps and what is printed of them; every step that does not hold raises. Tokens are shortened.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

from local_salesforce import DEFAULT_CONSUMER_KEY
from local_stack.runtime import FunctionError
from local_stack.secret_rotation import SecretRotation
from local_stack.stack import CERTIFICATE_PARAMETER, OTHER_USERNAME, LocalStack

API_VERSION = "65.0"

Say = Callable[[str], None]


class StepFailed(Exception):
    """A step did not do what it must."""


def run(stack: LocalStack, say: Say) -> None:
    """Ask for tokens at both functions, use one, and look whether anything leaked."""
    say(f"AWS (moto: Secrets Manager, SSM, KMS)    {stack.aws.url}")
    say(f"Salesforce                               {stack.salesforce.url}")
    say("A fresh RSA key lies in Secrets Manager, its certificate on the External Client App.\n")

    api = stack.gateway()
    first = _post(f"{api.url}/token")
    say(f"POST /token                              {_shown(first)}")
    _insist(first["source"] == "salesforce", "the first token comes from a login")
    _insist(stack.salesforce.logins() == 1, "Salesforce has checked the signature of one assertion and logged in one user")
    login = next(entry for entry in stack.salesforce.journal if entry.subject)
    say(f"  at Salesforce: signature verified, {login.subject} logged in, jti {login.token_id[:8]}...")

    second = _post(f"{api.url}/token")
    say(f"POST /token again                        {_shown(second)}")
    _insist((second["source"], second["access_token"]) == ("memory", first["access_token"]), "the second is from memory")

    other = _post(f"{api.url}/api/jwtauth", {"sub": OTHER_USERNAME})
    say(f"POST /api/jwtauth {{sub: another user}}    {_shown(other)}")
    _insist(other["access_token"] != first["access_token"], "another user has another token")

    invoked = stack.environment("TokenFunction").invoke({})
    say(f"invoke TokenFunction, fresh environment  {_shown(invoked)}")
    _insist((invoked["source"], invoked["access_token"]) == ("shared", first["access_token"]), "a fresh one reads SSM")
    _insist(stack.salesforce.exchanges() == 2, "Salesforce was asked once for each user")

    query = f"{invoked['instance_url']}/services/data/v{API_VERSION}/query?q=SELECT+Id,Name+FROM+Organization"
    record = _get(query, invoked["access_token"])["records"][0]
    say(f"\nThe token at the data API: SELECT Id, Name FROM Organization -> {record['Name']}, {record['Id']}")
    owner = _get(f"{api.url}/identity")
    say(f"GET /identity                            {owner['username']}, user {owner['user_id']}")

    _rotate(stack, api.url, say)

    searched = leaks(stack, tokens=[first["access_token"], other["access_token"]])
    say(f"\nSearched {searched:,} characters of the functions' logs: no key, no assertion, no token.")


def _rotate(stack: LocalStack, api: str, say: Say) -> None:
    """Change the key under the callers' hands, as Secrets Manager does: each of them is served by a login of its own."""
    function = stack.environment("RotateKeyFunction")
    secrets_manager = SecretRotation(stack.secret_arn)
    before = secrets_manager.labels["AWSCURRENT"]
    version_id = secrets_manager.begin()
    try:
        secrets_manager.run(version_id, function.invoke)
    except FunctionError as error:
        _insist(error.type == "AssertionRefused", "Salesforce does not take a key whose certificate it has not")
    _insist(secrets_manager.labels["AWSCURRENT"] == before, "nothing in use has changed")
    parameter = stack.aws.client("ssm").get_parameter(Name=CERTIFICATE_PARAMETER)["Parameter"]["Value"]
    say(f"\nSecrets Manager rotates the secret       key {version_id[:8]} made in AWS, waits for its certificate's upload")
    served = _serve_anew(stack, api)
    stack.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, parameter)
    served += _serve_anew(stack, api)
    secrets_manager.run(version_id, function.invoke)
    served += _serve_anew(stack, api)
    labels = secrets_manager.labels
    _insist((labels["AWSCURRENT"], labels["AWSPREVIOUS"]) == (version_id, before), "the new key is the one in use")
    _insist(secrets_manager.is_over, "the rotation is over")
    say(f"certificate uploaded, steps repeated     key {version_id[:8]} in use; {served} of 3 logins meanwhile served")


def _serve_anew(stack: LocalStack, api: str) -> int:
    """Kill the session and have whose token it is asked: the broker has to log in."""
    stack.salesforce.sessions.end()
    return int(bool(_get(f"{api}/identity")["username"]))


def leaks(stack: LocalStack, *, tokens: Iterable[str]) -> int:
    """Search everything that the environments have written; return how much that was, raise StepFailed for a find."""
    logs = stack.logs
    secret = stack.aws.client("secretsmanager").get_secret_value(SecretId=stack.secret_arn)["SecretString"]
    keys = stack.key.private_key + json.loads(secret)["private_key"]
    key_lines = [line for line in keys.splitlines() if line and not line.startswith("-----")]
    for what, needles in {"the key": key_lines, "a token": tokens, "an assertion": ["eyJhbGciOi"]}.items():
        _insist(not any(needle in logs for needle in needles), f"{what} is not in the logs")
    return len(logs)


def _insist(holds: bool, what: str) -> None:  # noqa: FBT001  reads as a sentence
    if not holds:
        raise StepFailed(f"This does not hold: {what}.")


def _post(url: str, body: object = None) -> dict[str, Any]:
    return _open(urllib.request.Request(url, json.dumps(body).encode() if body else b"", method="POST"))


def _get(url: str, bearer: str = "") -> dict[str, Any]:
    return _open(urllib.request.Request(url, headers={"Authorization": f"Bearer {bearer}"} if bearer else {}))


def _open(request: urllib.request.Request) -> dict[str, Any]:
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def _shown(answer: dict[str, Any]) -> str:
    token = answer["access_token"]
    shown = f"{token[:19]}...{token[-4:]}"
    return f"{shown}  source={answer['source']:<10} expires_in={answer['expires_in']}  fingerprint={answer['fingerprint']}"
