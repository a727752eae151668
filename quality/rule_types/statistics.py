"""Statistics of a column, and volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quality import analyzers
from quality.analyzers import Analyzer
from quality.model import Bounds
from quality.rule_types.args import BOUNDS, COLUMN, COLUMNS, Kind, arg, parse_number
from quality.rule_types.base import MetricRule


@dataclass(frozen=True)
class RowCount(MetricRule):
    """The number of rows in scope lies within bounds. Malformed lines are not counted."""

    bounds: Bounds = arg(BOUNDS, "bounds of the count")

    type = "row_count"
    example = "row_count: {at_least: 300}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's Size."""
        return analyzers.Size((), where)


@dataclass(frozen=True)
class _ColumnStatistic(MetricRule):
    column: str = arg(COLUMN, "the column")
    bounds: Bounds = arg(BOUNDS, "bounds of the metric")

    metric: ClassVar[type[Analyzer]]

    def analyzer(self, where: str) -> Analyzer:
        """The metric of the type's name."""
        return self.metric((self.column,), where)


class Mean(_ColumnStatistic):
    """The arithmetic mean lies within bounds. NULL is left out; NaN makes it NaN, which satisfies no bound."""

    type = "mean"
    metric = analyzers.Mean
    example = "mean: {column: dep_delay, between: [-10, 120]}"


class Sum(_ColumnStatistic):
    """The sum lies within bounds; exact for integers and decimals. NULL is left out."""

    type = "sum"
    metric = analyzers.Sum
    example = "sum: {column: amount, above: 0}"


class StandardDeviation(_ColumnStatistic):
    """The population standard deviation (division by n) lies within bounds. NULL is left out."""

    type = "stddev"
    metric = analyzers.StandardDeviation
    example = "stddev: {column: amount, at_most: 100}"


class Minimum(_ColumnStatistic):
    """The smallest value lies within bounds: a number, a date or a timestamp."""

    type = "min"
    metric = analyzers.Minimum
    example = "min: {column: booked_on, at_least: '2013-01-01'}"


class Maximum(_ColumnStatistic):
    """The largest value lies within bounds: a number, a date or a timestamp."""

    type = "max"
    metric = analyzers.Maximum
    example = "max: {column: amount, at_most: 10000}"


class MinLength(_ColumnStatistic):
    """The length in characters of the shortest value lies within bounds."""

    type = "min_length"
    metric = analyzers.MinLength
    example = "min_length: {column: code, at_least: 2}"


class MaxLength(_ColumnStatistic):
    """The length in characters of the longest value lies within bounds."""

    type = "max_length"
    metric = analyzers.MaxLength
    example = "max_length: {column: code, at_most: 10}"


def _parse_q(value: object) -> float:
    number = float(parse_number(value))
    if not 0 <= number <= 1:
        raise ValueError(f"must be from 0 to 1, got {value}")
    return number


@dataclass(frozen=True)
class Quantile(MetricRule):
    """A quantile lies within bounds: the smallest value whose cumulative share is at least q, with a rank error of at
    most 0.01 % of the rows (exact below 5,000 values). NULL is left out."""

    column: str = arg(COLUMN, "the column")
    q: float = arg(Kind(_parse_q, {"type": "number", "minimum": 0, "maximum": 1}), "which quantile, from 0 to 1")
    bounds: Bounds = arg(BOUNDS, "bounds of the quantile")

    type = "quantile"
    example = "quantile: {column: dep_delay, q: 0.5, at_most: 60}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's ApproxQuantile."""
        return analyzers.ApproxQuantile((self.column,), where, self.q)


@dataclass(frozen=True)
class Correlation(MetricRule):
    """Pearson's correlation of two columns lies within bounds, over rows where neither is NULL."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the two columns")
    bounds: Bounds = arg(BOUNDS, "bounds of the coefficient, from -1 to 1")

    type = "correlation"
    about_several = True
    example = "correlation: {columns: [dep_delay, arr_delay], above: 0.5}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's Correlation."""
        return analyzers.Correlation(self.columns_, where)

    def problem(self) -> str:
        """A correlation is of two columns."""
        return "" if len(self.columns_) == 2 else f"a correlation is of two columns, got {len(self.columns_)}"
