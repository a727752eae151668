"""Counts of what should hardly occur (NULLs of a full column, duplicates, unseen values): signed Poisson deviance.

A z-score of such a ratio is a division by nearly nothing; a count of events that come one by one is not.
"""

from __future__ import annotations

import numpy as np

from quality.anomaly.scales import quantiles
from quality.anomaly.table import Bools, Floats

#: Batches looked back at, how fast they are forgotten, and the rate above which a ratio is judged as any other.
WINDOW, MEMORY, SELDOM = 60, 0.97, 0.02
#: A metric that moved in at most this share of batches moves seldom; the power that goes with how much farther than usual it
#: went, on the scale of roots; what a move surprises beyond how often there are such, because it may be the first of its size.
OFTEN, FALL, MORE = 0.2, 6.0, 0.3
_EXACT, _LEAST = 1e-9, 8


def most(numbers: Floats, past: Floats) -> Floats:
    """The most that ratios can surprise, by how often they moved at all: k times in n batches is no wonder the next time, as far
    as they usually went then. Chance alone takes a single row in ten thousand for one, again and again: one beyond the range,
    two that are equal. Both evened; NaN in `past` is left out. inf where a ratio never moved, or often does."""
    known = np.isfinite(past)
    count = known.sum(axis=0)
    usual = _middle(past)
    off = np.where(known, np.abs(past - usual), 0.0)
    moves = off > _EXACT
    times = moves.sum(axis=0)
    typical = _middle(np.where(moves, off, np.nan))
    farther = np.maximum(np.abs(numbers - usual) / np.maximum(typical, _EXACT), 1.0)
    found = np.log10((count + 1) / (times + 0.5)) + FALL * np.log10(farther) + MORE
    seldom = (count >= _LEAST) & (times > 0) & (times <= OFTEN * count)
    return np.asarray(np.where(seldom & np.isfinite(numbers), found, np.inf))


def _middle(values: Floats) -> Floats:
    """The median of each column without its NaN; 0 where there is nothing else."""
    return quantiles(values, 0.5)[0]


class RareCounts:
    """The usual rate of each rare metric, how much it varies beyond Poisson, and on how many rows that rests."""

    def __init__(self, past: Floats, rows: Floats, complement: Bools) -> None:
        """`past` are the ratios of the rare metrics of earlier batches, `rows` those batches' rows."""
        self._complement = complement
        window, counted = rows[-WINDOW:, None], self.counts(past[-WINDOW:], rows[-WINDOW:])
        known = np.isfinite(counted)
        weight = MEMORY ** np.arange(len(window))[::-1][:, None] * known
        counted = np.where(known, counted, 0.0)
        self.seen = (window * weight).sum(axis=0)
        self.rate = ((counted * weight).sum(axis=0) + 0.5) / (self.seen + 1)
        usual = window * self.rate
        self.spread = np.maximum(
            1, np.where(known, (counted - usual) ** 2 / (usual + 0.5), 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        )
        self.applies = self.rate < SELDOM
        #: The usual rate as the metric tells it.
        self.ratio = np.where(complement, 1 - self.rate, self.rate)

    def counts(self, ratios: Floats, rows: Floats) -> Floats:
        """Ratios as counts of what should not occur."""
        return np.where(self._complement, 1 - ratios, ratios) * rows[:, None]

    def deviation(self, ratios: Floats, rows: Floats) -> Floats:
        """Signed root of the deviance over its inflation; NaN where there is no ratio."""
        counted = self.counts(ratios, rows)
        usual = np.maximum(rows[:, None] * self.rate, 1e-6)
        part = np.where(counted > 0, counted * np.log(np.maximum(counted, 1e-9) / usual), 0.0)
        deviance = np.maximum(2 * (part - (counted - usual)), 0.0)
        return np.asarray(np.sign(counted - usual) * np.sqrt(deviance / self._inflation(rows)))

    def _inflation(self, rows: Floats) -> Floats:
        return np.asarray(self.spread + rows[:, None] / np.maximum(self.seen, 1))

    def expected(self, rows: float, down: Floats, up: Floats) -> tuple[Floats, Floats]:
        """The ratios that `down` and `up` deviations would be, for a batch of so many rows."""
        usual = np.maximum(rows * self.rate, 1e-6)
        width = np.sqrt(self._inflation(np.array([rows]))[0])
        # deviance of a count c about u is nearly (2 (sqrt c - sqrt u))^2
        low = np.maximum(np.sqrt(usual) - down * width / 2, 0) ** 2 / max(rows, 1)
        high = np.minimum((np.sqrt(usual) + up * width / 2) ** 2 / max(rows, 1), 1)
        return np.where(self._complement, 1 - high, low), np.where(self._complement, 1 - low, high)
