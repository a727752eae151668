"""Asks a batch the queries of a steward: one value each, in a pass of its own.

A query sees nothing but the batch, as `this` (or `primary`, as DQDL calls it): what it reads is checked in Spark's own parse, node
by node, before it runs. What is not known to be harmless is refused.
"""

from __future__ import annotations

from collections.abc import Callable

from quality import sql
from quality.analyzers import NUMERIC, Query, base_type
from quality.backends.parsing import query_problems
from quality.backends.reading import Batch
from quality.checks import MetricCheck, reads
from quality.errors import RuleDataError
from quality.model import Metric
from quality.rule_types.base import MALFORMED, RESERVED_PREFIX

_VIEW = f"{RESERVED_PREFIX}this"


def ask(batch: Batch, check: MetricCheck, launch: Callable[[int], None]) -> Metric:
    """The value of a query over the rows that could be read. `launch` is told how often it reads them. Raises RuleDataError for what is no single number, and what Spark
    raises."""
    assert isinstance(check.analyzer, Query)
    spark, query = batch.frame.sparkSession, check.analyzer.query
    wrong = query_problems(spark, query)
    if wrong:
        raise RuleDataError("; ".join(wrong))
    rows = batch.frame.where(f"not {MALFORMED}") if batch.text else batch.frame
    rows.selectExpr(*(sql.quote(column.name) for column in batch.columns)).createOrReplaceTempView(_VIEW)
    try:
        # names of a WITH go before those of tables, also within what stands below it
        named = ", ".join(f"{name} as (select * from {_VIEW})" for name in sql.RELATIONS)
        found = spark.sql(f"with {named} select * from (\n{query}\n) limit 2")
        kinds = [field.dataType.simpleString() for field in found.schema.fields]
        if len(kinds) != 1 or base_type(kinds[0]) not in NUMERIC:
            raise RuleDataError(f"the query must give one number, its columns are {', '.join(kinds)}")
        launch(reads(check))
        values = found.collect()
    finally:
        spark.catalog.dropTempView(_VIEW)
    if len(values) != 1:
        raise RuleDataError(f"the query must give one row, it gave {'more' if values else 'none'}")
    return Metric(check.analyzer.key, values[0][0])
