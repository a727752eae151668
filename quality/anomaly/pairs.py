"""Pairs of values of two columns that were never seen together: what a swapped column, a wrong join or a shifted file makes.

Both values must have been there before: a new one is new beside all others too, which is told of its own column.
Which columns are looked at is told by the first batches: those whose values go together, so that few of the possible pairs occur
and a day brings hardly a new one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

#: Batches that pairs of columns are picked by, and how many are picked.
FIRST, MOST = 7, 24
#: A column that takes more values in them is an identifier; a share of new pairs on the last of them, and of the possible
#: pairs that occur, from which on two columns have nothing to do with each other.
VALUES, NEW, FILLED = 3000, 0.08, 0.5
#: What a pair of columns is ranked by: the share of new pairs, and this much of the share that occurs.
_WEIGHT = 0.2
_HALF, _LOW = np.uint64(32), np.uint64(2**32 - 1)
Pair = tuple[str, str]
Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Rows:
    """Rows of a batch, all or sampled: of each column 32 bits of every value, equal where values are (NULL is a value), and
    how often each row occurs."""

    columns: Mapping[str, np.ndarray[Any, Any]]
    times: np.ndarray[Any, Any]

    def together(self, a: str, b: str) -> np.ndarray[Any, Any]:
        """The values of two columns as one number for each row."""
        high, low = (np.asarray(self.columns[name], np.uint64) for name in (a, b))
        return np.asarray((high << _HALF) | low)


class _Seen(NamedTuple):
    """Values of two columns that were there: as one number for those of a row, and of each column. All ascend."""

    pairs: Numbers
    one: Numbers
    other: Numbers

    def unseen(self, pairs: Numbers, times: Numbers) -> float:
        """The share of rows whose values were both there, but never in one row."""
        known = _among(pairs >> _HALF, self.one) & _among(pairs & _LOW, self.other)
        return float(times[known & ~_among(pairs, self.pairs)].sum() / times.sum())

    def also(self, pairs: Numbers) -> _Seen:
        """With those of other rows."""
        return _Seen(*(_union(a, b) for a, b in zip(self, (pairs, pairs >> _HALF, pairs & _LOW), strict=True)))


class Pairs:
    """The share of rows with two values that were never seen together, though each was there, for at most `MOST` pairs of
    columns, which the first `FIRST` batches pick."""

    def __init__(self) -> None:
        self._first: list[Rows] = []
        self._seen: dict[Pair, _Seen] = {}

    def of(self, batch: Rows, columns: Collection[str] = ()) -> dict[Pair, float]:
        """The share for each pair of columns, or for those with one of `columns`. Nothing before they are picked, and of no rows."""
        found = {}
        for (a, b), seen in self._seen.items():
            asked = not columns or a in columns or b in columns
            if asked and a in batch.columns and b in batch.columns and batch.times.sum():
                found[a, b] = seen.unseen(batch.together(a, b), batch.times)
        return found

    def learn(self, batch: Rows) -> None:
        """Remember the pairs of a batch."""
        for (a, b), seen in self._seen.items():
            if a in batch.columns and b in batch.columns:
                self._seen[a, b] = seen.also(batch.together(a, b))
        if len(self._first) < FIRST and batch.times.sum():
            self._first.append(batch)
            if len(self._first) == FIRST:
                self._seen = _picked(self._first)


def _picked(first: Sequence[Rows]) -> dict[Pair, _Seen]:
    """The pairs of columns, with what was seen of each."""
    names = [name for name in first[0].columns if all(name in rows.columns for rows in first)]
    sizes = {name: len(np.unique(np.concatenate([rows.columns[name] for rows in first]))) for name in names}
    found = []
    for a, b in combinations([name for name, size in sizes.items() if 2 <= size <= VALUES], 2):
        *earlier, last = [rows.together(a, b) for rows in first]
        known = np.unique(np.concatenate(earlier))
        rate, filled = _new(last, first[-1].times, known), len(known) / (sizes[a] * sizes[b])
        if rate < NEW and filled < FILLED:
            found.append((rate + _WEIGHT * filled, (a, b), _union(known, last)))
    nothing = np.array([], np.uint64)
    best = sorted(found, key=lambda one: one[:2])[:MOST]
    return {pair: _Seen(nothing, nothing, nothing).also(known) for _, pair, known in best}


def _new(pairs: Numbers, times: Numbers, known: Numbers) -> float:
    """The share of rows whose pair is none of those known."""
    return float(times[~_among(pairs, known)].sum() / times.sum())


def _among(numbers: Numbers, known: Numbers) -> Numbers:
    """Which of the numbers are among those known, which ascend."""
    if not len(known):
        return np.zeros(len(numbers), bool)
    places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    return np.asarray(known[places] == numbers)


def _union(known: Numbers, numbers: Numbers) -> Numbers:
    new = np.unique(numbers[~_among(numbers, known)])
    return np.insert(known, np.searchsorted(known, new), new) if len(new) else known
