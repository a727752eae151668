"""The data, and what is wrong with it: told from the row numbers by which `orders.py` plants its faults, with no rule and
no engine in between.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orders

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: The rows, by their number `id`, on which a rule fails. On every other rule fails none.
FAULTS = {
    "order_id.unique": "(id % 100000 = 7 or (id % 100000 = 6 and id + 1 < {rows}))",
    "country.in": "id % 1511 = 5",
    "status.in": "id % 2003 = 11",
    "email.matches": "id % 503 = 2",
    "sku.matches": "id % 997 = 13",
    "quantity.between": "id % 701 = 1",
    "discount.between": "id % 809 = 4",
    "weight.above": "id % 5003 = 6",
    "comment.required": "id % 601 = 8",
    "shipped-after-order": "id % 1009 = 3",
    "value-not-negative": f"id % 701 = 1 and not ({orders.COLUMNS['gift']})",
}
#: Equal for equal rows in any order, whatever files they are in. A sum of hashes must not overflow.
_DIGEST = "coalesce(sum(pmod(xxhash64({columns}), 1000003)), 0)"


@dataclass(frozen=True)
class Truth:
    """Rows and digest of every combination of faults that occurs, by the set of the rules that fail."""

    rows: int
    groups: Mapping[frozenset[str], tuple[int, int]]

    def failing(self, rule: str) -> int:
        """Rows on which the rule fails."""
        return sum(rows for faults, (rows, _) in self.groups.items() if rule in faults)

    def sides(self, rules: Collection[str]) -> tuple[list[int], list[int]]:
        """Rows and digest of the good side and of the bad one, when these rules split."""
        sides = ([0, 0], [0, 0])
        for faults, (rows, digest) in self.groups.items():
            side = sides[bool(faults & set(rules))]
            side[0] += rows
            side[1] += digest
        return sides

    @staticmethod
    def load(path: Path) -> Truth:
        """What `prepare` kept beside the data."""
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        groups = {frozenset(faults): (rows, digest) for faults, rows, digest in kept["groups"]}
        return Truth(kept["rows"], groups)


def prepare(spark: SparkSession, data: Path, truth: Path, rows: int) -> None:
    """Write the rows and what is wrong with them, unless they are there."""
    if truth.exists() and data.exists():
        return
    orders.write(spark, data, rows)
    columns = [f"{text} as {name}" for name, text in orders.COLUMNS.items()]
    mask = " + ".join(f"if({text.format(rows=rows)}, {1 << bit}, 0)" for bit, text in enumerate(FAULTS.values()))
    numbered = spark.range(rows).selectExpr(*columns, f"{mask} as _faults")
    found = numbered.groupBy("_faults").agg(*_counted()).collect()
    groups = [[[rule for bit, rule in enumerate(FAULTS) if row[0] >> bit & 1], row[1], row[2]] for row in found]
    truth.write_text(json.dumps({"rows": rows, "groups": groups}) + "\n", encoding="utf-8")


def write_csv(spark: SparkSession, data: Path, csv: Path) -> None:
    """The same rows as one file of text."""
    if not csv.exists():
        csv.parent.mkdir(parents=True, exist_ok=True)
        parts = csv.with_suffix(".parts")
        spark.read.parquet(str(data)).coalesce(1).write.mode("overwrite").csv(str(parts), header=True)
        next(parts.glob("part-*.csv")).rename(csv)


def counted(frame: DataFrame) -> list[int]:
    """Rows and digest of what was written, by the columns of the input alone."""
    row = frame.select(*orders.COLUMNS).agg(*_counted()).first()
    assert row is not None
    return [row[0], row[1]]


def _counted() -> list[Any]:
    from pyspark.sql import functions as F

    return [F.count("*"), F.expr(_DIGEST.format(columns=", ".join(orders.COLUMNS)))]
