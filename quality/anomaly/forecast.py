"""What the next value of every metric should be: eight simple forecasts, weighted by how well each has done lately.

Nothing is fitted, so that it works from the seventh batch on; the season joins in when it has been seen twice.
"""

from __future__ import annotations

import numpy as np

from quality.anomaly.table import FIRST, Floats, Ints

CANDIDATES = 8
#: How fast old errors are forgotten, and how sharply the better forecast is preferred.
MEMORY, POWER = 0.97, 6
_MEDIAN = 2
SEASON_FROM = 2 * FIRST + 1


class Forecast:
    """Forecasts of the batch after those seen; `errors` are of the forecasts made so far."""

    def __init__(self, metrics: int) -> None:
        self._errors = np.zeros((CANDIDATES, metrics))
        self._counts = np.zeros((CANDIDATES, metrics))

    def candidates(self, past: Floats, level: Floats, season: Ints | None) -> Floats:
        """Every candidate (row) for every metric; NaN where there is too little to tell. `season` is the phase of each
        batch, that of the batch to come last."""
        t, found = len(past), np.full((CANDIDATES, past.shape[1]), np.nan)
        found[0] = past[-1]
        found[1] = np.median(past[-7:], axis=0)
        found[_MEDIAN] = np.median(past[-28:], axis=0)
        found[3] = _smoothed(past[-20:], 0.7)
        found[4] = _smoothed(past[-60:], 0.9)
        if season is not None and t >= SEASON_FROM:
            same = np.flatnonzero(season[:t] == season[t])[::-1]
            same = same[same >= t - 71]
            if len(same) >= 2:
                found[5] = np.median(past[same[:4]], axis=0)
                effect = np.median(past[same[:8]] - level[same[:8]], axis=0)
                found[6] = found[4] + effect * (len(same[:8]) / (len(same[:8]) + 1))
        if t >= 5:
            recent = past[-14:]
            half = len(recent) // 2
            slope = (np.median(recent[-half:], axis=0) - np.median(recent[:half], axis=0)) / (len(recent) - half)
            # damped: a trend of two weeks seldom goes on for long
            found[7] = np.median(past[-5:], axis=0) + 1.6 * slope
        return found

    def combine(self, candidates: Floats) -> Floats:
        """One forecast for each metric."""
        there = np.isfinite(candidates) & (self._counts > 0)
        if not there.any():
            return np.asarray(candidates[_MEDIAN])
        error = np.where(there, self._errors / np.maximum(self._counts, 1e-9), np.inf)
        best = np.maximum(error.min(axis=0), 1e-12)
        weight = np.where(there, (best / np.maximum(error, 1e-12)) ** POWER, 0.0)
        weight[_MEDIAN] += 1e-6
        return np.asarray((np.where(np.isfinite(candidates), candidates, 0) * weight).sum(axis=0) / weight.sum(axis=0))

    def learn(self, value: Floats, candidates: Floats, most: Floats) -> None:
        """Note how far off each candidate was; a single error counts at most `most`."""
        error = np.minimum(np.abs(value - candidates), most)
        there = np.isfinite(error)
        self._errors = np.where(there, self._errors * MEMORY + np.where(there, error, 0), self._errors)
        self._counts = np.where(there, self._counts * MEMORY + 1, self._counts)


def _smoothed(past: Floats, keep: float) -> Floats:
    weight = keep ** np.arange(len(past))[::-1]
    return np.asarray(weight @ past / weight.sum())
