"""Finds the rows of a batch that break an order, and marks them, with one shuffle of the columns that are compared.

A row is told by its group, its place and its value: those that have all three are one to the order, and fail together. What
breaks it is little as a rule: it is joined to the batch, whose rows are neither shuffled nor sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.column import Column

from quality.analyzers import FRACTIONAL, base_type
from quality.errors import RuleDataError
from quality.rule_types.base import Row
from quality.rule_types.questions import Order
from quality.sql import conjunction

#: Up to so many places in the order are sent to every executor.
BROADCAST_PLACES = 500_000


def broken(
    rows: DataFrame, row: Row, order: Order, within: Sequence[str], keep: Callable[[DataFrame], None]
) -> DataFrame:
    """The groups, places and values that break the order, each once: columns `g0`, ..., `o0`, ..., `v`. `within` are helper columns
    that tell batches in one frame apart. What is kept between its jobs is given to `keep`. Raises RuleDataError for what has
    no order."""
    for name in (order.column, *order.order_by, *order.per):
        if "map<" in row.type(name):
            raise RuleDataError(f"column '{name}' is {row.type(name)}, which has no order")
    compared = [row.ref(name) for name in (order.column, *order.order_by)]
    floats = [row.ref(n) for n in (order.column, *order.order_by) if base_type(row.type(n)) in FRACTIONAL]
    tests = [f"{reference} is not null" for reference in compared] + [f"not isnan({reference})" for reference in floats]
    scope = [f"coalesce(({order.where}), false)"] if order.where else []
    texts = dict(zip(_names(order, within), references(row, order, within), strict=True))
    placed = rows.where(conjunction([*scope, *tests])).selectExpr(
        *(f"{text} as {name}" for name, text in texts.items())
    )
    names, places = list(texts), [f"o{place}" for place in range(len(order.order_by))]
    groups = [name for name in names if name not in (*places, "v")]
    by: list[Column] = [*map(F.col, places), F.desc("v") if order.falls else F.asc("v")]
    sign = ("<" if order.falls else ">") + ("" if order.strict else "=")
    breaks = f"prev is not null and not (v {sign} prev)"
    if groups:
        pairs = placed.withColumn("prev", F.lag("v").over(Window.partitionBy(*groups).orderBy(*by)))
        return pairs.where(breaks).select(*names).distinct()
    # a sort of all rows would be one task's: they are divided into ranges by their places, and each range is sorted
    ranged = placed.repartitionByRange(*places).withColumn("part", F.spark_partition_id())
    window = Window.partitionBy("part").orderBy(*by)
    pairs = ranged.withColumns(
        {"prev": F.lag("v").over(window), "first": F.row_number().over(window), "next": F.lead(F.lit(1)).over(window)}
    )
    # kept, as a second reading could divide them in another way
    few = pairs.where(f"({breaks}) or first = 1 or next is null").persist()
    keep(few)
    ends = few.groupBy("part").agg(
        F.expr("max(if(next is null, struct(v), null)).v as last"),
        *(F.expr(f"max(if(first = 1, struct({name}), null)).{name} as {name}") for name in names),
    )
    borders = ends.withColumn("prev", F.lag("last").over(Window.partitionBy(F.lit(0)).orderBy("part")))
    return few.where(breaks).select(*names).union(borders.where(breaks).select(*names)).distinct()


def marked(frame: DataFrame, row: Row, order: Order, within: Sequence[str], keys: DataFrame, *, few: bool) -> DataFrame:
    """The frame with the marker of the order: true for a row that breaks it, else NULL."""
    names = _names(order, within)
    own = [f"{order.marker}_{name}" for name in names]
    other = keys.toDF(*own).withColumn(order.marker, F.lit(True))
    columns = [F.expr(text) for text in references(row, order, within)]
    tests: list[Column] = [column.eqNullSafe(F.col(name)) for column, name in zip(columns, own, strict=True)]
    return frame.join(F.broadcast(other) if few else other, reduce(lambda a, b: a & b, tests), "left").drop(*own)


def references(row: Row, order: Order, within: Sequence[str]) -> list[str]:
    """SQL of group, place and value of a row."""
    return [*within, *(row.ref(name) for name in (*order.per, *order.order_by, order.column))]


def _names(order: Order, within: Sequence[str]) -> list[str]:
    groups = [f"g{place}" for place in range(len(within) + len(order.per))]
    return [*groups, *(f"o{place}" for place in range(len(order.order_by))), "v"]
