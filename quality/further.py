"""Makes the passes that some metrics need of their own, one for all that ask for the same: counts of distinct values."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality.backends.reading import Batch
from quality.distributions import ValuesAnalyzer
from quality.model import Metric
from quality.planner import MetricCheck, OwnPass
from quality.sql import conjunction


def measure(batch: Batch, own: OwnPass, checks: Sequence[MetricCheck]) -> dict[str, Metric]:
    """The metrics of the checks of a pass, by rule id. Raises what Spark raises."""
    analyzers = [check.analyzer for check in checks if isinstance(check.analyzer, ValuesAnalyzer)]
    aggregates = [F.expr(analyzer.grouped()).alias(f"a{place}") for place, analyzer in enumerate(analyzers)]
    (found,) = _values(batch.frame, own).agg(*aggregates).collect()
    return {check.rule.id: one.metric(value) for check, one, value in zip(checks, analyzers, found, strict=True)}


def _values(frame: DataFrame, own: OwnPass) -> DataFrame:
    """The distinct values without NULL, and how often each occurs: `k0`, ..., `n`; with `side` where each column counts alone."""
    names = [f"k{place}" for place in range(len(own.references))]
    there = conjunction([own.scope, *(f"{reference} is not null" for reference in own.references)])
    parts = [f"{reference} as {name}" for reference, name in zip(own.references, names, strict=True)]
    rows = frame.where(there).selectExpr(*parts)
    if own.form is True:
        sides = [_side(place, names) for place in range(len(names) + 1)]
        rows = rows.selectExpr(f"inline(array({', '.join(sides)}))")
        names = ["side", *names]
    return rows.groupBy(*names).agg(F.count(F.lit(1)).alias("n"))


def _side(side: int, names: Sequence[str]) -> str:
    """A row of one side: all columns, or one of them and NULL of its type for the others."""
    kept = [name if side in (0, place) else f"if(false, {name}, null)" for place, name in enumerate(names, 1)]
    fields = ", ".join(f"{text} as {name}" for text, name in zip(kept, names, strict=True))
    return f"struct({side} as side, {fields})"
