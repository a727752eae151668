"""Demands that a query over the batch says, where no rule type does: a number of failures, a share, a sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from quality import sql
from quality.rulefile.dqdl.entries import Entry

#: Stands in a query for the rows that it is about.
ROWS = "{rows}"


class Query(str):
    """A query over ROWS, which still become the rows of a filter."""

    __slots__ = ()


def measured(about: str, query: str, bounds: Mapping[str, Any], differs: str = "") -> Entry:
    """The demand that the number of a query over ROWS lies within bounds."""
    return Entry("sql", {"query": Query(query), **bounds}, about=about, differs=differs)


def counted(about: str, rows: str, failing: str, differs: str = "") -> Entry:
    """The demand that no row of a SELECT over ROWS complies with a condition."""
    return measured(about, f"select count(*) from ({rows}) where {failing}", {"at_most": 0}, differs)


def filtered(entry: Entry) -> Entry:
    """The entry as it is written: a query is about the rows of its filter, and has none beside it."""
    query = entry.body.get("query") if isinstance(entry.body, dict) else None
    if not isinstance(query, Query):
        return entry
    beside = dict(entry.beside)
    where = beside.pop("where", "")
    rows = f"(select * from this where {where})" if where else "this"
    return replace(entry, body={**entry.body, "query": query.replace(ROWS, rows)}, beside=beside)


def window(columns: list[str], order: list[str]) -> str:
    """A window over groups of columns, in the order of others."""
    by = f"partition by {', '.join(map(sql.quote, columns))} " if columns else ""
    return f"over ({by}order by {', '.join(map(sql.quote, order))})"
