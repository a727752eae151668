"""Counts how often keys occur, with as little shuffling as the keys allow, and keeps those that are doubled.

Whole numbers that come sorted, as ids often do, need no shuffle at all: equal ones are neighbours, and partitions whose
ranges do not meet share none. Others are counted 64 at a time: numbers that share all but their last six bits are one group,
with a bit for each
that occurs. A group with as many bits as rows has no key twice, which is exact, and is all there is to do for most keys; the
groups that have fewer, few as a rule, are counted one by one. Ids that were given out in a row shrink to a 64th before
anything is shuffled. Other keys are grouped as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, cast

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from quality.analyzers import Analyzer
from quality.backends.reading import Batch
from quality.backends.tally import tally
from quality.checks import KeyPass
from quality.model import Metric
from quality.rule_types.base import RESERVED_PREFIX
from quality.tally import read_key_runs
from quality.verification import ratio_metric

#: Up to so many duplicated keys are kept, and sent to every executor; beyond, both sides are shuffled.
BROADCAST_KEYS = 500_000
#: Groups with doubled keys are looked at one by one only while they hold at most this share of the rows.
_FEW = 0.1

_FREQUENCIES = ("f_rows", "f_keys", "f_once", "f_duplicated", "f_duplicate_rows")
_GROUP = f"{RESERVED_PREFIX}group"


@dataclass(frozen=True)
class Frequencies:
    """How often the keys of a pass occur. `rows` in scope that have a key; `keys` distinct, `once` of them occurring once,
    both counting keys with some NULL part; `duplicated` keys without NULL that occur more than once, on `duplicate_rows`
    rows. `doubled` holds those keys (columns `k0`...) until the engine lets go; None when they are none, or too many to keep."""

    rows: int
    keys: int
    once: int
    duplicated: int
    duplicate_rows: int
    doubled: DataFrame | None = field(default=None, compare=False, repr=False)


def metric_of_keys(analyzer: Analyzer, frequencies: Frequencies) -> Metric:
    """A metric of the frequencies of a key."""
    numerator, denominator = analyzer.ratio(frequencies)  # type: ignore[attr-defined]
    if denominator == 1 and analyzer.name == "CountDistinct":
        return Metric(analyzer.key, numerator)
    return ratio_metric(analyzer, numerator, denominator)


class KeyCounter:
    """Counts the keys of a batch. `launch` is told of each pass, with the number of its shuffles; what is kept between
    passes stands in `kept`, to be unpersisted."""

    def __init__(self, spark: SparkSession, launch: Callable[[int], None], kept: list[DataFrame]) -> None:
        self.spark, self.launch, self.kept = spark, launch, kept

    def count(self, batch: Batch, key: KeyPass) -> Frequencies:
        """The frequencies of a key over its scope."""
        if batch.small:
            self.launch(0)
            return self._small(key_counts(batch.frame, key), key)
        if key.whole:
            # of a text that is not kept every pass reads all columns: too much for a guess
            found = self._by_runs(batch.frame, key) if batch.kept or not batch.text else None
            found = found or self._by_bits(batch.frame, key)
            if found:
                return found
        self.launch(1)
        return self._kept(key_counts(batch.frame, key), key)

    def _by_runs(self, frame: DataFrame, key: KeyPass) -> Frequencies | None:
        """The frequencies of a key that is a whole number and comes sorted, without a shuffle. None when it does not."""
        aggregate = tally(self.spark)
        (reference,) = key.references
        keys = frame.where(key.scope).selectExpr(f"cast({reference} as bigint) as k0")
        if aggregate is None:
            return None
        self.launch(0)
        found = read_key_runs(bytes(keys.agg(aggregate.key_runs(F.col("k0"))).collect()[0][0]))
        if found is None:
            return None
        duplicate_rows = sum(times for _, times in found.doubled)
        few = 0 < len(found.doubled) <= BROADCAST_KEYS
        doubled = self.spark.createDataFrame([(k,) for k, _ in found.doubled], "k0 bigint") if few else None
        once = found.keys - len(found.doubled)
        return Frequencies(found.rows, found.keys, once, len(found.doubled), duplicate_rows, doubled)

    def _by_bits(self, frame: DataFrame, key: KeyPass) -> Frequencies | None:
        """The frequencies of a key that is a whole number. None when so many are doubled that nothing is gained."""
        self.launch(1)
        (reference,) = key.references
        group, bit = f"shiftright(cast({reference} as bigint), 6)", f"cast(cast({reference} as bigint) & 63 as int)"
        counted = frame.where(key.scope).selectExpr(f"{group} as g", f"shiftleft(1L, {bit}) as bit").groupBy("g")
        groups = counted.agg(F.count(F.lit(1)).alias("n"), F.expr("bit_count(bit_or(bit))").alias("keys"))
        doubled = "n > keys"
        numbers = groups.selectExpr(
            "coalesce(sum(n), 0) as rows",
            "coalesce(sum(keys), 0) as keys",
            f"count_if({doubled}) as groups",
            f"coalesce(sum(if({doubled}, n, 0)), 0) as suspect",
        )
        (rows, keys, found, suspect), suspects, forget = self._with_few(
            numbers, groups.where(doubled).select("g"), lambda row: 0 < row[2] <= BROADCAST_KEYS
        )
        if not found:
            return Frequencies(rows, keys, keys, 0, 0)
        if suspects is None or suspect > _FEW * rows:
            forget()
            return None
        self.launch(1)
        few = frame.join(F.broadcast(suspects.toDF(_GROUP)), F.expr(group) == F.col(_GROUP), "left_semi")
        # each of them is complete: the scope has no NULL
        exact = key_counts(few, key).where("n > 1").persist()
        self.kept.append(exact)
        duplicated, duplicate_rows = _numbers(exact.selectExpr("count(1)", "coalesce(sum(n), 0)"))
        kept = exact.drop("n") if duplicated <= BROADCAST_KEYS else None
        return Frequencies(rows, keys, keys - duplicated, duplicated, duplicate_rows, kept)

    def _kept(self, counted: DataFrame, key: KeyPass) -> Frequencies:
        row, doubled, _ = self._with_few(
            counted.selectExpr(*_frequencies(key)), _doubled(counted, key), lambda row: 0 < row[3] <= BROADCAST_KEYS
        )
        return replace(Frequencies(*row), doubled=doubled)

    def _with_few(
        self, numbers: DataFrame, few: DataFrame, wanted: Callable[[tuple[int, ...]], bool]
    ) -> tuple[Any, DataFrame | None, Callable[[], None]]:
        """The row of numbers, and the few rows when they are wanted, of one shuffle: Spark makes the exchange that both
        stand on once. What is returned last forgets the few before the engine does."""
        # not by the text of the type: that of a struct with odd names is no SQL
        absent = [F.lit(None).cast(field.dataType).alias(field.name) for field in few.schema.fields]
        nulls = [f"cast(null as bigint) as {name}" for name in numbers.columns]
        both = numbers.select("*", *absent).union(few.selectExpr(*nulls, "*").limit(BROADCAST_KEYS + 1)).persist()
        first = numbers.columns[0]
        row = _numbers(both.where(f"{first} is not null").select(*numbers.columns))
        if not wanted(row):
            both.unpersist()
            return row, None, lambda: None
        self.kept.append(both)

        def forget() -> None:
            self.kept.remove(both)
            both.unpersist()

        return row, both.where(f"{first} is null").select(*few.columns), forget

    def _small(self, counted: DataFrame, key: KeyPass) -> Frequencies:
        """The numbers and the doubled keys, which are as few as the batch is small, in one query."""
        keys = f"collect_list(if(n > 1 and {_complete(key)}, struct({', '.join(_names(key))}), null)) as doubled"
        row = cast("Any", counted.selectExpr(*_frequencies(key), keys))._jdf.collectAsList().get(0)
        numbers: Any = [int(row.get(place)) for place in range(len(_FREQUENCIES))]
        found = Frequencies(*numbers)
        if not 0 < found.duplicated <= BROADCAST_KEYS:
            return found
        session = cast("Any", self.spark._jsparkSession)
        schema = cast("Any", counted.select(*_names(key)))._jdf.schema()
        doubled = session.createDataFrame(row.getList(len(_FREQUENCIES)), schema)
        return replace(found, doubled=DataFrame(doubled, self.spark))


def key_counts(frame: DataFrame, key: KeyPass) -> DataFrame:
    """Columns `k0`... and `n`: the keys in scope and how often each occurs. A key of NULLs alone is one group: it
    counts rows, not keys."""
    parts = [f"{reference} as k{index}" for index, reference in enumerate(key.references)]
    grouped = frame.where(key.scope).selectExpr(*parts).groupBy(*_names(key))
    return grouped.agg(F.count(F.lit(1)).alias("n"))


def frequencies_of(frame: DataFrame, keys: Iterable[KeyPass], group: str) -> dict[KeyPass, dict[int, Frequencies]]:
    """The frequencies of each key within each group of a small frame, a whole number named by a column: one job."""
    found: dict[KeyPass, dict[int, Frequencies]] = {key: {} for key in keys}
    counted = []
    for number, key in enumerate(found):
        parts = [f"{reference} as k{index}" for index, reference in enumerate(key.references)]
        rows = frame.where(key.scope).selectExpr(f"{group} as g", *parts)
        by_key = rows.groupBy("g", *_names(key)).agg(F.count(F.lit(1)).alias("n"))
        numbers = [F.expr(text) for text in _frequencies(key)]
        counted.append(by_key.groupBy("g").agg(*numbers).select(F.lit(number).alias("key"), "g", *_FREQUENCIES))
    if counted:
        for row in reduce(DataFrame.unionAll, counted).collect():
            number, within, had, *others = map(int, row)
            list(found.values())[number][within] = Frequencies(had, others[0], others[1], others[2], others[3])
    return found


def frequencies_within(
    frame: DataFrame, key: KeyPass, by: Sequence[str], told: Callable[[Sequence[str]], list[str]]
) -> dict[tuple[str | None, ...], Frequencies]:
    """The frequencies of a key within each group of rows that share what `by` says (SQL), told by texts: `told` gives the
    SQL of those of some columns. One job, two shuffles. A group without a key is not there."""
    names = [f"g{index}" for index in range(len(by))]
    groups = [f"{reference} as {name}" for reference, name in zip(by, names, strict=True)]
    parts = [f"{reference} as k{index}" for index, reference in enumerate(key.references)]
    by_key = frame.where(key.scope).selectExpr(*groups, *parts).groupBy(*names, *_names(key))
    counted = by_key.agg(F.count(F.lit(1)).alias("n")).groupBy(*names)
    numbers = counted.agg(*(F.expr(text) for text in _frequencies(key)))
    found = {}
    for row in numbers.selectExpr(*_FREQUENCIES, *told(names)).collect():
        numbers_of, group = row[: len(_FREQUENCIES)], row[len(_FREQUENCIES) :]
        had, *others = map(int, numbers_of)
        found[tuple(group)] = Frequencies(had, others[0], others[1], others[2], others[3])
    return found


def doubled_keys(frame: DataFrame, key: KeyPass) -> DataFrame:
    """Columns `k0`...: the keys without NULL that occur more than once."""
    return _doubled(key_counts(frame, key), key)


def _doubled(counted: DataFrame, key: KeyPass) -> DataFrame:
    # one expression: a condition on keys alone would be moved below the shuffle, and make it another one
    return counted.where(f"if(n > 1, {_complete(key)}, false)").select(*_names(key))


def _frequencies(key: KeyPass) -> list[str]:
    some, complete = " or ".join(f"{name} is not null" for name in _names(key)), _complete(key)
    values = (
        "coalesce(sum(n), 0)",
        f"count_if({some})",
        f"count_if(n = 1 and ({some}))",
        f"count_if(n > 1 and {complete})",
        f"coalesce(sum(if(n > 1 and {complete}, n, 0)), 0)",
    )
    return [f"{value} as {name}" for value, name in zip(values, _FREQUENCIES, strict=True)]


def _names(key: KeyPass) -> list[str]:
    return [f"k{index}" for index in range(len(key.references))]


def _complete(key: KeyPass) -> str:
    return " and ".join(f"{name} is not null" for name in _names(key))


def _numbers(frame: DataFrame) -> tuple[int, ...]:
    return tuple(map(int, frame.collect()[0]))
