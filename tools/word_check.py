"""Finds private words in code and documents, and names the standard term to use instead.

A name is taken apart before it is compared: `LambdaDoors`, `open_doors` and `DOORS` all contain the word "doors". Plurals and
verb forms are listed where they are meant, so that "minute" or "latched" is never found by accident.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SEARCHED = (
    "layers",
    "functions",
    "tools",
    "tests",
    "docs",
    "examples",
    ".github",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "template.yaml",
    "samconfig.toml",
)
EXCLUDED = (
    "docs/decisions/",  # history keeps its words
    "CHANGELOG.md",  # names what was renamed
    "tools/word_check.py",  # this list
    "tests/unit/tools/test_word_check.py",  # its examples
)
TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".txt", ".html", ".js", ".mjs", ".css", ".sh", ""}

WORDS = {
    ("door", "doors"): "entry point, token function",
    ("room", "rooms"): "module, package",
    ("latch", "latches", "latched"): "circuit breaker",
    ("heed", "heeds", "heeded", "heeding"): "respect",
    ("minter", "mint", "mints", "minted", "minting"): "login, issue",
    ("election", "elect", "elects", "elected"): "leader lock",
    ("fence", "fences", "fenced"): "deny statement",
    ("patience",): "wait timeout",
    ("born", "birth"): "created, creation",
}
"""By the forms that are found: whole words, or parts of a name."""

PHRASES = {
    "the house": "the package, the project",
    "the article": "name the source, or leave it out",
    "is told": "receives, is notified",
    "are told": "receive, are notified",
    "hears of": "receives",
    "the clock strikes": "scheduled time",
    "the key that waits": "pending key",
}
"""Consecutive words, in prose and, joined by underscores, in names."""

PREFIXES = {
    "LONGEST_": "MAX_",
    "MOST_": "MAX_",
    "LARGEST_": "MAX_",
    "BIGGEST_": "MAX_",
    "SHORTEST_": "MIN_",
    "SMALLEST_": "MIN_",
    "LEAST_": "MIN_",
    "FEWEST_": "MIN_",
}
"""Of constants."""

NAMES = {"asked": "request", "given": "settings, kwargs, or what the value is"}
"""As a name that Python code binds. In prose they are plain English, and hypothesis has a `given` of its own."""

RENAMED = re.compile(r"`\w+`(?: and `\w+`)* (?:is|are) `")
"""In the change log an old name may stand, in backquotes, before the name that it has now."""

_BY_WORD = {form: term for forms, term in WORDS.items() for form in forms}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""The words of a text or of a name: camel case and underscores divide it, and capitals are one word."""


class Finding(NamedTuple):
    """A private word at a place."""

    path: str
    line: int
    word: str
    term: str

    def __str__(self) -> str:
        """Word it as a compiler does."""
        return f"{self.path}:{self.line}: '{self.word}': use {self.term}"


def find(path: str, text: str) -> Iterator[Finding]:
    """Find the private words of one file."""
    for number, line in enumerate(text.splitlines(), start=1):
        if path == "CHANGELOG.md":
            line = RENAMED.sub("", line)  # noqa: PLW2901  the rest of the line is searched
        words = [each.group().lower() for each in _WORD.finditer(line)]
        yield from (Finding(path, number, word, _BY_WORD[word]) for word in words if word in _BY_WORD)
        joined = f" {' '.join(words)} "
        yield from (Finding(path, number, phrase, term) for phrase, term in PHRASES.items() if f" {phrase} " in joined)
        for prefix, term in PREFIXES.items():
            if re.search(rf"(?<![A-Za-z0-9]){prefix}[A-Z]", line):
                yield Finding(path, number, prefix, term)
    if path.endswith(".py"):
        bound = _bound(ast.parse(text))
        yield from (Finding(path, number, name, NAMES[name]) for name, number in bound if name in NAMES)


def _bound(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield every name that a module binds, and the line: variables, parameters, functions, classes and aliases."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.AsyncFunctionDef(name=name) | ast.alias(asname=str(name)) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno


def files() -> Iterator[Path]:
    """Yield every searched file that git tracks, or would."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *SEARCHED]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  git, with constant arguments
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not name.startswith(EXCLUDED) and path.suffix in TEXT and path.is_file():
            yield path


def check(paths: Iterable[Path]) -> list[Finding]:
    """Find the private words of all files."""
    return [found for path in paths for found in find(path.relative_to(ROOT).as_posix(), path.read_text())]


def main() -> int:
    """Print what was found; return 1 if there is any."""
    findings = check(files())
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
