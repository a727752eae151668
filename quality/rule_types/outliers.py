"""Values far from the others: each row is judged by bounds that come from all rows of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite

from quality.analyzers import is_numeric
from quality.errors import RuleDataError
from quality.model import number_text
from quality.rule_types.args import COLUMN, NUMBER, arg, choice
from quality.rule_types.base import Row, RowRule

#: What a method multiplies where the rule does not say: three standard deviations; Iglewicz and Hoaglin (1993) for the median
#: absolute deviation; Tukey (1977) for quartiles.
FACTORS = {"zscore": 3.0, "mad": 3.5, "iqr": 1.5}
#: So that the median absolute deviation is the standard deviation where values are normally distributed.
_NORMAL = 1.4826
#: One over the rank error of a quantile, as that of `quantile`.
_ACCURACY = 10_000


@dataclass(frozen=True)
class NoOutliers(RowRule):
    """No value is an outlier among the values of the batch that are in scope. `method`: `iqr` (further than `factor` times the
    interquartile range outside the quartiles; 1.5 where nothing is said), `zscore` (further than `factor` population standard
    deviations from the mean; 3), `mad` (further than `factor` times 1.4826 median absolute deviations from the median; 3.5).
    Both ends are no outliers. Quantiles have a rank error of at most 0.01 % of the rows. Where the values do not spread every
    other value is an outlier. NaN and infinity are outliers, and have no part in the bounds; NULL: see `nulls`. The bounds are
    found in a pass before rows are judged, `mad` takes two. A share of outliers is allowed by `tolerance`."""

    column: str = arg(COLUMN, "the column, of numbers")
    method: str = arg(choice(*FACTORS), "iqr, zscore or mad", "iqr")
    factor: float | None = arg(NUMBER, "how far is too far; by the method where nothing is said", None)
    #: What was measured: first about all values, then about their distances.
    found: tuple[float, ...] | None = None
    told: bool = field(default=False, compare=False)

    ungrouped = "its bounds are those of the whole batch"
    type = "no_outliers"
    by_row = False
    example = "no_outliers: {column: amount, method: iqr, factor: 3}"

    @property
    def rounds(self) -> int:
        """How many passes its bounds take."""
        return 2 if self.method == "mad" else 1

    def measures(self, x: str) -> Sequence[str]:
        """SQL of the aggregates of the next pass, over the finite values `x`."""
        if self.found:
            return [f"percentile_approx(abs({x} - double('{self.found[0]!r}')), 0.5D, {_ACCURACY})"]
        if self.method == "zscore":
            return [f"avg({x})", f"stddev_pop({x})"]
        shares = (0.5,) if self.method == "mad" else (0.25, 0.75)
        return [f"percentile_approx({x}, {share}D, {_ACCURACY})" for share in shares]

    def measured(self, found: Sequence[float | None], *, told: bool) -> NoOutliers:
        """The rule with what a pass found; `told`: its bounds may stand in messages. Without values no bound holds anything."""
        values = tuple(inf if value is None else value for value in found)
        return replace(self, found=(*(self.found or ()), *values), told=told)

    @property
    def limits(self) -> tuple[float, float] | None:
        """The smallest and the largest value that is no outlier; None before all is measured."""
        found, factor = self.found or (), self.factor or FACTORS[self.method]
        if not all(map(isfinite, found)):
            return inf, -inf
        if len(found) < 2:
            return None
        first, second = found
        if self.method == "iqr":
            return first - factor * (second - first), second + factor * (second - first)
        far = factor * second * (_NORMAL if self.method == "mad" else 1)
        return first - far, first + far

    def predicate(self, row: Row) -> str:
        """Between the limits. Before they are known, what is true of any number. Raises RuleDataError where there are none."""
        if not is_numeric(row.type(self.column)):
            raise RuleDataError(f"column '{self.column}' is {row.type(self.column)}: only numbers have outliers")
        low, high = self.limits or (-inf, inf)
        value = f"double({row.ref(self.column)})"
        return f"{value} >= double('{low!r}') and {value} <= double('{high!r}')"

    def requirement(self) -> str:
        """As the reasons say it."""
        how = f"must be no outlier ({self.method}, factor {number_text(self.factor or FACTORS[self.method])})"
        if self.told and self.limits and isfinite(self.limits[0]):
            low, high = map(number_text, self.limits)
            return f"{how}: between {low} and {high}"
        return how

    def problem(self) -> str:
        """A distance."""
        return "'factor' must be more than 0" if self.factor is not None and self.factor <= 0 else ""
