"""The places in a request where a dependency is needed."""

from __future__ import annotations

from dataclasses import dataclass

from deadline_matrix.faulty_peer import Trigger

FAILING_USERNAME = "frozen@acme.example"
"""Salesforce does not log this user in: the failure is shared, and an event is published."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place: which dependency is needed for what, and the request that leads there (of `username`, or for an identity).

    `optional`: without it there is a token all the same. `setup`: what the stack needs besides: "kms", "other key", "gateway".
    `at_start`: a cold start needs it, too.
    """

    name: str
    dependency: str
    trigger: Trigger
    identity: bool = False
    username: str = ""
    optional: bool = False
    setup: str = ""
    at_start: bool = False


POINTS = (
    Point("the key is read", "secretsmanager", Trigger("GetSecretValue"), at_start=True),
    Point(
        "other versions of the key are read",
        "secretsmanager",
        Trigger("GetSecretValue", after="GetSecretValue", skip=1),
        setup="other key",
    ),
    Point(
        "the gateway token is read",
        "secretsmanager",
        Trigger("GetSecretValue", after="GetSecretValue", skip=1),
        setup="gateway",
        at_start=True,
    ),
    Point("KMS signs", "kms", Trigger("Sign"), setup="kms"),
    Point("the shared token is read", "ssm", Trigger("GetParameters"), optional=True),
    Point("the lease is acquired", "ssm", Trigger("PutParameter String", after="GetParameters"), optional=True),
    Point("the token is shared", "ssm", Trigger("PutParameter SecureString", after="PutParameter String"), optional=True),
    Point("the lease is released", "ssm", Trigger("DeleteParameter", after="PutParameter SecureString"), optional=True),
    Point(
        "the failure is shared",
        "ssm",
        Trigger("PutParameter SecureString", after="PutParameter String"),
        username=FAILING_USERNAME,
    ),
    Point("the failure is published", "events", Trigger("PutEvents"), username=FAILING_USERNAME),
    Point("Salesforce logs in", "salesforce", Trigger("POST /services")),
    Point("Salesforce says whose the token is", "salesforce", Trigger("GET /id", after="POST /services"), identity=True),
)
