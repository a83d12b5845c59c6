"""A small part of SOQL: SELECT fields FROM type WHERE ... ORDER BY ... LIMIT ... OFFSET ... on rows in memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Condition = Callable[[Row], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')|(?P<operator><=|>=|!=|<>|[=<>(),])|(?P<word>[^\s'=<>!(),]+)|(?P<other>\S))"
)
_KEYWORDS = {"from", "where", "order", "limit", "offset", "and", "or", "not", "by", "like", "in"}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class Malformed(Exception):
    """A query that cannot be parsed; the message is Salesforce's."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a SELECT asks for. `fields` as written; COUNT() is `count`."""

    fields: tuple[str, ...]
    count: bool
    source: str
    matches: Condition
    mentioned: tuple[str, ...]
    order: tuple[tuple[str, bool], ...]
    limit: int | None
    offset: int

    def select(self, rows: list[Row]) -> list[Row]:
        """Return the rows that match, in order, within limit and offset."""
        found = [row for row in rows if self.matches(row)]
        for name, descending in reversed(self.order):
            found.sort(key=lambda row: _comparable(_value(row, name)), reverse=descending)
        end = None if self.limit is None else self.offset + self.limit
        return found[self.offset : end]


def parse(text: str) -> Query:
    """Parse a query; raise Malformed."""
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        tokens = [(found[0].strip(), found.start(0), found.lastgroup) for found in _TOKEN.finditer(text)]
        words = [token.lower() for token, _, _ in tokens]
        own = f"{words[words.index('from') + 1]}." if "from" in words[:-1] else " "
        # A field may be qualified by the object's own name.
        self._tokens = [
            (token[len(own) :] if token.lower().startswith(own) and kind == "word" else token, start, kind)
            for token, start, kind in tokens
        ]
        self._at = 0
        self._mentioned: list[str] = []

    def query(self) -> Query:
        self._expect("select")
        fields = self._fields()
        self._expect("from")
        source = self._word()
        matches: Condition = lambda _: True  # noqa: E731  the condition of no condition
        if self._take("where"):
            matches = self._either()
        order = self._order() if self._take("order") else ()
        limit = self._number() if self._take("limit") else None
        offset = self._number() if self._take("offset") else 0
        if self._at < len(self._tokens):
            raise self._unexpected()
        count = [field.lower() for field in fields] == ["count()"]
        return Query(fields, count, source, matches, tuple(self._mentioned), order, limit, offset)

    def _fields(self) -> tuple[str, ...]:
        fields = [self._field()]
        while self._take(","):
            fields.append(self._field())
        return tuple(fields)

    def _field(self) -> str:
        name = self._word()
        if not self._take("("):
            return name
        inside = "" if self._peek() == ")" else self._word()
        self._expect(")")
        return f"{name}({inside})"

    def _order(self) -> tuple[tuple[str, bool], ...]:
        self._expect("by")
        order = []
        while True:
            name = self._name()
            descending = self._take("desc")
            if not descending:
                self._take("asc")
            if self._take("nulls") and not self._take("first"):
                self._expect("last")
            order.append((name, descending))
            if not self._take(","):
                return tuple(order)

    def _either(self) -> Condition:
        terms = [self._both()]
        while self._take("or"):
            terms.append(self._both())
        return lambda row: any(term(row) for term in terms)

    def _both(self) -> Condition:
        terms = [self._term()]
        while self._take("and"):
            terms.append(self._term())
        return lambda row: all(term(row) for term in terms)

    def _term(self) -> Condition:
        if self._take("not"):
            inner = self._term()
            return lambda row: not inner(row)
        if self._take("("):
            inner = self._either()
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        name = self._name()
        negated = self._take("not")
        if self._take("in"):
            self._expect("(")
            values = [self._value()]
            while self._take(","):
                values.append(self._value())
            self._expect(")")
            wanted = [_comparable(value) for value in values]
            return lambda row: (_comparable(_value(row, name)) in wanted) != negated
        if negated:
            raise self._unexpected()
        if self._take("like"):
            pattern = _like(str(self._value()))
            return lambda row: bool(pattern.fullmatch(str(_value(row, name) or "")))
        operator = self._peek()
        compare = _COMPARISONS.get(operator)
        if compare is None:
            raise self._unexpected()
        self._at += 1
        value = self._value()
        return lambda row: compare(_value(row, name), value)

    def _value(self) -> Any:
        if self._at >= len(self._tokens):
            raise self._unexpected()
        text, _, kind = self._tokens[self._at]
        self._at += 1
        if kind == "string":
            return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])
        if text.lower() in {"true", "false", "null"}:
            return {"true": True, "false": False, "null": None}[text.lower()]
        if re.fullmatch(r"[+-]?\d+(\.\d+)?", text):
            return float(text)
        if re.match(r"\d{4}-\d\d-\d\d", text):
            return text
        self._at -= 1
        raise self._unexpected()

    def _name(self) -> str:
        name = self._word()
        self._mentioned.append(name)
        return name

    def _word(self) -> str:
        if self._at >= len(self._tokens):
            raise self._unexpected()
        text, _, kind = self._tokens[self._at]
        if kind != "word" or text.lower() in _KEYWORDS:
            raise self._unexpected()
        self._at += 1
        return text

    def _number(self) -> int:
        if not self._peek().isdecimal():
            raise self._unexpected()
        self._at += 1
        return int(self._tokens[self._at - 1][0])

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self, word: str) -> bool:
        if self._peek().lower() != word:
            return False
        self._at += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._unexpected()

    def _unexpected(self) -> Malformed:
        """Say it as Salesforce does: the place, and what stands there."""
        text, start = self._tokens[self._at][:2] if self._at < len(self._tokens) else ("<EOF>", len(self._text))
        return Malformed(f"\n{self._text}\n{' ' * start}^\nERROR at Row:1:Column:{start + 1}\nunexpected token: '{text}'")


def _value(row: Row, name: str) -> Any:
    return next((value for field, value in row.items() if field.lower() == name.lower()), None)


def _comparable(value: Any) -> tuple[int, Any]:
    """Return a value that orders beside any other: nothing, numbers, text (without case, as Salesforce compares)."""
    if value is None:
        return (0, "")
    if isinstance(value, bool | int | float):
        return (1, float(value))
    return (2, str(value).casefold())


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: _comparable(one) == _comparable(other),
    "!=": lambda one, other: _comparable(one) != _comparable(other),
    "<>": lambda one, other: _comparable(one) != _comparable(other),
    "<": lambda one, other: one is not None and _comparable(one) < _comparable(other),
    "<=": lambda one, other: one is not None and _comparable(one) <= _comparable(other),
    ">": lambda one, other: one is not None and _comparable(one) > _comparable(other),
    ">=": lambda one, other: one is not None and _comparable(one) >= _comparable(other),
}


def _like(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(letter, re.escape(letter)) for letter in pattern), re.IGNORECASE | re.DOTALL)
