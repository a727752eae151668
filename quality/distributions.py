"""Metrics of how the values of a column are distributed: what each of them is, as data, like `quality.analyzers`.

More ways lead to a metric here than there:
- `values`: from the distinct values with their counts, which take a pass of their own, and a shuffle; metrics of the same
  columns and rows share it;
- `profile`: from the sketches that the profile of this batch and those of earlier ones or of a reference have of the column;
- `scan` with a text as result, where one number would not tell which value was meant.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from quality.analyzers import NUMERIC, TEXTUAL, Analyzer, is_numeric
from quality.errors import RuleDataError
from quality.model import Metric, Scalar

#: The measures of `quality.anomaly.drift`, which needs numpy: a rule file is read without.
DRIFT_MEASURES = ("psi", "ks", "js", "linf", "chi_square")
#: Values that are named one by one.
_NAMED = 10
#: Bits of a word that says which listed values were found.
_WORD = 62


class OwnAnalyzer(Analyzer):
    """A metric that takes a pass of its own; those with the same `source`, columns, rows and `form` share it."""

    @property
    def reads(self) -> int:
        """How often a batch of more than one task is read for it."""
        return 1

    @property
    def shuffles(self) -> int:
        """How often such a batch is shuffled."""
        return 1

    @property
    def form(self) -> Hashable:
        """What else tells two passes apart."""
        return None

    def purpose(self) -> str:
        """What the pass does, as a plan says it."""
        raise NotImplementedError


class ValuesAnalyzer(OwnAnalyzer):
    """A metric of the distinct values of its columns (`k0`, `k1`, ...) and how often each occurs (`n`). Rows in which one of
    the columns is NULL are left out; NaN is one value, and 0.0 and -0.0 are one."""

    source = "values"
    #: Whether the values of each column by itself are counted too: `side` is 0 for all together, 1 for the first column, ...
    sides: ClassVar[bool] = False

    def check_type(self, column: str, type_name: str) -> None:
        """Raise RuleDataError where values cannot be compared."""
        if "map<" in type_name:
            raise RuleDataError(f"column '{column}' is {type_name}: maps cannot be compared, so they are not counted")
        super().check_type(column, type_name)

    @property
    def form(self) -> Hashable:
        """Whether the columns are counted each by itself too."""
        return self.sides

    def purpose(self) -> str:
        """As a plan says it."""
        together = " together and apart" if self.sides else ""
        return f"counting values of {', '.join(self.columns)}{together}"

    def counted(self, references: Sequence[str]) -> Sequence[str]:
        """SQL of what is counted."""
        return references

    def grouped(self) -> str:
        """SQL of the aggregate over `k0`, ..., `n` (and `side`); NULL where there are no values."""
        raise NotImplementedError

    def metric(self, found: Any) -> Metric:
        """The metric of what the aggregate found."""
        return Metric(self.key, found)


class Entropy(ValuesAnalyzer):
    """Shannon's entropy of the values, natural logarithm: minus the sum of p ln p, p being a value's share of the rows that
    are not NULL. 0 for one value, ln k for k values that are equally frequent."""

    deequ = ("column", "where")

    def grouped(self) -> str:
        """ln N less the mean of ln n over the rows; of one value without the rounding."""
        return "if(count(1) > 1, greatest(ln(sum(n)) - sum(n * ln(n)) / sum(n), 0D), if(sum(n) > 0, 0D, null))"


class MutualInformation(ValuesAnalyzer):
    """Mutual information of two columns, natural logarithm, over the rows in which neither is NULL: H(a) + H(b) - H(a, b).
    0 when they are independent; the smaller of the two entropies when one decides the other. Deequ leaves rows with one NULL
    in the number of rows and out of the sum, so it is not asked."""

    sides = True

    def grouped(self) -> str:
        """ln N + (S - S1 - S2) / N, S being the sums of n ln n."""
        joint, one, two = (f"sum(if(side = {side}, n * ln(n), 0D))" for side in range(3))
        rows = "sum(if(side = 0, n, 0))"
        constant = "least(count_if(side = 1), count_if(side = 2)) = 1"
        value = f"if({constant}, 0D, greatest(ln({rows}) + ({joint} - {one} - {two}) / {rows}, 0D))"
        # of no rows: greatest would leave NULL out
        return f"if({rows} > 0, {value}, null)"


class TopValueRatio(ValuesAnalyzer):
    """Rows that have the most frequent value, as a share of the rows that are not NULL."""

    def grouped(self) -> str:
        """Both numbers."""
        return "struct(max(n) as most, sum(n) as total)"

    def metric(self, found: Any) -> Metric:
        """The share; None of no values."""
        most, total = found
        return Metric(self.key, most / total if total else None, numerator=most, denominator=total)


@dataclass(frozen=True)
class _Listed(Analyzer):
    """With a list of values, and the same as literals that fit beside the column."""

    values: tuple[Scalar, ...] = ()
    literals: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The list."""
        return (("values", json.dumps([str(value) for value in self.values], ensure_ascii=False)),)

    def fitted(self, row: Any) -> Analyzer:
        """With literals of the column's type. Raises RuleDataError where there are none."""
        return replace(self, literals=tuple(row.member(self.columns[0], value) for value in self.values))


@dataclass(frozen=True)
class UnlistedMode(_Listed, ValuesAnalyzer):
    """Whether the most frequent value is none of a list: 1 when it is, else 0. Of several that are equally frequent, each must
    be listed."""

    def grouped(self) -> str:
        """The largest count, and among the values that have it one that is not listed, if there is one."""
        return f"max(struct(n, k0 not in ({', '.join(self.literals)}) as unlisted, cast(k0 as string) as text))"

    def metric(self, found: Any) -> Metric:
        """With the value in words."""
        if found is None:
            return Metric(self.key, None)
        count, unlisted, text = found
        rows = "row" if count == 1 else "rows"
        return Metric(self.key, int(unlisted), detail=f"the most common value is '{text}' ({count:,} {rows})")


@dataclass(frozen=True)
class ValueSetDifference(_Listed):
    """How far the set of values is from a list: the number of listed values that no row has (`missing`), and of rows whose
    value is not listed (`others`). NULL is not a value."""

    missing: bool = True
    others: bool = True

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The list, and what is asked of it."""
        return (*super().parameters, ("missing", str(self.missing).lower()), ("others", str(self.others).lower()))

    def sql(self, *references: str) -> str:
        """A bit for each listed value that occurs, the rows that have another, and one of those values."""
        (column,) = references
        parts = []
        for word, start in enumerate(range(0, len(self.literals), _WORD) if self.missing else ()):
            texts = enumerate(self.literals[start : start + _WORD])
            # each by itself: 1 and 1.0 are two in the list and one in the column
            bits = (f"if({column} = {text}, {1 << bit}L, 0L)" for bit, text in texts)
            parts.append(f"coalesce(bit_or({' | '.join(bits)}), 0L) as w{word}")
        if self.others:
            other = f"{column} not in ({', '.join(self.literals)})"
            parts.append(f"count_if({other}) as others")
            parts.append(f"min(if({other}, cast({column} as string), null)) as example")
        return f"to_json(struct({', '.join(parts)}))"

    def metric(self, found: Any) -> Metric:
        """With the values in words."""
        said = json.loads(found)
        words = [int(said[f"w{word}"]) for word in range(sum(name[0] == "w" for name in said))]
        absent = [
            value
            for place, value in enumerate(self.values if self.missing else ())
            if not words[place // _WORD] >> place % _WORD & 1
        ]
        others = int(said.get("others", 0))
        parts = [f"{_named(absent)} {'does' if len(absent) == 1 else 'do'} not occur"] if absent else []
        parts += (
            [f"{others:,} {'row has' if others == 1 else 'rows have'} another value, such as '{said['example']}'"]
            if others
            else []
        )
        return Metric(self.key, len(absent) + others, detail="; ".join(parts))


def _named(values: Sequence[Scalar]) -> str:
    more = f" and {len(values) - _NAMED} more" if len(values) > _NAMED else ""
    return ", ".join(f"'{value}'" for value in values[:_NAMED]) + more


@dataclass(frozen=True)
class Drift(Analyzer):
    """How far a column is from what the last `against` published batches held together, or from a column of a `reference`, by
    one of `DRIFT_MEASURES`. Numbers are compared in bins, texts and booleans by their frequent values; NULL is left out."""

    measure: str = "psi"
    against: int = 7
    reference: str = ""
    reference_column: str = ""
    #: What the reference holds; None when nobody asked it.
    answer: Mapping[Hashable, float] | None = field(default=None, compare=False, repr=False)
    #: The metric whose sketch is compared.
    sketch: str = ""
    source: ClassVar[str] = "profile"
    types: ClassVar[tuple[str, ...]] = (*NUMERIC, *TEXTUAL, "boolean")

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The measure, and the window or the reference."""
        return (("against", self.other), ("measure", self.measure))

    @property
    def other(self) -> str:
        """What the column is compared with, in words."""
        return f"{self.reference}.{self.reference_column}" if self.reference else f"last {self.against}"

    def check_type(self, column: str, type_name: str) -> None:
        """Raise RuleDataError for a type that no sketch counts, and where there is no order for `ks`."""
        super().check_type(column, type_name)
        if self.measure == "ks" and not is_numeric(type_name):
            raise RuleDataError(f"'ks' is of numbers, '{column}' is {type_name}; use psi, js, linf or chi_square")

    def fitted(self, row: Any) -> Analyzer:
        """With the column's name as the profile has it, and its sketch. Raises RuleDataError for a field of a struct: it has no profile."""
        column = row.find(self.columns[0])
        if column not in row.columns:
            raise RuleDataError(f"'{self.columns[0]}' is a field of a column: drift is of whole columns")
        return replace(self, columns=(column.name,), sketch=sketch_of(column.type))


def sketch_of(type_name: str) -> str:
    """The metric of a profile whose sketch tells how values of a type are spread."""
    return "ApproxQuantiles" if is_numeric(type_name) else "Histogram"
