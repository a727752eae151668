"""How far apart two windows of a column are, from counts alone: of values, of patterns, of bins of a sketch.

Both sides are mappings from a value or bin to its count; neither needs to be normalised, a missing bin counts 0. Every
measure is None when one side is empty: nothing can be said of no rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from quality.anomaly.table import Floats

Counts = Mapping[Any, float]
#: Added to each bin's share before logarithms, so that a value that is new does not make PSI infinite.
SMALL = 1e-4


def merged(windows: Sequence[Counts]) -> dict[Any, float]:
    """The counts of several batches as those of one window."""
    found: dict[Any, float] = {}
    for window in windows:
        for key, count in window.items():
            found[key] = found.get(key, 0.0) + count
    return found


def shares(left: Counts, right: Counts) -> tuple[Floats, Floats] | None:
    """Both sides as shares over the same bins, in the order of bins that can be ordered; None when one is empty."""
    keys = _ordered({*left, *right})
    a, b = (np.array([side.get(key, 0.0) for key in keys], float) for side in (left, right))
    if a.sum() <= 0 or b.sum() <= 0:
        return None
    return a / a.sum(), b / b.sum()


def _ordered(keys: Collection[Any]) -> list[Any]:
    try:
        return sorted(keys)
    except TypeError:
        # bins of several types have no order of their own: any fixed one will do for what does not need one
        return sorted(keys, key=lambda key: (type(key).__name__, str(key)))


def psi(left: Counts, right: Counts) -> float | None:
    """Population stability index: sum of (a - b) ln(a / b). Below 0.1 is usually called stable, above 0.25 shifted."""
    pair = shares(left, right)
    if pair is None:
        return None
    a, b = (np.maximum(side, SMALL) for side in pair)
    return float(((a - b) * np.log(a / b)).sum())


def ks(left: Counts, right: Counts) -> float | None:
    """Kolmogorov-Smirnov: the largest distance of the cumulated shares, for bins that have an order."""
    pair = shares(left, right)
    return None if pair is None else float(np.abs(np.cumsum(pair[0] - pair[1])).max())


def js(left: Counts, right: Counts) -> float | None:
    """Jensen-Shannon divergence in bits: 0 for the same shares, 1 for no value in common."""
    pair = shares(left, right)
    if pair is None:
        return None
    a, b = pair
    middle = (a + b) / 2
    parts = [side[side > 0] * np.log2(side[side > 0] / middle[side > 0]) for side in (a, b)]
    return max(float(sum(part.sum() for part in parts)) / 2, 0.0)


def linf(left: Counts, right: Counts) -> float | None:
    """The largest difference of a share."""
    pair = shares(left, right)
    return None if pair is None else float(np.abs(pair[0] - pair[1]).max())


def chi_square(left: Counts, right: Counts) -> float | None:
    """Pearson's statistic of homogeneity of two samples, over its degrees of freedom: about 1 when both are drawn from
    the same, whatever the number of bins. Needs counts, not shares; 0 for a single bin."""
    keys = _ordered({*left, *right})
    a, b = (np.array([side.get(key, 0.0) for key in keys], float) for side in (left, right))
    if a.sum() <= 0 or b.sum() <= 0:
        return None
    both = a + b
    a, b, both = a[both > 0], b[both > 0], both[both > 0]
    if len(both) < 2:
        return 0.0
    x, y = both * (a.sum() / both.sum()), both * (b.sum() / both.sum())
    return float((((a - x) ** 2 / x).sum() + ((b - y) ** 2 / y).sum()) / (len(both) - 1))


#: Parts that ordered bins are taken together to, and the share from which a value counts by itself.
PARTS = 10
FREQUENT = 0.01
#: What values that are rare on both sides count as.
RARE = ("rare",)


def tenths(counts: Counts, reference: Counts) -> tuple[Counts, Counts]:
    """Ordered bins taken together to about `PARTS` that are equally frequent in the reference, and two for what lies beyond
    its ends: over fine bins chance alone makes two samples differ. A bin is never divided."""
    total, before = sum(reference.values()), 0.0
    starts: list[Any] = []
    for key in sorted(key for key, count in reference.items() if count > 0):
        if before / total * PARTS >= len(starts):
            starts.append(key)
        before += reference[key]
        last = key
    if not starts:
        return counts, reference

    def together(side: Counts) -> Counts:
        found: dict[Any, float] = {}
        for key, count in side.items():
            part = len(starts) + 1 if key > last else bisect_right(starts, key)
            found[part] = found.get(part, 0.0) + count
        return found

    return together(counts), together(reference)


def frequent(counts: Counts, reference: Counts) -> tuple[Counts, Counts]:
    """Values that have a share of `FREQUENT` on one side each by itself, the others taken together."""
    pair = (sum(counts.values()) or 1.0, sum(reference.values()) or 1.0)
    kept = {
        key
        for side, total in zip((counts, reference), pair, strict=True)
        for key, count in side.items()
        if key != RARE and count / total >= FREQUENT
    }

    def together(side: Counts) -> Counts:
        found: dict[Any, float] = {key: count for key, count in side.items() if key in kept}
        rare = sum(count for key, count in side.items() if key not in kept)
        return {**found, RARE: rare} if rare > 0 else found

    return together(counts), together(reference)


MEASURES: Mapping[str, Callable[[Counts, Counts], float | None]] = {
    "psi": psi,
    "ks": ks,
    "js": js,
    "linf": linf,
    "chi_square": chi_square,
}


def unseen(counts: Counts, known: Collection[Any]) -> float | None:
    """The share of rows with a value, pattern or pattern of NULLs that no earlier batch had; None of no rows."""
    total = sum(counts.values())
    return sum(count for key, count in counts.items() if key not in known) / total if total > 0 else None


def out_of_range(counts: Counts, low: float, high: float) -> float | None:
    """The share of rows in bins below `low` or above `high`, the range of earlier batches; None of no rows."""
    total = sum(counts.values())
    beyond = sum(count for key, count in counts.items() if key < low or key > high)
    return beyond / total if total > 0 else None
