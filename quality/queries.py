"""Asks a batch the queries of a steward: for one value, in a pass of its own, or for rows of the batch.

A query sees nothing but the batch, as `this` (or `primary`, as DQDL calls it), and the references that it names: what it reads is
checked in Spark's own parse, node by node, before it runs. What is not known to be harmless is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from pyspark.sql import DataFrame

from quality import sql
from quality.analyzers import NUMERIC, Query, base_type
from quality.backends.clocks import clock_problems
from quality.backends.parsing import query_problems
from quality.backends.reading import Batch
from quality.checks import MetricCheck, reads
from quality.errors import RuleDataError
from quality.model import Column, Metric
from quality.rule_types.base import MALFORMED, RESERVED_PREFIX
from quality.rule_types.custom import asked_by
from quality.rule_types.questions import Returned, Told

_VIEW, _NUMBERS = f"{RESERVED_PREFIX}relation_", count()


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


def returned(batch: Batch, question: Returned) -> tuple[Told, DataFrame | None]:
    """By which columns the query tells rows, and their values where it does, each once: columns named after the marker. Nothing
    runs. Raises RuleDataError when what should tell them does not, and what Spark raises."""
    with answered(batch, question.query) as found:
        # a query may return two columns of one name
        columns = [(field.name.lower(), field.dataType.simpleString()) for field in found.schema.fields]
        wanted = [batch.row.find(name) for name in question.key] or batch.columns
        why = next((wrong for column in wanted if (wrong := _untold(column, columns))), "")
        if why and question.key:
            raise RuleDataError(f"the query does not tell rows by {', '.join(question.key)}: {why}")
        if why:
            return Told((), f"the query tells no rows, as {why}; name the columns that tell them under 'key'"), None
        names = [name for name, _ in columns]
        numbered = found.toDF(*(f"c{place}" for place in range(len(columns))))
        texts, lost = [], []
        for place, column in enumerate(wanted):
            at = names.index(column.name.lower())
            text = _compared(f"c{at}", columns[at][1], column.type)
            texts.append(f"{text} as {question.marker}_{place}")
            lost.append(f"c{at} is null or {text} is not null")
        keys = numbered.where(sql.conjunction(lost)).selectExpr(*texts).distinct()
        return Told(tuple(column.name for column in wanted)), keys


def _compared(text: str, kind: str, wanted: str) -> str:
    """SQL: a value as what it is when it is compared with one of another type. Keys that are then equal, as large whole numbers
    beside floating ones, are one key: two would give a row twice."""
    return text if kind == wanted else f"coalesce({text}, cast(null as {wanted}))"


def _untold(column: Column, returned: Sequence[tuple[str, str]]) -> str:
    """Why rows cannot be told by a column of the batch."""
    kinds = [kind for name, kind in returned if name == column.name.lower()]
    if len(kinds) != 1:
        return f"it returns {'two columns' if kinds else 'no column'} '{column.name}'"
    if "map<" in column.type:
        return f"column '{column.name}' is {column.type}: maps cannot be compared"
    alike = kinds[0] == column.type or {base_type(kinds[0]), base_type(column.type)} <= {*NUMERIC}
    return "" if alike else f"it returns '{column.name}' as {kinds[0]}, which is {column.type} in the batch"


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
    # threads that share a session have views of their own
    views = [f"{_VIEW}{next(_NUMBERS)}" for _ in frames]
    try:
        for view, frame in zip(views, frames, strict=True):
            frame.createOrReplaceTempView(view)
        places = {**dict.fromkeys(sql.RELATIONS, 0), **{q.reference: place for place, q in enumerate(asked, 1)}}
        # names of a WITH go before those of tables, also within what stands below it
        named = ", ".join(f"{sql.quote(name)} as (select * from {views[place]})" for name, place in places.items())
        found = spark.sql(f"with {named} select * from (\n{query}\n) {limit}")
        if wrong := clock_problems(found, query):
            raise RuleDataError("; ".join(wrong))
        yield found
    finally:
        for view in views:
            spark.catalog.dropTempView(view)
