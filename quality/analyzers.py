"""What can be measured. An analyzer is a value: the metric's name (Deequ's where it has one), the columns it looks
at, its filter, its parameters. How it is computed is data too: native Spark SQL, and the form of Deequ's analyzer.

Four ways lead to a metric, by `source` (`quality.distributions` and others have more):
- `counts`: from the number of rows in scope and of rows that comply (row predicates, completeness);
- `keys`: from the frequencies of a key, which need a shuffle;
- `scan`: from an aggregate in the shared scan;
- `query`: from a query of a steward, in a pass of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from quality.errors import RuleDataError
from quality.model import Metric, MetricKey

INTEGRAL = ("tinyint", "smallint", "int", "bigint")
FRACTIONAL = ("float", "double")
TEXTUAL = ("string", "varchar", "char")
TEMPORAL = ("date", "timestamp", "timestamp_ntz")


def base_type(type_name: str) -> str:
    """`decimal(10,2)` -> `decimal`, `varchar(3)` -> `varchar`, `struct<...>` -> `struct`."""
    return type_name.split("(", maxsplit=1)[0].split("<", maxsplit=1)[0].strip().lower()


def is_numeric(type_name: str) -> bool:
    """Whether sums and means exist for the type."""
    return base_type(type_name) in (*INTEGRAL, *FRACTIONAL, "decimal")


@dataclass(frozen=True)
class Analyzer:
    """Base of all analyzers. `where` is Spark SQL; empty means every row.

    Class attributes: `source` as above; `native` is the Spark SQL aggregate with the columns as `{0}`, `{1}`;
    `deequ` lists the arguments of Deequ's constructor of the same name (`column`, `columns`, `where`, `none`, or
    `=parameter`); `state` names the Deequ state that takes the natively computed value, for metrics where Deequ's own
    aggregate is slow or loses digits; `tallied` names the part of a column's tally that is the metric, of `tallied_types`:
    those where no digit is lost in a double.
    """

    columns: tuple[str, ...] = ()
    where: str = ""

    source: ClassVar[str] = "scan"
    native: ClassVar[str] = ""
    deequ: ClassVar[tuple[str, ...]] = ()
    state: ClassVar[str] = ""
    types: ClassVar[tuple[str, ...]] = ()
    tallied: ClassVar[str] = ""
    tallied_types: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """The metric's name."""
        return type(self).__name__

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """What sets two metrics of the same name and columns apart, as text."""
        return ()

    @property
    def key(self) -> MetricKey:
        """The identity of the metric in results and history."""
        entity = ("Dataset", "Column")[len(self.columns)] if len(self.columns) < 2 else "Multicolumn"
        return MetricKey(entity, self.name, ",".join(self.columns) or "*", self.where, self.parameters)

    def check_type(self, column: str, type_name: str) -> None:
        """Raise RuleDataError when the metric does not exist for a column of this type."""
        if self.types and base_type(type_name) not in self.types:
            hint = f"; give it a type under 'columns:', such as '{column}: {{type: integer}}'"
            raise RuleDataError(
                f"{self.name} needs a column of type {_kinds(self.types)}, '{column}' is {type_name}"
                + (hint if base_type(type_name) in TEXTUAL else "")
            )

    def fitted(self, row: Any) -> Analyzer:
        """The analyzer with what depends on the types of the columns (a `rule_types.base.Row`). Raises RuleDataError."""
        return self

    def sql(self, *references: str) -> str:
        """The native aggregate over column references."""
        return self.native.format(*references)

    def metric(self, found: Any) -> Metric:
        """The metric of what the native aggregate found."""
        return Metric(self.key, found)

    def native_type(self, type_name: str) -> str:
        """The cast that keeps every digit of the native aggregate, empty for none."""
        return ""

    def part_of_tally(self, type_name: str) -> str:
        """The part of a column's tally that is this metric, empty when there is none for the type."""
        return self.tallied if self.source == "counts" or base_type(type_name) in self.tallied_types else ""


NUMERIC = (*INTEGRAL, *FRACTIONAL, "decimal")
#: Numbers of which each is a double.
IN_A_DOUBLE = ("tinyint", "smallint", "int", *FRACTIONAL)


def _kinds(types: tuple[str, ...]) -> str:
    rest = [name for name in types if name not in NUMERIC]
    return " or ".join((["number"] if len(rest) < len(types) else []) + rest)


class Size(Analyzer):
    """Number of rows."""

    native = "count(1)"
    deequ = ("where",)


class Completeness(Analyzer):
    """Rows in which the column is not NULL, as a share of the rows in scope. NaN is a value, not NULL."""

    source = "counts"
    deequ = ("column", "where", "none")
    tallied = "present"


@dataclass(frozen=True)
class Compliance(Analyzer):
    """Rows that comply with a predicate, as a share of the rows in scope."""

    instance: str = ""
    predicate: str = ""
    source: ClassVar[str] = "counts"
    deequ: ClassVar[tuple[str, ...]] = ("=instance", "=predicate", "where", "nothing", "none")

    @property
    def key(self) -> MetricKey:
        """A predicate has the rule's id as instance: its columns are not its identity."""
        return MetricKey("Column", self.name, self.instance, self.where)


class Mean(Analyzer):
    """Arithmetic mean of the values that are not NULL; NaN if one of them is NaN."""

    # over doubles: Deequ's own sum of a bigint wraps around at 2^63, and an average of decimals is cut after 4 more digits
    native = "avg(double({0}))"
    deequ = ("column", "where")
    state = "SumState"
    types = NUMERIC
    tallied = "mean"
    tallied_types = NUMERIC


class Sum(Analyzer):
    """Sum of the values that are not NULL; exact for integers and decimals."""

    native = "sum({0})"
    deequ = ("column", "where")
    state = "SumState"
    types = NUMERIC

    def native_type(self, type_name: str) -> str:
        """A sum of integers wraps around at 2^63 in a bigint."""
        return "decimal(38,0)" if base_type(type_name) in INTEGRAL else ""


class StandardDeviation(Analyzer):
    """Population standard deviation (division by n) of the values that are not NULL."""

    native = "stddev_pop({0})"
    deequ = ("column", "where")
    types = NUMERIC
    tallied = "standard_deviation"
    tallied_types = NUMERIC


class Variance(Analyzer):
    """Population variance (division by n) of the values that are not NULL."""

    native = "var_pop(double({0}))"
    deequ = ("column", "where")
    types = NUMERIC


class Skewness(Analyzer):
    """Population skewness, m3 / m2^1.5, of the values that are not NULL; 0 when they do not vary."""

    # Spark says NULL of a constant where Deequ says 0
    native = "coalesce(skewness(double({0})), if(count({0}) > 0, 0D, null))"
    deequ = ("column", "where")
    types = NUMERIC


class Kurtosis(Analyzer):
    """Excess kurtosis, m4 / m2^2 - 3, of the values that are not NULL; 0 when they do not vary."""

    native = "coalesce(kurtosis(double({0})), if(count({0}) > 0, 0D, null))"
    deequ = ("column", "where")
    types = NUMERIC


class Range(Analyzer):
    """Largest less smallest value, as doubles; NaN if one is NaN."""

    native = "max(double({0})) - min(double({0}))"
    deequ = ("column", "where")
    types = NUMERIC


class InterquartileRange(Analyzer):
    """Third less first quartile, each exact, between two values in proportion. Keeps a count of every distinct value."""

    native = "percentile(double({0}), 0.75D) - percentile(double({0}), 0.25D)"
    deequ = ("column", "where")
    types = NUMERIC


class ZerosCount(Analyzer):
    """Number of values that are 0; -0.0 is, NULL and NaN are not."""

    native = "count_if({0} = 0)"
    deequ = ("column", "where")
    types = NUMERIC


class Minimum(Analyzer):
    """Smallest value; NaN counts as larger than any number. Dates and timestamps keep their type."""

    native = "min({0})"
    deequ = ("column", "where", "none")
    state = "MinState"
    types = (*NUMERIC, *TEMPORAL)
    tallied = "minimum"
    tallied_types = IN_A_DOUBLE


class Maximum(Analyzer):
    """Largest value; NaN counts as larger than any number. Dates and timestamps keep their type."""

    native = "max({0})"
    deequ = ("column", "where", "none")
    state = "MaxState"
    types = (*NUMERIC, *TEMPORAL)
    tallied = "maximum"
    tallied_types = IN_A_DOUBLE


class MinLength(Analyzer):
    """Length in characters of the shortest value that is not NULL."""

    native = "min(char_length({0}))"
    deequ = ("column", "where", "none")
    state = "MinState"
    types = TEXTUAL
    tallied = "shortest"
    tallied_types = TEXTUAL


class MaxLength(Analyzer):
    """Length in characters of the longest value that is not NULL."""

    native = "max(char_length({0}))"
    deequ = ("column", "where", "none")
    state = "MaxState"
    types = TEXTUAL
    tallied = "longest"
    tallied_types = TEXTUAL


@dataclass(frozen=True)
class ApproxQuantile(Analyzer):
    """The smallest value whose cumulative share is at least q, with a rank error of at most `error` times the rows
    (Greenwald and Khanna, SIGMOD 2001; exact while there are fewer than 1/(2 * error) values)."""

    q: float = 0.5
    error: float = 0.0001
    native: ClassVar[str] = "percentile_approx(double({0}), {q}, {accuracy})"
    deequ: ClassVar[tuple[str, ...]] = ("column", "=q", "=error", "where")
    types: ClassVar[tuple[str, ...]] = NUMERIC

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The quantile asked for."""
        return (("q", repr(self.q)),)

    def sql(self, *references: str) -> str:
        """Spark's accuracy is the inverse of the rank error."""
        return self.native.format(*references, q=f"{self.q!r}D", accuracy=round(1 / self.error))


@dataclass(frozen=True)
class ExactQuantile(Analyzer):
    """The quantile, exact, between two values in proportion. Keeps a count of every distinct value."""

    q: float = 0.5
    native: ClassVar[str] = "percentile(double({0}), {q})"
    deequ: ClassVar[tuple[str, ...]] = ("column", "=q", "where")
    types: ClassVar[tuple[str, ...]] = NUMERIC

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The quantile asked for."""
        return (("q", repr(self.q)),)

    def sql(self, *references: str) -> str:
        """With the quantile as a double."""
        return self.native.format(*references, q=f"{self.q!r}D")


class RatioOfSums(Analyzer):
    """Sum of one column over the sum of another, as doubles; NULL is left out of each. Deequ's cannot
    read its aggregates back from the shared scan, so it is not asked."""

    native = "sum(double({0})) / sum(double({1}))"
    types = NUMERIC


class Correlation(Analyzer):
    """Pearson's correlation coefficient over rows in which neither column is NULL, from -1 to 1; NaN when a column does not vary."""

    # Spark says NULL where Deequ says NaN
    native = "coalesce(corr(double({0}), double({1})), if(count({0}, {1}) > 0, double('NaN'), null))"
    deequ = ("column", "column2", "where")
    types = NUMERIC

    def metric(self, found: Any) -> Metric:
        """Within its ends: sums of rounded products are beyond them by a last digit."""
        return Metric(self.key, found if found is None or found != found else min(max(found, -1.0), 1.0))


class ApproxCountDistinct(Analyzer):
    """Estimated number of distinct values that are not NULL (HyperLogLog++, relative error about 5 %)."""

    native = "approx_count_distinct({0})"
    deequ = ("column", "where")


class ApproxDistinctness(Analyzer):
    """Estimated number of distinct values over the number of values, NULL left out of both, at most 1; NULL without any value.
    Deequ has none."""

    # least() passes over NULL
    native = "if(count({0}) > 0, least(1D, approx_count_distinct({0}) / count({0})), null)"


@dataclass(frozen=True)
class Query(Analyzer):
    """The number that a query gives. A query has the rule's id as instance: its text is not its identity."""

    query: str = ""
    instance: str = "*"
    source: ClassVar[str] = "query"

    @property
    def name(self) -> str:
        """As DQDL calls it."""
        return "CustomSQL"

    @property
    def key(self) -> MetricKey:
        """Of the data set."""
        return MetricKey("Dataset", self.name, self.instance, self.where)


class KeyAnalyzer(Analyzer):
    """Metrics of the frequencies of a key. A key in which every part is NULL is left out; a key with some NULL part
    counts as a value; `rows` are the rows of the filter that have a key: as in Deequ."""

    source = "keys"
    deequ: ClassVar[tuple[str, ...]] = ("columns", "where", "none")

    def ratio(self, frequencies: Any) -> tuple[int, int]:
        """(numerator, denominator) from the frequencies; a denominator of 0 means nothing to measure."""
        raise NotImplementedError


class Uniqueness(KeyAnalyzer):
    """Rows whose key occurs once, as a share of the rows that have a key."""

    def ratio(self, frequencies: Any) -> tuple[int, int]:
        """Keys that occur once over rows."""
        return frequencies.once, frequencies.rows


class Distinctness(KeyAnalyzer):
    """Distinct keys as a share of the rows that have a key."""

    deequ = ("columns", "where")

    def ratio(self, frequencies: Any) -> tuple[int, int]:
        """Distinct keys over rows."""
        return frequencies.keys, frequencies.rows


class UniqueValueRatio(KeyAnalyzer):
    """Keys that occur once as a share of the distinct keys."""

    def ratio(self, frequencies: Any) -> tuple[int, int]:
        """Keys that occur once over distinct keys."""
        return frequencies.once, frequencies.keys


class CountDistinct(KeyAnalyzer):
    """Number of distinct keys, exact."""

    @property
    def deequ(self) -> tuple[str, ...]:  # type: ignore[override]
        """Deequ's takes no filter: with one there is no constraint of Deequ's."""
        return () if self.where else ("columns",)

    def ratio(self, frequencies: Any) -> tuple[int, int]:
        """Distinct keys over one: a count, not a share."""
        return frequencies.keys, 1


class DuplicateRowCount(KeyAnalyzer):
    """Number of rows whose key occurs more than once."""

    def ratio(self, frequencies: Any) -> tuple[int, int]:
        """Rows less those whose key occurs once, over one: a count, not a share."""
        return frequencies.rows - frequencies.once, 1
