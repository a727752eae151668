"""A profile for people: a line for each column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from quality.model import number_text
from quality.profiles import ColumnProfile, Profile
from quality.report import clean, count
from quality.sensitive import MASKED

_HEAD = ("column", "type", "present", "distinct", "smallest", "5 %", "median", "95 %", "largest", "most frequent")
_RIGHT = range(2, 9)
_WIDTH = 28


def render(found: Profile) -> str:
    """The profile as text."""
    rows = [_HEAD, *(_cells(column) for column in found.columns)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    lines = [_line(row, widths) for row in rows]
    copies = f"; {found.duplicate_ratio:.2%} of the rows are copies of another" if found.duplicate_ratio else ""
    size = f"{count(found.rows, 'row')}, {count(len(found.columns), 'column')}"
    return "\n".join([f"{size}{copies}", "", *lines])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        cell.rjust(width) if place in _RIGHT else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _cells(column: ColumnProfile) -> tuple[str, ...]:
    numbers, texts, temporal = column.tally.numbers, column.tally.texts, column.tally.temporal
    kind = column.type if column.inferred in (column.type, "Text") else f"{column.type} ({column.inferred})"
    share = "-" if column.completeness is None else f"{math.floor(1000 * column.completeness) / 10:g}%"
    several = "" if column.distinct is None else f"{'' if column.top_exact else '~'}{column.distinct:,}"
    low: Any = ""
    high: Any = ""
    if column.hiding and not texts:
        low = high = MASKED
    elif numbers:
        low, high = _number(numbers.minimum), _number(numbers.maximum)
    elif temporal:
        low, high = column.moment(temporal.smallest) or "", column.moment(temporal.largest) or ""
    elif texts and texts.longest is not None:
        low, high = f"{texts.shortest} characters", f"{texts.longest} characters"
    middle = [column.quantiles.get(q) for q in (0.05, 0.5, 0.95)]
    shown = [(column.moment(value) or "") if temporal else _number(value) for value in middle]
    return (_cut(column.name), _cut(kind), share, several, low, *shown, high, _frequent(column))


def _number(value: float | None) -> str:
    return "" if value is None else number_text(value)


def _frequent(column: ColumnProfile) -> str:
    if not column.top or column.tally.present == 0 or (column.distinct or 0) >= column.tally.present:
        return ""
    often = [
        (text, rows / column.tally.present) for text, rows in column.top[:3] if rows >= 0.005 * column.tally.present
    ]
    return ", ".join(f"{_cut(text) or '(empty)'} {share:.0%}" for text, share in often)


def _cut(text: str) -> str:
    line = clean(text)
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
