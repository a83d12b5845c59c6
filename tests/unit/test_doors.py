"""Doors only open: they import nothing but the rooms that they may, and stay short."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

DOORS = sorted((Path(__file__).parents[2] / "functions").glob("*/handler.py"))
ALLOWED = {"observability", "request", "response", "wiring"}
LONGEST_LINES = 40


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.parent.name)
def test_a_door_imports_only_what_it_may(door: Path) -> None:
    """wiring, request, response, observability (import-linter sees the layer, not the doors)."""
    imported = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(door.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    rooms = {name for module, name in imported if module == "salesforce_broker"}
    assert rooms == ALLOWED
    assert {"salesforce_broker", "__future__", "typing"} == {module for module, _ in imported}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.parent.name)
def test_a_door_is_short(door: Path) -> None:
    """Build once, parse, call, shape."""
    assert len(door.read_text().splitlines()) <= LONGEST_LINES
