"""Custom: what a steward says in Spark SQL."""

from __future__ import annotations

from dataclasses import dataclass

from quality.analyzers import Analyzer, Compliance, Query
from quality.model import Bounds
from quality.query_text import condition, relations
from quality.rule_types.args import BOUNDS, COLUMNS, QUERY, SHARE_BOUNDS, SQL, arg, choice
from quality.rule_types.base import MetricRule, Row, RowRule
from quality.rule_types.questions import Question, Relation, Returned
from quality.sql import quote


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
class ComplianceBounds(MetricRule):
    """The share of rows in scope for which a Spark SQL expression is true lies within bounds: of one value, of a bin of a
    histogram, of rows of some kind. NULL is not true. The batch is judged, not its rows: for those there is `that`. What is compared
    with earlier batches is the share of the rule with this id."""

    that: str = arg(SQL, "an expression over one row")
    bounds: Bounds = arg(SHARE_BOUNDS, "bounds of the share")

    type = "compliance"
    about_several = True
    example = "compliance: {that: amount >= 100 and amount < 200, between: [10%, 30%]}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's Compliance."""
        return Compliance((), where, predicate=self.that)

    def requirement(self) -> str:
        """The bounds, and of what."""
        return f"{super().requirement()}: the share of rows that satisfy {self.that}"

    def expected(self) -> str:
        """The bounds, and of what."""
        return f"{super().expected()}: the share of rows that satisfy {self.that}"


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


#: So much of a query stands in reasons.
_SHOWN = 200


@dataclass(frozen=True)
class SqlRows(RowRule):
    """Rows that a query returns fail; with `returns: passing` they are those that pass, and all others fail. The query is one
    as of `sql`. One that filters the batch and does nothing more, `SELECT ... FROM {{ this }} WHERE ...`, is asked of each row like `that`, and
    a row fails where the condition is true: it takes no pass, and nothing has to tell the rows. Of any other query, one with a join, a
    subquery or groups, the rows are told by `key`: columns that it returns under the names that they have in the batch. Every
    row of a returned key has the same verdict; NULL equals NULL, and NaN equals NaN. Without `key` a query that returns all columns
    of the batch tells rows by these, and equal rows have one verdict. Where rows are not told, the rule is about the batch: the query
    must return none, or as many as `tolerance` says, and a share of them cannot be told. Such a query is a pass over the batch, and over
    a reference, for every time it names it."""

    query: str = arg(QUERY, "one SELECT that returns rows of the batch")
    key: tuple[str, ...] = arg(COLUMNS, "the columns that tell which rows it returns", ())
    returns: str = arg(choice("failing", "passing"), "what the rows are that it returns", "failing")

    type = "sql_rows"
    main = "query"
    about_several = True
    by_row = False
    nulls_apply = False
    example = "sql_rows: {query: 'select t.id from {{ this }} t left anti join airports a on t.dest = a.faa', key: id}"

    @property
    def condition(self) -> str | None:
        """What is true for the rows that are returned; None when the query is more than a filter."""
        return condition(self.query)

    @property
    def returned(self) -> Returned | None:
        """The question that it rests on; None when each row tells by itself."""
        return None if self.condition is not None else Returned(self.query, self.key)

    def expressions(self) -> tuple[str, ...]:
        """The condition of a filter."""
        return () if self.condition is None else (self.condition,)

    def questions(self, _where: str = "") -> tuple[Question, ...]:
        """Which rows are returned, and the references that the query reads."""
        return () if self.returned is None else (*asked_by(self.query), self.returned)

    def predicate(self, row: Row) -> str:
        """The condition, or whether the engine found the row among those that are returned."""
        returned, passing = self.returned, self.returns == "passing"
        if returned is None:
            found = f"coalesce(({self.condition}), false)"
            return found if passing else f"not {found}"
        row.answer(returned)
        return f"{quote(returned.marker)} is {'not ' if passing else ''}null"

    def requirement(self) -> str:
        """As the reasons say it."""
        query = " ".join(self.query.split())
        shown = query if len(query) <= _SHOWN else f"{query[:_SHOWN]}..."
        return f"must {'' if self.returns == 'passing' else 'not '}be returned by: {shown}"

    def about_batch(self, most: int, untold: str) -> RowsReturned:
        """The rule about the batch that takes its place where rows are not told."""
        return RowsReturned(f"select count(*) from (\n{self.query}\n)", Bounds((("at_most", most),)), untold)


@dataclass(frozen=True)
class RowsReturned(CustomSql):
    """How many rows a query returns, which are not told: why, says `untold`."""

    untold: str = ""

    def expected(self) -> str:
        """How many may be, and what would tell them."""
        return f"{self.bounds}; {self.untold}"


# as the steward wrote it; the type is registered by its own class alone
RowsReturned.type = SqlRows.type


def asked_by(query: str) -> tuple[Relation, ...]:
    """The references that a query reads, each once."""
    return tuple(Relation(name) for name in dict.fromkeys(r.name for r in relations(query) if not r.is_batch))
