"""Metrics of a batch beside a reference: a part of each is measured in the batch, the other is what the reference answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

from quality.analyzers import INTEGRAL, NUMERIC, Analyzer, base_type
from quality.model import Metric, MetricKey, number_text

#: Aggregates that two data sets can be compared by.
FUNCTIONS: Mapping[str, str] = {
    "sum": "sum({0})", "mean": "avg(double({0}))", "min": "min({0})", "max": "max({0})", "count": "count({0})",
}  # fmt: skip
#: Kinds of rows that are not the same on both sides.
KINDS = ("missing here", "missing there", "doubled", "different")
_SHOWN = 3


@dataclass(frozen=True)
class Compared:
    """Rows of a batch beside those of a reference, by key: rows that have no partner on the other side, rows whose key occurs
    more than once on a side and at all on the other (as rows of the batch), pairs that differ, and how many in which column.
    `samples` are a few of each kind, those with the smallest keys."""

    missing_here: int = 0
    missing_there: int = 0
    doubled: int = 0
    different: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    samples: tuple[Mapping[str, Any], ...] = ()

    def count(self, kind: str) -> int:
        """How many rows are of one of KINDS."""
        return int(getattr(self, kind.replace(" ", "_")))

    def to_dict(self) -> dict[str, Any]:
        """As the result JSON has it."""
        counts = {kind.replace(" ", "_"): self.count(kind) for kind in KINDS}
        return {**counts, "columns": dict(self.columns), "samples": [dict(sample) for sample in self.samples]}

    def __str__(self) -> str:
        parts = [f"{count:,} {kind}{self._of(kind)}" for kind in KINDS if (count := self.count(kind))]
        return ", ".join(parts)

    def _of(self, kind: str) -> str:
        keys = [_key_text(sample["key"]) for sample in self.samples if sample["kind"] == kind]
        shown = ", ".join(keys[:_SHOWN]) + (", ..." if self.count(kind) > _SHOWN else "")
        columns = ", ".join(f"{name} {count:,}" for name, count in self.columns.items() if count)
        told = [f"in {columns}"] if kind == "different" and columns else []
        return f" ({'; '.join([*told, shown])})" if keys else ""


def _key_text(key: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={'NULL' if value is None else value}" for name, value in key.items())


@dataclass(frozen=True)
class Match(Analyzer):
    """Base of the metrics that need a reference. `answer` is what it answered, None as long as nobody asked."""

    reference: str = ""
    answer: Any = field(default=None, compare=False)

    def metric(self, here: Any) -> Metric:
        """The metric, by what was measured in the batch."""
        raise NotImplementedError

    def told(self, metric: Metric) -> str:
        """What a message says beside the value."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any] | None:
        """What the result JSON says beside the value."""
        return None

    @property
    def nothing(self) -> str:
        """Why there is no value."""
        return f"of reference '{self.reference}' there is nothing to compare with"


class RowCountMatch(Match):
    """Rows of the batch divided by those of the reference; 1 when neither has any."""

    @property
    def key(self) -> MetricKey:
        """The reference is what it is about."""
        return MetricKey("Dataset", self.name, self.reference, self.where)

    def metric(self, here: Any) -> Metric:
        """`here` are the rows in scope."""
        value = here / self.answer if self.answer else (None if here else 1.0)
        return Metric(self.key, value, numerator=here, denominator=self.answer)

    @property
    def nothing(self) -> str:
        """There is no number of rows to divide by."""
        return f"reference '{self.reference}' has no rows"

    def told(self, metric: Metric) -> str:
        """Both counts."""
        return f"{metric.numerator:,} rows here, {self.answer:,} there"


@dataclass(frozen=True)
class AggregateMatch(Match):
    """An aggregate of a column divided by that of a column of the reference; 1 when both are 0. Sums of whole numbers and
    decimals are exact, and so is whether they are equal."""

    function: str = "sum"
    reference_column: str = ""
    types: ClassVar[tuple[str, ...]] = NUMERIC

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """What it is compared with."""
        return (("function", self.function), ("reference", f"{self.reference}.{self.reference_column}"))

    def check_type(self, column: str, type_name: str) -> None:
        """Anything can be counted."""
        if self.function != "count":
            super().check_type(column, type_name)

    def sql(self, *references: str) -> str:
        """The aggregate, here as there."""
        return FUNCTIONS[self.function].format(*references)

    def native_type(self, type_name: str) -> str:
        """As of a sum."""
        return "decimal(38,0)" if self.function == "sum" and base_type(type_name) in INTEGRAL else ""

    def metric(self, here: Any) -> Metric:
        """`here` is the aggregate of the batch."""
        return Metric(self.key, _ratio(here, self.answer))

    def told(self, metric: Metric) -> str:
        """What it is held against."""
        return f"the {self.function} of {self.reference}.{self.reference_column} is {_number(self.answer)}"

    @property
    def nothing(self) -> str:
        """NULL on a side, or a 0 to divide by."""
        there = f"{self.reference}.{self.reference_column}"
        return f"the {self.function} here and that of {there}, {_number(self.answer)}, have no quotient"


def _number(value: Any) -> str:
    return "NULL" if value is None else number_text(value) if isinstance(value, (int, float)) else str(value)


def _ratio(here: Any, there: Any) -> float | None:
    """A quotient that is 1 only for equal numbers."""
    if here is None or there is None:
        return None
    if here == there:
        return 1.0
    if here != here or there != there or float("inf") in (abs(here), abs(there)) or not there:
        return None
    found = float(_exact(here) / _exact(there))
    return found if found != 1.0 else (0.9999999999999999 if here < there else 1.0000000000000002)


def _exact(value: Any) -> Fraction:
    return Fraction(value if isinstance(value, (int, float, Decimal)) else str(value))


@dataclass(frozen=True)
class Shaped:
    """The columns of a batch beside those of a reference: of how many (`whole`) both have the same (`same`)."""

    same: int
    whole: int
    differences: Sequence[str] = ()


class SchemaMatch(Match):
    """Columns that batch and reference both have, as a share of the columns that either has."""

    source = "reference"

    @property
    def key(self) -> MetricKey:
        """The reference is what it is about."""
        return MetricKey("Dataset", self.name, self.reference, self.where)

    def metric(self, here: Any) -> Metric:
        """Known from the columns."""
        value = self.answer.same / self.answer.whole if self.answer.whole else 1.0
        return Metric(self.key, value, numerator=self.answer.same, denominator=self.answer.whole)

    def told(self, metric: Metric) -> str:
        """The first differences."""
        found = self.answer.differences
        return "; ".join(found[:20]) + ("; ..." if len(found) > 20 else "")


@dataclass(frozen=True)
class DatasetMatch(Match):
    """Rows that are the same in batch and reference, as a share of the rows of the batch and of those it misses; or of the
    rows of the batch alone. 1 when there is none."""

    paired_by: str = ""
    of_batch: bool = False
    source: ClassVar[str] = "reference"

    @property
    def key(self) -> MetricKey:
        """The reference is what it is about."""
        return MetricKey("Dataset", self.name, self.reference, self.where, self.parameters)

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """What pairs rows, and what the share is of."""
        return (("key", self.paired_by), ("of", "batch" if self.of_batch else "either"))

    def metric(self, here: Any) -> Metric:
        """`here` are the rows in scope."""
        found: Compared = self.answer
        same = here - found.different - found.missing_there - found.doubled
        whole = here + (0 if self.of_batch else found.missing_here)
        return Metric(self.key, same / whole if whole else 1.0, numerator=same, denominator=whole)

    def told(self, metric: Metric) -> str:
        """How many rows of which kind, and some of them."""
        return str(self.answer)

    def to_dict(self) -> dict[str, Any] | None:
        """All counts and samples."""
        return self.answer.to_dict() if self.answer else None
