"""Deequ's anomaly strategies by their names, with Deequ's exact semantics, for those who come from there.

A strategy looks at a whole series and gives the places of anomalies within `[start, end)`. What Deequ refuses
(`require`) raises ValueError here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

_MOST = sys.float_info.max


class Strategy(Protocol):
    """Finds anomalies in a series."""

    def detect(self, series: Sequence[float], start: int, end: int) -> list[int]:
        """The places of anomalies in `[start, end)`, in order."""


def _refuse(wrong: bool, why: str) -> None:
    if wrong:
        raise ValueError(why)


@dataclass(frozen=True)
class SimpleThreshold:
    """Values outside of fixed bounds."""

    lower: float = -_MOST
    upper: float = _MOST

    def __post_init__(self) -> None:
        _refuse(not self.lower <= self.upper, f"'lower' must not be above 'upper', got {self.lower} and {self.upper}")

    def detect(self, series: Sequence[float], start: int, end: int) -> list[int]:
        """See Strategy."""
        _refuse(start > end, "the interval ends before it starts")
        return [i for i in range(start, min(end, len(series))) if series[i] < self.lower or series[i] > self.upper]


@dataclass(frozen=True)
class AbsoluteChange:
    """Changes outside of bounds: the difference of the given order. Order 0 is SimpleThreshold."""

    decrease: float | None = None
    increase: float | None = None
    order: int = 1

    def __post_init__(self) -> None:
        _refuse(self.decrease is None and self.increase is None, "one of 'decrease' and 'increase' must be given")
        _refuse(
            not self._low <= self._high, f"'decrease' must not be above 'increase', got {self._low} and {self._high}"
        )
        _refuse(self.order < 0, f"'order' must not be negative, got {self.order}")

    @property
    def _low(self) -> float:
        return -_MOST if self.decrease is None else self.decrease

    @property
    def _high(self) -> float:
        return _MOST if self.increase is None else self.increase

    def _changes(self, values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.diff(values, self.order)

    def detect(self, series: Sequence[float], start: int, end: int) -> list[int]:
        """See Strategy. The first `order` values have no change and are never anomalies."""
        _refuse(start > end, "the interval ends before it starts")
        first = max(start - self.order, 0)
        with np.errstate(all="ignore"):
            changes = self._changes(np.asarray(series[first:end], float))
        return [i + first + self.order for i, change in enumerate(changes) if change < self._low or change > self._high]


@dataclass(frozen=True)
class RelativeRateOfChange(AbsoluteChange):
    """The same of the ratio of a value to the one `order` places before; a ratio to 0 is infinite, 0 to 0 is none."""

    def _changes(self, values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        _refuse(self.order < 1, f"'order' of a rate must be at least 1, got {self.order}")
        _refuse(0 < len(values) < self.order, f"{self.order} values are needed before the one judged")
        return values[self.order :] / values[: max(len(values) - self.order, 0)]


@dataclass(frozen=True)
class _Normal:
    """Bounds of so many standard deviations about a mean; None is no bound on that side."""

    lower_deviation_factor: float | None = 3.0
    upper_deviation_factor: float | None = 3.0

    def __post_init__(self) -> None:
        given = [f for f in (self.lower_deviation_factor, self.upper_deviation_factor) if f is not None]
        _refuse(not given, "one of the deviation factors must be given")
        _refuse(min(given) < 0, f"a deviation factor must not be negative, got {min(given)}")

    def _bounds(self, mean: float, deviation: float) -> tuple[float, float]:
        # times the largest double, not infinity: with a deviation of 0 that is a bound at the mean itself, as in Deequ
        low = _MOST if self.lower_deviation_factor is None else self.lower_deviation_factor
        high = _MOST if self.upper_deviation_factor is None else self.upper_deviation_factor
        return mean - low * deviation, mean + high * deviation


@dataclass(frozen=True)
class OnlineNormal(_Normal):
    """Values far from the running mean. The tested value is part of its own mean and deviation, so that with a factor of 3
    nothing before the eleventh can be found; found ones are left out of what follows."""

    ignore_start_percentage: float = 0.1
    ignore_anomalies: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        share = self.ignore_start_percentage
        _refuse(not 0 <= share <= 1, f"'ignore_start_percentage' must be between 0 and 1, got {share}")

    def detect(self, series: Sequence[float], start: int, end: int) -> list[int]:
        """See Strategy."""
        _refuse(start > end, "the interval ends before it starts")
        found, mean, squares = [], 0.0, 0.0
        for i, value in enumerate(series):
            # the count goes on over values left out, as in Deequ
            new_mean = value if i == 0 else mean + (1.0 / (i + 1)) * (value - mean)
            new_squares = squares + (value - mean) * (value - new_mean)
            low, high = self._bounds(new_mean, _root(new_squares / (i + 1)))
            quiet = i < len(series) * self.ignore_start_percentage or not start <= i < end
            if not quiet and not low <= value <= high:
                found.append(i)
                if self.ignore_anomalies:
                    continue
            mean, squares = new_mean, new_squares
        return found


@dataclass(frozen=True)
class BatchNormal(_Normal):
    """Values far from the mean of all others (sample deviation); a constant history makes any change an anomaly."""

    include_interval: bool = False

    def detect(self, series: Sequence[float], start: int, end: int) -> list[int]:
        """See Strategy."""
        _refuse(start > end, "the interval ends before it starts")
        _refuse(not len(series), "there are no values")
        _refuse(not self.include_interval and end - start >= len(series), "no values are left to tell the mean by")
        rest = list(series) if self.include_interval else [*series[:start], *series[end:]]
        mean, deviation = _mean_and_deviation(rest)
        low, high = self._bounds(mean, deviation)
        return [i for i in range(start, min(end, len(series))) if series[i] > high or series[i] < low]


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """By Welford's way; the deviation of a single value is 0."""
    mean, squares = 0.0, 0.0
    for count, value in enumerate(values, 1):
        step = value - mean
        mean += step / count
        squares += step * (value - mean)
    return mean, math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0


#: By the names rule files use, and Deequ's.
STRATEGIES: Mapping[str, Callable[..., Strategy]] = {
    "SimpleThreshold": SimpleThreshold,
    "AbsoluteChange": AbsoluteChange,
    "RelativeRateOfChange": RelativeRateOfChange,
    "OnlineNormal": OnlineNormal,
    "BatchNormal": BatchNormal,
}
