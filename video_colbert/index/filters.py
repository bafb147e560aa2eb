"""Conditions on what is known of a video, such as `year >= 2020 and genre in ('news', 'sport')`.

A condition is parsed into a small tree without negations, which a store translates into its own language. As in SQL,
a video without a value satisfies no comparison with that column, neither `=` nor `!=`; `is null` finds it. Negations
are resolved while parsing, `not (a = 1 or b > 2)` into `a != 1 and b <= 2`, which says the same in that logic.

    condition   := conjunction ("or" conjunction)*
    conjunction := negation ("and" negation)*
    negation    := "not" negation | "(" condition ")" | predicate
    predicate   := column ("=" | "!=" | "<>" | "<" | "<=" | ">" | ">=") value
                 | column ["not"] "in" "(" value ("," value)* ")"
                 | column "is" ["not"] "null"
    value       := number | 'text' ('' stands for ') | true | false
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

import pyarrow as pa

from video_colbert.errors import FilterError

FilterValue = str | int | float | bool
Operator = Literal["=", "!=", "<", "<=", ">", ">="]
KEYWORDS = frozenset(("and", "or", "not", "in", "is", "null", "true", "false"))
"""Words of the language, in lower case, which no column can have for a name."""

_OPPOSITES: dict[Operator, Operator] = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign><=|>=|!=|<>|[=<>(),]))"
)
_MAX_DEPTH = 100


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


Filter = Comparison | Membership | NullCheck | AllOf | AnyOf
"""A condition."""


def parse_filter(text: str) -> Filter:
    """Parses a condition.

    Args:
        text: in the language above; keywords in any case.

    Raises:
        FilterError: it is none; the message says where.
    """
    return _Parser(text).parse()


def filter_columns(condition: Filter) -> set[str]:
    """The columns that a condition asks for."""
    if isinstance(condition, AllOf | AnyOf):
        return set().union(*map(filter_columns, condition.parts))
    return {condition.column}


def check_filter(condition: Filter, fields: Sequence[pa.Field]) -> None:
    """Checks that a condition asks for columns that are there, and compares them with values of their type.

    Args:
        condition: what to check.
        fields: the columns that can be asked for.

    Raises:
        FilterError: a column is not there, which names those that are; or a value is of another type.
    """
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            check_filter(part, fields)
        return
    types = {field.name: field.type for field in fields}
    if condition.column not in types:
        raise FilterError(
            f"there is no column {condition.column!r} to filter by; there are {', '.join(sorted(types))}"
        )
    kind = types[condition.column]
    if isinstance(condition, NullCheck):
        return
    for value in condition.values if isinstance(condition, Membership) else (condition.value,):
        if not _is_comparable(kind, value):
            raise FilterError(f"column {condition.column!r} holds {_kind_name(kind)}, not {value!r}")
    if kind == pa.bool_() and isinstance(condition, Comparison) and condition.operator not in ("=", "!="):
        raise FilterError(f"column {condition.column!r} holds true or false; compare it with = or !=")


def lance_sql(condition: Filter) -> str:
    """The condition in the SQL that Lance understands; `check_filter` it first, which lets only known columns pass."""
    if isinstance(condition, AllOf | AnyOf):
        word = " AND " if isinstance(condition, AllOf) else " OR "
        return "(" + word.join(map(lance_sql, condition.parts)) + ")"
    column = f"`{condition.column}`"
    negation = "NOT " if not isinstance(condition, Comparison) and condition.negated else ""
    if isinstance(condition, NullCheck):
        return f"{column} IS {negation}NULL"
    if isinstance(condition, Membership):
        return f"{column} {negation}IN ({', '.join(map(_literal, condition.values))})"
    return f"{column} {condition.operator} {_literal(condition.value)}"


def sql_text(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _literal(value: FilterValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return sql_text(value) if isinstance(value, str) else repr(value)


def _is_comparable(kind: pa.DataType, value: FilterValue) -> bool:
    if isinstance(value, bool):
        return bool(kind == pa.bool_())
    if isinstance(value, str):
        return bool(kind == pa.string())
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _kind_name(kind: pa.DataType) -> str:
    if kind == pa.bool_():
        return "true or false"
    return "text" if kind == pa.string() else "numbers"


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
        if (is_not := self._accept("not")) or self._peek() == "in":
            self._expect("in")
            self._expect("(")
            values = [self._value()]
            while self._accept(","):
                values.append(self._value())
            self._expect(")")
            return Membership(column, tuple(values), negated=is_not != negated)
        operator: Operator
        for operator in ("<=", ">=", "!=", "=", "<", ">"):
            if self._accept(operator) or (operator == "!=" and self._accept("<>")):
                return Comparison(column, _OPPOSITES[operator] if negated else operator, self._value())
        return self._fail("a comparison such as =, <, in or is null")

    def _column(self) -> str:
        found = self._next
        if found is None or found["word"] is None or found["word"].lower() in KEYWORDS:
            self._fail("the name of a column")
        self._advance()
        return found["word"]

    def _value(self) -> FilterValue:
        found = self._next
        if self._accept("true"):
            return True
        if self._accept("false"):
            return False
        if found is None or (found["text"] is None and found["number"] is None):
            self._fail("a number, a 'text', true or false")
        self._advance()
        text: str | None = found["text"]
        return self._number(found["number"]) if text is None else text[1:-1].replace("''", "'")

    def _number(self, digits: str) -> int | float:
        if digits.lstrip("+-").isdigit():
            if abs(whole := int(digits)) < 2**63:
                return whole
        elif (number := float(digits)) not in (float("inf"), float("-inf")):
            return number
        raise FilterError(f"the number {digits} is too large for a filter")

    def _peek(self) -> str | None:
        """The next word or sign, words in lower case; None for a value and at the end."""
        if self._next is None:
            return None
        return self._next["word"].lower() if self._next["word"] else self._next["sign"]

    def _accept(self, expected: str) -> bool:
        if self._peek() != expected:
            return False
        self._advance()
        return True

    def _expect(self, expected: str) -> None:
        if not self._accept(expected):
            self._fail(expected)

    def _advance(self) -> None:
        if self._next is not None:
            self._place = self._next.end()
        rest = self._text[self._place :]
        self._next = _TOKEN.match(self._text, self._place)
        if self._next is None and rest.strip():
            self._fail("a column, a value or an operator; texts stand in single quotes")

    def _fail(self, expected: str) -> NoReturn:
        rest = self._text[self._place :].strip()
        where = f"at {rest!r}" if rest else "at its end"
        raise FilterError(f"the filter {self._text!r} is not understood {where}: expected {expected}")


def _joined(kind: type[AllOf] | type[AnyOf], parts: list[Filter]) -> Filter:
    """Several conditions as one; conditions of the same kind are taken apart, so that a tree has one form."""
    if len(parts) == 1:
        return parts[0]
    return kind(tuple(leaf for part in parts for leaf in (part.parts if isinstance(part, kind) else (part,))))
