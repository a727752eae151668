"""How far a column of a batch is from what the batches before held together, as the rule type `drift` measures it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from quality.anomaly import drift
from quality.suggesting.facts import NUMBER, TEXT, Batch, Facts

#: Values or bins with how often they occur.
Counts = Mapping[Any, float]


def measure_of(facts: Facts) -> str:
    """The measure for a column: the largest difference of a share, for numbers that of a cumulated share; empty where there is none."""
    return "ks" if facts.kind == NUMBER else "linf" if facts.kind == TEXT else ""


def counts(facts: Facts) -> Counts:
    """What a profile's sketch counts of the column: bins of numbers; frequent values, the others taken together."""
    if facts.kind == NUMBER:
        return (
            {}
            if facts.bins is None
            else dict(zip(facts.bins.numbers.tolist(), facts.bins.counts.tolist(), strict=True))
        )
    if facts.values is not None:
        return dict(facts.values)
    rest = facts.present - sum(facts.common.values())
    return {**facts.common, drift.RARE: rest} if rest > 0 else dict(facts.common)


def together(past: Sequence[Batch], name: str) -> Counts:
    """What batches held of a column together."""
    return drift.merged([counts(batch.columns[name]) for batch in past if name in batch.columns])


def distance(facts: Facts, reference: Counts) -> float | None:
    """How far a column is from a reference, as the engine measures it; None where one has no values."""
    found, measure = counts(facts), measure_of(facts)
    if measure != "ks":
        found, reference = drift.frequent(found, reference)
    return drift.MEASURES[measure](found, reference)


def distances(batches: Sequence[Batch], window: int) -> dict[str, list[float]]:
    """Of each column how far it is in every batch from those of the window before; NaN where that cannot be told. Each
    looks back alone, so that the first ones can be taken as what was known then."""
    found = {}
    for name, facts in batches[-1].columns.items():
        if measure_of(facts):
            found[name] = [_at(batches, name, place, window) for place in range(len(batches))]
    return found


def _at(batches: Sequence[Batch], name: str, place: int, window: int) -> float:
    past, facts = batches[place - window : place] if place >= window else (), batches[place].columns.get(name)
    if not facts or not all(name in batch.columns and batch.columns[name].present for batch in past) or not past:
        return math.nan
    found = distance(facts, together(past, name))
    return math.nan if found is None else found
