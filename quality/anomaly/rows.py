"""The number of rows, judged on its own as well: among three hundred metrics a drop of a fifth is lost, and holidays look
the same as half a feed. Days of the calendar are neither judged here nor learned from."""

from __future__ import annotations

import numpy as np

from quality.anomaly.table import Columns, Floats
from quality.anomaly.tails import Side, side, surprise

#: The share of the level of false alarms that is spent on the number of rows.
SHARE = 0.3
_LEAST = 10


class RowCount:
    """Deviations of the number of rows, and the deviation that one good batch in so many exceeds."""

    def __init__(self, columns: Columns, count: int, alpha: float) -> None:
        self._columns, self._alpha = columns.size, alpha * SHARE
        self._residuals = np.full(count, np.nan)
        self._fitted: tuple[float, Side] | None = None

    def fit(self) -> None:
        """Learn the usual size of deviations."""
        known = self._residuals[np.isfinite(self._residuals)][-180:]
        if not len(self._columns) or len(known) < _LEAST:
            self._fitted = None
            return
        size = np.abs(known)
        scale = max(float(np.quantile(size, 0.5)) / 0.6745, float(np.quantile(size, 0.8)) / 1.2816, 0.005)
        self._fitted = scale, side(size[:, None] / scale, np.array([float(len(size))]))

    def score(self, y: Floats, forecast: Floats, special: bool) -> tuple[Floats, Floats]:
        """The surprise, and how far it is above what a good batch may have; -1 when there is nothing to judge."""
        if self._fitted is None or special:
            return np.zeros(len(y)), np.full(len(y), -np.inf)
        j = self._columns[0]
        scale, tail = self._fitted
        deviation = np.where(np.isfinite(y[:, j]), y[:, j] - forecast[j], 0.0) / scale
        found = surprise(deviation, float(tail.chance[0]), float(tail.excess[0]))
        over = found + np.log10(self._alpha)
        # well below the level it says nothing, and must not hide what the other metrics say
        return found, np.where(over < 0, 4 * over, over)

    def learn(self, t: int, value: Floats, forecast: Floats) -> None:
        """Note how far off the forecast of a batch was."""
        if len(self._columns):
            self._residuals[t] = (value - forecast)[self._columns[0]]
