"""Bounds that move with the data: how far a metric of a batch is from the median of the batches before it.

Levels that wander or drift leave static bounds wide, or wrong after some weeks. What is bounded here is the change: v over the median
of the last seven where all values are positive, else v less that median. Its limits are prediction limits, as everywhere; fitted
to the first batches, judged by the later ones, widened or dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from quality.suggesting.chances import beyond, rounded, trends
from quality.suggesting.distances import distances, together
from quality.suggesting.facts import NUMBER, TEXT, Batch, Facts
from quality.suggesting.judging import TESTS, Suggestion, breaks
from quality.suggesting.moved import suggest_drift

#: Batches that the median is of: a week of days.
WINDOW = 7
#: With fewer changes seen their limits are no limits.
_LEAST = 14
_SLACKS = (1.0, 1.6, 2.5)
#: A bound so wide finds nothing: the largest over the smallest value it lets pass; in spreads of the column's values where it is a sum.
_WIDEST, _WIDEST_IN_SPREADS = 4.0, 3.0
#: How much narrower than a static one it must be to take its place.
_PAYS = 0.8
_OF_COLUMNS: Mapping[str, tuple[str, Callable[[Facts], float | None]]] = {
    "mean": ("mean", lambda facts: facts.mean),
    "stddev": ("spread", lambda facts: facts.spread),
    "max": ("largest", lambda facts: facts.high),
    "min": ("smallest", lambda facts: facts.low),
}
_MEDIAN = f"median(last {WINDOW})"


def with_rolling(chosen: Sequence[Suggestion], batches: Sequence[Batch]) -> tuple[Suggestion, ...]:
    """The suggestions with bounds that move in the place of static ones that are wider, and where there were none."""
    found = {(one.type, one.columns): one for one in _held(batches)}
    # how numbers are distributed says more than their mean and spread
    said = [one.columns for one in found.values() if one.type == "drift"]
    found = {key: one for key, one in found.items() if one.type not in ("mean", "stddev") or one.columns not in said}
    kept = []
    for one in chosen:
        moving = found.get((one.type, one.columns)) if one.test in ("rows", "mean") else None
        if moving and _width(one, batches) * _PAYS < _width(moving, batches):
            del found[one.type, one.columns]
            moving = None
        if not moving:
            kept.append(one)
    return (*kept, *found.values())


def resolved(one: Suggestion, past: Sequence[Batch]) -> Suggestion | None:
    """The suggestion with its bounds in numbers, by the batches before; itself when they do not move, None when too few of
    them have the metric: the engine does not judge it then."""
    if one.test == "drift":
        window = one.given["window"]
        if len(past) < window:
            return None
        return replace(one, given={**one.given, "reference": together(past[-window:], one.columns[0])})
    if "least" not in one.given:
        return one
    values = [TESTS[one.test](one, batch) for batch in past[-WINDOW:]]
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < WINDOW:
        return None
    low, high = _around(one, float(np.median(known)))
    return replace(one, given={**one.given, "low": low, "high": high})


def _around(one: Suggestion, middle: float) -> tuple[float, float]:
    least, most = one.given["least"], one.given["most"]
    return (least * middle, most * middle) if one.given["ratio"] else (middle + least, middle + most)


def _width(one: Suggestion, batches: Sequence[Batch]) -> float:
    """How far apart the bounds are for the batch after the last."""
    found = resolved(one, batches)
    return math.inf if found is None else float(found.given["high"] - found.given["low"])


def _held(batches: Sequence[Batch]) -> Iterator[Suggestion]:
    """Those that later batches bear out, with the narrowest limits that do."""
    n = len(batches)
    cuts = [n // 2, 3 * n // 4, n]
    if cuts[0] < WINDOW + _LEAST:
        return
    done: set[tuple[object, ...]] = set()
    apart = distances(batches, WINDOW)
    for slack in _SLACKS:
        tallies: dict[tuple[object, ...], tuple[int, int]] = {}
        for cut, end in pairwise(cuts):
            for one in _fit(batches[:cut], apart, slack):
                answers = [_broken(one, batches, place) for place in range(cut, end)]
                told = [answer for answer in answers if answer is not None]
                broken, held_back = tallies.get(one.key, (0, 0))
                tallies[one.key] = broken + sum(told), held_back + len(told)
        for one in _fit(batches, apart, slack):
            broken, held_back = tallies.get(one.key, (0, 0))
            if one.key not in done and held_back and not broken:
                done.add(one.key)
                yield replace(one, broken=broken, held_back=held_back)


def _broken(one: Suggestion, batches: Sequence[Batch], place: int) -> bool | None:
    found = resolved(one, batches[:place])
    return None if found is None else breaks(found, batches[place])


def _fit(batches: Sequence[Batch], apart: Mapping[str, Sequence[float]], slack: float) -> Iterator[Suggestion]:
    known = {name: values[: len(batches)] for name, values in apart.items()}
    yield from suggest_drift(known, batches[-1], WINDOW, _LEAST, slack)
    yield from _one("row_count", "", "rows", [float(batch.rows) for batch in batches], 0.0, slack, ratio=True)
    for name, facts in batches[-1].columns.items():
        seen = [batch.columns.get(name) for batch in batches]
        if facts.kind == TEXT:
            counts = [float(one.distinct) if one else None for one in seen]
            yield from _one("distinct_count", name, "distinct", counts, 0.0, slack, ratio=True)
        if facts.kind != NUMBER:
            continue
        spread = float(np.median([one.spread or 0.0 for one in seen if one]))
        # a median below 0 would turn the bounds around
        positive = all(one.low >= 0 for one in seen if one and one.low is not None)
        for type, (test, value) in _OF_COLUMNS.items():
            values = [value(one) if one else None for one in seen]
            # the ends of a range that stands still are those of a row, and jump
            if type in ("max", "min") and not trends([v for v in values if v is not None]):
                continue
            yield from _one(type, name, test, values, spread, slack, ratio=positive or type == "stddev")


def _one(
    type: str, name: str, test: str, values: Sequence[float | None], spread: float, slack: float, *, ratio: bool
) -> Iterator[Suggestion]:
    seen = np.array([math.nan if value is None else value for value in values], float)
    before = [(float(np.median(seen[n - WINDOW : n])), float(seen[n])) for n in range(WINDOW, len(seen))]
    pairs = [pair for pair in before if math.isfinite(pair[0]) and math.isfinite(pair[1])]
    if len(pairs) < _LEAST or len({value for _, value in pairs}) == 1:
        return
    ratio = ratio and bool(np.nanmin(seen) > 0)
    if ratio:
        least, most = (math.exp(limit) for limit in beyond([math.log(v / m) for m, v in pairs], slack))
        # a tenth more or less is no fault, nor a shift within a quarter of the values' own spread, nor what an estimate is wrong by
        slight = 0.15 if type == "distinct_count" else 0.1
        if type == "mean":
            slight = min(slight, 0.25 * spread / float(np.nanmedian(seen)))
        least, most = min(least, 1 - slight), max(most, 1 + slight)
        if most > _WIDEST * least:
            return
        bounds = [f"{rounded(least, up=False):g} * {_MEDIAN}", f"{rounded(most, up=True):g} * {_MEDIAN}"]
    else:
        slight = 0.25 * spread
        low, high = beyond([v - m for m, v in pairs], slack)
        least, most = min(low, -slight), max(high, slight)
        if not spread or most - least > 2 * _WIDEST_IN_SPREADS * spread:
            return
        bounds = [f"{_MEDIAN} - {-rounded(least, up=False):g}", f"{_MEDIAN} + {rounded(most, up=True):g}"]
    least, most = rounded(least, up=False), rounded(most, up=True)
    changes = [v / m if ratio else v - m for m, v in pairs]
    ends = dict.fromkeys(f"{one:.3g}" if ratio else f"{one:+.3g}" for one in (min(changes), max(changes)))
    what = f"{' to '.join(ends)} times" if ratio else f"{' to '.join(ends)} from"
    why = f"{what} the median of the {WINDOW} before, in {len(pairs)} batches"
    given = {"least": least, "most": most, "ratio": ratio, "low": -math.inf, "high": math.inf, "key": "rolling"}
    columns = (name,) if name else ()
    arguments = {"between": bounds, **({"approximate": True} if type == "distinct_count" else {})}
    yield Suggestion(type, columns, arguments, test, why, given, strong=False)
