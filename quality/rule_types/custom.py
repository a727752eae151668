"""Custom: what a steward says in Spark SQL."""

from __future__ import annotations

from dataclasses import dataclass

from quality.rule_types.args import SQL, arg
from quality.rule_types.base import Row, RowRule


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
