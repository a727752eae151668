"""Several small batches in one frame, told apart by a number: measured by one scan, and judged each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql.column import Column as SparkColumn

from quality import verification
from quality.backends.reading import Batch
from quality.checks import KeyPass
from quality.engine import Engine
from quality.keys import Frequencies
from quality.model import RuleResult
from quality.planner import Plan
from quality.scan import Scan, Scanned


def measurable(batch: Batch, plan: Plan) -> Plan:
    """The plan less the rules that take passes of their own; those cannot be told."""
    scanned = {check.rule.id for check in Scan(batch, plan, None).metric_checks}
    others = {
        check.rule.id: "it takes passes of its own, which are not made here"
        for check in plan.metric_checks
        if check.rule.id not in scanned
        and check.key is None
        and check.analyzer.source != "counts"
        and check.analyzer.name != "Size"
    }
    others |= {rule.id: "groups are not measured here" for rule in plan.rules if getattr(rule, "group_by", ())}
    whole = "it holds the whole batch against another data set, which is not done here"
    others |= {c.rule.id: whole for c in plan.metric_checks if getattr(c.rule.check, "reference", "")}
    own = "its bounds come from the batch itself, and are not measured here"
    others |= {check.rule.id: own for check in getattr(plan, "unsettled", ())}
    return plan.without(others)


def scanned(
    batch: Batch, plan: Plan, number: str, more: Sequence[tuple[str, SparkColumn]] = ()
) -> dict[int, tuple[Scanned, list[int]]]:
    """One job: what the shared scan of a run measures, for each of the batches, and beside it the whole numbers that
    aggregates over columns of the frame give: (column, aggregate)."""
    scan = Scan(batch, plan, None)
    measures = scan.measures()
    inputs = batch.frame.selectExpr(number, *(column for column, _ in more), *scan.inputs())
    extra = [aggregate.alias(f"b{index}") for index, (_, aggregate) in enumerate(more)]
    grouped = inputs.groupBy(number).agg(*measures, *extra)
    places = [f"a{index}" for index in range(len(measures))]
    found: Any = grouped.select(*places, number, *(f"b{index}" for index in range(len(more))))._jdf.collectAsList()
    rows = [found.get(index) for index in range(found.size())]
    return {
        int(row.get(len(measures))): (
            scan.read(row),
            [int(row.get(len(measures) + 1 + index) or 0) for index in range(len(more))],
        )
        for row in rows
    }


def judged(
    engine: Engine, plan: Plan, found: Scanned, keys: Mapping[KeyPass, Frequencies | None]
) -> Sequence[RuleResult]:
    """The verdicts of all rules on one of the batches; None stands for one without rows."""
    none = Frequencies(0, 0, 0, 0, 0)
    measured = engine.measured(plan, found, {key: one or none for key, one in keys.items()})
    return verification.judge(plan, measured, plan.columns)
