"""The word check finds private words wherever they hide in a name, and leaves standard English alone."""

from __future__ import annotations

import pytest

import word_check
from word_check import find


def found(text: str, path: str = "some/page.md") -> list[str]:
    """Return the words that are found in a text."""
    return [finding.word for finding in find(path, text)]


@pytest.mark.parametrize("word", [form for forms in word_check.WORDS for form in forms])
def test_every_private_word_is_found(word: str) -> None:
    """In prose, at the start of a sentence, in capitals, and as a part of names of every style."""
    for text in (
        f"of a {word}.",
        f"{word.title()} is",
        word.upper(),
        f"Lambda{word.title()}",
        f"open_{word}",
        f"ALL_{word.upper()}",
    ):
        assert [word] == found(text), text


@pytest.mark.parametrize("phrase", word_check.PHRASES)
def test_every_phrase_is_found(phrase: str) -> None:
    """In prose, and joined by underscores in a name."""
    assert [phrase] == found(f"Here {phrase} again.")
    assert [phrase] == found(f"def test_{phrase.replace(' ', '_')}_again() -> None:")


@pytest.mark.parametrize("prefix", word_check.PREFIXES)
def test_every_prefix_of_a_constant_is_found(prefix: str) -> None:
    """A maximum is MAX_, a minimum is MIN_."""
    assert [prefix] == found(f"{prefix}PAUSE = 3", "some/module.py")


@pytest.mark.parametrize("name", word_check.NAMES)
@pytest.mark.parametrize(
    "code",
    [
        "{} = 1",
        "{}: int = 1",
        "def f({}): pass",
        "def f(**{}): pass",
        "f(lambda {}: 1)",
        "[1 for {} in ()]",
        "import x as {}",
        "class C:\n    def f(self): self.{} = 1",
        "def {}(): pass",
        "async def {}(): pass",
        "class {}: pass",
    ],
)
def test_every_name_is_found_where_it_is_bound(name: str, code: str) -> None:
    """As a variable, a parameter, an attribute, an alias, a function or a class."""
    assert [name] == found(code.format(name), "some/module.py")


@pytest.mark.parametrize(
    "text",
    [
        "a minute later, in the chatroom, outdoors",
        "the headroom of a floorboard",
        "CloudWatch, latchkey and selection",
        "whatever the caller asked for is given to the mintmark",
        "MOST of it, ALMOST_ALL",
    ],
)
def test_words_that_only_contain_a_private_word_are_left_alone(text: str) -> None:
    """Only whole words and whole parts of names count."""
    assert [] == found(text)


def test_hypothesis_may_keep_its_given() -> None:
    """It is imported and called, not bound by this code."""
    assert [] == found("from hypothesis import given\n\n@given(x)\ndef test_a(x): pass", "some/module.py")


def test_a_finding_names_place_word_and_term() -> None:
    """As compilers do, so that an editor jumps there."""
    (finding,) = find("docs/page.md", "first\na door\n")
    assert "docs/page.md:2: 'door': use entry point, token function" == str(finding)


def test_every_exception_still_exists() -> None:
    """An exception for a file that is gone hides the next one of that name."""
    assert [] == [name for name in word_check.EXCLUDED if not (word_check.ROOT / name).exists()]


def test_the_repository_has_none() -> None:
    """As `make check` sees it."""
    assert [] == [str(finding) for finding in word_check.check(word_check.files())]


def test_the_change_log_may_name_what_a_renamed_name_was() -> None:
    """Only there, and only in front of the new name."""
    assert [] == found("The field `doors` is `functions`. `Fence` and `latch` are `Other` and `breaker`.", "CHANGELOG.md")
    assert ["doors"] == found("The field `doors` is `functions`.", "docs/page.md")
    assert ["doors"] == found("The doors are `functions`.", "CHANGELOG.md")
    assert ["doors"] == found("The field `functions` is `doors`.", "CHANGELOG.md")
