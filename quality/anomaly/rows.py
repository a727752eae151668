"""The number of rows, judged on its own as well: among three hundred metrics a drop of a fifth is lost, and holidays look
the same as half a feed. Days of the calendar are neither judged here nor learned from."""

from __future__ import annotations

import numpy as np

from quality.anomaly.table import Bools, Columns, Floats, Ints
from quality.anomaly.tails import Side, side, surprise

#: The share of the level of false alarms that is spent on the number of rows.
SHARE = 0.2
_LEAST = 10


class RowCount:
    """Deviations of the number of rows, and the deviation that one good batch in so many exceeds.

    A number is as far off as it is from both the forecast and the last batch of the same phase: when Saturdays have become
    smaller, the first one is news.
    """

    def __init__(self, columns: Columns, count: int, alpha: float) -> None:
        self._columns, self._alpha = columns.size, alpha * SHARE
        self._residuals = np.full(count, np.nan)
        self._fitted: tuple[float, Side] | None = None
        self._same = np.nan

    def fit(self, past: Floats, phases: Ints | None, usual: Bools) -> None:
        """Learn the usual size of deviations. `past` are the numbers as they were, wild ones too; `phases` those of the past
        batches, and last that of the one to be judged; `usual` are those that were no holidays."""
        known = self._residuals[np.isfinite(self._residuals)][-180:]
        if not len(self._columns) or len(known) < _LEAST:
            self._fitted = None
            return
        same = usual if phases is None else usual & (phases[:-1] == phases[-1])
        places = np.flatnonzero(same & np.isfinite(past))
        self._same = float(past[places[-1]]) if len(places) else np.nan
        size = np.abs(known)
        scale = max(float(np.quantile(size, 0.5)) / 0.6745, float(np.quantile(size, 0.8)) / 1.2816, 0.005)
        self._fitted = scale, side(size[:, None] / scale, np.array([float(len(size))]))

    def _off(self, y: Floats, forecast: Floats) -> Floats:
        value = y[:, self._columns[0]]
        by_forecast = value - forecast[self._columns[0]]
        by_last = np.where(np.isfinite(self._same), value - self._same, by_forecast)
        nearer = np.where(np.abs(by_last) < np.abs(by_forecast), by_last, by_forecast)
        # between the two it is just what could be
        return np.asarray(np.where(by_last * by_forecast < 0, 0.0, nearer))

    def score(self, y: Floats, forecast: Floats, special: bool) -> tuple[Floats, Floats]:
        """The surprise, and how far it is above what a good batch may have; -inf when there is nothing to judge."""
        if self._fitted is None or special:
            return np.zeros(len(y)), np.full(len(y), -np.inf)
        scale, tail = self._fitted
        off = self._off(y, forecast)
        found = surprise(np.where(np.isfinite(off), off, 0.0) / scale, float(tail.chance[0]), float(tail.excess[0]))
        over = found + np.log10(self._alpha)
        # well below the level it says nothing, and must not hide what the other metrics say
        return found, np.where(over < 0, 4 * over, over)

    def learn(self, t: int, value: Floats, forecast: Floats) -> None:
        """Note how far off a batch was."""
        if len(self._columns):
            self._residuals[t] = self._off(value[None], forecast)[0]
