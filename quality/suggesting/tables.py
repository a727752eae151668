"""What the whole batch was like, said as rules: rows, columns that are NULL together, keys, how fresh."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from quality.suggesting.chances import SLIGHT, beyond, rounded, trends
from quality.suggesting.columns import ENOUGH_ROWS, moments
from quality.suggesting.facts import MOMENT, NUMBER, TEXT, Batch
from quality.suggesting.judging import Suggestion, doubled, together

_WIDEST_KEY = 4
_TRIED = 12


def suggest_table(batches: Sequence[Batch], slack: float) -> Iterator[Suggestion]:
    """Rows and NULLs."""
    rows = [batch.rows for batch in batches if batch.rows]
    if rows:
        yield _row_count(rows, slack)
    yield from _null_pairs([batch for batch in batches if batch.rows])


def _row_count(rows: Sequence[int], slack: float) -> Suggestion:
    if len(rows) < 7:
        why = f"{min(rows):,} to {max(rows):,} rows; too few batches to say more"
        given = {"low": 1, "high": math.inf, "key": "rows"}
        return Suggestion("row_count", (), {"at_least": 1}, "rows", why, given)
    logs = np.log(rows)
    low, high = beyond(logs.tolist(), slack)
    # a tenth more or less is no fault, even where all batches had as many
    low, high = math.exp(min(low, logs.min() - 0.1)), math.exp(max(high, logs.max() + 0.1))
    least, most = max(1, int(rounded(low, up=False, whole=True))), int(rounded(high, up=True, whole=True))
    why = f"{min(rows):,} to {max(rows):,} rows a batch"
    if trends(rows):
        rising = np.median(rows[len(rows) // 2 :]) > np.median(rows[: len(rows) // 2])
        why += ", and the number keeps " + ("rising" if rising else "falling")
        arguments = {"at_least": least} if rising else {"at_least": 1}
        least, most = (least, 10**18) if rising else (1, 10**18)
    else:
        arguments = {"between": [least, most]}  # type: ignore[dict-item]
    return Suggestion("row_count", (), arguments, "rows", why, {"low": least, "high": most, "key": "rows"})


def _null_pairs(batches: Sequence[Batch]) -> Iterator[Suggestion]:
    """Columns that are NULL together, and columns that are NULL wherever another is."""
    total: dict[frozenset[str], int] = {}
    for batch in batches:
        for names, count in batch.nulls.items():
            total[names] = total.get(names, 0) + count
    rows = sum(batch.rows for batch in batches)
    # many sets that are rare may not all have been counted
    if not total or sum(total.values()) != rows:
        return
    times: dict[str, int] = {}
    for names, count in total.items():
        for name in names:
            times[name] = times.get(name, 0) + count
    known = [name for name in batches[-1].columns if 20 <= times.get(name, 0) < rows]
    alone = {
        (a, b): sum(count for names, count in total.items() if a in names and b not in names)
        for a in known for b in known if a != b
    }  # fmt: skip
    grouped: set[str] = set()
    for a, b in combinations(known, 2):
        if not alone[a, b] and not alone[b, a] and b not in grouped:
            grouped.add(b)
            why = f"NULL together in {times[a]:,} of {rows:,} rows, and never one alone"
            yield Suggestion("all_or_none_of", (a, b), {}, "lone nulls", why, {"key": "nulls"}, strong=times[a] >= 50)
    left = [name for name in known if name not in grouped]
    implied = {(a, b) for a in left for b in left if a != b and not alone[a, b]}
    for a, b in sorted(implied):
        # a chain says what its links say
        if times[a] < times[b] and not any((a, c) in implied and (c, b) in implied for c in left):
            why = f"NULL in {times[a]:,} of {rows:,} rows, and {b} with it every time"
            given = {"key": "implied"}
            yield Suggestion("that", (a, b), {}, "lone nulls", why, given, strong=times[a] >= 50)


def suggest_key(batches: Sequence[Batch]) -> Suggestion | None:
    """The narrowest key that is unique in every sampled batch: few columns, and none that a key needs not. None: no key,
    or none that is more than chance."""
    taken = [batch for batch in batches if batch.sampled]
    if not taken or sum(batch.sampled for batch in taken) < 100:
        return None
    names = [
        name for name, facts in taken[-1].columns.items()
        if name in taken[-1].sample and all(_whole(batch, name) for batch in batches)
        and (facts.kind in (TEXT, MOMENT) or (facts.kind == NUMBER and facts.type not in ("double", "float")))
        and facts.distinct > 1
    ]  # fmt: skip
    largest = max(taken, key=lambda batch: batch.sampled)
    names.sort(key=lambda name: -len(np.unique(largest.codes[name])))
    names = names[:_TRIED]
    places = {name: place for place, name in enumerate(taken[-1].columns)}
    for size in range(1, _WIDEST_KEY + 1):
        found = []
        for columns in combinations(names, size):
            if all(not doubled(together(batch, columns)) for batch in [largest, *taken]):
                found.append(tuple(sorted(columns, key=places.__getitem__)))
        if found:
            best = min(found, key=lambda columns: (_spread(largest, columns), [places[name] for name in columns]))
            rows = sum(batch.sampled for batch in taken)
            why = f"no key twice in {rows:,} rows of {len(taken)} batches, each looked at by itself"
            strong = rows >= ENOUGH_ROWS and len(taken) > 1
            # columns that are unique together may be so by chance: some rows may come twice one day
            tolerance = SLIGHT if size > 1 else 0.0
            return Suggestion("key", best, {}, "doubles", why, {"key": "key"}, tolerance=tolerance, strong=strong)
    return None


def _whole(batch: Batch, name: str) -> bool:
    return not batch.rows or (name in batch.columns and batch.columns[name].present == batch.rows)


def _spread(batch: Batch, columns: tuple[str, ...]) -> float:
    """How many combinations the columns could make: of two keys the one that could make fewer is less by chance."""
    return float(sum(math.log(len(np.unique(batch.codes[name]))) for name in columns))


def suggest_freshness(batches: Sequence[Batch], times: Mapping[str, float], slack: float) -> Iterator[Suggestion]:
    """How far the newest value lies behind the time of the batch (days for dates, microseconds for moments)."""
    for name in batches[-1].columns if batches else ():
        found = moments(batches, name)
        dates = bool(found) and found[-1].type == "date"
        unit = 1.0 if dates else 86_400e6
        base = {batch: time * unit for batch, time in times.items()}
        seen = [
            base[batch.id] - float(batch.columns[name].high or 0) for batch in batches
            if batch.id in base and name in batch.columns and batch.columns[name].high is not None
        ]  # fmt: skip
        if len(seen) < 5 or not all(-2 * unit <= lag <= 31 * unit for lag in seen):
            continue
        _, top = beyond(seen, slack)
        days = max(1, math.ceil(top / unit))
        first, last = min(seen) / unit, max(seen) / unit
        side, near, far = ("after", -last, -first) if last < 0 else ("before", first, last)
        ends = " to ".join(dict.fromkeys(f"{lag:.1f}" for lag in (near, far)))
        why = f"the newest value lay {ends} days {side} the batch's own date"
        given = {"low": -math.inf, "high": days * unit, "times": base, "key": "fresh"}
        arguments = {"at_most": f"{days} days" if days > 1 else "1 day"}
        yield Suggestion("freshness", (name,), arguments, "lag", why, given)
