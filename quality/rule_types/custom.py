"""Custom: what a steward says in Spark SQL."""

from __future__ import annotations

from dataclasses import dataclass

from quality.analyzers import Analyzer, Query
from quality.model import Bounds
from quality.query_text import relations
from quality.rule_types.args import BOUNDS, QUERY, SQL, arg
from quality.rule_types.base import MetricRule, Row, RowRule
from quality.rule_types.questions import Question, Relation


@dataclass(frozen=True)
class That(RowRule):
    """A Spark SQL expression holds for every row. As in a SQL CHECK a NULL result passes, unless `nulls: fail` or
    `nulls: skip` says otherwise."""

    expression: str = arg(SQL, "an expression over one row that is true for good rows")

    type = "that"
    is_free = True
    main = "expression"
    example = "that: dep_time is not null or arr_time is null"

    def predicate(self, row: Row) -> str:
        """The expression as written."""
        return self.expression

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must satisfy: {self.expression}"


@dataclass(frozen=True)
class CustomSql(MetricRule):
    """The number that a query gives lies within bounds. The query reads the batch as `{{ this }}` (`this` and `primary` are the
    same), lines that could not be read apart, other data sets by their names under `references:`, and nothing else; it is one
    SELECT of Spark's own functions, without those whose value changes between two looks. Columns of a reference in a text format are texts.
    It must give one row of one number: NULL, or anything else, cannot be told. Each query is a pass over the batch, and over a reference,
    for every time it names it. What rows it is about stands in the query: it takes neither `where` nor `group_by`."""

    query: str = arg(QUERY, "one SELECT that gives one number")
    bounds: Bounds = arg(BOUNDS, "bounds of the number")

    type = "sql"
    about_several = True
    unfiltered = "does not go with it: what rows it is about stands in the query"
    ungrouped = "what rows it is about stands in the query"
    example = "sql: {query: 'select count(*) from {{ this }} where late and not told', at_most: 20}"

    def analyzer(self, where: str) -> Analyzer:
        """The query."""
        return Query((), where, self.query)

    def questions(self, _where: str = "") -> tuple[Question, ...]:
        """The references that it reads."""
        return asked_by(self.query)

    def held(self, row: Row, where: str) -> Analyzer:
        """The query, where every reference can be read."""
        for question in self.questions():
            row.answer(question)
        return self.analyzer(where)


def asked_by(query: str) -> tuple[Relation, ...]:
    """The references that a query reads, each once."""
    return tuple(Relation(name) for name in dict.fromkeys(r.name for r in relations(query) if not r.is_batch))
