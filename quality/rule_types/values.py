"""Values: each value of a column taken by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from quality.analyzers import FRACTIONAL, TEXTUAL, base_type
from quality.casts import text_as
from quality.model import COMPARISONS, Bounds, Scalar, number_text
from quality.rule_types.args import BOUNDS, COLUMN, PAIR, REGEX, SCALAR, TYPE, VALUE_BOUNDS, VALUES, arg
from quality.rule_types.base import Row, RowRule
from quality.sql import conjunction


def _bounded(row: Row, column: str, bounds: Bounds) -> str:
    return conjunction(row.compare(column, COMPARISONS[word], value) for word, value in bounds.terms)


@dataclass(frozen=True)
class Values(RowRule):
    """Every value lies within bounds."""

    column: str = arg(COLUMN, "the column")
    bounds: Bounds = arg(VALUE_BOUNDS, "bounds of the value")

    type = "values"
    example = "values: {column: age, at_least: 0, below: 150}"

    def predicate(self, row: Row) -> str:
        """All bounds together."""
        return _bounded(row, self.column, self.bounds)

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must be {self.bounds}"


@dataclass(frozen=True)
class Between(RowRule):
    """Every value lies between two values, both included."""

    column: str = arg(COLUMN, "the column")
    range: tuple[Scalar, Scalar] = arg(PAIR, "[low, high]")

    type = "between"
    main = "range"
    example = "between: {column: age, range: [0, 150]}"

    def predicate(self, row: Row) -> str:
        """Both ends included."""
        low, high = self.range
        return _bounded(row, self.column, Bounds((("at_least", low), ("at_most", high))))

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must be between {number_text(self.range[0])} and {number_text(self.range[1])}"

    def problem(self) -> str:
        """An empty range is a mistake."""
        low, high = self.range
        # of two days written as one the later is the greater text as well
        days = all(isinstance(end, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", end) for end in self.range)
        if (not days and (isinstance(low, str) or isinstance(high, str))) or low <= high:  # type: ignore[operator]
            return ""
        return f"no value is at least {low} and at most {high}; write the smaller one first"


class _Comparison(RowRule):
    column: str
    value: Scalar
    main = "value"

    def predicate(self, row: Row) -> str:
        """One comparison, its word being the type's name."""
        return row.compare(self.column, COMPARISONS[self.type], self.value)

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must be {COMPARISONS[self.type]} {number_text(self.value)}"


@dataclass(frozen=True)
class AtLeast(_Comparison):
    """Every value is greater than or equal to a value."""

    column: str = arg(COLUMN, "the column")
    value: Scalar = arg(SCALAR, "the smallest allowed value")
    type = "at_least"
    example = "at_least: {column: amount, value: 0}"


@dataclass(frozen=True)
class Above(_Comparison):
    """Every value is greater than a value."""

    column: str = arg(COLUMN, "the column")
    value: Scalar = arg(SCALAR, "the value to exceed")
    type = "above"
    example = "above: {column: amount, value: 0}"


@dataclass(frozen=True)
class AtMost(_Comparison):
    """Every value is less than or equal to a value."""

    column: str = arg(COLUMN, "the column")
    value: Scalar = arg(SCALAR, "the largest allowed value")
    type = "at_most"
    example = "at_most: {column: share, value: 1}"


@dataclass(frozen=True)
class Below(_Comparison):
    """Every value is less than a value."""

    column: str = arg(COLUMN, "the column")
    value: Scalar = arg(SCALAR, "the value to stay below")
    type = "below"
    example = "below: {column: share, value: 1}"


@dataclass(frozen=True)
class Equals(_Comparison):
    """Every value equals a value. Texts compare byte by byte."""

    column: str = arg(COLUMN, "the column")
    value: Scalar = arg(SCALAR, "the only allowed value")
    type = "equals"
    example = "equals: {column: currency, value: EUR}"


@dataclass(frozen=True)
class NotEquals(_Comparison):
    """No value equals a value. Texts compare byte by byte."""

    column: str = arg(COLUMN, "the column")
    value: Scalar = arg(SCALAR, "the forbidden value")
    type = "not_equals"
    example = "not_equals: {column: country, value: XX}"


def listed(values: tuple[Scalar, ...]) -> str:
    """The first values of a list, for messages."""
    shown = ", ".join(str(value) for value in values[:8])
    return f"{shown}, ... ({len(values)} values)" if len(values) > 8 else shown


@dataclass(frozen=True)
class In(RowRule):
    """Every value is one of a set. Texts compare byte by byte, numbers as numbers."""

    column: str = arg(COLUMN, "the column")
    values: tuple[Scalar, ...] = arg(VALUES, "the allowed values")

    type = "in"
    main = "values"
    example = "in: {column: country, values: [SE, NO, DK]}"

    def predicate(self, row: Row) -> str:
        """Set membership."""
        members = ", ".join(row.member(self.column, value) for value in self.values)
        return f"{row.ref(self.column)} in ({members})"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must be one of {listed(self.values)}"


@dataclass(frozen=True)
class NotIn(RowRule):
    """No value is one of a set."""

    column: str = arg(COLUMN, "the column")
    values: tuple[Scalar, ...] = arg(VALUES, "the forbidden values")

    type = "not_in"
    main = "values"
    example = "not_in: {column: name, values: [test, dummy]}"

    def predicate(self, row: Row) -> str:
        """Set membership, denied; NaN is no value and fails."""
        members = ", ".join(row.member(self.column, value) for value in self.values)
        test = f"{row.ref(self.column)} not in ({members})"
        is_float = base_type(row.type(self.column)) in FRACTIONAL
        return f"({test}) and not isnan({row.ref(self.column)})" if is_float else test

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must not be one of {listed(self.values)}"


@dataclass(frozen=True)
class Matches(RowRule):
    """The whole value matches a regular expression (Java's dialect). Anchors are not needed, and a trailing newline
    is part of the value. Values that are not text are matched as their text."""

    column: str = arg(COLUMN, "the column")
    pattern: str = arg(REGEX, "the regular expression")

    type = "matches"
    main = "pattern"
    example = "matches: {column: code, pattern: '[A-Z]{3}'}"

    def predicate(self, row: Row) -> str:
        r"""\\z and not $, which also matches before a final newline."""
        pattern = "\\A(?:" + self.pattern + ")\\z"
        return f"{row.text(self.column)} rlike {_pattern(pattern)}"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must match {self.pattern}"


@dataclass(frozen=True)
class ContainsMatch(RowRule):
    """Some part of the value matches a regular expression (Java's dialect)."""

    column: str = arg(COLUMN, "the column")
    pattern: str = arg(REGEX, "the regular expression")

    type = "contains_match"
    main = "pattern"
    example = "contains_match: {column: email, pattern: '@'}"

    def predicate(self, row: Row) -> str:
        """A find, not a full match."""
        return f"{row.text(self.column)} rlike {_pattern(self.pattern)}"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must contain a match of {self.pattern}"


def _pattern(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@dataclass(frozen=True)
class Length(RowRule):
    """The length of every value, in characters (code points), lies within bounds. Values that are not text are
    measured as their text."""

    column: str = arg(COLUMN, "the column")
    bounds: Bounds = arg(BOUNDS, "bounds of the length")

    type = "length"
    example = "length: {column: code, between: [2, 10]}"

    def predicate(self, row: Row) -> str:
        """Bounds of char_length."""
        length = f"char_length({row.text(self.column)})"
        return conjunction(
            f"{length} {'<>' if word == 'not_equals' else COMPARISONS[word]} {value}"
            for word, value in self.bounds.terms
        )

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must have a length {self.bounds}"

    def problem(self) -> str:
        """A length is a whole number."""
        if self.bounds.recorded:
            return "'record: true' goes with a metric: see min_length and max_length"
        wrong = [value for _, value in self.bounds.terms if isinstance(value, bool) or not isinstance(value, int)]
        return f"a length is a whole number, got {wrong[0]}" if wrong else ""


@dataclass(frozen=True)
class Type(RowRule):
    """Every value can be cast to a type without losing anything. In text formats (CSV, JSON lines) the type also
    becomes the column's type on the passed side; a value that cannot be cast is NULL for every other rule."""

    column: str = arg(COLUMN, "the column")
    is_: str = arg(TYPE, "the type: string, integer, long, double, decimal(p,s), boolean, date, timestamp, ...")

    type = "type"
    main = "is"
    example = "type: {column: amount, is: 'decimal(10,2)'}"

    def null_references(self, row: Row) -> list[str]:
        """A text that cannot be cast is not NULL."""
        return [row.text(self.column)]

    def predicate(self, row: Row) -> str:
        """Raw text: the cast value is there. Typed columns: the cast gives the same value back."""
        column = row.find(self.column)
        if column.name in row.raw:
            return f"{row.raw[column.name]} is null or {row.ref(self.column)} is not null"
        return castable(row.ref(self.column), column.type, self.is_)

    def nan_columns(self) -> tuple[str, ...]:
        """NaN is a double like any other."""
        return ()

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must be of type {self.is_}"


def castable(ref: str, actual: str, wanted: str) -> str:
    """SQL: a value of one type can be had in another, and be had back unchanged; true for NULL."""
    if wanted in (actual, "string"):
        return f"{ref} is null or true"
    if base_type(actual) in TEXTUAL:
        return f"{ref} is null or {text_as(ref, wanted)} is not null"
    # there and back: a cast that loses something (a fraction, a time of day, digits beyond 2^53) shows in the way back
    test = f"try_cast(try_cast({ref} as {wanted}) as {actual}) <=> {ref}"
    if base_type(actual) == "bigint" and base_type(wanted) in FRACTIONAL:
        # 2^63 - 1 becomes 2^63, and on the way back the largest bigint again
        return f"{test} and {ref} <=> nullif({ref}, {2**63 - 1}L)"
    return test
