"""Relations: what a row has to do with other data sets, the `references:` of the rule file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from quality.rule_types.args import COLUMNS, TEXT, Kind, arg, parse_columns
from quality.rule_types.base import Link, Row, RowRule

_REFERENCE_COLUMNS = Kind(parse_columns, COLUMNS.schema)


@dataclass(frozen=True)
class ExistsIn(RowRule):
    """Every value, or every combination of values, is one of a reference, a data set under `references:`. A NULL in one of
    the columns means what `nulls` says; a NULL or NaN in the reference equals nothing. Values of the reference are taken as
    the type of the batch's column, those that have none in it equal nothing; texts compare byte by byte. A reference that
    cannot be read, or has no such column, makes the rule an `error`. Under a column, `column:` is that of the reference."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the column, or the columns, of the batch")
    reference: str = arg(TEXT, "the name of the reference")
    reference_columns: tuple[str, ...] = arg(
        _REFERENCE_COLUMNS, "its columns, in the same order; by default those of the same names", ()
    )

    type = "exists_in"
    main = "reference"
    short_names: ClassVar[Mapping[str, str]] = {"column": "reference_columns", "columns": "reference_columns"}
    example = "exists_in: {columns: [dest], reference: airports, reference_columns: [faa]}"

    @property
    def _link(self) -> Link:
        return Link(self.reference, self.columns_, self.reference_columns or self.columns_)

    def links(self) -> tuple[Link, ...]:
        """The one it rests on."""
        return (self._link,)

    def predicate(self, row: Row) -> str:
        """Whether the engine found the row's key in the reference."""
        return row.linked(self._link)

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must exist in {self.reference} ({', '.join(self._link.reference_columns)})"

    def problem(self) -> str:
        """As many columns on either side."""
        ours, theirs = len(self.columns_), len(self._link.reference_columns)
        return f"compares {ours} column(s) with {theirs} of the reference; name as many" if ours != theirs else ""
