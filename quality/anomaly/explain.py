"""What is odd about a batch: the metrics to blame, what was expected of them, since when, and what moved with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from quality.anomaly import kinds, table
from quality.anomaly.table import Floats
from quality.anomaly.values import Anomaly, Batch
from quality.anomaly.walk import Scores, Walk

#: The expected range is left by one good batch in 200, on each side. A metric is listed from 1 in 100 on.
RANGE, LISTED = 2.3, 2.0
#: Groups are blamed as long as at most this share of them is blamed wrongly (Benjamini, Hochberg).
WRONG = 0.05
_GROUPS, _EACH, _UNUSUAL = 8, 3, 3.0


def explained(walk: Walk, scores: Scores, batches: Sequence[Batch]) -> Iterator[Anomaly]:
    """The anomalies of the batch at `walk.t`, the most telling first."""
    chances = scores.surprises[0].copy()
    low, high = expected(walk)
    values = walk.values[walk.t]
    first, *more = _blamed(walk, scores, chances)
    # what is usual by itself is told only when nothing else is to blame
    blamed = [first, *(j for j in more if not low[j] <= values[j] <= high[j])]
    names = [str(walk.columns.series[j]) for j in blamed]
    for j in blamed:
        series, value = walk.columns.series[j], float(walk.values[walk.t, j])
        point = batches[-1].points.get(series)
        shown, bounds = _as_measured(series, value, (low[j], high[j]), batches[-1].rows)
        since = _since(walk, scores, j, batches)
        others = [name for name in names if name != str(series)]
        message = _message(str(series), shown, bounds, float(chances[j]), since, others, batches[-1].id)
        own = point.value if point is not None else None
        yield Anomaly(series, own, bounds[0], bounds[1], float(chances[j]), since, message)


def _blamed(walk: Walk, scores: Scores, chances: Floats) -> list[int]:
    groups = scores.groups[0]
    order = sorted(range(len(groups)), key=lambda g: (-groups[g], g))
    count = len(groups)
    passing = [rank for rank, g in enumerate(order, 1) if 10.0 ** -groups[g] <= WRONG * rank / count]
    chosen = order[: min(max([*passing, 1]), _GROUPS)]
    found: list[int] = []
    for group in chosen:
        members = [int(j) for j in np.flatnonzero(walk.columns.group == group) if chances[j] >= LISTED]
        members = members or [int(np.argmax(np.where(walk.columns.group == group, scores.surprises[0], -1)))]
        found += sorted(members, key=lambda j: (-chances[j], j))[:_EACH]
    if scores.volume[0] > 0:
        size = int(walk.columns.size[0])
        chances[size] = max(chances[size], scores.volume[0])
        if scores.batch[0] <= walk.threshold:
            # nothing else would have alarmed
            found = [size]
        elif size not in found:
            found.append(size)
    return found


def expected(walk: Walk) -> tuple[Floats, Floats]:
    """The range a good batch keeps to, in the numbers of `table.matrix`."""
    down, up = walk.tails.reach(RANGE)
    low = table.restored(walk.columns, walk.forecast - down * walk.scale, walk.unit)
    high = table.restored(walk.columns, walk.forecast + up * walk.scale, walk.unit)
    rare = np.flatnonzero(walk.columns.rare)
    if len(rare):
        few, many = walk.counts.expected(float(walk.rows[walk.t]), down[rare], up[rare])
        low[rare] = np.where(walk.counts.applies, few, low[rare])
        high[rare] = np.where(walk.counts.applies, many, high[rare])
    usual = table.restored(walk.columns, walk.forecast, walk.unit)
    return np.where(walk.constant, usual, low), np.where(walk.constant, usual, high)


def _as_measured(
    series: object, value: float, bounds: tuple[float, float], rows: int
) -> tuple[float, tuple[float, float]]:
    """Counts are judged as shares of rows, and told as counts."""
    name = getattr(series, "name", "")
    factor = rows if kinds.KINDS.get(name, kinds.Kind("")).counts else 1
    low, high = sorted(float(bound) * factor for bound in bounds)
    return value * factor, (low, high)


def _since(walk: Walk, scores: Scores, j: int, batches: Sequence[Batch]) -> str:
    """The first batch of the unbroken row of those as unusual, to the same side, that ends with this one."""
    side, first = np.sign(scores.deviations[0][j]), walk.t
    for t in range(walk.t - 1, -1, -1):
        if not walk.raw[t, j] * side > _UNUSUAL:
            break
        first = t
    return batches[first].id


def _message(
    name: str, value: float, bounds: tuple[float, float], score: float, since: str, others: Sequence[str], own: str
) -> str:
    low, high = bounds
    inside = low <= value <= high
    shown = f"{name} is {_number(value)}, " + (
        f"usual by itself ({_number(low)} to {_number(high)}) but not beside the others"
        if inside
        else f"expected {_number(low)} to {_number(high)}"
        if low < high
        else f"has always been {_number(low)}"
    )
    often = f"; about one good batch in {round(10 ** min(score, 9)):,} is so unusual" if score > 0.3 else ""
    lasting = f"; since {since}" if since != own else ""
    more = f" and {len(others) - 4} more" if len(others) > 4 else ""
    moved = f"; moved with it: {', '.join(others[:4])}{more}" if others else ""
    return shown + often + lasting + moved


def _number(value: float) -> str:
    if value != value:
        return "missing"
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"
