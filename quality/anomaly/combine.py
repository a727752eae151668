"""From the surprise of each metric to that of the batch, and how high the latter may be in good batches."""

from __future__ import annotations

import numpy as np

from quality.anomaly.scales import quantiles
from quality.anomaly.table import Columns, Floats
from quality.anomaly.tails import START, tails

#: Past scores that a level rests on, and where its tail begins.
WINDOW, FROM = 180, 0.8
#: Deviations beyond this are no longer what others are judged by.
WILD = 6.0
#: Until three batches are judged.
UNKNOWN = 6.0
#: The spread of residuals in standard deviations before any is known, and the batches that this is worth.
_USUAL, _PRIOR = 0.8, 8.0


class Conditional:
    """How far each metric is off what all others make likely: a storm moves everything together, a fault one column alone.

    From the precision matrix of past deviations, shrunk to its diagonal the more, the fewer batches there are. It knows the
    batches it was made of too well: what a residual is worth is told by those of batches that it had not seen (`Usual`).
    """

    def __init__(self, past: Floats) -> None:
        past = past[np.isfinite(past).any(axis=1)]
        clipped = np.clip(np.where(np.isfinite(past), past, 0.0), -4, 4)
        count, metrics = clipped.shape
        together = clipped.T @ clipped / max(count, 1)
        shrink = min(max(metrics / (metrics + 3.0 * count), 0.1), 0.9)
        own = np.diag(together).copy()
        together *= 1 - shrink
        together[np.diag_indices(metrics)] += shrink * (own + 0.05)
        precision = np.linalg.inv(together)
        self._rest = precision / np.diag(precision)

    def residual(self, deviation: Floats) -> Floats:
        """Each metric's deviation less what the others make of it. However wild, none makes much of the others: that few
        batches do not tell."""
        own, tamed = np.clip(deviation, -40, 40), np.clip(deviation, -WILD, WILD)
        return np.asarray(own + tamed @ self._rest - tamed)


class Usual:
    """What residuals of batches that were judged before are like: their spread and tails."""

    def __init__(self, past: Floats) -> None:
        known = np.isfinite(past).sum(axis=0)
        middle, high = quantiles(np.abs(past), 0.5, 0.9)
        own = np.maximum(middle / 0.6745, high / START)
        self._scale = np.sqrt((known * own**2 + _PRIOR * _USUAL**2) / (known + _PRIOR) + 0.15**2)
        self._tails = tails(past / self._scale)

    def surprise(self, residual: Floats) -> Floats:
        """-log10 of the chance of each residual."""
        return self._tails.surprise(residual / self._scale)


def groups(surprises: Floats, columns: Columns) -> Floats:
    """The surprise of each group: Simes over its metrics, which holds however they depend on each other."""
    count = columns.group_weight.size
    found = np.zeros((len(surprises), count))
    for group in range(count):
        members = surprises[:, columns.group == group]
        size = members.shape[1]
        ordered = np.sort(members, axis=1)[:, ::-1] - np.log10(size / np.arange(1, size + 1))
        found[:, group] = np.maximum(ordered.max(axis=1) + columns.group_weight[group], 0)
    return found


class Level:
    """What a detector's own past scores were like: from the 80 % quantile on, an exponential tail."""

    def __init__(self, past: Floats) -> None:
        known = past[np.isfinite(past)][-WINDOW:]
        self._enough = len(known) >= 3
        self._start = float(np.quantile(known, FROM)) if self._enough else UNKNOWN
        over = known[known > self._start] - self._start
        mean = float(over.mean()) if len(over) else 0.0
        # half by the median: a few odd batches make the tail no wider than it is
        mean = 0.5 * mean + 0.5 * min(mean, float(np.median(over)) / np.log(2) if len(over) else 0.0)
        self._excess = (len(over) * mean + 5 * 0.5) / (len(over) + 5)

    def threshold(self, alpha: float) -> float:
        """The score that one good batch in 1/alpha exceeds."""
        if not self._enough:
            return UNKNOWN
        return float(self._start + self._excess * np.log((1 - FROM) / alpha))

    def surprise(self, scores: Floats, alpha: float) -> Floats:
        """-log10 of the chance of a score so high; until enough is known, so that `UNKNOWN` is one in 1/alpha."""
        if not self._enough:
            return np.asarray(np.maximum(scores - UNKNOWN - np.log10(alpha), 0))
        least = -np.log10(1 - FROM)
        above = np.maximum(scores - self._start, 0) / (self._excess * np.log(10))
        below = np.clip(scores / max(self._start, 1e-9), 0, 1)
        return np.asarray(np.where(scores > self._start, least + above, least * below))
