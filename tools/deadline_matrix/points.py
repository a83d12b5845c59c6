"""The places in a request where a dependency is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deadline_matrix.faulty_peer import Trigger

TOKEN: dict[str, Any] = {}
IDENTITY: dict[str, Any] = {"action": "identity"}

FAILING_USERNAME = "frozen@acme.example"
"""Salesforce does not log this user in: the failure is shared, and an event is published."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place: which dependency is needed for what, and the request and the settings that lead there.

    `optional`: without it there is a token all the same. `setup`: "", or what the stack needs besides ("kms", "other key", "gateway").
    """

    name: str
    dependency: str
    trigger: Trigger
    payload: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    optional: bool = False
    setup: str = ""


POINTS = (
    Point("the key is read", "secretsmanager", Trigger("GetSecretValue")),
    Point(
        "other versions of the key are read",
        "secretsmanager",
        Trigger("GetSecretValue", after="GetSecretValue", skip=1),
        setup="other key",
    ),
    Point("the gateway token is read", "secretsmanager", Trigger("GetSecretValue", after="GetSecretValue", skip=1), setup="gateway"),
    Point("KMS signs", "kms", Trigger("Sign"), setup="kms"),
    Point("the shared token is read", "ssm", Trigger("GetParameters"), optional=True),
    Point("the lease is acquired", "ssm", Trigger("PutParameter String", after="GetParameters"), optional=True),
    Point("the token is shared", "ssm", Trigger("PutParameter SecureString", after="PutParameter String"), optional=True),
    Point("the lease is released", "ssm", Trigger("DeleteParameter", after="PutParameter SecureString"), optional=True),
    Point(
        "the failure is shared",
        "ssm",
        Trigger("PutParameter SecureString", after="PutParameter String"),
        settings={"SALESFORCE_USERNAME": FAILING_USERNAME},
    ),
    Point("the failure is published", "events", Trigger("PutEvents"), settings={"SALESFORCE_USERNAME": FAILING_USERNAME}),
    Point("Salesforce logs in", "salesforce", Trigger("POST /services")),
    Point("Salesforce says whose the token is", "salesforce", Trigger("GET /id", after="POST /services"), payload=IDENTITY),
)
