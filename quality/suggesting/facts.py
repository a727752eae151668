"""What is known of a batch: facts about each column, the sets of NULL columns, and a sample of rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from quality.analyzers import FRACTIONAL, INTEGRAL, TEMPORAL, TEXTUAL, base_type
from quality.profiles import ColumnProfile, Profile
from quality.tally import Bins

Vector: TypeAlias = "np.ndarray[Any, Any]"
NUMBER, TEXT, MOMENT, TRUTH, OTHER = "number", "text", "moment", "truth", "other"


@dataclass(frozen=True)
class Facts:
    """A column in a batch. `values`: all values as text with their counts, None when they are too many; `frequent` some of
    them, `common` those that are frequent with their counts; `shapes`: None when not all are known. `low`, `high`, `mean`, `spread` (standard deviation), `bins` of numbers, and of dates in days and of
    moments in microseconds from 1970 (no mean). `odd`: values that are not of the type, of those that are not NULL."""

    kind: str
    type: str
    present: int
    distinct: int = 0
    values: Mapping[str, int] | None = None
    frequent: tuple[str, ...] = ()
    common: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, int] | None = None
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    spread: float | None = None
    bins: Bins | None = None
    shortest: int | None = None
    longest: int | None = None
    odd: int = 0

    @cached_property
    def _sorted(self) -> tuple[Vector, Vector]:
        numbers = np.array([float(text) for text in self.values or ()])
        counts = np.array(list((self.values or {}).values()), dtype=np.int64)
        order = np.argsort(numbers)
        return numbers[order], counts[order]

    def outside(self, low: float, high: float) -> int:
        """How many values lie outside: exact where all values are known, else within 1 % of the bounds."""
        if self.low is None or self.high is None or (low <= self.low and self.high <= high):
            return 0
        if self.values is not None and self.kind == NUMBER:
            numbers, counts = self._sorted
            return int(counts[(numbers < low) | (numbers > high) | np.isnan(numbers)].sum())
        if self.bins is None:
            return 1
        starts, ends = self.bins.edges()
        return max(1, int(self.bins.counts[(ends <= low) | (starts > high)].sum()))


@dataclass(frozen=True)
class Batch:
    """A batch. `nulls`: the sets of columns that are NULL together, with the rows that have just these. `sample`: columns of
    some rows, numbers and times as doubles with NaN for NULL, other values as objects with None; `whole` when they are all."""

    id: str
    rows: int
    columns: Mapping[str, Facts]
    nulls: Mapping[frozenset[str], int] = field(default_factory=dict)
    sample: Mapping[str, Vector] = field(default_factory=dict)
    whole: bool = False

    @cached_property
    def sampled(self) -> int:
        """Rows of the sample."""
        return len(next(iter(self.sample.values()))) if self.sample else 0

    @cached_property
    def codes(self) -> dict[str, Vector]:
        """A number for each value of the sample; the same value has the same in every batch. NULL has -1."""
        return {name: _coded(values) for name, values in self.sample.items()}


def _coded(values: Vector) -> Vector:
    if values.dtype != object:
        # -0.0 is 0.0
        codes = ((values + 0.0).view(np.int64) * np.int64(-7046029254386353131)) >> np.int64(2)
        return np.asarray(np.where(np.isnan(values), np.int64(-1), codes))
    return np.array([-1 if value is None else hash(value) >> 2 for value in values.tolist()], dtype=np.int64)


def kind_of(type: str) -> str:
    """What can be said of a type."""
    base = base_type(type)
    if base in INTEGRAL or base in FRACTIONAL or base == "decimal":
        return NUMBER
    return TEXT if base in TEXTUAL else MOMENT if base in TEMPORAL else TRUTH if base == "boolean" else OTHER


def of_column(column: ColumnProfile, odd: int = 0) -> Facts:
    """The facts of a column's profile."""
    tally, kind = column.tally, kind_of(column.type)
    values = dict(column.top) if column.top_exact else None
    given: dict[str, Any] = {"distinct": column.distinct or 0, "values": values, "odd": odd}
    given |= {"frequent": tuple(text for text, _ in column.top[:100]), "common": dict(column.top[:100])}
    if kind == NUMBER and (numbers := tally.numbers):
        given |= {"low": numbers.minimum, "high": numbers.maximum, "mean": numbers.mean, "bins": numbers.bins}
        given["spread"] = numbers.standard_deviation
    elif tally.temporal:
        given |= {"low": tally.temporal.smallest, "high": tally.temporal.largest, "bins": tally.temporal.bins}
    elif tally.texts:
        shapes = None if tally.texts.other_shapes else dict(tally.texts.shapes)
        given |= {"shapes": shapes, "shortest": tally.texts.shortest, "longest": tally.texts.longest}
    return Facts(kind, column.type, tally.present, **given)


def of_profile(
    id: str, found: Profile, raw: Mapping[str, ColumnProfile] | None = None, sample: Mapping[str, Vector] | None = None
) -> Batch:
    """A batch by its profile. `raw`: the profile of a text column before it was cast."""
    columns, before = {}, raw or {}
    for column in found.columns:
        first = before.get(column.name)
        columns[column.name] = of_column(column, first.tally.present - column.tally.present if first else 0)
    nulls = {frozenset(names): rows for names, rows in found.null_patterns}
    taken = dict(sample or {})
    batch = Batch(id, found.rows, columns, nulls, taken)
    return Batch(id, found.rows, columns, nulls, taken, whole=bool(taken) and batch.sampled == found.rows)


_MOST_VALUES, _MOST_SHAPES = 1000, 64


def of_arrays(id: str, columns: Mapping[str, Vector]) -> Batch:
    """A batch whose rows are all here: arrays of doubles (NaN is NULL) or objects (texts, None is NULL)."""
    missing = np.array(
        [np.isnan(v) if v.dtype != object else [x is None for x in v.tolist()] for v in columns.values()]
    )
    names, rows = list(columns), missing.shape[1]
    patterns, counts = np.unique(missing.T, axis=0, return_counts=True) if rows else (np.zeros((0, len(names))), ())
    nulls = {
        frozenset(name for name, gone in zip(names, row, strict=True) if gone): int(count)
        for row, count in zip(patterns, counts, strict=True)
    }
    facts = {name: _facts(values, missing[place]) for place, (name, values) in enumerate(columns.items())}
    return Batch(id, rows, facts, nulls, columns, whole=True)


def _facts(values: Vector, missing: Vector) -> Facts:
    known = values[~missing.astype(bool)]
    if values.dtype == object:
        counts = _counts(known.tolist())
        shapes: dict[str, int] = {}
        for text, count in counts.items():
            shapes[shape(text)] = shapes.get(shape(text), 0) + count
        lengths = [len(text) for text in counts]
        return Facts(
            TEXT, "string", len(known), len(counts), counts if len(counts) <= _MOST_VALUES else None, tuple(counts)[:100],
            dict(sorted(counts.items(), key=lambda one: -one[1])[:100]),
            shapes if len(shapes) <= _MOST_SHAPES else None, shortest=min(lengths, default=None), longest=max(lengths, default=None),
        )  # fmt: skip
    numbers, times = np.unique(known, return_counts=True)
    whole = bool((numbers == np.floor(numbers)).all())
    exact = (
        {_text(v, whole): int(c) for v, c in zip(numbers.tolist(), times, strict=True)}
        if len(numbers) <= _MOST_VALUES
        else None
    )
    places = np.sign(numbers) * (np.abs(numbers).view(np.int64) >> (52 - 6))
    bins = Bins(True, 0, *_summed(places.astype(np.int64), times))
    kind = "int" if whole else "double"
    if not len(known):
        return Facts(NUMBER, kind, 0, 0, exact)
    low, high, mean, spread = (float(one) for one in (known.min(), known.max(), known.mean(), known.std()))
    return Facts(NUMBER, kind, len(known), len(numbers), exact, (), {}, None, low, high, mean, spread, bins)


def _text(number: float, whole: bool) -> str:
    return str(int(number)) if whole else repr(number)


def _summed(places: Vector, times: Vector) -> tuple[Vector, Vector]:
    unique, which = np.unique(places, return_inverse=True)
    counts = np.zeros(len(unique), dtype=np.int64)
    np.add.at(counts, which, times)
    return unique, counts


def _counts(texts: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts:
        found[text] = found.get(text, 0) + 1
    return found


_RUN = re.compile(r"[A-Z]+|[a-z]+|[0-9]+|[^\x00-\x7f]+|(.)\1*", re.DOTALL)


def shape(text: str) -> str:
    """The shape of a text, as the tally has it: `AB-1234` is `A{2}-9{4}`."""
    found = []
    for run in _RUN.finditer(text):
        first, size = run[0][0], len(run[0])
        sign = "A" if "A" <= first <= "Z" else "a" if "a" <= first <= "z" else "9" if first.isdigit() else first
        found.append(sign if size == 1 else f"{sign}{{{size}}}")
    return "".join(found)


def series(batches: Sequence[Batch], name: str) -> list[Facts]:
    """A column through the batches that have values of it."""
    return [batch.columns[name] for batch in batches if name in batch.columns and batch.columns[name].present]
