"""The order of rows, and time without holes: gaps, periods without rows, values that rise or fall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from quality import orders
from quality.analyzers import FRACTIONAL, Analyzer, base_type
from quality.model import Bounds
from quality.rule_types.args import (
    COLUMN,
    COLUMNS,
    DURATION,
    FLAG,
    Kind,
    arg,
    choice,
    duration_text,
    parse_number,
    shown,
)
from quality.rule_types.base import MetricRule, Row, RowRule
from quality.rule_types.dates import AS_OF, moment_of
from quality.rule_types.questions import Order, Question
from quality.sql import conjunction

PER = "columns whose values are groups, each with an order of its own"


def _parse_count(value: object) -> int:
    number = parse_number(value)
    if not isinstance(number, int) or number < 0:
        raise ValueError(f"must be a whole number, 0 or more, got {shown(value)}")
    return number


COUNT = Kind(_parse_count, {"type": "integer", "minimum": 0})


@dataclass(frozen=True)
class Gaps(MetricRule):
    """The longest time between two values that follow each other is at most so long, in each group of `per` by itself. NULL is
    left out; of one value there is no gap, and a column of NULLs cannot be told. What is missing before the first value and
    after the last is no gap: see `coverage` and `freshness`. Takes a pass of its own with a sort; without `per` a large batch is
    read twice for it."""

    column: str = arg(COLUMN, "the column, of type date or timestamp")
    at_most: timedelta = arg(DURATION, "the longest time that may lie between two values: 15 minutes, 1 day")
    per: tuple[str, ...] = arg(COLUMNS, PER, ())

    ungrouped = "it is measured over the whole batch, in a pass of its own"
    type = "gaps"
    example = "gaps: {column: measured_at, at_most: 15 minutes, per: [station]}"

    @property
    def bounds(self) -> Bounds:  # type: ignore[override]
        """In seconds."""
        return Bounds((("at_most", self.at_most.total_seconds()),))

    def analyzer(self, where: str) -> Analyzer:
        """The longest gap."""
        return orders.MaxGap((self.column,), where, (self.column,), self.per)

    def requirement(self) -> str:
        """As the message says it."""
        return f"must have no gap longer than {duration_text(self.at_most)}"

    def expected(self) -> str:
        """The longest gap allowed."""
        return self.requirement()


@dataclass(frozen=True)
class Coverage(MetricRule):
    """Every minute, hour, day, week (from Monday) or month has rows: from the one of `from` to the one before `to`, or between the
    first and the last that have rows. Days and longer ones are those of `input.timezone`, minutes and hours those of UTC. NULL
    is left out. Takes a pass of its own, with a shuffle of the periods."""

    column: str = arg(COLUMN, "the column, of type date or timestamp")
    every: str = arg(choice(*orders.PERIODS), "the period: minute, hour, day, week or month")
    from_: str = arg(AS_OF, "the beginning: a date or a time", "")
    to: str = arg(AS_OF, "the end, which is not part of it: a date, a time or 'end of' a date", "")
    missing: int = arg(COUNT, "how many periods may be without rows", 0)

    ungrouped = "it is measured over the whole batch, in a pass of its own"
    type = "coverage"
    example = "coverage: {column: booked_at, every: hour, from: '2024-01-01', to: end of 2024-01-01}"

    @property
    def bounds(self) -> Bounds:  # type: ignore[override]
        """Of the number of periods."""
        return Bounds((("at_most", self.missing),))

    def analyzer(self, where: str) -> Analyzer:
        """The number of periods without rows."""
        start, end = (partial(moment_of, text) if text else None for text in (self.from_, self.to))
        return orders.MissingPeriods((self.column,), where, self.every, start, end)

    def requirement(self) -> str:
        """As the message says it."""
        less = f", but for {self.missing:,}" if self.missing else ""
        ends = "".join(f" {word} {text}" for word, text in (("from", self.from_), ("to", self.to)) if text)
        return f"must have rows for every {self.every}{ends}{less}"

    def expected(self) -> str:
        """The periods."""
        return self.requirement()

    def problem(self) -> str:
        """A window from its beginning to its end."""
        if self.from_ and self.to and moment_of(self.from_, "UTC") >= moment_of(self.to, "UTC"):
            return f"'from' must lie before 'to', got {self.from_} and {self.to}"
        return ""


@dataclass(frozen=True)
class Monotonic(MetricRule):
    """Values rise or fall from row to row, in the order of other columns and in each group of `per` by itself: no value is less
    (`decreasing`: more) than the one before it, or equal to it where `strict`. Rows of one place in the order are compared as if
    they came in the wished direction; rows in which the value or the order is NULL are left out; NaN counts as larger than any
    number. The metric is the number of rows that break the order, of which `violations` may. The batch is judged, not its rows:
    for those there is the rule type `ordered`. Takes a pass of its own with a sort; without `per` a large batch is read twice for it."""

    column: str = arg(COLUMN, "the column whose values are compared")
    order_by: tuple[str, ...] = arg(COLUMNS, "the columns that say which row comes before which")
    direction: str = arg(choice("increasing", "decreasing"), "increasing or decreasing", "increasing")
    strict: bool = arg(FLAG, "whether equal values break the order", False)
    per: tuple[str, ...] = arg(COLUMNS, PER, ())
    violations: int = arg(COUNT, "how many rows may break the order", 0)

    ungrouped = "it is measured over the whole batch, in a pass of its own"
    type = "monotonic"
    example = "monotonic: {column: reading, order_by: measured_at, per: [meter]}"

    @property
    def bounds(self) -> Bounds:  # type: ignore[override]
        """Of the number of rows."""
        return Bounds((("at_most", self.violations),))

    def analyzer(self, where: str) -> Analyzer:
        """The number of rows that break the order."""
        kind = orders.Rising if self.direction == "increasing" else orders.Falling
        return kind((self.column,), where, self.order_by, self.per, strict=self.strict)

    def requirement(self) -> str:
        """As the message says it."""
        strictly, per = "strictly " if self.strict else "", f" per {', '.join(self.per)}" if self.per else ""
        some = f", but for {self.violations:,} rows" if self.violations else ""
        return f"must be {strictly}{self.direction} by {', '.join(self.order_by)}{per}{some}"

    def expected(self) -> str:
        """The order."""
        return self.requirement()


@dataclass(frozen=True)
class Ordered(RowRule):
    """Values rise or fall from row to row, in the order of other columns and in each group of `per` by itself: a row fails whose
    value is less (`decreasing`: more) than the one before it, or equal to it where `strict`. It is the later of two rows that
    fails, also where the value before it was too high. Rows of one place in the order are compared as if they came in the wished
    direction; those that have the same value too fail together, and under `strict` they fail. NULL in the value or in the order
    means what `nulls` says, NaN there fails unless `nan: pass`; the rows before and after are compared past them. NULL in `per`
    is a group. Rows outside `where` are not compared, nor are those of other batches: of a stream each micro-batch has its own
    order. Takes a pass of its own with a sort; without `per` the batch is read twice for it. `monotonic` judges the batch."""

    column: str = arg(COLUMN, "the column whose values are compared")
    order_by: tuple[str, ...] = arg(COLUMNS, "the columns that say which row comes before which")
    direction: str = arg(choice("increasing", "decreasing"), "increasing or decreasing", "increasing")
    strict: bool = arg(FLAG, "whether equal values break the order", False)
    per: tuple[str, ...] = arg(COLUMNS, PER, ())

    ungrouped = "its order is one of the whole batch; for one within groups name their columns in 'per'"
    type = "ordered"
    by_row = False
    example = "ordered: {column: reading, order_by: measured_at, per: [meter]}"

    def _order(self, where: str) -> Order:
        falls = self.direction == "decreasing"
        return Order(self.column, self.order_by, self.per, falls, self.strict, where)

    def questions(self, where: str = "") -> tuple[Question, ...]:
        """Which rows break the order."""
        return (self._order(where),)

    def predicate(self, row: Row) -> str:
        """Among all rows."""
        return self.held(row, "")

    def held(self, row: Row, where: str) -> str:
        """Whether the engine found that the row does not break the order; false for NaN."""
        floats = [row.ref(name) for name in self.nan_columns() if base_type(row.type(name)) in FRACTIONAL]
        return conjunction([*(f"not isnan({ref})" for ref in floats), f"not {row.breaks(self._order(where))}"])

    def nan_columns(self) -> tuple[str, ...]:
        """Those that are compared."""
        return (self.column, *self.order_by)

    def null_references(self, row: Row) -> list[str]:
        """Value and place: NULL in `per` is a group."""
        return [row.ref(name) for name in self.nan_columns()]

    def requirement(self) -> str:
        """As the reasons say it."""
        strictly, per = "strictly " if self.strict else "", f" per {', '.join(self.per)}" if self.per else ""
        return f"must be {strictly}{self.direction} by {', '.join(self.order_by)}{per}"
