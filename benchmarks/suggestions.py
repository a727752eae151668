"""Suggested rules on later days: how many good days they flag, and how many faulty ones they find.

    python benchmarks/suggestions.py --json benchmarks/results/suggestions.json
    python benchmarks/suggestions.py --quick

A suite is suggested from the first days of a data set and judges all later ones, and their faulty twins: eleven faults in 1, 5,
10, 20 and 50 % of the rows (`daily.py`). `static` is suggested once; `renewed` again after
every four weeks, from the last ninety days; `rolling` is suggested once, with bounds that move with the last
seven days. A twin counts as found when a rule flags it that does not flag the good day. Rules are judged in numpy
(`quality.suggesting.judging`), as the engine would: a test runs both on the same batches.
Beside them Deequ's own suggestions (`deequ_suggestions.py`), of the same first days; `--deequ` adds them.
The feed `drifting` is made from the flights: a number that keeps counting, fares and miles that rise, more rows each week.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import daily
import deequ_suggestions
import faults

from quality.suggesting.facts import Batch, of_arrays
from quality.suggesting.judging import Suggestion, breaks
from quality.suggesting.rolling import WINDOW, resolved
from quality.suggesting.suite import suggest

FIRST = 60
_RENEWED = 28
#: The most days that a renewed suite is made from: the last ones.
_WINDOW = 90


def load(name: str) -> list[tuple[Any, daily.Columns]]:
    """The days of a data set; the drifting one is made of flights."""
    if name != "drifting":
        return daily.load(name)
    rng, number, made = np.random.default_rng(5), 0, []
    for t, (day, columns) in enumerate(daily.load("flights")):
        rows = rng.random(faults.rows_of(columns)) < 0.5 + 0.5 * t / 365
        kept = {
            name: values[rows]
            for name, values in columns.items()
            if name in ("carrier", "origin", "dest", "distance", "air_time")
        }
        n = faults.rows_of(kept)
        kept["booking"] = number + np.arange(1.0, n + 1)
        kept["fare"] = np.round((40 + 0.1 * kept["distance"]) * 1.002**t * rng.lognormal(0, 0.2, n), 2)
        kept["miles"] = np.floor(rng.gamma(2, 4000, n) * (1 + t / 200))
        number += n
        made.append((day, kept))
    return made


def flags(rules: tuple[Suggestion | None, ...], batch: Batch) -> np.ndarray:
    """Which rules a batch breaks."""
    return np.array([rule is not None and breaks(rule, batch) is True for rule in rules], bool)


def walk(name: str, every: int, *, way: str, deequ: dict[str, list[Any]] | None = None) -> dict[str, Any]:
    """One data set walked through."""
    days, rng, began = load(name), np.random.default_rng(7), time.perf_counter()
    batches = [of_arrays(str(day), columns) for day, columns in days]
    accepted = list(batches[:FIRST])
    constraints = (deequ or {}).get(way.removeprefix("deequ "))
    rules: Any = constraints or suggest(accepted, rolling=way == "rolling").suggestions
    seconds = time.perf_counter() - began
    good: list[bool] = []
    per_rule: dict[tuple[Any, ...], list[bool]] = {}
    found: dict[str, dict[float, list[bool]]] = {fault: {share: [] for share in daily.SHARES} for fault in daily.FAULTS}
    for t in range(FIRST, len(days)):
        if way == "renewed" and t > FIRST and (t - FIRST) % _RENEWED == 0:
            rules = suggest(accepted[-_WINDOW:]).suggestions
        now = () if constraints else tuple(resolved(rule, accepted[-WINDOW:]) for rule in rules)

        def judged(columns: daily.Columns, now: tuple[Suggestion | None, ...] = now) -> np.ndarray:
            if constraints:
                return np.array([not one.held(columns) for one in constraints], bool)
            return flags(now, of_arrays("day", columns))

        clean = judged(days[t][1])
        good.append(bool(clean.any()))
        for rule, flag in zip(rules, clean, strict=True):
            per_rule.setdefault(rule.key, []).append(bool(flag))
        if (t - FIRST) % every == 0:
            for fault in daily.FAULTS:
                for share in daily.SHARES:
                    twin = faults.inject(days[t][1], fault, share, rng)
                    if twin is not None:
                        found[fault][share].append(bool((judged(twin[0]) & ~clean).any()))
        accepted.append(batches[t])
    rates = {str(key[:3]): float(np.mean(values)) for key, values in per_rule.items()}
    twins = [flag for by in found.values() for values in by.values() for flag in values]
    return {
        "data": name, "way": way, "days": len(good), "first": FIRST, "rules": len(rules),
        "false_alarms": float(np.mean(good)), "quiet_rules": float(np.mean([rate <= 0.01 for rate in rates.values()])),
        "twins": len(twins), "recall": float(np.mean(twins)), "seconds_to_suggest": None if constraints else round(seconds, 2),
        "worst": sorted(((k[:120], round(r, 4)) for k, r in rates.items() if r), key=lambda one: -one[1])[:8],
        "by_fault": {f: {str(s): round(float(np.mean(v)), 3) for s, v in by.items() if v} for f, by in found.items() if any(by.values())},
    }  # fmt: skip


def table(results: list[dict[str, Any]]) -> str:
    """What the README shows: of each data set how many good batches are flagged, and how many twins are found."""
    names = list(dict.fromkeys(one["data"] for one in results))
    told = {
        (one["data"], one["way"]): f"{one['false_alarms']:.1%} / {one['recall']:.0%}".replace("%", " %")
        for one in results
    }
    lines = [f"| good batches flagged / twins found | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for way in dict.fromkeys(one["way"] for one in results):
        lines.append(f"| {way} | {' | '.join(told.get((name, way), '') for name in names)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", default=["flights", "weather", "drifting"])
    parser.add_argument(
        "--deequ", action="store_true", help="also what Deequ suggests; starts a Spark for each data set"
    )
    parser.add_argument(
        "--quick", action="store_true", help="faulty twins on every thirtieth day alone, no renewed suites"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    print(
        "| data | way | rules | good days flagged | rules that flag <= 1 % | faulty twins found |\n" + "|---" * 6 + "|"
    )
    results = []
    for name in options.data:
        ways = ["static", "rolling"] if options.quick else ["static", "rolling", "renewed"]
        theirs = {}
        if options.deequ:
            columns = [batch for _, batch in load(name)]
            with tempfile.TemporaryDirectory() as place:
                theirs = deequ_suggestions.suites(columns[:FIRST], columns[FIRST :: len(columns) // 4], Path(place))
            ways += [f"deequ {rules}" for rules in theirs]
        for way in ways:
            one = walk(name, 30 if options.quick else 10, way=way, deequ=theirs)
            results.append(one)
            if options.json:
                Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(
                f"| {name} | {one['way']} | {one['rules']} | {one['false_alarms']:.1%} | {one['quiet_rules']:.0%} | {one['recall']:.1%} |",
                flush=True,
            )
            print(f"  worst: {one['worst']}", file=sys.stderr)
            for fault, by in one["by_fault"].items():
                print(f"  {fault:18s} {by}", file=sys.stderr)
    print("\n" + table(results))


if __name__ == "__main__":
    main()
