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
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
PACKAGE = ROOT / "layers" / "broker" / "salesforce_broker"
MAX_TERMS = 30


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


def symbols(path: Path) -> set[str]:
    """Return what a module defines, members as `Class.member`; of a template, its parameters and resources."""
    if path.suffix == ".yaml":
        read = template.load(path)
        return set(read["Resources"]) | set(read["Parameters"])
    found = set()

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                walk(node.body, f"{node.name}.")
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            found.update(prefix + each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))

    walk(ast.parse(path.read_text()).body, "")
    return found


def named_in(text: str) -> list[str]:
    """Return every file, and every symbol of a file, that stands in backquotes."""
    return sorted(set(re.findall(r"`([A-Za-z_./-]+\.(?:py|yaml|md|toml)(?:::[A-Za-z_.]+)?|[a-z_/]+/)`", text)))


@pytest.mark.parametrize("named", named_in(ARCHITECTURE + GLOSSARY))
def test_what_architecture_and_glossary_name_exists(named: str) -> None:
    """A file of the repository or of the package; a symbol that the file defines."""
    path, _, symbol = named.partition("::")
    (found,) = {folder / path for folder in (ROOT, PACKAGE) if (folder / path).exists()}
    assert not symbol or symbol in symbols(found)


def test_diagrams_name_what_exists() -> None:
    """Methods as `Class.method`, functions with brackets, participants as modules."""
    modules = sorted(PACKAGE.rglob("*.py"))
    defined = set().union(*(symbols(path) for path in modules))
    diagrams = "\n".join(re.findall(r"```mermaid\n(.*?)```", ARCHITECTURE, re.DOTALL))
    assert 4 == ARCHITECTURE.count("```mermaid")
    methods = set(re.findall(r"\b[A-Z][A-Za-z]+\.[a-z_]+\b", diagrams))
    called = set(re.findall(r"\b([a-z_]+)\(\)", diagrams))
    assert len(methods | called) > 30
    assert set() == (methods | called) - defined
    participants = set(re.findall(r"participant \w as ([a-z_]+/[a-z_]+)$", diagrams, re.MULTILINE))
    assert set() == {name for name in participants if not [path for path in modules if str(path).endswith(f"{name}.py")]}


@pytest.mark.parametrize(
    "topic",
    [
        "the margin before expiry",
        "a refusal's class or hint",
        "what an audit line has",
        "who may rotate",
        "a setting of the token functions",
        "an alarm",
        "the request contract",
        "an HTTP status",
        "time-outs of AWS clients",
        "the shared cache's envelope",
    ],
)
def test_a_newcomer_finds_where_to_change(topic: str) -> None:
    """One row of the table each, with a place."""
    (row,) = [line for line in ARCHITECTURE.splitlines() if line.startswith(f"| {topic} |")]
    assert named_in(row)


def test_the_glossary_is_short_and_sorted() -> None:
    """At most thirty terms, one sentence and one place each."""
    rows = [line.strip("| ").split(" | ") for line in GLOSSARY.splitlines() if line.startswith("| ")][1:]
    terms = [term for term, _, _ in rows]
    assert sorted(terms) == terms
    assert len(terms) <= MAX_TERMS
    assert [] == [term for term, meaning, _ in rows if not re.fullmatch(r"[A-Z][^.]*(?:\.[^ .]+[^.]*)*\.", meaning)]
    assert [] == [term for term, _, place in rows if not named_in(place)]


def modules(root: Path) -> set[str]:
    """Return the dotted names of all modules and packages below a folder."""
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in root.rglob("*.py")}


def module_references(path: Path) -> list[str]:
    """Return what a file's docstrings and comments refer to as a module: see `name`."""
    return re.findall(r"\bsee `([a-z_.]+)`", path.read_text()) + re.findall(r"\(see .*? and `([a-z_.]+)`\)", path.read_text())


@pytest.mark.parametrize(
    "root", [ROOT / "layers" / "broker", ROOT / "layers" / "client", ROOT / "tools"], ids=lambda path: path.name
)
def test_modules_that_docstrings_refer_to_exist(root: Path) -> None:
    """A module that was moved leaves no reference behind."""
    existing = {f".{name}" for name in modules(root)}
    referred = {name for path in root.rglob("*.py") for name in module_references(path)}
    assert referred
    assert set() == {name for name in referred if not any(each.endswith(f".{name}") for each in existing)}
