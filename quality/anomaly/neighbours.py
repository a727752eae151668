"""A second opinion: how far a batch lies from its nearest neighbours among the earlier ones, calibrated on its own past.

After Redyuk, Kaoudi, Markl, Schelter: Automating data quality validation for dynamic data ingestion, EDBT 2021 (mean
distance to five neighbours); the chance instead of a fixed share of outliers is ours.
"""

from __future__ import annotations

import numpy as np

from quality.anomaly.table import Floats

NEAREST = 5
_LEAST = 10


class Neighbours:
    """Earlier batches, each metric scaled by its range."""

    def __init__(self, count: int) -> None:
        self._distances = np.full(count, np.nan)
        self._past = np.zeros((0, 0))

    def fit(self, past: Floats) -> None:
        """The batches to compare with."""
        low, high = past.min(axis=0), past.max(axis=0)
        self._low, self._span = low, np.where(high - low > 1e-12, high - low, 1.0)
        self._past = (past - low) / self._span
        known = self._distances[np.isfinite(self._distances)][-180:]
        self._known = len(known)
        if self._known >= _LEAST:
            logs = np.log(np.maximum(known, 1e-12))
            self._start = float(np.quantile(logs, 0.8))
            over = logs[logs > self._start] - self._start
            prior = 0.15
            self._excess = (over.sum() + 3 * prior) / (len(over) + 3)

    def distance(self, values: Floats) -> Floats:
        """Mean distance to the nearest. One metric counts for three of its ranges at most."""
        scaled = np.clip((values - self._low) / self._span, -3, 4)
        square = (scaled**2).sum(axis=1)[:, None] + (self._past**2).sum(axis=1)[None] - 2 * scaled @ self._past.T
        nearest = min(NEAREST, len(self._past))
        found = np.sort(np.sqrt(np.maximum(square, 0)), axis=1)[:, :nearest]
        return np.asarray(found.mean(axis=1))

    def surprise(self, values: Floats, weight: float) -> Floats:
        """-log10 of the chance of lying so far away, times `weight`; 0 while too few batches are known."""
        if len(self._past) < _LEAST or self._known < _LEAST:
            return np.zeros(len(values))
        far = np.log(np.maximum(self.distance(values), 1e-12)) - self._start
        rest = np.maximum(far, 0) / max(self._excess, 0.02)
        return np.asarray(weight * np.minimum(np.where(far > 0, -np.log10(0.2) + rest / np.log(10), 0.0), 6.0))

    def learn(self, value: Floats, t: int, kept: list[int]) -> None:
        """Note how far a batch lay away."""
        if len(self._past) >= 3:
            self._distances[t] = self.distance(value[None])[0]
