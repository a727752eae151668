"""What others do with the same metrics: each gives a score for every candidate batch (the worst of its metrics) and whether
it is flagged. Written from their documentation or papers; a batch is flagged when one of its metrics is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

Judged = tuple[np.ndarray, np.ndarray]
#: (earlier batches, candidate batches) -> scores and flags.
Rival = Callable[[np.ndarray, np.ndarray], Judged]


def _worst(deviation: np.ndarray, limit: float) -> Judged:
    found = np.nan_to_num(deviation, nan=0.0, posinf=1e6)
    return found.max(axis=1), (found > limit).any(axis=1)


def _over(distance: np.ndarray, width: np.ndarray) -> np.ndarray:
    return np.where(width > 1e-12, distance / np.maximum(width, 1e-12), np.where(distance > 1e-9, 50.0, 0.0))


def deequ_online_normal(past: np.ndarray, new: np.ndarray) -> Judged:
    """Three deviations of the running mean, the tested value in it; anomalies are left out of what follows."""
    mean, squares = np.zeros(past.shape[1]), np.zeros(past.shape[1])
    count = len(past) + 1

    def step(values: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        new_mean = values if i == 0 else mean + (values - mean) / (i + 1)
        new_squares = squares + (values - mean) * (values - new_mean)
        width = np.sqrt(np.maximum(new_squares / (i + 1), 0))
        return new_mean, new_squares, np.abs(values - new_mean) / np.maximum(width, 1e-12) * (width > 1e-12)

    for i, values in enumerate(past):
        new_mean, new_squares, far = step(values, i)
        kept = np.isfinite(values) & ((far <= 3) | (i < 0.1 * count))
        mean, squares = np.where(kept, new_mean, mean), np.where(kept, new_squares, squares)
    return _worst(step(new, len(past))[2], 3.0)


def deequ_batch_normal(past: np.ndarray, new: np.ndarray) -> Judged:
    """Three sample deviations of the mean of all earlier ones."""
    return _worst(_over(np.abs(new - np.nanmean(past, axis=0)), np.nanstd(past, axis=0, ddof=1)), 3.0)


def deequ_rate_of_change(past: np.ndarray, new: np.ndarray) -> Judged:
    """Half to double the value before."""
    with np.errstate(all="ignore"):
        rate = np.where(np.abs(new - past[-1]) < 1e-12, 1.0, new / past[-1])
        return _worst(np.minimum(np.abs(np.log(np.maximum(rate, 1e-6))), 14), np.log(2))


def z_score(past: np.ndarray, new: np.ndarray) -> Judged:
    """Three deviations of the mean of 14 batches."""
    return deequ_batch_normal(past[-14:], new)


def iqr(past: np.ndarray, new: np.ndarray) -> Judged:
    """Three interquartile ranges beyond the quartiles."""
    low, high = np.nanquantile(past, (0.25, 0.75), axis=0)
    return _worst(np.maximum(np.maximum(low - new, new - high), 0) / np.maximum(high - low, 1e-9), 3.0)


def mad(past: np.ndarray, new: np.ndarray) -> Judged:
    """3.5 median absolute deviations of the median."""
    middle = np.nanmedian(past, axis=0)
    width = 1.4826 * np.nanmedian(np.abs(past - middle), axis=0)
    return _worst(np.minimum(np.abs(new - middle) / np.maximum(width, 1e-9), 1e6), 3.5)


def elementary(past: np.ndarray, new: np.ndarray) -> Judged:
    """Three deviations of a window of 14 batches that holds the tested one."""
    window = past[-13:]
    count = np.isfinite(window).sum(axis=0) + 1
    mean = (np.nansum(window, axis=0) + new) / count
    squares = np.nansum((window[None] - mean[:, None, :]) ** 2, axis=1) + (new - mean) ** 2
    width = np.sqrt(squares / np.maximum(count - 1, 1))
    return _worst(np.abs(new - mean) / np.maximum(width, 1e-12) * (width > 1e-12), 3.0)


def average_knn(past: np.ndarray, new: np.ndarray) -> Judged:
    """Redyuk et al.: mean distance to five neighbours after scaling to the range; the farthest 1 % of the past is the limit."""
    middle = np.nan_to_num(np.nanmedian(past, axis=0))
    past, new = np.where(np.isfinite(past), past, middle), np.where(np.isfinite(new), new, middle)
    low, span = past.min(axis=0), past.max(axis=0) - past.min(axis=0)
    span = np.where(span > 0, span, 1.0)
    a, b = (past - low) / span, (new - low) / span

    def distances(left: np.ndarray) -> np.ndarray:
        square = (left**2).sum(axis=1)[:, None] + (a**2).sum(axis=1)[None] - 2 * left @ a.T
        return np.sort(np.sqrt(np.maximum(square, 0)), axis=1)

    nearest = min(5, len(past) - 1)
    limit = np.quantile(distances(a)[:, 1 : nearest + 1].mean(axis=1), 0.99)
    found = distances(b)[:, :nearest].mean(axis=1)
    return found, found > limit


class HoltWinters:
    """Deequ's HoltWinters, weekly: 1.96 deviations of the absolute residuals about the forecast of additive smoothing, from the
    fifteenth batch on. Deequ fits the three weights by L-BFGS-B; here they are those of a grid with the least squared error
    of all residuals so far, each metric its own. What is missing is taken to be as forecast."""

    PERIOD = 7

    def __init__(self) -> None:
        weights = np.array(
            list(product((0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0), (0.0, 0.1, 0.3), (0.0, 0.1, 0.3, 0.6, 1.0)))
        )
        self._alpha, self._beta, self._gamma = weights.T[:, :, None]
        self._count = 0

    def __call__(self, past: np.ndarray, new: np.ndarray) -> Judged:
        """Goes on from the batches seen last, when `past` continues them."""
        if len(past) < 2 * self.PERIOD:
            return np.zeros(len(new)), np.zeros(len(new), bool)
        if not 0 < self._count <= len(past) or self._level.shape[1] != past.shape[1]:
            self._begin(past)
        for values in past[self._count :]:
            self._step(values)
        best, each = self._squares.argmin(axis=0), np.arange(past.shape[1])
        forecast = self._forecast()[best, each]
        mean = self._sizes[best, each] / self._count
        width = np.sqrt(np.maximum(self._squares[best, each] - self._count * mean**2, 0) / (self._count - 1))
        return _worst(_over(np.abs(new - forecast), width), 1.96)

    def _begin(self, past: np.ndarray) -> None:
        filled = np.where(np.isfinite(past), past, np.nan_to_num(np.nanmedian(past[: 2 * self.PERIOD], axis=0)))
        first = filled[: self.PERIOD].sum(axis=0)
        shape = len(self._alpha), past.shape[1]
        self._level = np.broadcast_to(first / self.PERIOD, shape)
        second = filled[self.PERIOD : 2 * self.PERIOD].sum(axis=0)
        self._trend = np.broadcast_to((second - first) / self.PERIOD**2, shape)
        self._season = [filled[i] - self._level for i in range(self.PERIOD)]
        self._squares, self._sizes, self._count = np.zeros(shape), np.zeros(shape), 0

    def _forecast(self) -> np.ndarray:
        return np.asarray(self._level + self._trend + self._season[0])

    def _step(self, values: np.ndarray) -> None:
        forecast = self._forecast()
        values = np.where(np.isfinite(values), values, forecast)
        self._squares, self._sizes = self._squares + (values - forecast) ** 2, self._sizes + np.abs(values - forecast)
        season, before = self._season.pop(0), self._level + self._trend
        level = self._alpha * (values - season) + (1 - self._alpha) * before
        self._trend = self._beta * (level - self._level) + (1 - self._beta) * self._trend
        self._season.append(self._gamma * (values - before) + (1 - self._gamma) * season)
        self._level = level
        self._count += 1


RIVALS: dict[str, Rival] = {
    "Deequ OnlineNormal": deequ_online_normal,
    "Deequ BatchNormal": deequ_batch_normal,
    "Deequ HoltWinters, weekly": HoltWinters(),
    "Deequ RelativeRateOfChange 0.5-2": deequ_rate_of_change,
    "z-score, 14 batches": z_score,
    "IQR 3.0": iqr,
    "MAD 3.5": mad,
    "Elementary, 14 batches": elementary,
    "average kNN (Redyuk)": average_knn,
}
