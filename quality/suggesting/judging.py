"""Suggestions as values, and whether a batch breaks one: what the engine would say of the rule, told from facts and sample."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quality.suggesting.distances import distance
from quality.suggesting.facts import Batch, Facts, Vector


@dataclass(frozen=True)
class Suggestion:
    """A rule that could stand in a file. `test` names how it is judged here, `given` what that needs; `arguments` is what
    the rule type takes, `tolerance` the share of rows that may fail. `broken` of `held_back` later batches broke it when it
    was fitted to those before them."""

    type: str
    columns: tuple[str, ...]
    arguments: Any
    test: str
    why: str
    given: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    where: str = ""
    tolerance: float = 0.0
    strong: bool = True
    broken: int = 0
    held_back: int = 0

    @property
    def key(self) -> tuple[Any, ...]:
        """What stays the same when it is fitted to other batches."""
        return self.type, self.columns, self.test, self.given.get("key", "")


def breaks(suggestion: Suggestion, batch: Batch) -> bool | None:
    """Whether the batch breaks the rule; None when that cannot be told here."""
    found = TESTS[suggestion.test](suggestion, batch)
    if found is None or math.isnan(found):
        return None
    if suggestion.test in METRICS:
        return not suggestion.given["low"] <= found <= suggestion.given["high"]
    return found > suggestion.tolerance + 1e-12


def _column(suggestion: Suggestion, batch: Batch) -> Facts | None:
    return batch.columns.get(suggestion.columns[0])


def _missing(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    return 1 - facts.present / batch.rows if facts and batch.rows else None


def _odd(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    return facts.odd / batch.rows if facts and batch.rows else None


def _outside(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    if facts is None or not batch.rows:
        return None
    return facts.outside(suggestion.given["low"], suggestion.given["high"]) / batch.rows


def _unlisted(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    if facts is None or not batch.rows:
        return None
    if facts.values is None:
        return 1.0
    known = suggestion.given["values"]
    return sum(count for text, count in facts.values.items() if text not in known) / batch.rows


def example_of(shape: str) -> str:
    """A text of a shape."""
    plain = re.sub(r"(.)\{(\d+)\+?\}", lambda run: run[1] * int(run[2]), shape, flags=re.DOTALL)
    return plain.removesuffix("...")


def _misshapen(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    if facts is None or not batch.rows:
        return None
    if facts.shapes is None:
        return 1.0
    pattern = re.compile(suggestion.given["pattern"])
    return sum(n for shape, n in facts.shapes.items() if not pattern.fullmatch(example_of(shape))) / batch.rows


def _ill_formed(suggestion: Suggestion, batch: Batch) -> float | None:
    """Of the frequent values alone: a profile does not keep the others."""
    facts = _column(suggestion, batch)
    pattern = re.compile(suggestion.given["pattern"])
    return float(any(not pattern.fullmatch(text) for text in facts.frequent)) if facts and facts.frequent else None


def _too_long(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    if facts is None or facts.shortest is None or facts.longest is None:
        return None
    return float(facts.shortest < suggestion.given["low"] or facts.longest > suggestion.given["high"])


def _rows(_: Suggestion, batch: Batch) -> float | None:
    return float(batch.rows)


def _mean(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    return facts.mean if facts else None


def _spread(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    return facts.spread if facts else None


def _smallest(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    return facts.low if facts else None


def _largest(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    return facts.high if facts else None


def _distinct(suggestion: Suggestion, batch: Batch) -> float | None:
    facts = _column(suggestion, batch)
    return float(facts.distinct) if facts else None


def _lone_nulls(suggestion: Suggestion, batch: Batch) -> float | None:
    """Rows in which the first column is NULL and the second is not; of `all_or_none_of`, or the other way round."""
    first, second = suggestion.columns
    both = suggestion.type == "all_or_none_of"
    wrong = sum(
        rows
        for names, rows in batch.nulls.items()
        if (first in names and second not in names) or (both and second in names and first not in names)
    )
    return wrong / batch.rows if batch.rows else None


def _lag(suggestion: Suggestion, batch: Batch) -> float | None:
    facts, base = _column(suggestion, batch), suggestion.given["times"].get(batch.id)
    return None if facts is None or facts.high is None or base is None else base - facts.high


def doubled(codes: Vector) -> int:
    """Rows whose key occurs more than once."""
    _, counts = np.unique(codes, return_counts=True)
    return int(counts[counts > 1].sum())


def together(batch: Batch, columns: tuple[str, ...]) -> Vector:
    """A number for each combination of values; -1 where one is NULL."""
    found: Vector = batch.codes[columns[0]].copy()
    gone = found == -1
    for name in columns[1:]:
        codes = batch.codes[name]
        gone |= codes == -1
        found = (found * np.int64(1000003)) ^ codes
    found[gone] = -1
    return found


def _doubles(suggestion: Suggestion, batch: Batch) -> float | None:
    if not batch.sampled:
        return None
    codes = together(batch, suggestion.columns)
    known = codes[codes != -1]
    return (doubled(known) + int((codes == -1).sum())) / batch.sampled


def _unpaired(suggestion: Suggestion, batch: Batch) -> float | None:
    if not batch.sampled:
        return None
    codes = together(batch, suggestion.columns)
    return float((~np.isin(codes, suggestion.given["codes"]) & (codes != -1)).mean())


def _disordered(suggestion: Suggestion, batch: Batch) -> float | None:
    if not batch.sampled:
        return None
    low, high = (batch.sample[name] for name in suggestion.columns)
    return float((low > high).mean())


def _unequal(suggestion: Suggestion, batch: Batch) -> float | None:
    """Rows in which target <> factor * first + second, or target <> first - second."""
    if not batch.sampled:
        return None
    target, first, second = (batch.sample[name] for name in suggestion.columns)
    found = target - suggestion.given["factor"] * first - suggestion.given["sign"] * second
    return float((np.abs(found) > 1e-9 * (1 + np.abs(target))).mean())


def _incomplete(suggestion: Suggestion, batch: Batch) -> float | None:
    """Rows of one category without a value."""
    if not batch.sampled:
        return None
    category, name = suggestion.columns
    rows = batch.sample[category] == suggestion.given["value"]
    values = batch.sample[name]
    gone = np.isnan(values) if values.dtype != object else np.array([v is None for v in values.tolist()], bool)
    return float((rows & gone).sum() / rows.sum()) if rows.any() else None


def correlation(batch: Batch, columns: tuple[str, ...]) -> float:
    """Pearson's, over rows where neither is NULL; NaN when there is none."""
    a, b = (batch.sample[name] for name in columns)
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = a[known], b[known]
    if len(a) < 20 or not a.std() or not b.std():
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def _correlation(suggestion: Suggestion, batch: Batch) -> float | None:
    return correlation(batch, suggestion.columns) if batch.sampled else None


def _drift(suggestion: Suggestion, batch: Batch) -> float | None:
    facts, reference = _column(suggestion, batch), suggestion.given.get("reference")
    return distance(facts, reference) if facts and reference else None


TESTS: Mapping[str, Callable[[Suggestion, Batch], float | None]] = {
    "missing": _missing, "odd": _odd, "outside": _outside, "unlisted": _unlisted, "misshapen": _misshapen, "ill-formed": _ill_formed,
    "too long": _too_long, "rows": _rows, "mean": _mean,
    "spread": _spread, "smallest": _smallest, "largest": _largest, "distinct": _distinct, "lone nulls": _lone_nulls, "lag": _lag, "drift": _drift,
    "doubles": _doubles, "unpaired": _unpaired, "disordered": _disordered, "unequal": _unequal,
    "incomplete": _incomplete, "correlation": _correlation,
}  # fmt: skip
#: Tests whose number is a metric with bounds; the others tell a share of failing rows.
METRICS = frozenset({"rows", "mean", "spread", "smallest", "largest", "distinct", "lag", "correlation", "drift"})
