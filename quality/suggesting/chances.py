"""Bounds for the next batch, from batches seen: prediction limits, and whether a series drifts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

#: How often a good batch may lie beyond a bound, when batches are alike.
ALARM = 5e-4
_Z = 3.29
#: What is below materiality: a share of rows that no rule is to be broken by.
SLIGHT = 0.005


def student(n: int, z: float = _Z) -> float:
    """The quantile of Student's t with n - 1 degrees of freedom where the normal has z (Cornish-Fisher; Abramowitz and
    Stegun 26.7.5)."""
    free = max(n - 1, 1)
    return z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)


def beyond(values: Sequence[float], slack: float) -> tuple[float, float]:
    """Prediction limits of the next value: t limits, but never nearer than half the reach of the largest value seen over
    the median. One batch: twice and half of it is all that can be said."""
    seen = np.asarray(values, float)
    if len(seen) < 3:
        reach = (np.abs(seen).max() + float(np.ptp(seen))) * slack
        return float(seen.min() - reach), float(seen.max() + reach)
    reach = slack * student(len(seen)) * float(seen.std(ddof=1)) * math.sqrt(1 + 1 / len(seen))
    middle, mean = float(np.median(seen)), float(seen.mean())
    low = min(mean - reach, float(seen.min()) - slack * 0.5 * (middle - float(seen.min())))
    high = max(mean + reach, float(seen.max()) + slack * 0.5 * (float(seen.max()) - middle))
    return low, high


def share_limit(shares: Sequence[float], rows: float, slack: float) -> float:
    """The upper prediction limit of a share of rows, on the arcsine scale, where its spread does not depend on it; at
    least what is slight."""
    seen = np.arcsin(np.sqrt(np.clip(np.asarray(shares, float), 0, 1)))
    noise = 0.5 / math.sqrt(max(rows, 1)) * (0.3 if seen.max() == 0 else 1)
    spread = max(float(seen.std(ddof=1)) if len(seen) > 1 else 2 * noise, noise)
    top = float(seen.mean()) + slack * student(max(len(seen), 8)) * spread * math.sqrt(1 + 1 / len(seen))
    top = max(top, float(seen.max()) + slack * 0.5 * float(seen.max() - np.median(seen)))
    return max(SLIGHT, math.sin(min(math.pi / 2, top)) ** 2)


def trends(values: Sequence[float]) -> bool:
    """Whether a series rises or falls (Mann-Kendall, two-sided at 0.1 %, ties allowed)."""
    seen = np.asarray(values, float)
    n = len(seen)
    if n < 8:
        return False
    sign = np.sign(seen[None, :] - seen[:, None])
    s = float(np.triu(sign, 1).sum())
    _, ties = np.unique(seen, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    return variance > 0 and abs(s) - 1 > 3.29 * math.sqrt(variance)


def rounded(value: float, *, up: bool, whole: bool = False) -> float | int:
    """Outward to three digits that people read; whole numbers stay whole."""
    if not math.isfinite(value) or value == 0:
        return 0 if value == 0 else value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    step = max(step, 1.0) if whole else step
    found = (math.ceil if up else math.floor)(round(value / step, 9)) * step
    return round(found) if whole or step >= 1 else float(f"{found:.12g}")


def wanders(values: Sequence[float]) -> bool:
    """Whether the level moves slowly, with the season or in steps, so that bounds for the next batch do not hold for later
    ones: a batch is like the one before it (autocorrelation over 0.4, and beyond chance at 1 %), or means of seven batches in
    a row vary more than twice as much as they would if batches were independent."""
    seen = np.asarray(values, float)
    if len(seen) < 8 or not seen.std():
        return False
    gap = seen - seen.mean()
    alike = float((gap[1:] * gap[:-1]).sum() / (gap**2).sum())
    if alike > max(0.4, 2.58 / math.sqrt(len(seen))):
        return True
    blocks = len(seen) // 7
    means = seen[-7 * blocks :].reshape(blocks, 7).mean(axis=1)
    return blocks >= 3 and bool(means.std(ddof=1) > 2 * seen.std(ddof=1) / math.sqrt(7))
