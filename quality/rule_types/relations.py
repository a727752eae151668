"""Relations: what a batch has to do with other data sets, the `references:` of the rule file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar

from quality import matches
from quality.analyzers import Analyzer
from quality.matches import FUNCTIONS
from quality.model import Bounds
from quality.rule_types.args import (
    BOUNDS,
    COLUMN,
    COLUMNS,
    SHARE_BOUNDS,
    TEXT,
    Kind,
    arg,
    choice,
    parse_bounds,
    parse_columns,
    parse_number,
    parse_share_bounds,
    parse_text,
    shown,
)
from quality.rule_types.base import MetricRule, Row, RowRule
from quality.rule_types.questions import Link, Near, Pairs, Question, Shape, Total

_REFERENCE_COLUMNS = Kind(parse_columns, COLUMNS.schema)
_ALL = Bounds((("equals", 1),))


def _parse_pairs(value: Any) -> tuple[tuple[str, str], ...]:
    """A column, a list of them, or a mapping of columns of the batch to those of the reference."""
    if isinstance(value, dict) and value:
        found = tuple((str(ours), parse_text(theirs)) for ours, theirs in value.items())
        twice = [theirs for _, theirs in found if [name for _, name in found].count(theirs) > 1]
        if twice:
            raise ValueError(f"names column '{twice[0]}' of the reference twice")
        return found
    if isinstance(value, dict):
        raise ValueError("must be columns, or a mapping of columns to those of the reference, got an empty mapping")
    return tuple((name, name) for name in parse_columns(value))


def _parse_near(value: Any) -> tuple[tuple[str, str], ...]:
    """A mapping of columns to amounts or percentages, as texts."""
    if not isinstance(value, dict) or not value:
        raise ValueError(f"must be a mapping such as {{amount: 0.01, price: 1%}}, got {shown(value)}")
    return tuple((str(name), _distance(str(name), entry)) for name, entry in value.items())


def _distance(name: str, value: Any) -> str:
    relative = isinstance(value, str) and value.strip().endswith("%")
    try:
        amount = Decimal(str(parse_number(value.strip()[:-1] if relative else value)))
    except ValueError as error:
        raise ValueError(f"of column '{name}' {error}") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"of column '{name}' must be at least 0, got {shown(value)}")
    return f"{amount:f}{'%' if relative else ''}"


def _near(name: str, text: str) -> Near:
    if text.endswith("%"):
        return Near(name, f"{Decimal(text[:-1]) / 100:f}", relative=True)
    return Near(name, text)


_PAIRS_SCHEMA = {
    "type": ["string", "array", "object"],
    "items": {"type": "string"},
    "additionalProperties": {"type": "string"},
}
#: Pairs keep the order of a mapping.
_PAIRS = Kind(_parse_pairs, _PAIRS_SCHEMA, role="types")
_NEAR = Kind(_parse_near, {"type": "object", "additionalProperties": {"type": ["number", "string"]}}, role="types")
#: Bounds of a share; without a word it must be 1.
_PART = Kind(lambda words: parse_share_bounds(words) if words else _ALL, SHARE_BOUNDS.schema, SHARE_BOUNDS.role)
_SHARE = Kind(lambda words: parse_bounds(words) if words else _ALL, BOUNDS.schema, BOUNDS.role)


@dataclass(frozen=True)
class ExistsIn(RowRule):
    """Every value, or every combination of values, is one of a reference, a data set under `references:`. A NULL in one of
    the columns means what `nulls` says; a NULL or NaN in the reference equals nothing. Values of the reference are taken as
    the type of the batch's column, those that have none in it equal nothing; texts compare byte by byte. A reference that
    cannot be read, or has no such column, makes the rule an `error`. Under a column, `column:` is that of the reference."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the column, or the columns, of the batch")
    reference: str = arg(TEXT, "the name of the reference")
    reference_columns: tuple[str, ...] = arg(
        _REFERENCE_COLUMNS, "its columns, in the same order; by default those of the same names", ()
    )

    type = "exists_in"
    main = "reference"
    short_names: ClassVar[Mapping[str, str]] = {"column": "reference_columns", "columns": "reference_columns"}
    example = "exists_in: {columns: [dest], reference: airports, reference_columns: [faa]}"

    @property
    def _link(self) -> Link:
        return Link(self.reference, self.columns_, self.reference_columns or self.columns_)

    def questions(self, _where: str = "") -> tuple[Question, ...]:
        """The one it rests on."""
        return (self._link,)

    def predicate(self, row: Row) -> str:
        """Whether the engine found the row's key in the reference."""
        return row.linked(self._link)

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must exist in {self.reference} ({', '.join(self._link.reference_columns)})"

    def problem(self) -> str:
        """As many columns on either side."""
        ours, theirs = len(self.columns_), len(self._link.reference_columns)
        return f"compares {ours} column(s) with {theirs} of the reference; name as many" if ours != theirs else ""


class _Match(MetricRule):
    """A rule that holds the batch as a whole against a reference, by one question."""

    ungrouped = "it holds the batch as a whole against a reference"

    def held(self, row: Row, where: str) -> Analyzer:
        """With the answer."""
        (question,) = self.questions(where)
        analyzer = self.analyzer(where)
        assert isinstance(analyzer, matches.Match)
        return replace(analyzer, answer=row.answer(question))


@dataclass(frozen=True)
class RowCountMatch(_Match):
    """The number of rows in scope, divided by that of a reference, lies within bounds; without bounds it is 1. Two without
    rows are 1; rows beside none cannot be told. Malformed lines are counted on neither side."""

    reference: str = arg(TEXT, "the name of the reference")
    bounds: Bounds = arg(_SHARE, "bounds of the quotient; by default it is 1", _ALL)

    type = "row_count_match"
    main = "reference"
    example = "row_count_match: {reference: airports, at_least: 0.95}"

    def questions(self, _where: str = "") -> tuple[Question, ...]:
        """How many rows it has."""
        return (Total(self.reference),)

    def analyzer(self, where: str) -> Analyzer:
        """The quotient."""
        return matches.RowCountMatch((), where, self.reference)


@dataclass(frozen=True)
class AggregateMatch(_Match):
    """An aggregate of a column, divided by that of a column of a reference, lies within bounds; without bounds it is 1. Equal
    aggregates are 1, also two of 0; beside 0, or where a side has no value, it cannot be told. Sums of whole numbers and
    decimals are exact. NULL is left out; texts of the reference are taken as numbers, and none may be another text."""

    column: str = arg(COLUMN, "the column of the batch")
    reference: str = arg(TEXT, "the name of the reference")
    bounds: Bounds = arg(_SHARE, "bounds of the quotient; by default it is 1", _ALL)
    function: str = arg(choice(*FUNCTIONS), "the aggregate", "sum")
    reference_column: str = arg(Kind(parse_text, TEXT.schema), "its column; by default that of the same name", "")

    type = "aggregate_match"
    main = "reference"
    example = "aggregate_match: {column: lat, reference: airports, function: mean, within: 1% of 1}"

    def questions(self, _where: str = "") -> tuple[Question, ...]:
        """Its aggregate."""
        return (Total(self.reference, self.function, self.reference_column or self.column, self.column),)

    def analyzer(self, where: str) -> Analyzer:
        """The quotient."""
        theirs = self.reference_column or self.column
        return matches.AggregateMatch(
            (self.column,), where, self.reference, function=self.function, reference_column=theirs
        )


@dataclass(frozen=True)
class SchemaMatch(_Match):
    """The share of columns that batch and reference both have, of those that either has, lies within bounds; without bounds
    it is 1. Names compare without case, whatever their order. Types must be the same, unless one of them is a text format,
    which has none."""

    reference: str = arg(TEXT, "the name of the reference")
    bounds: Bounds = arg(_PART, "bounds of the share; by default it is 1", _ALL)
    types: str = arg(choice("fail", "allow"), "a column of both has two types", "fail")

    type = "schema_match"
    unfiltered = "does not go with it: it is about columns, which are those of all rows"
    main = "reference"
    example = "schema_match: {reference: airports, types: allow, at_least: 0.9}"

    def questions(self, _where: str = "") -> tuple[Question, ...]:
        """Its columns."""
        return (Shape(self.reference, self.types == "fail"),)

    def analyzer(self, where: str) -> Analyzer:
        """The share."""
        return matches.SchemaMatch((), where, self.reference)


@dataclass(frozen=True)
class DatasetMatch(_Match):
    """The share of rows that are the same in batch and reference lies within bounds; without bounds it is 1, and both hold the
    same rows. Rows are paired by key. A row is missing there when its key is not in the reference, and missing here the
    other way round; a key with a NULL or NaN in it has no partner. A key that occurs more than once on a side, and at all on the other, pairs
    nothing: its rows of the batch are told as doubled. A pair is different when a value is: NULL equals NULL, NaN equals NaN, 0.0 equals
    -0.0, numbers compare whatever their types, and a text is taken as the type of the batch's column; one that is none of it is
    different. The result tells how many rows are of each kind, in which columns they differ, and some of them."""

    key: tuple[tuple[str, str], ...] = arg(
        _PAIRS, "the columns that pair rows, or a mapping of columns of the batch to those of the reference"
    )
    reference: str = arg(TEXT, "the name of the reference")
    bounds: Bounds = arg(_PART, "bounds of the share; by default it is 1", _ALL)
    columns_: tuple[tuple[str, str], ...] = arg(
        _PAIRS, "the columns that are compared, or a mapping as of `key`; by default all that both have", ()
    )
    near: tuple[tuple[str, str], ...] = arg(
        _NEAR, "how far numbers may be apart: by column an amount, or a percentage of the reference's", ()
    )
    of: str = arg(
        choice("either", "batch"),
        "the share is of the rows of the batch and of those it misses, or of the batch's",
        "either",
    )

    type = "dataset_match"
    about_several = True
    example = (
        "dataset_match: {key: {dest: faa}, reference: airports, columns: {lat: lat, lon: lon}, near: {lat: 0.001}}"
    )

    def columns(self) -> tuple[str, ...]:
        """The key."""
        return tuple(ours for ours, _ in self.key)

    def questions(self, where: str = "") -> tuple[Question, ...]:
        """Which rows it has too."""
        near = tuple(_near(name, text) for name, text in self.near)
        return (Pairs(self.reference, self.key, self.columns_, near, where),)

    def analyzer(self, where: str) -> Analyzer:
        """The share."""
        paired_by = ",".join(ours if ours == theirs else f"{ours}={theirs}" for ours, theirs in self.key)
        return matches.DatasetMatch((), where, self.reference, paired_by=paired_by, of_batch=self.of == "batch")

    def problem(self) -> str:
        """A distance is of a column that is compared."""
        compared = [ours.lower() for ours, _ in self.columns_]
        wrong = [name for name, _ in self.near if compared and name.lower() not in compared]
        return f"'near' names '{wrong[0]}', which is not among its columns" if wrong else ""
