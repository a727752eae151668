"""Makes the passes that some metrics need of their own, one for all that ask for the same: counts of distinct values, and rows
beside the one before them. Measures bounds that rows are judged by, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from quality.backends.reading import Batch
from quality.distributions import ValuesAnalyzer
from quality.model import Metric
from quality.orders import OrderAnalyzer
from quality.passes import OwnPass
from quality.planner import MetricCheck, RowCheck
from quality.rule_types.outliers import NoOutliers
from quality.sql import conjunction


def measure(batch: Batch, own: OwnPass, checks: Sequence[MetricCheck]) -> dict[str, Metric]:
    """The metrics of the checks of a pass, by rule id. Raises what Spark raises."""
    if own.kind == "order":
        # what differs between them is what they demand
        analyzer = cast("OrderAnalyzer", checks[0].analyzer)
        metric = analyzer.together(_compared(batch, own, analyzer))
        return {check.rule.id: metric for check in checks}
    analyzers = [check.analyzer for check in checks if isinstance(check.analyzer, ValuesAnalyzer)]
    aggregates = [F.expr(analyzer.grouped()).alias(f"a{place}") for place, analyzer in enumerate(analyzers)]
    (found,) = _values(batch.frame, own, analyzers[0]).agg(*aggregates).collect()
    return {check.rule.id: one.metric(value) for check, one, value in zip(checks, analyzers, found, strict=True)}


def bounds(batch: Batch, checks: Sequence[RowCheck]) -> dict[str, list[float | None]]:
    """What the next pass for the bounds of checks finds, by rule id: of all that are left in one."""
    inputs, aggregates = [], []
    for place, check in enumerate(checks):
        rule = cast("NoOutliers", check.rule.check)
        value = f"double({batch.row.ref(rule.column)})"
        # what is not finite has no part in the bounds
        inputs.append(f"if(({check.scope}) and abs({value}) < double('Infinity'), {value}, null) as x{place}")
        aggregates.append(F.expr(f"struct({', '.join(rule.measures(f'x{place}'))})").alias(f"a{place}"))
    row = batch.frame.selectExpr(*inputs).agg(*aggregates).collect()[0]
    return {check.rule.id: list(found) for check, found in zip(checks, row, strict=True)}


# values


def _values(frame: DataFrame, own: OwnPass, analyzer: ValuesAnalyzer) -> DataFrame:
    """The distinct values without NULL, and how often each occurs: `k0`, ..., `n`; with `side` where each column counts alone."""
    names = [f"k{place}" for place in range(len(own.references))]
    there = conjunction([own.scope, *(f"{reference} is not null" for reference in own.references)])
    parts = [f"{text} as {name}" for text, name in zip(analyzer.counted(own.references), names, strict=True)]
    rows = frame.where(there).selectExpr(*parts)
    if analyzer.sides:
        sides = [_side(place, names) for place in range(len(names) + 1)]
        rows = rows.selectExpr(f"inline(array({', '.join(sides)}))")
        names = ["side", *names]
    return rows.groupBy(*names).agg(F.count(F.lit(1)).alias("n"))


def _side(side: int, names: Sequence[str]) -> str:
    """A row of one side: all columns, or one of them and NULL of its type for the others."""
    kept = [name if side in (0, place) else f"if(false, {name}, null)" for place, name in enumerate(names, 1)]
    fields = ", ".join(f"{text} as {name}" for text, name in zip(kept, names, strict=True))
    return f"struct({side} as side, {fields})"


# order


def _compared(batch: Batch, own: OwnPass, analyzer: OrderAnalyzer) -> list[Any]:
    """What the analyzer finds of each value and the one before it, in one part or in several.

    Without groups a sort of all rows would be one task's: they are divided into ranges, each range is sorted, and the last value
    of each stands before the first of the next."""
    count = 1 + len(analyzer.order)
    ordered, groups = own.references[:count], own.references[count:]
    names = ["v", *(f"o{place}" for place in range(count - 1)), *(f"g{place}" for place in range(len(groups)))]
    there = conjunction([own.scope, *(f"{reference} is not null" for reference in ordered)])
    texts = [analyzer.value(own.references[0]), *own.references[1:]]
    rows = batch.frame.where(there).selectExpr(*(f"{text} as {name}" for text, name in zip(texts, names, strict=True)))
    order, within = names[1:count], names[count:]
    if not within and not batch.small:
        return _by_ranges(rows, order, analyzer)
    # by a constant Spark does not warn that one task sorts all
    groups_of = [F.col(name) for name in within] or [F.lit(0)]
    window = _sorted(Window.partitionBy(*groups_of), order, analyzer)
    pairs = rows.withColumn("prev", F.lag("v").over(window))
    return [pairs.agg(F.expr(analyzer.paired())).collect()[0][0]]


def _sorted(window: Any, order: Sequence[str], analyzer: OrderAnalyzer) -> Any:
    return window.orderBy(*order, F.desc("v") if analyzer.falls else F.asc("v"))


def _by_ranges(rows: DataFrame, order: Sequence[str], analyzer: OrderAnalyzer) -> list[Any]:
    ranged = rows.repartitionByRange(*order).withColumn("part", F.spark_partition_id())
    window = _sorted(Window.partitionBy("part"), order, analyzer)
    pairs = ranged.withColumns(
        {"prev": F.lag("v").over(window), "at": F.row_number().over(window), "next": F.lead(F.lit(1)).over(window)}
    )
    parts = pairs.groupBy("part").agg(
        F.expr(analyzer.paired()).alias("inside"),
        F.expr("max(if(at = 1, struct(v), null)).v as first"),
        F.expr("max(if(next is null, struct(v), null)).v as last"),
        *(F.expr(f"max(if(at = 1, struct({name}), null)).{name} as {name}") for name in order),
    )
    return _with_borders(parts, analyzer)


def _with_borders(parts: DataFrame, analyzer: OrderAnalyzer) -> list[Any]:
    """What was found inside of the ranges, then between them: a row for each range."""
    window = Window.partitionBy(F.lit(0)).orderBy("part")
    borders = parts.withColumn("prev", F.lag("last").over(window)).withColumnRenamed("first", "v")
    row = borders.agg(F.collect_list("inside").alias("inside"), F.expr(analyzer.paired()).alias("between")).collect()[0]
    return [*row["inside"], row["between"]]
