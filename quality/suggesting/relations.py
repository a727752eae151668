"""What columns have to do with each other in the sampled rows: pairs of values, order, sums, correlation, categories."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np

from quality.analyzers import INTEGRAL, base_type
from quality.suggesting.chances import SLIGHT, beyond, share_limit
from quality.suggesting.columns import ENOUGH_ROWS
from quality.suggesting.facts import MOMENT, NUMBER, TEXT, Batch, Vector
from quality.suggesting.judging import Suggestion, breaks, correlation, together

#: Pairs of values that a rule may list.
_MOST_PAIRS = 250
_PAIRS, _CORRELATED, _ORDERED, _REQUIRING = 6, 8, 4, 4
#: Sums that are looked for: factor of the first part, sign of the second.
_FORMS = ((1.0, 1.0), (100.0, 1.0), (60.0, 1.0), (1000.0, 1.0), (1.0, -1.0))


def suggest_relations(batches: Sequence[Batch], slack: float) -> Iterator[Suggestion]:
    """The rules of several columns that the samples show."""
    taken = [batch for batch in batches if batch.sampled >= 20]
    if sum(batch.sampled for batch in taken) < 200:
        return
    names = [name for name in taken[-1].sample if all(name in batch.sample for batch in taken)]
    numbers = [name for name in names if taken[-1].sample[name].dtype != object and _varies(taken, name)]
    sums = list(_sums(taken, numbers))
    yield from sums
    yield from _pairs(taken, names, slack)
    yield from _ordered(taken, numbers, slack)
    yield from _correlated(taken, [n for n in numbers if taken[-1].columns[n].kind == NUMBER], slack)
    yield from _categories(taken, names)


def _varies(batches: Sequence[Batch], name: str) -> bool:
    values = np.concatenate([batch.sample[name] for batch in batches])
    known = values[~np.isnan(values)]
    return len(known) > 100 and bool(known.min() < known.max())


def _joined(batches: Sequence[Batch], name: str, limit: int = 20_000) -> Vector:
    step = max(1, sum(batch.sampled for batch in batches) // limit)
    return np.asarray(np.concatenate([batch.sample[name][::step] for batch in batches]))


# sums


def _sums(batches: Sequence[Batch], numbers: Sequence[str]) -> Iterator[Suggestion]:
    """One column made of two others: a = b + c, a = b - c, a = 100 b + c."""
    names = [name for name in numbers if batches[-1].columns[name].kind == NUMBER]
    found: set[frozenset[str]] = set()
    joined = {name: _joined(batches, name, 4000) for name in names}
    for factor, sign in _FORMS:
        for target, first, second in permutations(names, 3):
            trio = frozenset((target, first, second))
            if trio in found or (factor == sign == 1.0 and first > second):
                continue
            gap = joined[target] - factor * joined[first] - sign * joined[second]
            known = ~np.isnan(gap)
            equal = np.abs(gap) <= 1e-9 * (1 + np.abs(joined[target]))
            # a column of zeros would make any sum true
            told = known & (joined[second] != 0) & (joined[first] != 0)
            if told.sum() < 100 or (~equal & known).any():
                continue
            given = {"factor": factor, "sign": sign, "key": (factor, sign)}
            rows = sum(batch.sampled for batch in batches)
            why = f"holds in each of {rows:,} rows looked at"
            made = Suggestion("that", (target, first, second), {}, "unequal", why, given, strong=rows >= ENOUGH_ROWS)
            if not any(breaks(made, batch) for batch in batches):
                found.add(trio)
                yield made


# pairs


def _pairs(batches: Sequence[Batch], names: Sequence[str], slack: float) -> Iterator[Suggestion]:
    """Values that go together: few combinations of those possible, none of them in one batch alone."""
    if len(batches) < 5:
        return
    last = batches[-1]
    sizes = {}
    for name in names:
        if last.columns[name].kind == TEXT or base_type(last.columns[name].type) in INTEGRAL:
            size = len(np.unique(np.concatenate([np.unique(batch.codes[name]) for batch in batches])))
            if 2 <= size <= 400:
                sizes[name] = size
    found = []
    for pair in combinations(sizes, 2):
        if not any(last.columns[name].kind == TEXT for name in pair):
            continue
        each = [together(batch, pair) for batch in batches]
        unique = [np.unique(codes[codes != -1]) for codes in each]
        codes, times = np.unique(np.concatenate(unique), return_counts=True)
        filled = len(codes) / (sizes[pair[0]] * sizes[pair[1]])
        if len(codes) > _MOST_PAIRS or filled > 0.6 or (times == 1).sum() > 0.02 * len(codes):
            continue
        half = np.unique(np.concatenate(unique[: len(each) // 2]))
        fresh = [float((~np.isin(one, half) & (one != -1)).mean()) for one in each[len(each) // 2 :]]
        if max(fresh) <= SLIGHT:
            found.append((filled, pair, codes, fresh))
    for filled, pair, codes, fresh in sorted(found, key=lambda one: one[0])[:_PAIRS]:
        limit = share_limit(fresh, float(np.median([batch.sampled for batch in batches])), slack)
        values = _values_of(batches, pair)
        why = f"{len(codes)} combinations, {filled:.0%} of those possible; hardly any came anew in the later half"
        given = {"codes": codes, "values": values, "key": "pairs"}
        yield Suggestion("that", pair, {}, "unpaired", why, given, tolerance=round(2 * limit, 4))


def determined(batches: Sequence[Batch]) -> list[tuple[str, str, int]]:
    """Columns of which each value goes with one value of another: (what determines, what is determined, its values)."""
    taken = [batch for batch in batches if batch.sampled >= 20]
    if sum(batch.sampled for batch in taken) < 1000:
        return []
    sizes, codes = {}, {}
    for name in taken[-1].sample:
        if all(name in batch.sample for batch in taken) and taken[-1].sample[name].dtype == object:
            codes[name] = np.concatenate([batch.codes[name] for batch in taken])
            sizes[name] = len(np.unique(codes[name][codes[name] != -1]))
    rows = sum(batch.sampled for batch in taken)
    found = []
    for a, b in permutations(sizes, 2):
        known = (codes[a] != -1) & (codes[b] != -1)
        # a value must have had the chance to contradict itself
        if not 2 <= sizes[b] <= sizes[a] <= rows / 10 or not known.any():
            continue
        pairs = (codes[a][known] * np.int64(1000003)) ^ codes[b][known]
        if len(np.unique(pairs)) == len(np.unique(codes[a][known])):
            found.append((a, b, sizes[a]))
    return found


def _values_of(batches: Sequence[Batch], pair: tuple[str, str]) -> list[tuple[Any, Any]]:
    found: set[tuple[Any, Any]] = set()
    for batch in batches:
        a, b = (batch.sample[name].tolist() for name in pair)
        found.update((x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None and x == x and y == y)
    return sorted(found, key=lambda one: (str(one[0]), str(one[1])))


# order


def _ordered(batches: Sequence[Batch], numbers: Sequence[str], slack: float) -> Iterator[Suggestion]:
    """One column never above another, where their ranges do not say so already."""
    joined = {name: _joined(batches, name) for name in numbers}
    found = []
    for low, high in permutations(numbers, 2):
        kinds = {batches[-1].columns[name].kind for name in (low, high)}
        if len(kinds) > 1:
            continue
        if kinds == {MOMENT} and batches[-1].columns[low].type != batches[-1].columns[high].type:
            continue
        if (joined[low] > joined[high]).mean() > 0.01:
            continue
        overlap = np.nanmedian(joined[low]) > np.nanquantile(joined[high], 0.05)
        spread = max(float(np.nanstd(joined[low])), 1e-12)
        near = abs(float(np.nanmedian(joined[high] - joined[low]))) < 2 * spread
        if not (overlap and near):
            continue
        shares = [float((batch.sample[low] > batch.sample[high]).mean()) for batch in batches]
        found.append((max(shares), low, high, shares))
    for most, low, high, shares in sorted(found, key=lambda one: one[0])[:_ORDERED]:
        limit = 0.0 if most == 0 else share_limit(shares, float(np.median([b.sampled for b in batches])), slack)
        rows = sum(batch.sampled for batch in batches)
        why = f"{low} was above {high} in {sum(s * b.sampled for s, b in zip(shares, batches, strict=True)):.0f} of {rows:,} rows"
        given = {"key": "order"}
        arguments = {"at_most": high}
        yield Suggestion("compare", (low, high), arguments, "disordered", why, given, tolerance=round(limit, 4))


# correlation


def _correlated(batches: Sequence[Batch], numbers: Sequence[str], slack: float) -> Iterator[Suggestion]:
    """Columns that rise together; bounds on Fisher's scale, where the spread does not depend on the coefficient."""
    if len(batches) < 7:
        return
    found = []
    joined = {name: _joined(batches, name, 4000) for name in numbers}
    for pair in combinations(numbers, 2):
        a, b = joined[pair[0]], joined[pair[1]]
        known = ~(np.isnan(a) | np.isnan(b))
        if known.sum() < 100 or not a[known].std() or not b[known].std():
            continue
        if abs(np.corrcoef(a[known], b[known])[0, 1]) < 0.75:
            continue
        seen = np.array([correlation(batch, pair) for batch in batches])
        seen = seen[~np.isnan(seen)]
        if len(seen) < 7 or np.abs(np.median(seen)) < 0.75:
            continue
        sign = float(np.sign(np.median(seen)))
        z = np.arctanh(np.clip(sign * seen, -0.999999, 0.999999))
        bound = math.tanh(beyond(z.tolist(), slack)[0])
        if bound > 0.5:
            found.append((bound, pair, sign, seen))
    used: dict[str, int] = {}
    for bound, pair, sign, seen in sorted(found, key=lambda one: -one[0]):
        # what is already held fast twice gains nothing
        if all(name in used for name in pair):
            continue
        for name in pair:
            used[name] = used.get(name, 0) + 1
        level = math.floor(bound * 1000) / 1000
        why = f"coefficients of {seen.min():.3f} to {seen.max():.3f}"
        given = {"low": level if sign > 0 else -1.0, "high": 1.0 if sign > 0 else -level, "key": "r"}
        arguments = {"at_least": level} if sign > 0 else {"at_most": -level}
        yield Suggestion("correlation", pair, arguments, "correlation", why, given)
        if len(used) >= 2 * _CORRELATED:
            return


# categories


def _categories(batches: Sequence[Batch], names: Sequence[str]) -> Iterator[Suggestion]:
    """Columns that have a value whenever another has a certain one, and often none otherwise. Of all that could be said of a
    column, what is about one other column and most rows: each of many is broken by chance some day."""
    last = batches[-1]
    texts = [n for n in names if last.columns[n].kind == TEXT and last.columns[n].values is not None]
    columns = {name: np.concatenate([batch.sample[name] for batch in batches]) for name in names}
    known = {name: sorted({value for value in columns[name].tolist() if value is not None}) for name in texts}
    found = []
    for name in names:
        gone = _gone(columns[name])
        if not 0.05 <= gone.mean() <= 0.95:
            continue
        told = []
        for category in texts:
            if category == name or not 2 <= len(known[category]) <= 12:
                continue
            rows = {value: columns[category] == value for value in known[category]}
            always = [value for value in known[category] if rows[value].sum() >= 300 and not gone[rows[value]].any()]
            if always:
                told.append((sum(int(rows[value].sum()) for value in always), category, always, rows))
        if told:
            most, category, always, rows = max(told, key=lambda one: one[:2])
            found.append((most, name, category, [(value, rows[value]) for value in always], gone))
    for _, name, category, each, gone in sorted(found, key=lambda one: -one[0])[:_REQUIRING]:
        for value, at in each:
            why = f"has a value in each of {int(at.sum()):,} such rows, in {1 - gone[~at].mean():.0%} of the others"
            strong = bool(at.sum() >= ENOUGH_ROWS)
            given = {"value": value, "key": value}
            yield Suggestion("required", (category, name), {}, "incomplete", why, given, strong=strong)


def _gone(column: Vector) -> Vector:
    return np.isnan(column) if column.dtype != object else np.array([v is None for v in column.tolist()], bool)
