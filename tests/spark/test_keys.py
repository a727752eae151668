"""Keys that are whole numbers are counted 64 at a time: what comes of it must be what counting each would give."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.sql import functions as F

from quality.backends.reading import Batch
from quality.keys import KeyCounter
from quality.model import Column
from quality.planner import KeyPass
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


def test_only_numbers_in_scope_count(spark):
    check(spark, *CASES["few doubled"], "(k is not null) and k > 3", lambda value: value > 3)


def check(spark, kind, values, scope="k is not null", inside=lambda _: True):
    frame = spark.createDataFrame([(value,) for value in values], "k bigint").select(F.col("k").cast(kind))
    batch = Batch(frame.repartition(3), (Column("k", kind),), Row((Column("k", kind),), {}, "UTC"), False)
    passes: list[int] = []
    kept: list[Any] = []
    found = KeyCounter(spark, passes.append, kept).count(batch, KeyPass(("k",), ("k",), scope, whole=True))
    counts = Counter(value for value in values if value is not None and inside(value))
    doubled = {value: count for value, count in counts.items() if count > 1}
    assert (found.rows, found.keys, found.once) == (counts.total(), len(counts), len(counts) - len(doubled))
    assert (found.duplicated, found.duplicate_rows) == (len(doubled), sum(doubled.values()))
    assert sorted(row.k0 for row in found.doubled.collect()) == sorted(doubled) if found.doubled else not doubled
    # numbers that are not doubled are settled by one pass
    assert passes == ([1, 1] if doubled else [1])
    for frame in kept:
        frame.unpersist()
