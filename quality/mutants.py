"""Faults as they happen to feeds, as SQL over the columns of a batch: what stands in a row that has one. Pure, no Spark.

A fault is one thing that goes wrong, in one column or with the whole batch. It is there where it makes sense: units change
in numbers that are no keys, a new category comes to a column of few values, and only a text format can hold a value of
another type.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from quality.analyzers import INTEGRAL, TEXTUAL, base_type, is_numeric
from quality.model import Column
from quality.sql import quote

#: Where faults stand that are about no column.
TABLE = "(batch)"
DUPLICATES, TRUNCATED = "duplicates", "truncated"
#: NULL as the value of a column, and as its text.
NULLS = ("null", "cast(null as string)")
#: A column of at most so many different texts is one of categories, when each stands for this many rows on average.
_CATEGORIES, _ROWS_OF_EACH = 50, 5


@dataclass(frozen=True)
class Mutant:
    """A fault with its place. `changes`: by column the SQL of what stands there instead; for a column of a text format
    that has another type it is the text. `whole`: in every row, not in a share of them."""

    column: str
    fault: str
    changes: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False


def mutants(
    columns: Sequence[Column],
    raw: Mapping[str, str],
    keys: Collection[str],
    different: Mapping[str, int],
    rows: int,
    *,
    text: bool,
) -> list[Mutant]:
    """The faults of a batch. `raw`: in text formats, where the texts of columns stand whose type is another; `keys`: columns
    of keys; `different`: how many different values columns of texts have, among `rows`."""
    found = []
    for column in columns:
        few = 0 < different.get(column.name, 0) <= min(_CATEGORIES, rows / _ROWS_OF_EACH)
        for fault, value, whole in _faults(
            column, key=column.name in keys, few=few, drifts=text and column.name in raw
        ):
            found.append(Mutant(column.name, fault, {column.name: _as_stored(value, column, raw)}, whole))
    found += _swaps(columns, raw)
    return [*found, Mutant(TABLE, DUPLICATES), Mutant(TABLE, TRUNCATED, whole=True)]


@dataclass(frozen=True)
class _Text:
    """SQL of a text that takes the place of a text, whatever the type of the column."""

    sql: str


def _faults(column: Column, *, key: bool, few: bool, drifts: bool) -> Iterator[tuple[str, str | _Text, bool]]:
    """The faults of one column: name, SQL of the value, and whether they are in every row."""
    kind, value = base_type(column.type), quote(column.name)
    yield "null", "null", False
    yield "null in every row", "null", True
    if kind in TEXTUAL:
        yield "blank", "''", False
        yield "sentinel N/A", "'N/A'", False
        yield "typo", f"concat(left({value}, 1), 'q', substring({value}, 2))", False
        yield "case", f"if({value} = upper({value}), lower({value}), upper({value}))", False
        if few:
            yield "new category", "'never seen before'", False
    elif is_numeric(kind):
        yield "sentinel -99", "-99", False
        if not key:
            yield "x 100", f"{value} * 100", False
            yield "x 1000", f"{value} * 1000", False
            yield "/ 1000", f"{value} div 1000" if kind in INTEGRAL else f"{value} / 1000", False
            yield "sign", f"- {value}", False
    elif kind == "boolean":
        yield "flipped", f"not {value}", False
    elif kind in ("date", "timestamp", "timestamp_ntz"):
        yield "sentinel 1900-01-01", "date'1900-01-01'", False
        yield "a year older in every row", f"{value} - interval 365 days", True
        yield "a year in the future", f"{value} + interval 365 days", False
    if drifts:
        yield "not of the type", _Text("concat({}, 'x')"), False


def _as_stored(value: str | _Text, column: Column, raw: Mapping[str, str]) -> str:
    """SQL of the value as the batch holds it: as text where its text is kept."""
    if isinstance(value, _Text):
        return value.sql.format(raw[column.name])
    if column.name not in raw:
        return value if value == "null" or base_type(column.type) in TEXTUAL else f"try_cast({value} as {column.type})"
    if value == "null":
        return NULLS[1]
    kind = base_type(column.type)
    if kind == "timestamp":
        # the text is read in the time zone of the input, if it does not name its own
        return f"concat(cast(cast({value} as timestamp) as string), 'Z')"
    if kind in ("date", "timestamp_ntz"):
        return f"cast(cast({value} as {kind}) as string)"
    if is_numeric(kind) and column.type.startswith("decimal"):
        return f"cast(cast({value} as decimal(38,{column.type[8:-1].partition(',')[2] or 0})) as string)"
    return f"cast({value} as string)"


def _swaps(columns: Sequence[Column], raw: Mapping[str, str]) -> Iterator[Mutant]:
    """Neighbours of one kind that changed places."""
    last: dict[str, Column] = {}
    for column in columns:
        kind = base_type(column.type)
        kind = "number" if is_numeric(kind) else "text" if kind in TEXTUAL else kind
        if kind not in ("number", "text", "date", "timestamp", "timestamp_ntz"):
            continue
        other = last.get(kind)
        if other is not None:
            changes = {one.name: _stored(two, one, raw) for one, two in ((other, column), (column, other))}
            yield Mutant(other.name, f"changed places with {column.name}", changes, whole=True)
        last[kind] = column


def _stored(source: Column, target: Column, raw: Mapping[str, str]) -> str:
    """SQL of what stands in one column, for the place of another."""
    if target.name in raw:
        return raw[source.name]
    value = quote(source.name)
    return value if source.type == target.type else f"try_cast({value} as {target.type})"


def hit(row: str, mutant: str, rows: int, share: float, seed: int) -> str:
    """SQL that is true for a share of the rows, at least one: by their numbers from 0, others for each mutant."""
    count = max(1, round(share * rows))
    # a step that has no divisor in common with the number of rows visits each of them once
    step = next(n for n in range(max(3, rows // 3 * 2 - 1), 3 * rows + 7) if _coprime(n, rows))
    return f"pmod({row} * {step}L + ({mutant} + {seed % 1_000_003}) * 7919L, {rows}) < {count}"


def _coprime(a: int, b: int) -> bool:
    while b:
        a, b = b, a % b
    return a == 1


def chosen(number: str, cases: Mapping[int, str], otherwise: str) -> str:
    """SQL that chooses by a number."""
    if not cases:
        return otherwise
    whens = " ".join(f"when {case} then {value}" for case, value in cases.items())
    return f"case {number} {whens} else {otherwise} end"
