"""Names of columns: which are there, how many, in which order, how they are written. Judged without reading a row."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from quality.model import Bounds, Column, Metric, MetricKey
from quality.rule_types.args import BOUNDS, COLUMNS, REGEX, arg, shown
from quality.rule_types.base import SchemaRule

_Declared = tuple[tuple[str, str], ...]


def _lower(actual: tuple[Column, ...]) -> list[str]:
    return [column.name.lower() for column in actual]


@dataclass(frozen=True)
class ColumnsExist(SchemaRule):
    """The batch has these columns. Names compare without case."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns that must be there")

    type = "columns_exist"
    about_several = True
    example = "columns_exist: {columns: [id, amount]}"

    def requirement(self) -> str:
        """As the result says it."""
        return f"must have {', '.join(self.columns_)}"

    def differences(self, actual: tuple[Column, ...], _declared: _Declared) -> list[str]:
        """Those that are missing."""
        there = _lower(actual)
        return [f"column '{name}' is missing" for name in self.columns_ if name.lower() not in there]


@dataclass(frozen=True)
class ColumnsAbsent(SchemaRule):
    """The batch has none of these columns. Names compare without case."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns that must not be there")

    type = "columns_absent"
    about_several = True
    example = "columns_absent: {columns: [ssn, card_number]}"

    def requirement(self) -> str:
        """As the result says it."""
        return f"must not have {', '.join(self.columns_)}"

    def differences(self, actual: tuple[Column, ...], _declared: _Declared) -> list[str]:
        """Those that are there."""
        there = _lower(actual)
        return [f"column '{name}' is there" for name in self.columns_ if name.lower() in there]


@dataclass(frozen=True)
class ColumnOrder(SchemaRule):
    """These columns stand in this order; others may stand between them, and one that is not there is passed over. Names
    compare without case."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns in their order")

    type = "column_order"
    about_several = True
    example = "column_order: {columns: [id, booked_at, amount]}"

    def requirement(self) -> str:
        """As the result says it."""
        return f"must have the order {', '.join(self.columns_)}"

    def differences(self, actual: tuple[Column, ...], _declared: _Declared) -> list[str]:
        """The order that was found."""
        wanted = [name.lower() for name in self.columns_]
        found = [name for name in _lower(actual) if name in wanted]
        return [] if found == [name for name in wanted if name in found] else [f"the order is {', '.join(found)}"]


@dataclass(frozen=True)
class ColumnCount(SchemaRule):
    """The number of columns lies within bounds, which may come from earlier batches."""

    bounds: Bounds = arg(BOUNDS, "bounds of the number")
    #: Where bounds that come from earlier batches come from; why they do not apply yet, or cannot be told.
    origin: str = field(default="", compare=False)
    waiting: str = field(default="", compare=False)
    unsure: str = field(default="", compare=False)

    type = "column_count"
    example = "column_count: {equals: 19}"

    def requirement(self) -> str:
        """The bounds."""
        return "recorded" if self.bounds.recorded else f"must be {self.bounds}"

    def differences(self, actual: tuple[Column, ...], _declared: _Declared) -> list[str]:
        """The number that was found."""
        held = self.bounds.recorded or self.bounds.accepts(len(actual))
        return [] if held else [f"the batch has {len(actual):,} columns, must be {self.bounds}"]

    def metric(self, actual: tuple[Column, ...]) -> Metric:
        """ColumnCount of the data set."""
        return Metric(MetricKey("Dataset", "ColumnCount", "*"), len(actual))

    def problem(self) -> str:
        """A number of columns is a number."""
        wrong = [value for _, value in self.bounds.terms if isinstance(value, (bool, str)) and "{{" not in str(value)]
        return f"a bound must be a number, got {shown(wrong[0])}" if wrong else ""


@dataclass(frozen=True)
class ColumnNames(SchemaRule):
    """The whole name of every column matches a regular expression."""

    pattern: str = arg(REGEX, "the regular expression")

    type = "column_names"
    main = "pattern"
    example = "column_names: {pattern: '[a-z][a-z0-9_]*'}"

    def requirement(self) -> str:
        """As the result says it."""
        return f"must match {self.pattern}"

    def differences(self, actual: tuple[Column, ...], _declared: _Declared) -> list[str]:
        """The names that do not match."""
        named = re.compile(self.pattern)
        return [f"the name '{c.name}' does not match {self.pattern}" for c in actual if not named.fullmatch(c.name)]

    def problem(self) -> str:
        """Names are matched without Java."""
        try:
            re.compile(self.pattern)
        except re.error as error:
            return f"'{self.pattern}' is a regular expression of Java's alone ({error}); names are matched by Python's"
        return ""
