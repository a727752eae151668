"""What is learned of odd batches: nothing at first; three in a row are a new level, and three in three weeks a state that comes
and goes (a column that is empty on some days from now on), which is no news any more as far as it went.

Until then a fault that comes again is as odd as it was, and so is ever after one that goes much farther, to the other side, or
is of another column: what is usual is not learned from the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from quality.anomaly.table import Bools, Floats, Ints

#: Deviations from which on, and surprises from which on what a batch that alarms shows of a metric is not taken for usual.
WILD, ODD = 5.0, 2.0
#: So many in a row are a new level, so many among so many recent ones a state; that is forgotten after so many without it.
PATIENCE, OFTEN, FORGOTTEN = 3, 21, 60
#: How much farther off than ever before, as a share, a metric is still in its state.
FARTHER = 0.5
_SIDES = (1.0, -1.0)


class Learned(NamedTuple):
    """Of each metric of a batch: whether its past is to be lifted to it (`level`), whether forecasts may know of it, and
    whether it tells what is usual."""

    level: Bools
    known: Bools
    usual: Bools


class Recurring:
    """For each metric and side the batches that were odd to it, and how far off those were. `numbers` are those of all
    batches, evened; `column` tells which metrics are of one column (or are one metric of the table). `base`, below, is what
    would be no deviation; `kept` are the batches learned from."""

    def __init__(self, numbers: Floats, column: Ints) -> None:
        self._numbers, self.column = numbers, column
        self._blamed = np.zeros((len(numbers), int(column.max(initial=0)) + 1), bool)
        self._odd = np.zeros((2, *numbers.shape), bool)
        self._reach = np.full((2, numbers.shape[1]), np.nan)
        self._last = np.full((2, numbers.shape[1]), -np.inf)
        self._wild, self._again = np.zeros(numbers.shape, bool), np.zeros(numbers.shape, bool)

    def most(self, numbers: Floats, base: Floats, kept: Sequence[int]) -> Floats:
        """The most that numbers can surprise: in a state that k of n batches had, a chance of k in n."""
        found = np.full(numbers.shape, np.inf)
        for side in range(2):
            if np.isfinite(self._reach[side]).any():
                times = np.maximum(self._odd[side][list(kept)].sum(axis=0), PATIENCE)
                within = self._within(side, numbers, base, len(kept))
                found = np.where(within, np.log10((len(kept) + 1) / times), found)
        return found

    def learn(self, t: int, base: Floats, far: Bools, odd: Bools, blamed: Ints, kept: Sequence[int]) -> Learned:
        """Note which metrics of a batch were `far` off, which `odd` (of a batch that alarmed, and surprising), and the columns
        that were `blamed`."""
        self._blamed[t, blamed] = True
        self._change(t, kept)
        self._again[t] = self._note(t, base, odd, kept)
        self._wild[t] = far & (odd | self._again[t])
        recent = [*kept, t]
        row = recent[-PATIENCE:]
        level = np.asarray(self._wild[row].all(axis=0) & ~self._again[row].any(axis=0))
        self._leave(level, t, base, kept)
        often = self._wild[recent[-OFTEN:]].sum(axis=0)
        # what is there on most days is what is usual
        usual = np.asarray(~self._wild[t] | level | (often > OFTEN / 2))
        return Learned(level, usual | (often >= PATIENCE), usual)

    def _note(self, t: int, base: Floats, odd: Bools, kept: Sequence[int]) -> Bools:
        """Returns the metrics that are in a state that was known before."""
        recent, known = [*kept[-OFTEN + 1 :], t], np.zeros(odd.shape, bool)
        for side, sign in enumerate(_SIDES):
            again = self._within(side, self._numbers[t], base, len(kept))
            self._odd[side, t] = again | (odd & (sign * (self._numbers[t] - base) > 0))
            marked = self._odd[side][recent]
            state = marked[-1] & (marked.sum(axis=0) >= PATIENCE)
            if state.any():
                farthest = np.where(marked, sign * self._numbers[recent], -np.inf).max(axis=0)
                self._reach[side] = np.where(state, sign * farthest, self._reach[side])
            self._last[side] = np.where(state | again, len(kept), self._last[side])
            known |= again
        return known

    def _change(self, t: int, kept: Sequence[int]) -> None:
        """A column that was blamed so often is changing, other metrics of it each day: what it was lately is no news."""
        recent = [*kept[-OFTEN + 1 :], t]
        changing = (self._blamed[recent].sum(axis=0) >= PATIENCE)[self.column]
        if changing.any():
            numbers = self._numbers[recent][:, changing]
            high, low = np.fmax.reduce(numbers, axis=0), np.fmin.reduce(numbers, axis=0)
            more = FARTHER * (high - low)
            self._reach[0, changing], self._reach[1, changing] = high + more, low - more
            self._last[:, changing] = len(kept)

    def _leave(self, level: Bools, t: int, base: Floats, kept: Sequence[int]) -> None:
        """A level that is left unasked is a state: to go back to what was usual last week is no news."""
        for side, sign in enumerate(_SIDES):
            back = level & (sign * (base - self._numbers[t]) > 0)
            self._reach[side] = np.where(back, base, self._reach[side])
            self._last[side] = np.where(back, len(kept), self._last[side])
            self._odd[side][np.ix_(np.array(kept[-OFTEN:], np.intp), np.flatnonzero(back))] = True

    def _within(self, side: int, numbers: Floats, base: Floats, now: int) -> Bools:
        off, reach = _SIDES[side] * (numbers - base), _SIDES[side] * (self._reach[side] - base)
        known = now - self._last[side] <= FORGOTTEN
        return np.asarray(known & (off > 0) & (off <= (1 + FARTHER) * reach))
