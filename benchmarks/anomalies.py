"""Anomaly detection on real days, walked forward, beside what others do with the same metrics.

    python benchmarks/anomalies.py                 # both data sets, every day: some ten minutes
    python benchmarks/anomalies.py --quick         # every twelfth day gets faulty twins: a minute or two

From the eighth day on each day is judged by those before it, and so are its faulty twins: eleven faults in 1, 5, 10, 20 and
50 % of the rows. Every method gets the same metrics. False alarms are flagged good days; recall is the share of twins that
are flagged; R@1% and R@5% are the recall at the threshold that flags 1 or 5 % of the good days. Constants were chosen on
flights; weather is reported.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import daily
import numpy as np
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

    season = np.array([day.weekday() for day in data.days], np.intp)
    special = daily.holidays(data.days) if calendar else None
    walk = Walk(columns, shares(data.good), data.good[:, size], season=season, special=special, alpha=alpha)

    def judge(t: int, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = walk.to(t).score(shares(candidates), candidates[:, size])
        return found.over, found.over > 0

    return walked(data, judge)


def theirs(data: daily.Daily, rival: Rival) -> Found:
    """Another's method."""
    return walked(data, lambda t, candidates: rival(data.good[:t], candidates))


def line(title: str, found: Found) -> str:
    """A row of the table."""
    false, recall = found.good_flags.mean(), found.bad_flags.mean()
    precision = 0.05 * recall / max(0.05 * recall + 0.95 * false, 1e-12)
    at = [(found.bad > np.quantile(found.good, 1 - share)).mean() for share in (0.01, 0.05)]
    numbers = (false, recall, precision, auc(found.good, found.bad), *at)
    return f"| {title} | " + " | ".join(f"{number:.3f}" for number in numbers) + f" | {found.millis:.0f} |"


def by_fault(data: daily.Daily, found: Found) -> list[str]:
    """Recall of each fault by the share of rows, and its AUC."""
    lines = ["| fault | " + " | ".join(f"{share:.0%}" for share in daily.SHARES) + " | AUC |", "|---" * 7 + "|"]
    for fault in daily.FAULTS:
        rows = data.fault == fault
        if rows.any():
            cells = [found.bad_flags[rows & (data.share == share)].mean() for share in daily.SHARES]
            shown = " | ".join(f"{cell:.2f}" for cell in cells)
            lines.append(f"| {fault} | {shown} | {auc(found.good, found.bad[rows]):.3f} |")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", default=["flights", "weather"], choices=("flights", "weather"))
    parser.add_argument("--quick", action="store_true", help="faulty twins on every twelfth day alone")
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    for name in options.data:
        data = daily.daily(name, every=12 if options.quick else 1)
        print(f"\n{name}: {len(data.days)} days, {len(data.series)} metrics, {len(data.bad):,} faulty twins\n")
        print("| method | false alarms | recall | precision at 5% bad | AUC | R@1% | R@5% | ms a day |")
        print("|---" * 8 + "|")
        plain = ours(data, alpha=0.01, calendar=False)
        print(line("ours, 1%", plain))
        print(line("ours, 1%, holidays in the calendar", ours(data, alpha=0.01, calendar=True)))
        print(line("ours, 2%", ours(data, alpha=0.02, calendar=False)))
        for title, rival in RIVALS.items():
            print(line(title, theirs(data, rival)), flush=True)
        print(f"\n{name}, ours at 1% by fault\n")
        print("\n".join(by_fault(data, plain)), flush=True)


if __name__ == "__main__":
    main()
