"""Completeness: values that must be there."""

from __future__ import annotations

from dataclasses import dataclass

from quality.analyzers import Analyzer, Completeness
from quality.model import Bounds
from quality.rule_types.args import BOUNDS, COLUMN, arg
from quality.rule_types.base import MetricRule, Row, RowRule


@dataclass(frozen=True)
class Required(RowRule):
    """Every row has a value. NULL fails; an empty text and NaN are values. A value that is not of the column's type is
    NULL here, and has failed `type` too."""

    column: str = arg(COLUMN, "the column that must be filled")

    type = "required"
    nulls_apply = False
    keeps_tolerance = False
    example = "required: {column: id}"

    def predicate(self, row: Row) -> str:
        """True for a value."""
        return f"{row.ref(self.column)} is not null"

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must not be NULL"


@dataclass(frozen=True)
class CompletenessBounds(MetricRule):
    """The share of rows in scope whose value is not NULL lies within bounds, from 0 to 1."""

    column: str = arg(COLUMN, "the column")
    bounds: Bounds = arg(BOUNDS, "bounds of the share")

    type = "completeness"
    example = "completeness: {column: email, at_least: 0.98}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's Completeness."""
        return Completeness((self.column,), where)
