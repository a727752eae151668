"""How much each metric usually is off its forecast: by what it was off lately, and never less than chance or its own steps make
it vary."""

from __future__ import annotations

import numpy as np

from quality.anomaly.table import Columns, Floats
from quality.anomaly.tails import START

#: Batches after which what a metric varied by counts as much as what it should by chance.
KNOWN = 5
#: A metric that has at most one value in so many batches moves by steps.
STEPS = 10
#: What the spread of the first residuals counts as, in batches.
_PRIOR = 5.0
_EXACT = 1e-9


def scales(columns: Columns, past: Floats, recent: Floats, residuals: Floats, rows: float) -> Floats:
    """One standard deviation of each metric. `past` and `recent` are numbers, `residuals` what forecasts were off (NaN where
    it is not known), `rows` those of a usual batch."""
    steps = _steps(recent)
    floor = np.maximum(_floors(columns, rows), steps)
    residuals = np.abs(residuals[np.isfinite(residuals).any(axis=1)])
    spread = past.std(axis=0)
    if len(residuals) < 2:
        return np.asarray(np.maximum(floor, spread))
    middle, high = quantiles(residuals, 0.5, 0.9)
    own = np.maximum(middle / 0.6745, high / START)
    n = np.isfinite(residuals).sum(axis=0)
    own = np.sqrt((n * own**2 + _PRIOR * np.maximum(own, 0.7 * spread) ** 2) / (n + _PRIOR))
    # a feed may vary less than chance makes it (three stations, a row an hour each): with time that is seen
    floor = np.maximum(floor * np.sqrt(KNOWN / (n + KNOWN)), np.maximum(0.1 * floor, steps))
    return np.asarray(np.sqrt(own**2 + floor**2))


def _floors(columns: Columns, rows: float) -> Floats:
    """The least a metric varies by chance alone, for a batch of the usual size."""
    rows = max(rows, 1.0)
    by_scale = {"ratio": 0.5 / rows**0.5, "place": 0.5 / rows**0.5, "extreme": 0.02, "log": 0.01, "plain": 0.005}
    floor = np.zeros(len(columns))
    for scale, least in by_scale.items():
        floor[columns.scale == scale] = least
    return floor


def _steps(past: Floats) -> Floats:
    """Half the step of metrics that take few values (the median of whole hours): one step is no news, however rare."""
    apart = np.diff(np.sort(past, axis=0), axis=0)
    moves = apart > _EXACT
    few = moves.sum(axis=0) <= max(len(past) // STEPS, 2)
    least = np.where(moves, apart, np.inf).min(axis=0, initial=np.inf)
    return np.where(few & np.isfinite(least), least / 2, 0.0)


def quantiles(values: Floats, *shares: float) -> list[Floats]:
    """Quantiles of each column, without its NaN; 0 where there is nothing else."""
    ordered = np.sort(values, axis=0)
    last = np.isfinite(values).sum(axis=0) - 1
    columns = np.arange(values.shape[1])
    found = []
    for share in shares:
        place = np.maximum(last * share, 0)
        low = place.astype(int)
        high = np.minimum(low + 1, np.maximum(last, 0))
        between = ordered[low, columns] + (place - low) * (ordered[high, columns] - ordered[low, columns])
        found.append(np.where(last >= 0, between, 0.0))
    return found
