"""Shapes the answers of the operators' functions."""

from __future__ import annotations

from typing import Any

from salesforce_broker.operations.model import Emergency, PublishedKey


def to_rotation_answer(key: PublishedKey | None) -> dict[str, Any]:
    """Shape the answer about a key; empty for Secrets Manager, and for a check that changed nothing."""
    if key is None:
        return {}
    upload = "upload the certificate to the app (finish does it where uploads are configured), then finish"
    return {
        "version_id": key.version_id,
        "stage": key.stage,
        "certificate": key.certificate,
        "not_after": key.not_after,
        "consumer_key": key.consumer_key,
        "next": upload if key.stage == "AWSPENDING" else "nothing to do",
    }


def to_emergency_answer(ended: Emergency) -> dict[str, Any]:
    """Shape the answer about an emergency stop, its end or its status."""
    functions = {name: "stopped" if stopped else "running" for name, stopped in ended.stopped.items()}
    answer: dict[str, Any] = {"action": ended.action, "functions": functions}
    match ended.action:
        case "status":
            answer["shared"] = ended.shared
        case "stop":
            answer |= {
                "shared_deleted": ended.shared,
                "versions": dict(ended.versions),
                "revoked": {subject: list(fingerprints) for subject, fingerprints in ended.revoked.items()},
                "refused": dict(ended.refused),
            }
    return answer
