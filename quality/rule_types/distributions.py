"""How the values of a column are distributed: how many, how even, which ones, and what one column tells of another."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from quality import distributions
from quality.analyzers import Analyzer
from quality.formulas import MOST_BATCHES
from quality.model import Bounds, Scalar
from quality.rule_types.args import (
    BOUNDS,
    COLUMN,
    COLUMNS,
    SHARE_BOUNDS,
    TEXT,
    VALUES,
    Kind,
    arg,
    choice,
    parse_text,
    shown,
)
from quality.rule_types.base import MetricRule, Row
from quality.rule_types.questions import Question, Spread
from quality.rule_types.values import listed

_NONE = Bounds((("equals", 0),))


@dataclass(frozen=True)
class EntropyBounds(MetricRule):
    """Shannon's entropy of the values lies within bounds, in natural units: 0 where all rows have one value, ln k where k values
    are equally frequent. NULL is left out, NaN is a value. Takes a pass of its own, with a shuffle of the column."""

    column: str = arg(COLUMN, "the column")
    bounds: Bounds = arg(BOUNDS, "bounds of the entropy")

    ungrouped = "it is measured over the whole batch, in a pass of its own"
    type = "entropy"
    example = "entropy: {column: country, at_least: 0.5}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's Entropy."""
        return distributions.Entropy((self.column,), where)


@dataclass(frozen=True)
class MutualInformationBounds(MetricRule):
    """What one column tells of another lies within bounds: their mutual information in natural units, over the rows in which
    neither is NULL. 0 where they are independent, the smaller of their entropies where one decides the other. Takes a pass of
    its own, with a shuffle of both columns."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the two columns")
    bounds: Bounds = arg(BOUNDS, "bounds of the information")

    ungrouped = "it is measured over the whole batch, in a pass of its own"
    type = "mutual_information"
    about_several = True
    example = "mutual_information: {columns: [country, currency], at_least: 0.1}"

    def analyzer(self, where: str) -> Analyzer:
        """From the counts of both columns and of each."""
        return distributions.MutualInformation(self.columns_, where)

    def problem(self) -> str:
        """It is of two columns."""
        return "" if len(self.columns_) == 2 else f"mutual information is of two columns, got {len(self.columns_)}"


@dataclass(frozen=True)
class TopValueRatioBounds(MetricRule):
    """The share of rows that have the most frequent value lies within bounds. NULL is left out, also of the rows it is a share
    of. Takes a pass of its own, with a shuffle of the column."""

    column: str = arg(COLUMN, "the column")
    bounds: Bounds = arg(SHARE_BOUNDS, "bounds of the share")

    ungrouped = "it is measured over the whole batch, in a pass of its own"
    type = "top_value_ratio"
    example = "top_value_ratio: {column: country, at_most: 0.9}"

    def analyzer(self, where: str) -> Analyzer:
        """As the profile has it, exact."""
        return distributions.TopValueRatio((self.column,), where)


@dataclass(frozen=True)
class MostCommonValue(MetricRule):
    """The most frequent value is one of a set; where several are equally frequent, each of them. NULL is left out; a column of
    NULLs alone cannot be told. Takes a pass of its own, with a shuffle of the column."""

    column: str = arg(COLUMN, "the column")
    in_: tuple[Scalar, ...] = arg(VALUES, "the allowed values")

    ungrouped = "it is measured over the whole batch, in a pass of its own"
    type = "most_common_value"
    main = "in"
    example = "most_common_value: {column: currency, in: [EUR, SEK]}"
    bounds = _NONE

    def analyzer(self, where: str) -> Analyzer:
        """1 when it is another one."""
        return distributions.UnlistedMode((self.column,), where, self.in_)

    def requirement(self) -> str:
        """As the message says it."""
        return f"must be one of {listed(self.in_)}"

    def expected(self) -> str:
        """The set."""
        return self.requirement()


@dataclass(frozen=True)
class DistinctValues(MetricRule):
    """The set of values that occur is a part of a list (`in`), has all of a list (`contains`), or both (`equals`). NULL is not a
    value; NaN is one that is in no list. Texts compare byte by byte, numbers as numbers. The metric counts listed values that do
    not occur and rows that have others. The batch is judged, not its rows: for those there is the rule type `in`."""

    column: str = arg(COLUMN, "the column")
    in_: tuple[Scalar, ...] = arg(VALUES, "values, of which no other may occur", ())
    contains: tuple[Scalar, ...] = arg(VALUES, "values that must all occur", ())
    equals: tuple[Scalar, ...] = arg(VALUES, "values that must all occur, and no other", ())

    ungrouped = "it is measured over the whole batch, in a pass of its own"
    type = "distinct_values"
    example = "distinct_values: {column: region, contains: [north, south]}"
    bounds = _NONE

    def analyzer(self, where: str) -> Analyzer:
        """In the shared scan: a bit for each listed value."""
        values = self.equals or self.contains or self.in_
        return distributions.ValueSetDifference(
            (self.column,), where, values, missing=not self.in_, others=not self.contains
        )

    def requirement(self) -> str:
        """As the message says it."""
        if self.equals:
            return f"must be exactly {listed(self.equals)}"
        return f"must contain {listed(self.contains)}" if self.contains else f"must be among {listed(self.in_)}"

    def expected(self) -> str:
        """The set."""
        return self.requirement()

    def problem(self) -> str:
        """One of the three."""
        given = [word for word in ("in", "contains", "equals") if getattr(self, f"{word}_" if word == "in" else word)]
        return "" if len(given) == 1 else f"needs one of in, contains, equals, got {' and '.join(given) or 'none'}"


@dataclass(frozen=True)
class Last:
    """The last so many published batches before this one."""

    batches: int

    def __str__(self) -> str:
        return f"last {self.batches}"


_WINDOW = 7
#: Of no `against`: so many as `_WINDOW` says.
_UNSAID = Last(0)


def _parse_last(value: object) -> Last:
    found = re.fullmatch(r"\s*last\s*(?:\(\s*)?([0-9]{1,6})(?:\s*\))?\s*", value) if isinstance(value, str) else None
    if found is None or not 1 <= int(found[1]) <= MOST_BATCHES:
        raise ValueError(
            f"must be a number of earlier batches such as 'last 7', at most {MOST_BATCHES:,}, got {shown(value)}"
        )
    return Last(int(found[1]))


@dataclass(frozen=True)
class DriftBounds(MetricRule):
    """How far the values of a column are from what the last published batches held together, or from those of a column of a
    reference, a data set under `references:`, within bounds. `method`: `psi`
    (population stability index: below 0.1 is usually called stable, above 0.25 shifted), `js` (Jensen-Shannon divergence in
    bits, 0 to 1), `linf` (largest difference of a share), `chi_square` (Pearson's statistic over its degrees of freedom: about 1
    where both are drawn from the same), `ks` (Kolmogorov-Smirnov, numbers only). Numbers are compared in tenths of the reference
    and what lies beyond its ends (`ks`: in bins of 1 %), texts and booleans value by value, those with less than 1 % on both
    sides together. NULL, NaN and infinities are left out. From the sketches that profiles leave in the history, without a pass
    of its own; where `profile` is off the column is profiled for it. Not applicable until as many batches are published as are
    asked for, or `min_history`. A reference is read once for all that is asked of it, its texts as the type of the batch's column,
    of which none may be another text. Of all rows: takes no `where`."""

    column: str = arg(COLUMN, "the column: numbers, texts or booleans")
    bounds: Bounds = arg(BOUNDS, "bounds of the distance, in numbers")
    method: str = arg(choice(*distributions.DRIFT_MEASURES), "the measure: psi, ks, js, linf or chi_square", "psi")
    against: Last = arg(Kind(_parse_last, {"type": "string"}), "the published batches; by default last 7", _UNSAID)
    reference: str = arg(TEXT, "the name of a reference, in the place of earlier batches", "")
    reference_column: str = arg(Kind(parse_text, TEXT.schema), "its column; by default that of the same name", "")

    ungrouped = "it is measured over the whole batch, in a pass of its own"
    type = "drift"
    unfiltered = "does not go with it: it is about all rows"
    example = "drift: {column: amount, method: psi, against: last 7, at_most: 0.2}"

    @property
    def batches(self) -> int:
        """How many earlier batches it asks for."""
        return 0 if self.reference else self.against.batches or _WINDOW

    def questions(self, _where: str = "") -> tuple[Question, ...]:
        """What the reference holds."""
        return (Spread(self.reference, self._theirs, self.column),) if self.reference else ()

    @property
    def _theirs(self) -> str:
        return self.reference_column or self.column

    def analyzer(self, where: str) -> Analyzer:
        """From sketches."""
        theirs = (self.reference, self._theirs) if self.reference else ()
        return distributions.Drift((self.column,), where, self.method, self.batches, *theirs)

    def held(self, row: Row, where: str) -> Analyzer:
        """With what the reference holds."""
        analyzer = self.analyzer(where)
        assert isinstance(analyzer, distributions.Drift)
        asked = self.questions(where)
        return replace(analyzer, answer=row.answer(asked[0])) if asked else analyzer

    def problem(self) -> str:
        """It is compared with one thing, which is no bound."""
        if self.reference and self.against != _UNSAID:
            return "compares with earlier batches ('against') or with a 'reference', not with both"
        if self.reference_column and not self.reference:
            return "'reference_column' needs a 'reference'"
        return "takes numbers as bounds, not formulas of earlier batches" if self.bounds.past else ""
