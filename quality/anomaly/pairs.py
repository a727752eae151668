"""Pairs of values of two columns that were never seen together: what a swapped column, a wrong join or a shifted file makes.

Which columns are looked at is told by the first batches: those whose values go together, so that few of the possible pairs occur
and a day brings hardly a new one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

#: Batches that pairs of columns are picked by, and how many are picked.
FIRST, MOST = 7, 24
#: A column that takes more values in them is an identifier; a share of new pairs on the last of them, and of the possible
#: pairs that occur, from which on two columns have nothing to do with each other.
VALUES, NEW, FILLED = 3000, 0.08, 0.5
#: What a pair of columns is ranked by: the share of new pairs, and this much of the share that occurs.
_WEIGHT = 0.2
_HALF = np.uint64(32)
Pair = tuple[str, str]


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


class Pairs:
    """The share of rows with a pair of values that was never seen together, for at most `MOST` pairs of columns, which the
    first `FIRST` batches pick."""

    def __init__(self) -> None:
        self._first: list[Rows] = []
        self._seen: dict[Pair, np.ndarray[Any, Any]] = {}

    def of(self, batch: Rows, columns: Collection[str] = ()) -> dict[Pair, float]:
        """The share for each pair of columns, or for those with one of `columns`. Nothing before they are picked, and of no rows."""
        found = {}
        for (a, b), seen in self._seen.items():
            asked = not columns or a in columns or b in columns
            if asked and a in batch.columns and b in batch.columns and batch.times.sum():
                found[a, b] = _unseen(batch.together(a, b), batch.times, seen)
        return found

    def learn(self, batch: Rows) -> None:
        """Remember the pairs of a batch."""
        for (a, b), seen in self._seen.items():
            if a in batch.columns and b in batch.columns:
                self._seen[a, b] = _union(seen, batch.together(a, b))
        if len(self._first) < FIRST and batch.times.sum():
            self._first.append(batch)
            if len(self._first) == FIRST:
                self._seen = _picked(self._first)


def _picked(first: Sequence[Rows]) -> dict[Pair, np.ndarray[Any, Any]]:
    """The pairs of columns, with what was seen of each."""
    names = [name for name in first[0].columns if all(name in rows.columns for rows in first)]
    sizes = {name: len(np.unique(np.concatenate([rows.columns[name] for rows in first]))) for name in names}
    found = []
    for a, b in combinations([name for name, size in sizes.items() if 2 <= size <= VALUES], 2):
        *earlier, last = [rows.together(a, b) for rows in first]
        known = np.unique(np.concatenate(earlier))
        rate, filled = _unseen(last, first[-1].times, known), len(known) / (sizes[a] * sizes[b])
        if rate < NEW and filled < FILLED:
            found.append((rate + _WEIGHT * filled, (a, b), _union(known, last)))
    return {pair: known for _, pair, known in sorted(found, key=lambda one: one[:2])[:MOST]}


def _unseen(pairs: np.ndarray[Any, Any], times: np.ndarray[Any, Any], known: np.ndarray[Any, Any]) -> float:
    """The share of rows whose pair is none of those known, which ascend."""
    places = np.minimum(np.searchsorted(known, pairs), len(known) - 1)
    return float(times[known[places] != pairs].sum() / times.sum())


def _union(known: np.ndarray[Any, Any], pairs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    places = np.minimum(np.searchsorted(known, pairs), len(known) - 1)
    new = np.unique(pairs[known[places] != pairs])
    return np.insert(known, np.searchsorted(known, new), new) if len(new) else known
