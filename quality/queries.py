"""Asks a batch the queries of a steward: one value each, in a pass of its own.

A query sees nothing but the batch, as `this` (or `primary`, as DQDL calls it), and the references that it names: what it reads is
checked in Spark's own parse, node by node, before it runs. What is not known to be harmless is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame

from quality import sql
from quality.analyzers import NUMERIC, Query, base_type
from quality.backends.parsing import query_problems
from quality.backends.reading import Batch
from quality.checks import MetricCheck, reads
from quality.errors import RuleDataError
from quality.model import Metric
from quality.rule_types.base import MALFORMED, RESERVED_PREFIX
from quality.rule_types.custom import asked_by

_VIEW = f"{RESERVED_PREFIX}relation_"


def ask(batch: Batch, check: MetricCheck, launch: Callable[[int, int], None]) -> Metric:
    """The value of a query over the rows that could be read. `launch` is told how often it reads them, and references. Raises
    RuleDataError for what is no single number, and what Spark raises."""
    assert isinstance(check.analyzer, Query)
    query = check.analyzer.query
    with answered(batch, query, "limit 2") as found:
        kinds = [field.dataType.simpleString() for field in found.schema.fields]
        if len(kinds) != 1 or base_type(kinds[0]) not in NUMERIC:
            raise RuleDataError(f"the query must give one number, its columns are {', '.join(kinds)}")
        times, others = reads(query)
        launch(times, len(others))
        values = found.collect()
    if len(values) != 1:
        raise RuleDataError(f"the query must give one row, it gave {'more' if values else 'none'}")
    return Metric(check.analyzer.key, values[0][0])


@contextmanager
def answered(batch: Batch, query: str, limit: str = "") -> Iterator[DataFrame]:
    """The rows that a query gives, while what it reads has a name. Raises RuleDataError for a query that may not run, or a
    reference that cannot be read, and what Spark raises."""
    spark, asked = batch.frame.sparkSession, asked_by(query)
    wrong = query_problems(spark, query, [question.reference for question in asked])
    if wrong:
        raise RuleDataError("; ".join(wrong))
    rows = batch.frame.where(f"not {MALFORMED}") if batch.text else batch.frame
    frames = [rows.selectExpr(*(sql.quote(column.name) for column in batch.columns))]
    frames += [batch.row.answer(question) for question in asked]
    try:
        for number, frame in enumerate(frames):
            frame.createOrReplaceTempView(f"{_VIEW}{number}")
        places = {**dict.fromkeys(sql.RELATIONS, 0), **{q.reference: place for place, q in enumerate(asked, 1)}}
        # names of a WITH go before those of tables, also within what stands below it
        named = ", ".join(f"{sql.quote(name)} as (select * from {_VIEW}{place})" for name, place in places.items())
        yield spark.sql(f"with {named} select * from (\n{query}\n) {limit}")
    finally:
        for number in range(len(frames)):
            spark.catalog.dropTempView(f"{_VIEW}{number}")
