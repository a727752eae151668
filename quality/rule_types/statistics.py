"""Statistics of a column, and volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quality import analyzers
from quality.analyzers import Analyzer
from quality.model import Bounds
from quality.rule_types.args import BOUNDS, COLUMN, COLUMNS, FLAG, Kind, arg, parse_number, parse_ratio
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


class Variance(_ColumnStatistic):
    """The population variance (division by n) lies within bounds. NULL is left out."""

    type = "variance"
    metric = analyzers.Variance
    example = "variance: {column: amount, at_most: 10000}"


class Skewness(_ColumnStatistic):
    """The population skewness (m3 / m2^1.5) lies within bounds; 0 when the values do not vary. NULL is left out."""

    type = "skewness"
    metric = analyzers.Skewness
    example = "skewness: {column: amount, between: [-1, 1]}"


class Kurtosis(_ColumnStatistic):
    """The excess kurtosis (m4 / m2^2 - 3: 0 for a normal distribution) lies within bounds; 0 when the values do not vary.
    NULL is left out."""

    type = "kurtosis"
    metric = analyzers.Kurtosis
    example = "kurtosis: {column: amount, at_most: 10}"


class ValueRange(_ColumnStatistic):
    """The largest value less the smallest lies within bounds. NULL is left out; NaN makes it NaN, which satisfies no
    bound."""

    type = "value_range"
    metric = analyzers.Range
    example = "value_range: {column: temperature, below: 60}"


class InterquartileRange(_ColumnStatistic):
    """The third quartile less the first lies within bounds; both are exact, which takes memory for every distinct value.
    NULL is left out."""

    type = "iqr"
    metric = analyzers.InterquartileRange
    example = "iqr: {column: dep_delay, at_most: 40}"


class Median(_ColumnStatistic):
    """The median lies within bounds: exact, the mean of the two in the middle where the number of values is even. It takes
    memory for every distinct value; `quantile` with `q: 0.5` does not. NULL is left out."""

    type = "median"
    metric = analyzers.ExactQuantile
    example = "median: {column: dep_delay, between: [-5, 5]}"


class ZerosCount(_ColumnStatistic):
    """The number of values that are 0 lies within bounds; -0.0 is 0, NULL and NaN are not."""

    type = "zeros_count"
    metric = analyzers.ZerosCount
    example = "zeros_count: {column: amount, at_most: 10}"


class Minimum(_ColumnStatistic):
    """The smallest value lies within bounds: a number, a date or a timestamp. NULL is left out; NaN counts as larger than any
    number."""

    type = "min"
    metric = analyzers.Minimum
    example = "min: {column: booked_on, at_least: '2013-01-01'}"


class Maximum(_ColumnStatistic):
    """The largest value lies within bounds: a number, a date or a timestamp. NULL is left out; NaN counts as larger than any
    number, and satisfies no bound."""

    type = "max"
    metric = analyzers.Maximum
    example = "max: {column: amount, at_most: 10000}"


class MinLength(_ColumnStatistic):
    """The length in characters of the shortest value lies within bounds. NULL is left out, an empty text has length 0."""

    type = "min_length"
    metric = analyzers.MinLength
    example = "min_length: {column: code, at_least: 2}"


class MaxLength(_ColumnStatistic):
    """The length in characters of the longest value lies within bounds. NULL is left out, an empty text has length 0."""

    type = "max_length"
    metric = analyzers.MaxLength
    example = "max_length: {column: code, at_most: 10}"


def _parse_q(value: object) -> float:
    is_percentage = isinstance(value, str) and value.strip().endswith("%")
    return parse_ratio(value) if is_percentage else parse_ratio(parse_number(value))


@dataclass(frozen=True)
class Quantile(MetricRule):
    """A quantile lies within bounds: the smallest value whose cumulative share is at least q, with a rank error of at
    most 0.01 % of the rows (exact below 5,000 values). `exact: true` is exact whatever the number, lies between two values
    in proportion, and takes memory for every distinct value. NULL is left out."""

    column: str = arg(COLUMN, "the column")
    q: float = arg(Kind(_parse_q, {"type": ["number", "string"]}), "which quantile, from 0 to 1 or a percentage")
    bounds: Bounds = arg(BOUNDS, "bounds of the quantile")
    exact: bool = arg(FLAG, "count every value instead of sketching them", False)

    type = "quantile"
    example = "quantile: {column: dep_delay, q: 0.5, at_most: 60}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's ApproxQuantile, or ExactQuantile."""
        if self.exact:
            return analyzers.ExactQuantile((self.column,), where, self.q)
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
        """A correlation is of two columns, and from -1 to 1."""
        if len(self.columns_) != 2:
            return f"a correlation is of two columns, got {len(self.columns_)}"
        beyond = [bound for _, bound in self.bounds.terms if isinstance(bound, (int, float)) and not -1 <= bound <= 1]
        return f"a correlation lies between -1 and 1, the bound is {beyond[0]}" if beyond else ""


@dataclass(frozen=True)
class RatioOfSums(MetricRule):
    """The sum of one column divided by the sum of another lies within bounds. NULL is left out of each sum; a divisor of 0
    gives no ratio, and the rule cannot be told."""

    numerator: str = arg(COLUMN, "the column whose sum is divided")
    denominator: str = arg(COLUMN, "the column whose sum it is divided by")
    bounds: Bounds = arg(BOUNDS, "bounds of the ratio")

    type = "ratio_of_sums"
    about_several = True
    example = "ratio_of_sums: {numerator: tax, denominator: net, between: [0.05, 0.25]}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's RatioOfSums."""
        return analyzers.RatioOfSums((self.numerator, self.denominator), where)
