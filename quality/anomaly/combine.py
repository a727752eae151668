"""From the surprise of each metric to that of the batch, and how high the latter may be in good batches."""

from __future__ import annotations

import numpy as np

from quality.anomaly.table import Columns, Floats
from quality.anomaly.tails import SHAPE, START, surprise

#: Past scores the threshold rests on, and its tail: from the 80 % quantile on, nearly exponential.
WINDOW, FROM, BEND = 180, 0.8, 0.1
#: Until three batches are judged.
UNKNOWN = 6.0


class Conditional:
    """How odd each metric is given all others: a storm moves everything together, a fault one column alone.

    From the precision matrix of past deviations, shrunk to its diagonal the more, the fewer batches there are.
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
        residuals = np.sort(np.abs(clipped @ self._rest), axis=0)
        last = len(residuals) - 1
        self._scale = np.maximum(1.4826 * residuals[last // 2], residuals[round(last * 0.9)] / START) + 0.15

    def surprise(self, deviation: Floats) -> Floats:
        """-log10 of the chance of each metric's deviation, given the others."""
        return surprise(np.clip(deviation, -40, 40) @ self._rest / self._scale, 0.1, 0.8)


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


def threshold(past: Floats, alpha: float) -> float:
    """The score that one good batch in 1/alpha exceeds, by the detector's own past scores."""
    known = past[np.isfinite(past)][-WINDOW:]
    if len(known) < 3:
        return UNKNOWN
    start = float(np.quantile(known, FROM))
    over = known[known > start] - start
    mean = min(float(over.mean()), float(np.median(over)) / np.log(2)) if len(over) else 0.0
    excess = (len(over) * mean + 5 * 0.5) / (len(over) + 5)
    return float(start + excess * (((1 - FROM) / alpha) ** BEND - 1) / BEND)


__all__ = ["SHAPE", "Conditional", "groups", "threshold"]
