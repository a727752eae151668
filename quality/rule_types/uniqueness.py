"""Uniqueness: keys, and the metrics of their frequencies."""

from __future__ import annotations

from dataclasses import dataclass

from quality.analyzers import (
    Analyzer,
    ApproxCountDistinct,
    ApproxDistinctness,
    CountDistinct,
    Distinctness,
    DuplicateRowCount,
    Uniqueness,
    UniqueValueRatio,
)
from quality.model import Bounds
from quality.rule_types.args import BOUNDS, COLUMNS, FLAG, SHARE_BOUNDS, arg
from quality.rule_types.base import KeyRule, MetricRule


@dataclass(frozen=True)
class Unique(KeyRule):
    """No two rows in scope have the same value, or the same combination of values. All rows of a duplicated key fail.
    A key with a NULL part is no duplicate and passes."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the column, or the columns taken together")

    type = "unique"
    example = "unique: {columns: [order_id, line]}"

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must be unique, occurs more than once"


@dataclass(frozen=True)
class Key(KeyRule):
    """A primary key: complete and unique. All rows of a duplicated key fail, and every row with a NULL part."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns of the key")

    type = "key"
    about_several = True
    complete = True
    example = "key: {columns: [order_id, line]}"

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must be a key: unique and without NULL"


@dataclass(frozen=True)
class UniquenessBounds(MetricRule):
    """The share of rows whose key occurs exactly once lies within bounds. Rows whose key is NULL, in all its parts, are
    left out."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns of the key")
    bounds: Bounds = arg(SHARE_BOUNDS, "bounds of the share")

    type = "uniqueness"
    example = "uniqueness: {columns: email, at_least: 0.99}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's Uniqueness."""
        return Uniqueness(self.columns_, where)


@dataclass(frozen=True)
class DistinctnessBounds(MetricRule):
    """Distinct keys as a share of the rows lie within bounds. Rows whose key is NULL, in all its parts, are left out. Exact by
    default (a shuffle of the key); `approximate: true` estimates it in the shared scan with a relative error of about 5 %, so that
    it tells a column of many values from a key, and never proves a key."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns of the key")
    bounds: Bounds = arg(SHARE_BOUNDS, "bounds of the share")
    approximate: bool = arg(FLAG, "estimate instead of counting; one column only", False)

    type = "distinctness"
    example = "distinctness: {columns: session, above: 0.5}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's Distinctness, or an estimate of it."""
        kind = ApproxDistinctness if self.approximate else Distinctness
        return kind(self.columns_, where)

    def problem(self) -> str:
        """An estimate is of one column."""
        return _one_column(self.columns_, approximate=self.approximate)


@dataclass(frozen=True)
class UniqueValueRatioBounds(MetricRule):
    """Keys that occur once, as a share of the distinct keys, lie within bounds. Rows whose key is NULL, in all its parts, are
    left out."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns of the key")
    bounds: Bounds = arg(SHARE_BOUNDS, "bounds of the share")

    type = "unique_value_ratio"
    example = "unique_value_ratio: {columns: session, at_least: 0.1}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's UniqueValueRatio."""
        return UniqueValueRatio(self.columns_, where)


@dataclass(frozen=True)
class DistinctCount(MetricRule):
    """The number of distinct values lies within bounds; NULL is not a value. Exact by default (a shuffle of the key);
    `approximate: true` estimates it in the shared scan with a relative error of about 5 %."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the column, or the columns taken together")
    bounds: Bounds = arg(BOUNDS, "bounds of the count")
    approximate: bool = arg(FLAG, "estimate instead of counting; one column only", False)

    type = "distinct_count"
    example = "distinct_count: {column: country, between: [1, 249]}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's CountDistinct or ApproxCountDistinct."""
        kind = ApproxCountDistinct if self.approximate else CountDistinct
        return kind(self.columns_, where)

    def problem(self) -> str:
        """Deequ estimates over one column."""
        return _one_column(self.columns_, approximate=self.approximate)


def _one_column(columns: tuple[str, ...], *, approximate: bool) -> str:
    return "'approximate' counts one column" if approximate and len(columns) > 1 else ""


@dataclass(frozen=True)
class DuplicateRows(MetricRule):
    """The number of rows that are not alone with their values lies within bounds: all rows of a duplicated key count. Without
    columns whole rows are compared. NULL is a value here, but rows that are NULL in all the columns are left out."""

    bounds: Bounds = arg(BOUNDS, "bounds of the number of rows")
    columns_: tuple[str, ...] = arg(COLUMNS, "the columns taken together, instead of all", ())

    type = "duplicate_rows"
    about_several = True
    example = "duplicate_rows: {equals: 0}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's DuplicateRowCount."""
        return DuplicateRowCount(self.columns_, where)
