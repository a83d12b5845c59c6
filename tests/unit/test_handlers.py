"""Handlers parse, call and shape, and stay short."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HANDLERS = sorted((ROOT / "functions").glob("*/handler.py"))
TOKEN_FUNCTIONS = [path for path in HANDLERS if path.parent.name.startswith("token_")]
ALLOWED = {
    "salesforce_broker": {"bootstrap", "observability"},
    "salesforce_broker.api": {"request", "response"},
}
OPERATIONS_ALLOWED = {
    "salesforce_broker": {"observability"},
    "salesforce_broker.api": {"response"},
    "salesforce_broker.api.request": {"LambdaContext"},
    "salesforce_broker.operations": {"bootstrap", "request"},
    "salesforce_broker.operations.response": {"to_rotation_answer", "to_emergency_answer"},
}

MAX_LINES = 30
PATHS = {"PYTHONPATH": str(ROOT / "layers" / "broker"), "AWS_DEFAULT_REGION": "eu-central-1"}


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_imports_only_what_it_needs(path: Path) -> None:
    """It builds, parses, shapes and logs; import-linter covers the layer, not the handlers."""
    imported = {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module not in {"__future__", "typing"}
        for alias in node.names
    }
    allowed = ALLOWED if path in TOKEN_FUNCTIONS else OPERATIONS_ALLOWED
    assert set() == {(module, name) for module, name in imported if name not in allowed.get(module or "", ())}


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_is_short(path: Path) -> None:
    """It is about twenty lines."""
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_the_token_functions_load_nothing_of_operations() -> None:
    """Loading costs cold start, and what is not loaded cannot be reached; import-linter covers what is imported lazily."""
    modules = "salesforce_broker.bootstrap, salesforce_broker.api.request, salesforce_broker.api.response"
    script = f"import sys, {modules}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=os.environ | PATHS)
    loaded = ended.stdout.split()
    assert "salesforce_broker.tokens.service" in loaded
    assert [] == [name for name in loaded if name.startswith("salesforce_broker.operations")]
