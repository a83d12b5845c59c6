"""What the documents name is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from local_stack import template

ROOT = Path(__file__).parents[2]
THREAT_MODEL = (ROOT / "docs" / "threat-model.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def functions(path: Path) -> set[str]:
    """Return the names of all functions of a module."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("named", sorted(set(re.findall(r"[a-z]+/[a-z_/]+\.py::[a-z_0-9]+", THREAT_MODEL))))
def test_a_test_that_the_threat_model_names_is_there(named: str) -> None:
    """A mitigation whose test is gone is a promise."""
    module, function = named.split("::")
    assert function in functions(ROOT / "tests" / module)


def test_every_threat_has_its_test() -> None:
    """No row of the tables without one."""
    rows = [
        line
        for line in THREAT_MODEL.splitlines()
        if line.startswith("|") and not re.match(r"\|\s*(Position|Fact|Wanted|\|)|\|[-|]+$", line)
    ]
    assert len(rows) > 30
    assert [] == [row[:60] for row in rows if "::test_" not in row and "rules.py::" not in row]


def test_every_alarm_has_its_section() -> None:
    """What it means, and what to do; and no section for an alarm that is not there."""
    alarms = {name for name, each in template.load()["Resources"].items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    assert alarms == set(re.findall(r"^### (\w+Alarm)$", OPERATIONS, re.MULTILINE))


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_has_its_status_and_date(path: Path) -> None:
    """A reader sees at the top whether a record still holds, and since when."""
    title, _, status, _, date = path.read_text().splitlines()[:5]
    assert title.startswith(f"# {path.stem[:4]}: ")
    assert re.fullmatch(r"Status: (accepted|proposed|superseded by \d{4})", status)
    assert re.fullmatch(r"Date: \d{4}-\d\d-\d\d", date)
