"""Which suggestions hold: each is fitted to the first batches and judged by those after them, widened when it does not hold,
and dropped when that does not help. Time goes forward; a later batch never helps to judge an earlier one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

from quality.suggesting.columns import suggest_column
from quality.suggesting.facts import Batch
from quality.suggesting.judging import Suggestion, breaks
from quality.suggesting.relations import determined, suggest_relations
from quality.suggesting.rolling import with_rolling
from quality.suggesting.tables import suggest_freshness, suggest_key, suggest_table

#: How far bounds are moved outward, one try after the other.
_SLACKS = (1.0, 1.6, 2.5)
#: The share of good batches that a rule may flag.
_BEARABLE = 0.01


@dataclass(frozen=True)
class Suite:
    """The suggestions that hold, those that were dropped with the number of held-back batches that broke them, and what was
    seen but can be said by no rule type. `rows` are those of all batches."""

    suggestions: tuple[Suggestion, ...]
    dropped: tuple[Suggestion, ...]
    notes: tuple[str, ...]
    batches: tuple[str, ...]
    rows: int


def suggest(batches: Sequence[Batch], times: Mapping[str, float] | None = None, *, rolling: bool = False) -> Suite:
    """The suite for batches in the order of their time. `times`: of each batch in days from 1970, where known. `rolling`:
    also bounds that move with the batches before, where they are narrower than static ones or there are none."""
    seen = [batch for batch in batches if batch.rows]
    kept: list[Suggestion] = []
    left: dict[tuple[object, ...], Suggestion] = {}
    done: set[tuple[object, ...]] = set()
    for slack in _SLACKS:
        tallies = _held_back(seen, times or {}, slack)
        for one in _fit(seen, times or {}, slack):
            if one.key in done:
                continue
            broken, held_back = tallies.get(one.key, (0, 0))
            made = replace(one, broken=broken, held_back=held_back)
            if broken > _BEARABLE * held_back or _breaks_own(made, seen):
                left[one.key] = made
                continue
            done.add(one.key)
            left.pop(one.key, None)
            kept.append(made)
        if not left:
            break
    order = {one.key: place for place, one in enumerate(_fit(seen, times or {}, 1.0))}
    kept.sort(key=lambda one: (one.type != "row_count", order.get(one.key, len(order))))
    dated = _of_the_date(seen, times or {})
    if rolling:
        kept = list(with_rolling(kept, seen))
    chosen = tuple(
        one for one in _without_repetition(kept) if one.test == "missing" or not set(one.columns) & set(dated)
    )
    notes = tuple(
        f"{a} determines {b} ({count:,} values of {a}): no rule type says this yet"
        for a, b, count in determined(seen)
        if not any(set(one.columns) == {a, b} and one.test == "unpaired" for one in chosen)
    )
    if dated:
        notes = (
            f"{', '.join(dated)}: the date that the batch is named by; no rule about it but that it is there",
            *notes,
        )
    return Suite(chosen, tuple(left.values()), notes, tuple(batch.id for batch in seen), sum(b.rows for b in seen))


def _fit(batches: Sequence[Batch], times: Mapping[str, float], slack: float) -> Iterator[Suggestion]:
    if not batches:
        return
    key = suggest_key(batches)
    if key:
        yield key
    for name in batches[-1].columns:
        yield from suggest_column(batches, name, slack)
    yield from suggest_relations(batches, slack)
    yield from suggest_freshness(batches, times, slack)
    yield from suggest_table(batches, slack)


def _held_back(
    batches: Sequence[Batch], times: Mapping[str, float], slack: float
) -> dict[tuple[object, ...], tuple[int, int]]:
    """Of each suggestion how many held-back batches broke it, and how many could tell."""
    n = len(batches)
    cuts = [n // 2, 3 * n // 4] if n >= 8 else [n - 1] if n >= 2 else []
    found: dict[tuple[object, ...], tuple[int, int]] = {}
    for cut, end in pairwise([*cuts, n]):
        for one in _fit(batches[:cut], times, slack):
            answers = [breaks(one, batch) for batch in batches[cut:end]]
            told = [answer for answer in answers if answer is not None]
            broken, held_back = found.get(one.key, (0, 0))
            found[one.key] = broken + sum(told), held_back + len(told)
    return found


def _breaks_own(one: Suggestion, batches: Sequence[Batch]) -> bool:
    answers = [breaks(one, batch) for batch in batches]
    return sum(answer is True for answer in answers) > _BEARABLE * len(answers)


def _without_repetition(found: Sequence[Suggestion]) -> Iterator[Suggestion]:
    """Without what another rule says already."""
    sums = [set(one.columns) for one in found if one.test == "unequal"]
    together = {one.columns[1] for one in found if one.type == "all_or_none_of"}
    distributed = {(one.test, one.columns) for one in found if one.test in ("mean", "drift")}
    parts = {
        (test, (part,))
        for one in found if one.test == "unequal" and one.given["factor"] != 1
        for test in ("mean", "drift") if (test, one.columns[:1]) in distributed
        for part in one.columns[1:]
    }  # fmt: skip
    for one in found:
        if one.test in ("correlation", "disordered") and any(set(one.columns) <= trio for trio in sums):
            continue
        if one.type == "completeness" and one.columns[0] in together:
            continue
        # 100 * hour + minute is distributed as they are
        if (one.test, one.columns) in parts:
            continue
        yield one


def _of_the_date(batches: Sequence[Batch], times: Mapping[str, float]) -> tuple[str, ...]:
    """The columns that say year, month or day of the date a batch is named by: a batch has one value of them, and the next
    year is no fault."""
    if len(batches) < 2 or not all(batch.id in times for batch in batches):
        return ()
    days = [date(1970, 1, 1) + timedelta(days=times[batch.id]) for batch in batches]
    found = []
    for name in batches[-1].columns:
        lows = [batch.columns[name].low if name in batch.columns else None for batch in batches]
        highs = [batch.columns[name].high if name in batch.columns else None for batch in batches]
        if lows == highs and any(lows == [getattr(day, part) for day in days] for part in ("year", "month", "day")):
            found.append(name)
    return tuple(found)


def expected(one: Suggestion) -> float | None:
    """The share of good batches that will break it, from those held back (Jeffreys: half a batch added to each side). None:
    nothing was held back."""
    return (one.broken + 0.5) / (one.held_back + 1) if one.held_back else None
