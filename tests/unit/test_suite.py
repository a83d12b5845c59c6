"""What the tests and the benchmarks may import of each other: tests.support, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = sorted(ROOT.glob("tests/**/*.py"))
BENCHMARKS = sorted(ROOT.glob("tools/benchmarks/**/*.py"))


def imported(path: Path) -> Iterator[str]:
    """Return the full names that a file imports, wherever in it: modules, and what is taken from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def below(name: str, package: str) -> bool:
    """Tell whether a name is a package or lies in it."""
    return f"{name}.".startswith(f"{package}.")


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_imports_a_benchmark(path: Path) -> None:
    """What both need is in tests.support."""
    assert [] == [name for name in imported(path) if below(name, "benchmarks")]


@pytest.mark.parametrize("path", [path for path in TESTS if path.parent.name == "support"], ids=lambda path: path.name)
def test_what_is_shared_imports_no_test(path: Path) -> None:
    """It is below them."""
    assert [] == [name for name in imported(path) if below(name, "tests") and not below(name, "tests.support")]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_no_benchmark_imports_a_test(path: Path) -> None:
    """Of the tests it may know what is shared."""
    assert [] == [name for name in imported(path) if below(name, "tests") and not below(name, "tests.support")]


def test_the_files_are_found() -> None:
    """A folder that was moved would leave the tests above without a case."""
    assert {"tests/support/fleet.py", "tools/benchmarks/fleet_report.py"} <= {
        str(path.relative_to(ROOT)) for path in [*TESTS, *BENCHMARKS]
    }
