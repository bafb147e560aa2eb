"""Conditions on what is known of a video, such as `year >= 2020 and genre in ('news', 'sport')`.

A condition is parsed into a small tree without negations, which is tried on rows or translated into a store's own
language. As in SQL, a video without a value satisfies no comparison with that column, neither `=` nor `!=`; `is null`
finds it. A value that is not a number (NaN) is no value. Upper and lower case differ in texts, and not in keywords.
Negations are resolved while parsing, `not (a = 1 or b > 2)` into `a != 1 and b <= 2`, which says the same in that
logic.

    condition   := conjunction ("or" conjunction)*
    conjunction := negation ("and" negation)*
    negation    := "not" negation | "(" condition ")" | predicate
    predicate   := column ("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") value
                 | column ["not"] "in" "(" value ("," value)* ")"
                 | column ["not"] "startswith" 'text'
                 | column ["not"] "like" 'pattern' (% stands for any characters, _ for one)
                 | column "is" ["not"] "null"
    column      := name | "any name"
    value       := number | 'text' ('' stands for ') | true | false

The columns are those of the metadata, and of every video: `path`, `duration` and, of a window, `start` and `end` in
seconds; `size` of the file in bytes, `width` and `height` of its frames, and when it was `modified`. A time is
compared with a text as of ISO 8601, '2026-11-27' or '2026-11-27T10:00', in local time if it names no other; a day
means its first moment. A `path` that is not absolute is looked for in the folders that were indexed and in the working
directory, so that `path startswith 'holiday/'` means what is below `holiday` in any of them; only an order (`path <
'b'`) is one of whole paths. Files of the same content are one video: `=`, `in`, `startswith` and `like` hold of its
`path` if they hold of one of theirs, and `!=` and `not` of these if of none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

from video_colbert.errors import FilterError

FilterValue = str | int | float | bool
Operator = Literal["=", "!=", "<", "<=", ">", ">="]

_KEYWORDS = frozenset(("and", "or", "not", "in", "is", "null", "true", "false"))
_OPPOSITES: dict[Operator, Operator] = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
# Of operators that are written in two ways.
_SPELLINGS: dict[Operator, str] = {"=": "==", "!=": "<>"}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|\"(?P<quoted>[^\"]+)\"|(?P<sign><=|>=|!=|<>|==|[=<>(),]))"
)
_MAX_DEPTH = 100
# No whole number of more digits fits an index.
_MAX_DIGITS = 19
# Characters of a filter that a message repeats.
_SHOWN = 80


@dataclass(frozen=True)
class Comparison:
    """`column operator value`."""

    column: str
    operator: Operator
    value: FilterValue


@dataclass(frozen=True)
class Membership:
    """`column in (values)`, or `not in`."""

    column: str
    values: tuple[FilterValue, ...]
    negated: bool = False


@dataclass(frozen=True)
class TextMatch:
    """`column startswith 'text'`, or `column like 'pattern'`, or `not` one of these; upper and lower case differ.

    Attributes:
        column: which holds text.
        starts: texts, of which a value begins with one, as it is written.
        pattern: what the rest of the value is like: % stands for any characters, _ for one.
        negated: whether it must not match.
    """

    column: str
    starts: tuple[str, ...]
    pattern: str = "%"
    negated: bool = False


@dataclass(frozen=True)
class NullCheck:
    """`column is null`, or `is not null`."""

    column: str
    negated: bool = False


@dataclass(frozen=True)
class AllOf:
    """All of two or more conditions hold."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one of two or more conditions holds."""

    parts: tuple[Filter, ...]


Filter = Comparison | Membership | TextMatch | NullCheck | AllOf | AnyOf
"""A condition."""


def parse_filter(text: str) -> Filter:
    """Parses a condition.

    Args:
        text: in the language above; keywords in any case. A column whose name is no plain word, or is a keyword,
            stands in double quotes.

    Raises:
        FilterError: it is none; the message says where.
    """
    return _Parser(text).parse()


class _Parser:
    """Recursive descent; each method reads one rule of the grammar and, if `negated`, returns its opposite."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._depth = 0
        self._next: re.Match[str] | None = None
        self._advance()

    def parse(self) -> Filter:
        condition = self._condition(negated=False)
        if self._next is not None:
            self._fail("and, or, or the end")
        return condition

    def _condition(self, *, negated: bool) -> Filter:
        parts = [self._conjunction(negated=negated)]
        while self._accept("or"):
            parts.append(self._conjunction(negated=negated))
        return _joined(AllOf if negated else AnyOf, parts)

    def _conjunction(self, *, negated: bool) -> Filter:
        parts = [self._negation(negated=negated)]
        while self._accept("and"):
            parts.append(self._negation(negated=negated))
        return _joined(AnyOf if negated else AllOf, parts)

    def _negation(self, *, negated: bool) -> Filter:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise FilterError(f"the filter is nested more than {_MAX_DEPTH} times")
        if self._accept("not"):
            condition = self._negation(negated=not negated)
        elif self._accept("("):
            condition = self._condition(negated=negated)
            self._expect(")")
        else:
            condition = self._predicate(negated=negated)
        self._depth -= 1
        return condition

    def _predicate(self, *, negated: bool) -> Filter:
        column = self._column()
        if self._accept("is"):
            is_not = self._accept("not")
            self._expect("null")
            return NullCheck(column, negated=is_not != negated)
        is_not = self._accept("not")
        if self._accept("startswith"):
            return TextMatch(column, (self._text_value(),), negated=is_not != negated)
        if self._accept("like"):
            return TextMatch(column, ("",), self._text_value(), negated=is_not != negated)
        if is_not or self._peek() == "in":
            self._expect("in", "in, startswith or like")
            self._expect("(")
            values = [self._value()]
            while self._accept(","):
                values.append(self._value())
            self._expect(")")
            return Membership(column, tuple(values), negated=is_not != negated)
        operator: Operator
        for operator in ("<=", ">=", "!=", "=", "<", ">"):
            if self._accept(operator) or self._accept(_SPELLINGS.get(operator)):
                return Comparison(column, _OPPOSITES[operator] if negated else operator, self._value())
        return self._fail("a comparison such as =, <, in, startswith, like or is null")

    def _column(self) -> str:
        found = self._next
        name: str | None = None if found is None else found["quoted"] or found["word"]
        if found is None or name is None or (found["word"] and name.lower() in _KEYWORDS):
            self._fail("the name of a column")
        self._advance()
        return name

    def _value(self) -> FilterValue:
        found = self._next
        if self._accept("true"):
            return True
        if self._accept("false"):
            return False
        if found is None or (found["text"] is None and found["number"] is None):
            self._fail("a number, a 'text', true or false; texts stand in single quotes")
        self._advance()
        text: str | None = found["text"]
        return self._number(found["number"]) if text is None else text[1:-1].replace("''", "'")

    def _text_value(self) -> str:
        if self._next is None or self._next["text"] is None:
            self._fail("a 'text' in single quotes")
        value = self._value()
        assert isinstance(value, str)  # noqa: S101 - seen above
        return value

    def _number(self, digits: str) -> int | float:
        if (unsigned := digits.lstrip("+-")).isdigit():
            if len(unsigned.lstrip("0")) <= _MAX_DIGITS and -(2**63) <= (whole := int(digits)) < 2**63:
                return whole
        elif (number := float(digits)) not in (float("inf"), float("-inf")):
            return number
        raise FilterError(f"the number {_shortened(digits)} is too large for a filter")

    def _peek(self) -> str | None:
        """The next word or sign, words in lower case; None for a value and at the end."""
        if self._next is None:
            return None
        return self._next["word"].lower() if self._next["word"] else self._next["sign"]

    def _accept(self, expected: str | None) -> bool:
        if expected is None or self._peek() != expected:
            return False
        self._advance()
        return True

    def _expect(self, expected: str, instead: str | None = None) -> None:
        if not self._accept(expected):
            self._fail(instead or expected)

    def _advance(self) -> None:
        if self._next is not None:
            self._place = self._next.end()
        self._next = _TOKEN.match(self._text, self._place)
        if self._next is None and self._text[self._place :].strip():
            self._fail("a column, a value or an operator; texts stand in single quotes")

    def _fail(self, expected: str) -> NoReturn:
        rest = self._text[self._place :].strip()
        where = f"at {_shortened(rest)!r}" if rest else "at its end"
        raise FilterError(f"the filter {_shortened(self._text)!r} is not understood {where}: expected {expected}")


def _joined(kind: type[AllOf] | type[AnyOf], parts: list[Filter]) -> Filter:
    """Several conditions as one; conditions of the same kind are taken apart, so that a tree has one form."""
    if len(parts) == 1:
        return parts[0]
    return kind(tuple(leaf for part in parts for leaf in (part.parts if isinstance(part, kind) else (part,))))


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
