"""Batches as a matrix: one row for each batch in the order of time, one column for each metric in the order of names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quality.anomaly import kinds
from quality.anomaly.values import Batch, Series

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
#: Batches that set the units a column is measured in, and that must be there before anything is judged.
FIRST = 7
#: Standard deviations from which on extremes are taken by their logarithm: nearer, days differ as much as rows do.
FAR = 10.0


def in_order(batches: Iterable[Batch]) -> list[Batch]:
    """By time, then id; a batch that is there twice counts once, the last one given."""
    return sorted({batch.id: batch for batch in batches}.values(), key=lambda batch: (batch.time, batch.id))


@dataclass(frozen=True)
class Columns:
    """What is known of each metric: parallel arrays in the order of `series`."""

    series: tuple[Series, ...]
    scale: npt.NDArray[Any]
    rare: Bools
    complement: Bools
    group: Ints
    group_weight: Floats
    #: What a change of each group says: a place in `kinds.SHARES`.
    group_says: Ints
    size: Ints
    #: For each metric the place of its column's Mean and StandardDeviation, -1 for none.
    mean: Ints
    spread: Ints

    def __len__(self) -> int:
        return len(self.series)


def columns_of(series: Iterable[Series], batches: Sequence[Batch] = ()) -> Columns:
    """The metrics in order, whatever order they come in; what a metric is may depend on whether it has a denominator."""
    ordered = tuple(sorted(set(series)))
    points = {one: next((b.points[one] for b in batches if one in b.points), None) for one in ordered}
    found = [kinds.kind_of(one, points[one]) for one in ordered]
    names = [(kinds.group_of(one), kind.says) for one, kind in zip(ordered, found, strict=True)]
    groups = sorted(set(names))
    place = {one: index for index, one in enumerate(ordered)}
    table = {kinds.group_of(one) for one in ordered if one.instance == "*" and one.name in kinds.TABLE}
    return Columns(
        ordered,
        np.array([kind.scale for kind in found]),
        np.array([kind.rare for kind in found], bool),
        np.array([kind.complement for kind in found], bool),
        np.array([groups.index(name) for name in names], np.intp),
        np.array([kinds.WHOLE_TABLE if name in table else 0.0 for name, _ in groups], float),
        np.array([says for _, says in groups], np.intp),
        np.array([i for i, one in enumerate(ordered) if one.name == "Size" and one.instance == "*"], np.intp),
        np.array([_beside(place, one, "Mean") for one in ordered], np.intp),
        np.array([_beside(place, one, "StandardDeviation") for one in ordered], np.intp),
    )


def _beside(place: dict[Series, int], one: Series, name: str) -> int:
    return place.get(Series(name, one.instance, one.filter, one.segment), -1)


def matrix(columns: Columns, batches: Sequence[Batch]) -> Floats:
    """The numbers of the batches; NaN for what was not measured or is not finite."""
    rows = [
        [
            kinds.value_of(kinds.kind_of(one, point), point, batch.rows)
            for one in columns.series
            for point in [batch.points.get(one)]
        ]
        for batch in batches
    ]
    found = np.array(rows, float).reshape(len(batches), len(columns))
    found[~np.isfinite(found)] = math.nan
    return found


@dataclass(frozen=True)
class Units:
    """Zero and one of each metric, by the first batches: so that a shift of a column or another unit changes nothing."""

    zero: Floats
    one: Floats


def units(columns: Columns, values: Floats) -> Units:
    """Places are measured from the column's usual mean in its usual standard deviations, spreads in their usual size."""
    middle = _middle(values[:FIRST])
    zero, one = np.zeros(len(columns)), np.ones(len(columns))
    own = np.where(columns.spread >= 0, middle[columns.spread], math.nan)
    centre = np.where(columns.mean >= 0, middle[columns.mean], middle)
    placed = (columns.scale == kinds.PLACE) | (columns.scale == kinds.EXTREME)
    # a column that never varies, or has no standard deviation, is measured by its size
    span = np.where(own > 0, own, np.where(np.abs(middle) > 0, np.abs(middle), 1.0))
    zero[placed] = np.nan_to_num(centre)[placed]
    one[placed] = np.where(np.isfinite(span), span, 1.0)[placed]
    spread = np.array([series.name == "StandardDeviation" for series in columns.series], bool)
    one[spread] = np.where(middle[spread] > 0, middle[spread], 1.0)
    return Units(zero, one)


def _middle(values: Floats) -> Floats:
    """The median of each column, NaN where nothing was measured."""
    found = np.full(values.shape[1], math.nan)
    there = np.isfinite(values).any(axis=0)
    if there.any():
        found[there] = np.nanmedian(values[:, there], axis=0)
    return found


def evened(columns: Columns, values: Floats, unit: Units) -> Floats:
    """The values on a scale on which they vary evenly: arcsine root of a share, logarithm of a count, asinh of an extreme."""
    out = values.copy()
    ratio, log = columns.scale == kinds.RATIO, columns.scale == kinds.LOG
    placed, extreme = columns.scale == kinds.PLACE, columns.scale == kinds.EXTREME
    out[:, ratio] = np.arcsin(np.sqrt(np.clip(values[:, ratio], 0, 1)))
    spread = log & np.array([series.name == "StandardDeviation" for series in columns.series], bool)
    counted = log & ~spread
    out[:, counted] = np.log1p(np.maximum(values[:, counted], 0))
    # the spread of a column that is constant today is 0: it must not be minus infinity
    out[:, spread] = np.log(np.maximum(values[:, spread], 0) / unit.one[spread] + 0.01)
    out[:, placed] = (values[:, placed] - unit.zero[placed]) / unit.one[placed]
    out[:, extreme] = np.arcsinh((values[:, extreme] - unit.zero[extreme]) / (FAR * unit.one[extreme]))
    return np.asarray(out)


def restored(columns: Columns, evened_values: Floats, unit: Units) -> Floats:
    """The way back, for one row: what a person is told."""
    out = evened_values.copy()
    for j in range(len(columns)):
        y, scale = evened_values[j], columns.scale[j]
        if scale == kinds.RATIO:
            out[j] = math.sin(min(max(y, 0.0), math.pi / 2)) ** 2
        elif scale == kinds.LOG and columns.series[j].name == "StandardDeviation":
            out[j] = max(math.exp(min(y, 700)) - 0.01, 0.0) * unit.one[j]
        elif scale == kinds.LOG:
            out[j] = max(math.expm1(min(y, 700)), 0.0)
        elif scale == kinds.PLACE:
            out[j] = y * unit.one[j] + unit.zero[j]
        elif scale == kinds.EXTREME:
            out[j] = math.sinh(min(max(y, -700), 700)) * FAR * unit.one[j] + unit.zero[j]
    return np.asarray(out)
