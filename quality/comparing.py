"""Compares the rows of a batch with those of a reference, by key.

Both are grouped by key together, in one shuffle: rows are never multiplied by doubled keys, and none is lost. Groups that
are not one equal pair are kept until they have been counted and a few of each kind were looked at; how many are equal
follows from the rows in scope, which are counted anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality.analyzers import FRACTIONAL, INTEGRAL, TEXTUAL, base_type, is_numeric
from quality.casts import text_as
from quality.errors import RuleDataError, did_you_mean
from quality.matches import KINDS, Compared
from quality.rule_types.base import Row
from quality.rule_types.questions import Near, Pairs
from quality.rule_types.values import castable
from quality.sensitive import Sensitive, hidden
from quality.sql import conjunction, disjunction

SAMPLES = 5
_COUNT = {kind: kind.replace(" ", "_") for kind in KINDS}


@dataclass(frozen=True)
class Side:
    """Rows of one side, those that could be read, with their columns and the zone of their moments."""

    frame: DataFrame
    row: Row
    timezone: str = "UTC"


@dataclass(frozen=True)
class _Value:
    """A column that is compared: its value on either side as SQL, NULL for what has no value of the type, and SQL that tells
    these from NULL; whether pair `i` of `hv` and `tv` is the same."""

    ours: str
    theirs: str
    here: str
    there: str
    here_lost: str
    there_lost: str
    same: Callable[[str, str], str]


def groups(here: Side, there: Side, pairs: Pairs) -> tuple[DataFrame, list[str]]:
    """A row for each key that is not one equal pair, with what it is, and the columns that were compared. No job runs. Raises
    RuleDataError when the columns cannot be compared."""
    keys = [
        (here.row.ref(ours), as_type(there.row, theirs, here.row.type(ours), there.timezone))
        for ours, theirs in pairs.key
    ]
    values = [_value(here, there, ours, theirs, pairs.near) for ours, theirs in _columns(here, there, pairs)]
    frames = []
    for index, (side, letter) in enumerate(((here, "h"), (there, "t"))):
        parts = [f"'{place}', {value.here if not index else value.there}" for place, value in _named("v", values)]
        parts += [
            f"'{place}', {value.here_lost if not index else value.there_lost}" for place, value in _named("b", values)
        ]
        selected = [f"{key[index]} as k{place}" for place, key in enumerate(keys)]
        frames.append(
            side.frame.selectExpr(
                *selected,
                f"named_struct('is', true, {', '.join(parts)}) as {letter}v"
                if parts
                else f"named_struct('is', true) as {letter}v",
            )
        )
    both = frames[0].unionByName(frames[1], allowMissingColumns=True)
    names = [f"k{place}" for place in range(len(keys))]
    grouped = both.groupBy(*names).agg(
        *(
            F.expr(text)
            for text in ("count(hv) as h", "count(tv) as t", "first(hv, true) as hv", "first(tv, true) as tv")
        )
    )
    kinds = [base_type(here.row.type(ours)) for ours, _ in pairs.key]
    complete = conjunction(
        [f"{name} is not null" for name in names]
        + [f"not isnan({name})" for name, kind in zip(names, kinds, strict=True) if kind in FRACTIONAL]
    )
    paired = f"({complete}) and h = 1 and t = 1"
    differs = [f"not coalesce({_same(value, place)}, false)" for place, value in enumerate(values)]
    told = {
        "missing_here": f"if(({complete}) and h > 0, 0L, t)",
        "missing_there": f"if(({complete}) and t > 0, 0L, h)",
        "doubled": f"if(({complete}) and h > 0 and t > 0 and h + t > 2, h, 0L)",
        "different": f"if({paired} and ({disjunction(differs) if differs else 'false'}), 1L, 0L)",
    }
    columns = [f"{test} and {paired} as d{place}" for place, test in enumerate(differs)]
    found = grouped.selectExpr(*names, "hv", "tv", *(f"{text} as {name}" for name, text in told.items()), *columns)
    return found.where(disjunction([f"{name} > 0" for name in told])), [value.ours for value in values]


def summary(found: DataFrame, columns: list[str], pairs: Pairs, sensitive: Sensitive) -> Compared:
    """The groups, counted, and a few of each kind. Of sensitive columns no value is told."""
    sums = [f"coalesce(sum({name}), 0)" for name in _COUNT.values()]
    sums += [f"count_if(d{place})" for place in range(len(columns))]
    counts = [int(value) for value in found.selectExpr(*sums).collect()[0]]
    by_column = {name: count for name, count in zip(columns, counts[len(KINDS) :], strict=True) if count}
    samples: list[dict[str, Any]] = []
    for kind, count in zip(KINDS, counts, strict=False):
        if count:
            samples += _samples(found, kind, columns, pairs, sensitive)
    missing_here, missing_there, doubled, different = counts[: len(KINDS)]
    return Compared(missing_here, missing_there, doubled, different, by_column, tuple(samples))


def _samples(
    found: DataFrame, kind: str, columns: list[str], pairs: Pairs, sensitive: Sensitive
) -> Iterator[dict[str, Any]]:
    names = [f"k{place}" for place in range(len(pairs.key))]
    selected = [f"cast({name} as string) as {name}" for name in names]
    for place in range(len(columns)):
        selected += [
            f"d{place}",
            f"cast(hv.v{place} as string) as h{place}",
            f"cast(tv.v{place} as string) as t{place}",
        ]
    few = found.where(f"{_COUNT[kind]} > 0").orderBy(*names).limit(SAMPLES)
    for row in few.selectExpr(*selected).collect():
        key = {ours: _shown(row[name], ours, sensitive) for (ours, _), name in zip(pairs.key, names, strict=True)}
        sample: dict[str, Any] = {"kind": kind, "key": key}
        if kind == "different":
            sample["columns"] = {
                name: {side: _shown(row[f"{side[0]}{place}"], name, sensitive) for side in ("here", "there")}
                for place, name in enumerate(columns)
                if row[f"d{place}"]
            }
        yield sample


def _shown(value: str | None, column: str, sensitive: Sensitive) -> str | None:
    how = sensitive.how(column)
    return hidden(value, how) if how else value


def _named(letter: str, values: list[_Value]) -> list[tuple[str, _Value]]:
    return [(f"{letter}{place}", value) for place, value in enumerate(values)]


def _same(value: _Value, place: int) -> str:
    lost = f"(hv.b{place} or tv.b{place})"
    return f"not {lost} and ({value.same(f'hv.v{place}', f'tv.v{place}')})"


def _columns(here: Side, there: Side, pairs: Pairs) -> Iterator[tuple[str, str]]:
    if pairs.columns:
        yield from pairs.columns
        return
    keys = {ours.lower() for ours, _ in pairs.key} | {theirs.lower() for _, theirs in pairs.key}
    theirs = {column.name.lower(): column.name for column in there.row.columns}
    shared = [c.name for c in here.row.columns if c.name.lower() in theirs and c.name.lower() not in keys]
    for near in pairs.near:
        if near.column.lower() not in [name.lower() for name in shared]:
            raise RuleDataError(
                f"'near' names '{near.column}', which not both have; {did_you_mean(near.column, shared, 'columns')}"
            )
    yield from ((name, theirs[name.lower()]) for name in shared)


def _value(here: Side, there: Side, ours: str, theirs: str, near: tuple[Near, ...]) -> _Value:
    kind, other = here.row.type(ours), there.row.type(theirs)
    ref, actual = here.row.ref(ours), there.row.ref(theirs)
    apart = next((one for one in near if one.column.lower() == ours.lower()), None)
    raw = here.row.raw.get(here.row.find(ours).name, "")
    here_lost = f"({raw} is not null and {ref} is null)" if raw else "false"
    if apart and not is_numeric(kind):
        raise RuleDataError(f"'near' is about numbers, column '{ours}' is {kind}")
    if is_numeric(kind) and is_numeric(other):
        same = _numbers(base_type(kind), base_type(other), apart)
        return _Value(ours, theirs, ref, actual, here_lost, "false", same)
    wanted = kind
    if apart and base_type(other) in TEXTUAL:
        # 5.1 is no whole number, but may be near one
        wanted = "double" if base_type(kind) in FRACTIONAL else "decimal(38,12)"
        there_text = text_as(actual, wanted, there.timezone)
    else:
        there_text = as_type(there.row, theirs, wanted, there.timezone)
    lost = "false" if there_text == actual else f"({actual} is not null and ({there_text}) is null)"
    same = _numbers(base_type(kind), base_type(wanted), apart) if is_numeric(kind) else lambda a, b: f"{a} <=> {b}"
    return _Value(ours, theirs, ref, there_text, here_lost, lost, same)


def _numbers(kind: str, other: str, near: Near | None) -> Callable[[str, str], str]:
    """Whether two numbers are the same, or near enough. As doubles when one of them is; otherwise exactly."""

    def same(a: str, b: str) -> str:
        if kind in FRACTIONAL or other in FRACTIONAL:
            a, b, amount = f"double({a})", f"double({b})", f"{near.amount}D" if near else ""
        else:
            # a difference of two bigints may be none
            a = f"cast({a} as decimal(20,0))" if kind in INTEGRAL else a
            b = f"cast({b} as decimal(20,0))" if other in INTEGRAL else b
            amount = f"{near.amount}BD" if near else ""
        if near is None:
            return f"{a} <=> {b}"
        limit, apart = f"{amount} * abs({b})" if near.relative else amount, f"abs({a} - {b})"
        # to Spark NaN is not above NaN, nor a share of infinity below a distance to it
        near_enough = f"{apart} <= {limit} and {apart} < double('Infinity')"
        return f"{a} <=> {b} or ({near_enough})"

    return same


def as_type(row: Row, column: str, wanted: str, timezone: str) -> str:
    """SQL: a column of a reference as the type of the batch's, NULL for a value that is none of it."""
    actual, ref = row.type(column), row.ref(column)
    if "map<" in wanted or "map<" in actual:
        raise RuleDataError(f"column '{column}' is {actual}: maps cannot be compared")
    if actual == wanted:
        return ref
    if base_type(wanted) in TEXTUAL:
        return f"cast({ref} as string)"
    if base_type(actual) in TEXTUAL:
        return text_as(ref, wanted, timezone)
    if {base_type(actual), base_type(wanted)} & {"array", "struct", "binary", "boolean"}:
        raise RuleDataError(f"column '{column}' is {actual}, which cannot be compared with {wanted}")
    return f"if({castable(ref, actual, wanted)}, try_cast({ref} as {wanted}), null)"
