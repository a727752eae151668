"""Demands that a query over the batch says, where no rule type does: a number of failures, a share, a sum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from quality import sql
from quality.rulefile.dqdl.entries import Entry
from quality.rulefile.dqdl.losses import Lost

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
    """The entry as it is written: a query is about the rows of its filter, and has none beside it. Raises Lost for one that
    is in groups."""
    if not any(True for _ in _queries(entry.body)):
        return entry
    if "group_by" in entry.beside:
        raise Lost("a query of its own has no groups")
    beside = dict(entry.beside)
    where = beside.pop("where", "")
    rows = f"(select * from this where {where})" if where else "this"
    return replace(entry, body=_over(entry.body, rows), beside=beside)


def _queries(body: Any) -> Iterator[Query]:
    if isinstance(body, Query):
        yield body
    for one in body.values() if isinstance(body, dict) else body if isinstance(body, list) else ():
        yield from _queries(one)


def _over(body: Any, rows: str) -> Any:
    if isinstance(body, Query):
        return body.replace(ROWS, rows)
    if isinstance(body, dict):
        return {word: _over(value, rows) for word, value in body.items()}
    return [_over(one, rows) for one in body] if isinstance(body, list) else body


def window(columns: list[str], order: list[str]) -> str:
    """A window over groups of columns, in the order of others."""
    by = f"partition by {', '.join(map(sql.quote, columns))} " if columns else ""
    return f"over ({by}order by {', '.join(map(sql.quote, order))})"
