"""States that come and go: a column that is empty on some days from now on. What was odd to the same side three times in three
weeks is no news any more, as far as it went; an unbroken row of such batches is a new level (`Walk`).

Until then a fault that comes again is as odd as it was, and so is ever after one that goes farther, to the other side, or is
of another metric.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quality.anomaly.table import Bools, Floats

#: So many odd batches among so many recent ones are a state; it is forgotten after so many without it.
PATIENCE, OFTEN, FORGOTTEN = 3, 21, 60
#: How much farther off than ever before, as a share, a metric is still in its state.
FARTHER = 0.5
_SIDES = (1.0, -1.0)


class Recurring:
    """For each metric and side the batches that were odd to it, and how far off those were. `numbers` are those of all
    batches, evened."""

    def __init__(self, numbers: Floats) -> None:
        self._numbers = numbers
        self._odd = np.zeros((2, *numbers.shape), bool)
        self._reach = np.full((2, numbers.shape[1]), np.nan)
        self._last = np.full((2, numbers.shape[1]), -np.inf)

    def most(self, numbers: Floats, forecast: Floats, kept: Sequence[int]) -> Floats:
        """The most that numbers can surprise: in a state that k of n batches had, a chance of k in n."""
        found = np.full(numbers.shape, np.inf)
        for side in range(2):
            if np.isfinite(self._reach[side]).any():
                times = np.maximum(self._odd[side][list(kept)].sum(axis=0), 1)
                within = self._within(side, numbers, forecast, len(kept))
                found = np.where(within, np.log10((len(kept) + 1) / times), found)
        return found

    def learn(self, t: int, forecast: Floats, odd: Bools, kept: Sequence[int]) -> Bools:
        """Note which metrics were odd in a batch that alarmed. Returns those that are in a state that was known before."""
        recent, known = [*kept[-OFTEN + 1 :], t], np.zeros(odd.shape, bool)
        for side, sign in enumerate(_SIDES):
            again = self._within(side, self._numbers[t], forecast, len(kept))
            self._odd[side, t] = again | (odd & (sign * (self._numbers[t] - forecast) > 0))
            marked = self._odd[side][recent]
            state = marked[-1] & (marked.sum(axis=0) >= PATIENCE)
            if state.any():
                farthest = np.where(marked, sign * self._numbers[recent], -np.inf).max(axis=0)
                self._reach[side] = np.where(state, sign * farthest, self._reach[side])
            self._last[side] = np.where(state | again, len(kept), self._last[side])
            known |= again
        return known

    def left(self, metrics: Bools, forecast: Floats, jump: Floats, kept: Sequence[int]) -> None:
        """A level that was left unasked is a state: going back to what was usual last week is no news."""
        for side, sign in enumerate(_SIDES):
            back = metrics & (sign * jump < 0)
            self._reach[side] = np.where(back, forecast, self._reach[side])
            self._last[side] = np.where(back, len(kept), self._last[side])
            self._odd[np.ix_([side], np.array(kept[-OFTEN:]), np.flatnonzero(back))] = True

    def _within(self, side: int, numbers: Floats, forecast: Floats, now: int) -> Bools:
        off, reach = _SIDES[side] * (numbers - forecast), _SIDES[side] * (self._reach[side] - forecast)
        known = now - self._last[side] <= FORGOTTEN
        return np.asarray(known & (off > 0) & (off <= (1 + FARTHER) * reach))
