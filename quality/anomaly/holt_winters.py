"""Deequ's HoltWinters: additive triple exponential smoothing, its three weights fitted to the least squared error.

Deequ fits by L-BFGS-B with gradients from finite differences, which on ordinary data may end in an assertion. Here the
same error is minimised within the same bounds from the same start by a search that always ends: coordinates, then
halving steps. Where the two find the same weights, the verdicts are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

#: What Deequ allows: how often there is a batch, and the cycle -> batches in a cycle.
PERIODS = {("Hourly", "Daily"): 24, ("Daily", "Weekly"): 7, ("Monthly", "Yearly"): 12}
_START = (0.3, 0.1, 0.1)
_Weights = tuple[float, float, float]


@dataclass(frozen=True)
class Model:
    """Forecasts of the values after a series, and how far off those within it were."""

    forecasts: tuple[float, ...]
    residuals: tuple[float, ...]


@dataclass(frozen=True)
class HoltWinters:
    """Values more than 1.96 deviations of the absolute residuals from the forecast."""

    interval: str = "Daily"
    seasonality: str = "Weekly"

    def __post_init__(self) -> None:
        if (self.interval, self.seasonality) not in PERIODS:
            allowed = ", ".join(" and ".join(pair) for pair in PERIODS)
            raise ValueError(
                f"'interval' and 'seasonality' must be {allowed}; got {self.interval} and {self.seasonality}"
            )

    @property
    def period(self) -> int:
        """Batches in a cycle."""
        return PERIODS[self.interval, self.seasonality]

    def detect(self, series: Sequence[float], start: int, end: int) -> list[int]:
        """The places of anomalies in `[start, end)`; ValueError when less than two cycles lie before `start`."""
        if not len(series) or not 0 <= start < end:
            raise ValueError("the series is empty, or the interval is")
        if start < 2 * self.period:
            raise ValueError(
                f"two full cycles ({2 * self.period} values) are needed before the first value judged, got {start}"
            )
        ahead = 1 if start >= len(series) else min(end, len(series)) - start
        past = list(series[:start])
        model = smooth(past, self.period, ahead, fit(past, self.period))
        allowed = 1.96 * _deviation([abs(r) for r in model.residuals])
        pairs = enumerate(zip(series[start:], model.forecasts, strict=False))
        return [start + i for i, (value, forecast) in pairs if abs(value - forecast) > allowed]


def smooth(series: Sequence[float], period: int, ahead: int, weights: _Weights) -> Model:
    """The series smoothed by (alpha, beta, gamma), as Deequ does: the first cycle gives the level and the season, the second
    the trend."""
    alpha, beta, gamma = weights
    first = sum(series[:period])
    level, trend = first / period, (sum(series[period : 2 * period]) - first) / (period * period)
    season = [value - level for value in series[:period]]
    residuals, forecasts = [], []
    for t in range(len(series) + ahead):
        forecast = level + trend + season[t]
        if t < len(series):
            value = series[t]
            residuals.append(value - forecast)
        else:
            value = level + trend + season[-period]
            forecasts.append(value)
        new_level = alpha * (value - season[t]) + (1 - alpha) * (level + trend)
        new_trend = beta * (new_level - level) + (1 - beta) * trend
        season.append(gamma * (value - level - trend) + (1 - gamma) * season[t])
        level, trend = new_level, new_trend
    return Model(tuple(forecasts), tuple(residuals))


def fit(series: Sequence[float], period: int) -> _Weights:
    """The weights with the least squared error: from Deequ's start and a coarse grid, steps halved down to 1e-6."""

    def error(weights: _Weights) -> float:
        found = sum(r * r for r in smooth(series, period, 0, weights).residuals)
        return found if math.isfinite(found) else math.inf

    best = min((_START, *product((0.1, 0.5, 0.9), (0.0, 0.3), (0.0, 0.3, 0.8))), key=error)
    least, step = error(best), 0.25
    while step > 1e-6:
        moves = ((i, sign * step) for i in range(3) for sign in (1, -1))
        tried = [tuple(min(max(w + d * (i == k), 0.0), 1.0) for k, w in enumerate(best)) for i, d in moves]
        nearest = min(tried, key=lambda weights: error((weights[0], weights[1], weights[2])))
        candidate = (nearest[0], nearest[1], nearest[2])
        if error(candidate) < least:
            best, least = candidate, error(candidate)
        else:
            step /= 2
    return best


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else 0.0
