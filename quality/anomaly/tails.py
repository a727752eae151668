"""How unlikely a deviation is: a generalized Pareto tail for each metric and side, learned from its own past and shrunk to a
prior, so that eight batches give a careful answer and eighty a sharp one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quality.anomaly.table import Floats

#: Where the tail begins, in standard deviations; the prior's weight in batches; the shape of the tail.
START, PRIOR, SHAPE = 1.645, 8.0, 0.15
_MEAN_EXCESS = 0.6


@dataclass(frozen=True)
class Side:
    """One side's chance of lying beyond START, and the mean excess there."""

    chance: npt.NDArray[np.float64]
    excess: npt.NDArray[np.float64]


def side(deviations: Floats, known: Floats) -> Side:
    """The tail of past deviations to one side; `known` is how many are known of each metric."""
    beyond = deviations > START
    count = beyond.sum(axis=0)
    excess = np.where(beyond, deviations - START, 0.0)
    mean = excess.sum(axis=0) / np.maximum(count, 1)
    # one wild batch must not make the tail wide: half the weight goes to the median
    ordered = np.sort(np.where(beyond, excess, np.inf), axis=0)
    low, high = np.maximum((count - 1) // 2, 0), count // 2
    places = np.arange(deviations.shape[1])
    rows = len(ordered) - 1
    middle = np.where(
        count > 0, (ordered[np.minimum(low, rows), places] + ordered[np.minimum(high, rows), places]) / 2, 0.0
    )
    middle = np.where(count % 2 == 1, np.where(count > 0, ordered[np.minimum(low, rows), places], 0.0), middle)
    mean = 0.5 * mean + 0.5 * np.minimum(np.where(np.isfinite(middle), middle, 0.0) / np.log(2), mean)
    chance = (count + PRIOR * 0.05) / (known + PRIOR)
    wide = (count * mean + PRIOR * 0.5 * _MEAN_EXCESS) / (count + PRIOR * 0.5)
    return Side(np.clip(chance, 0.003, 0.4), np.maximum(wide, 0.2))


@dataclass(frozen=True)
class Tails:
    """Both sides of every metric."""

    up: Side
    down: Side

    def surprise(self, deviation: Floats) -> Floats:
        """-log10 of the chance of a deviation at least so large, to either side."""
        above = deviation > 0
        chance = np.where(above, self.up.chance, self.down.chance)
        excess = np.where(above, self.up.excess, self.down.excess)
        found = surprise(deviation, chance, excess)
        return np.maximum(found - np.where(np.abs(deviation) > START, np.log10(2), 0.0), 0.0)

    def reach(self, score: float) -> tuple[Floats, Floats]:
        """The deviations, down and up, that are just so unlikely."""
        return reach(score, self.down), reach(score, self.up)


def tails(past: Floats) -> Tails:
    """The tails of past deviations (rows are batches, NaN is not known)."""
    known = np.isfinite(past).sum(axis=0).astype(float)
    filled = np.where(np.isfinite(past), past, 0.0)
    return Tails(side(filled, known), side(-filled, known))


def surprise(deviation: Floats, chance: Floats | float, excess: Floats | float) -> Floats:
    """-log10 of the chance: even below START, a generalized Pareto tail above."""
    size = np.abs(deviation)
    below = -np.log10(1 - (1 - np.asarray(chance)) * np.minimum(size / START, 1))
    above = -np.log10(chance) + np.log10(1 + SHAPE * np.maximum(size - START, 0) / np.asarray(excess)) / SHAPE
    return np.asarray(np.where(size <= START, below, above))


def reach(score: float, one: Side) -> Floats:
    """The deviation whose surprise to one side is `score`; at least START."""
    rest = np.maximum(score + np.log10(2) + np.log10(one.chance), 0.0)
    return np.asarray(START + one.excess * (10 ** (SHAPE * rest) - 1) / SHAPE)
