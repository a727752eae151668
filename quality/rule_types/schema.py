"""Schema: the columns of the batch, and lines that do not have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quality.errors import RuleDataError
from quality.model import Column
from quality.rule_types.args import TYPES, arg, choice
from quality.rule_types.base import MALFORMED, MALFORMED_LINE, Row, RowRule, SchemaRule

_POLICY = choice("fail", "allow")


@dataclass(frozen=True)
class Schema(SchemaRule):
    """The batch has the declared columns: those of `columns:` at the top of the file, or those listed here. In typed
    formats their types must agree too; in text formats the `type` rule judges every value instead."""

    missing: str = arg(_POLICY, "a declared column is not there", "fail")
    extra: str = arg(_POLICY, "a column is there that is not declared", "allow")
    types: str = arg(_POLICY, "a column of a typed format has another type", "fail")
    order: str = arg(_POLICY, "declared columns are there in another order", "allow")
    declared: tuple[tuple[str, str], ...] = arg(TYPES, "the columns with their types, instead of `columns:`", ())

    type = "schema"
    example = "schema: {missing: fail, extra: allow}"

    def requirement(self) -> str:
        """What fails."""
        demands = {"missing": self.missing, "extra": self.extra, "types": self.types, "order": self.order}
        return "no difference in " + ", ".join(name for name, policy in demands.items() if policy == "fail")

    def differences(self, actual: tuple[Column, ...], declared: tuple[tuple[str, str], ...]) -> list[str]:
        """One sentence for each difference that is not allowed. Names compare without case."""
        wanted = {name.lower(): (name, kind) for name, kind in self.declared or declared}
        there = {column.name.lower(): column for column in actual}
        found: list[str] = []
        if self.missing == "fail":
            found += [f"column '{name}' is missing" for key, (name, _) in wanted.items() if key not in there]
        if self.extra == "fail":
            found += [f"column '{column.name}' is not declared" for key, column in there.items() if key not in wanted]
        if self.types == "fail":
            found += _type_differences(wanted, there)
        if self.order == "fail" and [k for k in there if k in wanted] != [k for k in wanted if k in there]:
            found.append("the columns are in another order")
        return found


def _type_differences(wanted: dict[str, tuple[str, str]], there: dict[str, Column]) -> Iterator[str]:
    for key, (name, kind) in wanted.items():
        if kind and key in there and there[key].type != kind:
            yield f"column '{name}' is {there[key].type}, not {kind}"


@dataclass(frozen=True)
class Malformed(RowRule):
    """Every line of a text format (CSV, JSON lines) has the structure of the format: the right number of fields, valid
    JSON. It stands in every rule file of a text format without being written; write it to give it a tolerance. Such a
    line is quarantined whole, and no other rule is judged on it."""

    type = "malformed"
    nulls_apply = False
    well_formed_only = False
    always_quarantines = True
    ungrouped = "a line that could not be read has no values to group it by"
    unfiltered = "does not go with it: a line that could not be read has no values that a filter could ask for"
    example = "malformed: true"

    def predicate(self, row: Row) -> str:
        """Set by the reader."""
        if MALFORMED_LINE not in row.raw:
            raise RuleDataError("only text formats (CSV, JSON lines) have malformed lines")
        return f"not {MALFORMED}"

    def shown_value(self, row: Row) -> str:
        """The line."""
        return row.raw[MALFORMED_LINE]

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must have the structure of the format"
