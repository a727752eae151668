"""The statistical profile of a batch: what a tally kept of each column, as numbers for people and as metrics for the history.

Metrics bear Deequ's names where Deequ has them. Sketches go with them, each mergeable without Spark: `hll` (the registers of
HyperLogLog over the values as text), `bins` (counts in logarithmic bins for numbers and lengths, in even ones for dates and
moments), `top` (frequent values with their counts), `nulls` (columns that are NULL together) and `rows` (`row_samples`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from math import isfinite
from typing import Any

import numpy as np

from quality import row_samples
from quality.analyzers import INTEGRAL, base_type
from quality.model import Column, Metric, MetricKey, Sketch, number_text
from quality.sensitive import FEW, NOTHING, Hiding, Sensitive, hidden, is_value
from quality.tally import Bins, ColumnTally, Tallied, distinct

#: Metrics that are there for their sketch: their own number says little.
CARRIERS = frozenset({"ApproxQuantiles", "Histogram", "Lengths", "NullPatterns", "RowSample", "Shapes"})
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Frequent values that are kept of a column that has more of them than were counted exactly, and the share they must have.
_FREQUENT = 100
_FREQUENT_SHARE = 0.001
#: What tells a value where there are few.
_MOMENTS = ("mean", "standard_deviation")
_BINS_HEAD = struct.Struct(">?i")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class ColumnProfile:
    """What is known of a column. `distinct` is exact when `top` holds every value, else an estimate (HyperLogLog, 1.6 %
    standard error). `quantiles` by share: exact when `top` holds every value, else within 1 %; dates and moments as days and
    microseconds from 1970. None: does not go with the type, or there are no values. `hiding`: what is a value of the column is
    not told, and frequent values are there as hashes at most."""

    name: str
    type: str
    rows: int
    tally: ColumnTally
    distinct: int | None
    top: tuple[tuple[str, int], ...]
    top_exact: bool
    quantiles: dict[float, float]
    hiding: Hiding | None = None

    @property
    def completeness(self) -> float | None:
        """Share of the rows that have a value; None without rows."""
        return self.tally.present / self.rows if self.rows else None

    @property
    def inferred(self) -> str:
        """The type that every text of the column has, its own where it is no text or the texts differ."""
        texts = self.tally.texts
        if texts is None or not self.tally.present:
            return self.type
        kinds = {kind for kind, count in texts.kinds.items() if count}
        if kinds == {"Integral", "Fractional"}:
            return "Fractional"
        return kinds.pop() if len(kinds) == 1 else "Text"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        numbers, texts, temporal = self.tally.numbers, self.tally.texts, self.tally.temporal
        found: dict[str, Any] = {
            "name": self.name, "type": self.type, "rows": self.rows, "present": self.tally.present,
            "completeness": self.completeness, "distinct": self.distinct,
        }  # fmt: skip
        if numbers:
            found |= {"minimum": numbers.minimum, "maximum": numbers.maximum, "mean": numbers.mean,
                      "standard_deviation": numbers.standard_deviation, "skewness": numbers.skewness,
                      "kurtosis": numbers.kurtosis, "zeros": numbers.zeros, "negatives": numbers.negatives,
                      "nan": numbers.nans}  # fmt: skip
        if temporal:
            found |= {"minimum": self.moment(temporal.smallest), "maximum": self.moment(temporal.largest)}
        if texts:
            mean = texts.total_length / self.tally.present if self.tally.present else None
            found |= {"inferred": self.inferred, "min_length": texts.shortest, "max_length": texts.longest,
                      "mean_length": mean, "empty": texts.empty, "blank": texts.blank,
                      "shapes": sorted(texts.shapes.items(), key=lambda pair: -pair[1])[:10]}  # fmt: skip
        if self.hiding:
            told = ("minimum", "maximum", *(_MOMENTS if self.tally.present < FEW else ()))
            found = {name: value for name, value in found.items() if name not in told}
        quantiles = {str(q): self.moment(value) if temporal else value for q, value in self.quantiles.items()}
        # what JSON has no number for is its text
        found = {name: number_text(v) if isinstance(v, float) and not isfinite(v) else v for name, v in found.items()}
        return {
            **found,
            "quantiles": quantiles,
            "top": [list(pair) for pair in self.top[:10]],
            "top_exact": self.top_exact,
        }

    def moment(self, value: float | None) -> str | None:
        """Days or microseconds from 1970 as ISO text; beyond the years Python knows as the number."""
        if value is None:
            return None
        try:
            if base_type(self.type) == "date":
                return (date(1970, 1, 1) + timedelta(days=int(value))).isoformat()
            zone = None if base_type(self.type) == "timestamp_ntz" else timezone.utc
            return (_EPOCH + timedelta(microseconds=int(value))).replace(tzinfo=zone).isoformat(sep=" ")
        except OverflowError:
            return str(int(value))


@dataclass(frozen=True)
class Profile:
    """The profile of a batch. `null_patterns`: the columns that are NULL together, and in how many rows just these are.
    `doubled`: rows that are copies of another, and the rows they were looked for in, of which `row_samples` says how many; `sample` is
    the sketch `rows`. Both None where they were not asked for."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    null_patterns: tuple[tuple[tuple[str, ...], int], ...]
    doubled: tuple[int, int] | None = None
    sample: bytes | None = None

    @property
    def duplicate_ratio(self) -> float | None:
        """The share of the rows that are copies of another one; None without rows."""
        copies, rows = self.doubled or (0, 0)
        return copies / rows if rows else None

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        patterns = [{"columns": list(names), "rows": rows} for names, rows in self.null_patterns]
        columns = [column.to_dict() for column in self.columns]
        found = {"rows": self.rows, "columns": columns, "null_patterns": patterns}
        return {**found, "duplicate_ratio": self.duplicate_ratio}


def profile(tallied: Tallied, columns: Sequence[Column], place: int = 0, sensitive: Sensitive = NOTHING) -> Profile:
    """The profile of the columns whose tallies begin at a place, less the values of sensitive ones."""
    found = tallied.columns[place : place + len(columns)]
    patterns = sorted(tallied.null_patterns.items(), key=lambda pair: (-pair[1], pair[0]))
    made = tuple(
        _column(column, tally, tallied.rows, sensitive.how(column.name))
        for column, tally in zip(columns, found, strict=True)
    )
    return Profile(
        tallied.rows,
        made,
        tuple((tuple(columns[index - place].name for index in places), rows) for places, rows in patterns),
        row_samples.doubled(tallied.counted.counts.tolist()) if tallied.counted else None,
        _sample(tallied, made),
    )


def _sample(tallied: Tallied, columns: Sequence[ColumnProfile]) -> bytes | None:
    if tallied.kept is None:
        return None
    kept = (one.name for one in columns if row_samples.kept(one.distinct, sensitive=one.hiding is not None))
    return row_samples.write(tallied.kept, [one.name for one in columns], kept)


def _column(column: Column, tally: ColumnTally, rows: int, hiding: Hiding | None) -> ColumnProfile:
    values, exact, count = _values(tally)
    if hiding:
        # a mask would make one of all values
        values = tuple((str(hidden(text, hiding)), n) for text, n in values) if hiding == Hiding.HASH else ()
        exact = exact and hiding == Hiding.HASH
        return ColumnProfile(column.name, column.type, rows, tally, count, values, exact, {}, hiding)
    return ColumnProfile(column.name, column.type, rows, tally, count, values, exact, _quantiles(tally, values, exact))


def _values(tally: ColumnTally) -> tuple[tuple[tuple[str, int], ...], bool, int | None]:
    """Frequent values, whether they are all, and how many distinct ones there are."""
    if tally.trues is not None:
        pairs = (("true", tally.trues), ("false", tally.present - tally.trues))
        values = tuple(sorted((pair for pair in pairs if pair[1]), key=lambda pair: -pair[1]))
        return values, True, len(values)
    if tally.top is None:
        return (), False, None
    if tally.top.exact:
        return tally.top.values, True, len(tally.top.values)
    least = max(tally.top.error, _FREQUENT_SHARE * tally.present)
    frequent = tuple(pair for pair in tally.top.values[:_FREQUENT] if pair[1] > least)
    estimate = min(round(distinct(tally.registers)), tally.present)
    return frequent, False, max(estimate, len(tally.top.values))


def _quantiles(tally: ColumnTally, values: tuple[tuple[str, int], ...], exact: bool) -> dict[float, float]:
    if tally.numbers and tally.numbers.count:
        if exact:
            return _exact_quantiles(values)
        numbers = tally.numbers
        return _of_bins(numbers.bins, numbers.smallest, numbers.largest, whole=base_type(tally.type) in INTEGRAL)
    if tally.temporal and tally.temporal.smallest is not None and tally.temporal.largest is not None:
        return _of_bins(tally.temporal.bins, tally.temporal.smallest, tally.temporal.largest, whole=True)
    return {}


def _of_bins(bins: Bins, low: float, high: float, *, whole: bool) -> dict[float, float]:
    found = {q: bins.quantile(q, low, high, whole=whole) for q in QUANTILES}
    return {q: value for q, value in found.items() if value is not None}


def _exact_quantiles(values: Iterable[tuple[str, int]]) -> dict[float, float]:
    """The smallest value whose cumulative share is at least q, as `ApproxQuantile` has it."""
    pairs = sorted((float(text), count) for text, count in values)
    finite = [pair for pair in pairs if np.isfinite(pair[0])]
    sums = np.cumsum([count for _, count in finite])
    places = [int(np.searchsorted(sums, q * int(sums[-1]), side="left")) for q in QUANTILES]
    return {q: finite[place][0] for q, place in zip(QUANTILES, places, strict=True)}


# metrics


def metrics(found: Profile) -> list[Metric]:
    """What the history keeps of a profile."""
    size = Metric(MetricKey("Dataset", "Size", "*"), found.rows)
    of_columns = [metric for column in found.columns for metric in metrics_of_column(column)]
    return [size, *_patterns(found), *_rows(found), *of_columns]


def _rows(found: Profile) -> list[Metric]:
    """DuplicateRatio with the copies and the rows they were looked for in, and the sample."""
    if not found.doubled or not found.sample or not found.rows:
        return []
    copies, rows = found.doubled
    ratio = Metric(MetricKey("Dataset", "DuplicateRatio", "*"), copies / rows, numerator=copies, denominator=rows)
    sample = Metric(MetricKey("Dataset", "RowSample", "*"), None, sketch=Sketch("rows", 1, found.sample))
    return [ratio, sample]


def _patterns(found: Profile) -> list[Metric]:
    if not found.columns:
        return []
    patterns = [{"columns": list(names), "rows": rows} for names, rows in found.null_patterns]
    content = json.dumps(patterns, ensure_ascii=False).encode()
    return [Metric(MetricKey("Dataset", "NullPatterns", "*"), len(patterns), sketch=Sketch("nulls", 1, content))]


def metrics_of_column(column: ColumnProfile) -> list[Metric]:
    """What the history keeps of a column."""
    tally = column.tally

    def metric(name: str, value: Any, *, of: Sequence[tuple[str, str]] = (), sketch: Sketch | None = None) -> Metric:
        return Metric(MetricKey("Column", name, column.name, "", tuple(of)), value, sketch=sketch)

    def share(name: str, part: int, whole: int, of: Sequence[tuple[str, str]] = ()) -> Metric:
        value = part / whole if whole else None
        return replace(metric(name, value, of=of), numerator=part, denominator=whole)

    made = [share("Completeness", tally.present, column.rows)]
    if column.distinct is not None:
        hll = Sketch("hll", 1, tally.registers) if tally.registers else None
        made.append(metric("ApproxCountDistinct", column.distinct, sketch=hll))
    if column.top or column.top_exact:
        made.append(metric("Histogram", len(column.top), sketch=_top(column)))
        most = column.top[0][1] if column.top else 0
        made.append(share("TopValueRatio", most, tally.present))
    if numbers := tally.numbers:
        made += [
            metric("Minimum", numbers.minimum), metric("Maximum", numbers.maximum), metric("Mean", numbers.mean),
            metric("StandardDeviation", numbers.standard_deviation), metric("Skewness", numbers.skewness),
            metric("Kurtosis", numbers.kurtosis), metric("ZerosCount", numbers.zeros),
            metric("NegativesCount", numbers.negatives), metric("NaNCount", numbers.nans),
            metric("ApproxQuantiles", None, sketch=_sketch(numbers.bins)),
        ]  # fmt: skip
    if temporal := tally.temporal:
        low, high = temporal.smallest, temporal.largest
        made += [
            replace(metric("Minimum", low), exact=column.moment(low) or ""),
            replace(metric("Maximum", high), exact=column.moment(high) or ""),
            metric("ApproxQuantiles", None, sketch=_sketch(temporal.bins)),
        ]
    if texts := tally.texts:
        mean = texts.total_length / tally.present if tally.present else None
        made += [
            metric("MinLength", texts.shortest), metric("MaxLength", texts.longest), metric("MeanLength", mean),
            metric("EmptyCount", texts.empty), metric("BlankCount", texts.blank),
            metric("Shapes", len(texts.shapes), sketch=_shapes(texts.shapes, texts.other_shapes)),
            metric("Lengths", None, sketch=_sketch(texts.lengths)),
        ]  # fmt: skip
        made += [metric("LetterShare", part, of=(("kind", kind),)) for kind, part in texts.letter_shares.items()]
        made += [share("DataType", count, tally.present, (("type", kind),)) for kind, count in texts.kinds.items()]
    made += [metric("ApproxQuantile", value, of=(("q", repr(q)),)) for q, value in column.quantiles.items()]
    if column.hiding:
        made = [one for one in made if not _tells(one, tally)]
    # what has no value and no sketch says nothing
    return [one for one in made if one.value is not None or one.sketch]


def _tells(metric: Metric, tally: ColumnTally) -> bool:
    few = tally.present < FEW and metric.key.name in ("Mean", "StandardDeviation")
    return few or is_value(metric.key.name)


def _top(column: ColumnProfile) -> Sketch:
    error = column.tally.top.error if column.tally.top else 0
    content = {"exact": column.top_exact, "error": error, "values": [list(pair) for pair in column.top]}
    return Sketch("top", 1, json.dumps(content, ensure_ascii=False).encode())


def _shapes(shapes: Any, others: int) -> Sketch:
    values = sorted(shapes.items(), key=lambda pair: (-pair[1], pair[0]))
    content = {"exact": not others, "error": others, "values": [list(pair) for pair in values]}
    return Sketch("top", 1, json.dumps(content, ensure_ascii=False).encode())


def _sketch(bins: Bins) -> Sketch:
    pairs = np.column_stack([bins.numbers, bins.counts]).astype(">i8")
    return Sketch("bins", 1, _BINS_HEAD.pack(bins.relative, bins.shift) + pairs.tobytes())


def read_bins(content: bytes) -> Bins:
    """The bins of a sketch of the history."""
    relative, shift = _BINS_HEAD.unpack_from(content)
    pairs = np.frombuffer(content, dtype=">i8", offset=_BINS_HEAD.size).astype(np.int64).reshape(-1, 2)
    return Bins(relative, shift, pairs[:, 0], pairs[:, 1])


@dataclass(frozen=True)
class Counted:
    """What a sketch counts: how often each value, shape, bin or set of columns occurs; `whole` when these are all there are,
    `ordered` when they have an order (bins; even ones are told by their lower end)."""

    counts: dict[Hashable, float]
    whole: bool
    ordered: bool


def read_counts(sketches: Iterable[tuple[str, bytes]]) -> list[Counted]:
    """The counts of sketches (format, content), comparable with each other: even bins are as wide as the widest. Other formats
    than `top`, `bins` and `nulls` count nothing that can be told apart: ValueError."""
    read = [read_bins(content) if form == "bins" else (form, json.loads(content)) for form, content in sketches]
    shift = max((bins.shift for bins in read if isinstance(bins, Bins)), default=0)
    return [_bin_counts(one, shift) if isinstance(one, Bins) else _entries(*one) for one in read]


def _bin_counts(bins: Bins, shift: int) -> Counted:
    counts: dict[Hashable, float] = {}
    for number, count in zip(bins.numbers.tolist(), bins.counts.tolist(), strict=True):
        key = number if bins.relative else (number >> (shift - bins.shift)) << shift
        counts[key] = counts.get(key, 0) + count
    return Counted(counts, whole=True, ordered=True)


def _entries(form: str, said: Any) -> Counted:
    if form == "nulls":
        return Counted({tuple(one["columns"]): one["rows"] for one in said}, whole=True, ordered=False)
    if form != "top":
        raise ValueError(f"a sketch of format '{form}' has no counts")
    return Counted(dict(said["values"]), whole=bool(said["exact"]), ordered=False)


def with_profile(measured: Iterable[Metric], found: Profile | None) -> list[Metric]:
    """The metrics of rules and of the profile, each once: a rule's own value is exact, the profile adds its sketch."""
    unique = {metric.key: metric for metric in (metrics(found) if found else ())}
    for metric in measured:
        known = unique.get(metric.key)
        unique[metric.key] = replace(metric, sketch=known.sketch) if known else metric
    return list(unique.values())
