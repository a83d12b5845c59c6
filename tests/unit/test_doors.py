"""Doors only open: they import nothing but the rooms that they may, and stay short."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

DOORS = sorted((Path(__file__).parents[2] / "functions").glob("*/handler.py"))
ALLOWED = {"observability", "request", "response", "wiring"}
OPERATORS = {"observability", "request", "response", "operator_request", "operator_wiring"}
"""What is built and parsed for them, and for them alone."""

LONGEST_LINES = 40
PATHS = {"PYTHONPATH": str(Path(__file__).parents[2] / "layers" / "broker"), "AWS_DEFAULT_REGION": "eu-central-1"}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.parent.name)
def test_a_door_imports_only_what_it_may(door: Path) -> None:
    """What builds, parses, shapes and logs (import-linter sees the layer, not the doors)."""
    imported = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(door.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    rooms = {name for module, name in imported if module == "salesforce_broker"}
    assert rooms == (OPERATORS if door.parent.name in {"rotate_key", "emergency_stop"} else ALLOWED)
    assert {"salesforce_broker", "__future__", "typing"} == {module for module, _ in imported}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.parent.name)
def test_a_door_is_short(door: Path) -> None:
    """Build once, parse, call, shape."""
    assert len(door.read_text().splitlines()) <= LONGEST_LINES


def test_the_doors_for_tokens_import_nothing_of_the_operators() -> None:
    """Their cold start pays for it, and what is not there cannot be reached."""
    script = (
        "import sys, salesforce_broker.wiring; print(*(name for name in sys.modules if name.startswith('salesforce_broker.')))"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=os.environ | PATHS)
    rooms = {name.removeprefix("salesforce_broker.") for name in ended.stdout.split()}
    assert "broker" in rooms
    assert not rooms & {"rotation", "key_change", "key_versions", "emergency", "lambda_doors", "revocation", "operator_request"}
