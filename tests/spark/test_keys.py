"""Keys that are whole numbers are taken for sorted first, then counted 64 at a time: what comes of it must be what counting
each would give."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.sql import functions as F

from quality.backends.reading import Batch
from quality.checks import KeyPass
from quality.keys import KeyCounter
from quality.model import Column
from quality.rule_types.base import Row

DRAW = random.Random(5)
EDGES = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}
CASES: dict[str, tuple[str, Sequence[int | None]]] = {
    "none": ("bigint", []),
    "nulls alone": ("int", [None] * 5),
    "each once, in a row": ("bigint", [*range(-500, 500)]),
    "few doubled": ("bigint", [*range(2000), 7, 7, 64, 65]),
    "all doubled": ("int", [*range(300), *range(300)]),
    "one value": ("int", [5] * 200),
    "neighbours of a group": ("bigint", [*range(128), 63, 64]),
    "far apart": ("bigint", [n * 10**12 for n in range(-50, 400)] + [3 * 10**12]),
    "with nulls": ("int", [None if n % 7 == 0 else n for n in range(1500)] + [1, 2, 3]),
    "drawn": ("bigint", [DRAW.randrange(-(2**63), 2**63) for _ in range(800)] + [DRAW.randrange(-9, 9) for _ in range(20)]),
    **{
        f"ends of {kind}": (kind, [-(2**bits), 2**bits - 1, 2**bits - 1, 0, -1, *range(1, 100)])
        for kind, bits in EDGES.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_whole_number_is_counted_as_any_other_key(spark, name):
    check(spark, *CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_keys_that_come_sorted_are_counted_without_a_shuffle(spark, name):
    assert check(spark, *CASES[name], arranged=lambda frame: frame.sort("k")) == [0]


def test_files_that_a_task_reads_out_of_order_are_sorted_runs(spark):
    def arranged(frame):
        parts = [frame.where(f"k >= {low} and k < {low + 100}").coalesce(1).sort("k") for low in (0, 200, 100, 300)]
        first, second = parts[0].union(parts[1]).coalesce(1), parts[2].union(parts[3]).coalesce(1)
        return first.union(second)

    # 199 and 200 are as near as any two, so that one run reaches over the other's keys: then every key is counted
    assert check(spark, "bigint", [*range(400), 5, 250], arranged=arranged) == [0, 1, 1]
    assert check(spark, "bigint", [*range(100), *range(10**6, 10**6 + 100), 7], arranged=lambda f: f.coalesce(1)) == [
        0,
        1,
        1,
    ]


def test_a_key_on_both_sides_of_a_border_is_doubled(spark):
    def arranged(frame):
        low, high = frame.where("k <= 50").sort("k").coalesce(1), frame.where("k >= 50").sort("k").coalesce(1)
        return low.union(high.limit(1)).union(high)

    check(spark, "bigint", [*range(100)], arranged=arranged, values_seen=[*range(100), 50, 50])


def test_only_numbers_in_scope_count(spark):
    check(spark, *CASES["few doubled"], "(k is not null) and k > 3", lambda value: value > 3)


def check(spark, kind, values, scope="k is not null", inside=lambda _: True, *, arranged=None, values_seen=None):
    frame = spark.createDataFrame([(value,) for value in values], "k bigint").select(F.col("k").cast(kind))
    values = values if values_seen is None else values_seen
    frame = arranged(frame) if arranged else frame.repartition(3)
    batch = Batch(frame, (Column("k", kind),), Row((Column("k", kind),), {}, "UTC"), False)
    passes: list[int] = []
    kept: list[Any] = []
    found = KeyCounter(spark, passes.append, kept).count(batch, KeyPass(("k",), ("k",), scope, whole=True))
    counts = Counter(value for value in values if value is not None and inside(value))
    doubled = {value: count for value, count in counts.items() if count > 1}
    assert (found.rows, found.keys, found.once) == (counts.total(), len(counts), len(counts) - len(doubled))
    assert (found.duplicated, found.duplicate_rows) == (len(doubled), sum(doubled.values()))
    assert sorted(row.k0 for row in found.doubled.collect()) == sorted(doubled) if found.doubled else not doubled
    # once sorted, or else numbers that are not doubled are settled by one pass more
    assert passes in ([0], [0, 1, 1] if doubled else [0, 1])
    for frame in kept:
        frame.unpersist()
    return passes
