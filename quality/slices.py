"""Which slice of a batch explains the failing rows of a rule: one value of a column, one hour of the day, one input file.

All slices of all rules are counted in one aggregation over failing rows alone. It is bounded: so many rows (`MOST_ROWS`, else a
sample of them), so many columns (`MOST_COLUMNS`), and of slices those alone that may hold most of the rows of a rule. Pure parts are
here too: what was counted is judged without Spark.

A slice explains a rule when more than half of its failing rows are in it. How common the slice is among all rows is told by
the profile, of a file by its share of the bytes; *lift* is the one over the other, and must be at least `LEAST_LIFT`. Where
nothing tells it, lift is None. Columns the rule names say nothing but the rule again, and are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality.analyzers import INTEGRAL, TEXTUAL, base_type
from quality.model import Column
from quality.profiles import Profile
from quality.rule_types.base import RESERVED_PREFIX
from quality.sensitive import Sensitive
from quality.sql import literal, quote

MOST_ROWS, MOST_COLUMNS, MOST_SLICES = 50_000, 40, 5_000
LEAST_SHARE, LEAST_LIFT = 0.5, 1.5
#: Some hundred slices are looked at for each rule: one that chance makes more often than this is none.
MOST_CHANCE = 0.001
#: Too few failing rows to speak of a slice.
LEAST_ROWS = 5
_CUT = 120
#: Below LEAST_SHARE: of a sample the share is not exact.
_NEAR, _SEED = 0.4, 7
FILE = f"{RESERVED_PREFIX}input_file"
_MARK = f"{RESERVED_PREFIX}fails_"
_DAY_HOUR = "HH"


@dataclass(frozen=True)
class Slice:
    """Rows of one value of a column (`kind` value), one hour of the day of a moment (hour), or one input file (file). Of
    `failing` rows that were looked at `rows` are in it; `of_batch` is its share of all rows, None where that is not known."""

    kind: str
    column: str
    value: str | None
    rows: int
    failing: int
    of_batch: float | None = None

    @property
    def share(self) -> float:
        """The part of the failing rows that is in it."""
        return self.rows / self.failing if self.failing else 0.0

    @property
    def lift(self) -> float | None:
        """How many times as common it is among failing rows as among all."""
        return self.share / self.of_batch if self.of_batch else None

    @property
    def name(self) -> str:
        """`country = SE`, `country is NULL`, `hour 7 of dep_time`, `input file part-3.csv`."""
        if self.kind == "file":
            return f"input file {str(self.value).rpartition('/')[2]}"
        if self.value is None:
            return f"{self.column} is NULL"
        return f"hour {int(self.value)} of {self.column}" if self.kind == "hour" else f"{self.column} = {self.value}"

    @property
    def words(self) -> str:
        """In a sentence."""
        if self.value is None and self.kind != "file":
            rest = "" if self.of_batch is None else f", as in {self.of_batch:.1%} of all rows"
            return f"in {self.rows:,} of {self.failing:,} failing rows {self.name}{rest}"
        rest = "" if self.of_batch is None else f", which has {self.of_batch:.1%} of all rows"
        return f"{self.rows:,} of {self.failing:,} failing rows are in {self.name}{rest}"

    def to_dict(self) -> dict[str, Any]:
        """As the result JSON has it."""
        return {**vars(self), "share": self.share, "lift": self.lift, "message": self.words}


@dataclass(frozen=True)
class Dimension:
    """Something rows are told apart by, and its SQL as text."""

    kind: str
    column: str
    text: str


def dimensions(columns: Iterable[Column], sensitive: Sensitive, *, by_file: bool) -> list[Dimension]:
    """What slices are made of: columns that can have few values, hours of moments, the input file."""
    found = [Dimension("file", "", FILE)] if by_file else []
    for column in columns:
        base, name = base_type(column.type), quote(column.name)
        if sensitive.how(column.name):
            continue
        if base in ("timestamp", "timestamp_ntz"):
            found.append(Dimension("hour", column.name, f"date_format({name}, '{_DAY_HOUR}')"))
        elif base in (*TEXTUAL, *INTEGRAL, "boolean", "date"):
            found.append(Dimension("value", column.name, f"left(cast({name} as string), {_CUT})"))
    return found[:MOST_COLUMNS]


@dataclass(frozen=True)
class Counted:
    """Failing rows by slice: for each (dimension, value) the rows of each rule, in the order of the rules; `failing` is how many
    rows of each rule were looked at."""

    rules: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    rows: Mapping[tuple[int, str | None], tuple[int, ...]]
    failing: tuple[int, ...]


def count(
    frame: DataFrame, marks: Mapping[str, str], chosen: Sequence[Dimension], failing: Mapping[str, int], *, small: bool
) -> Counted:
    """Count slices of a frame of failing rows. `marks` is SQL by rule: the row failed it; `failing` is how many rows did. Only slices
    that may hold most of them come back. `small`: one task looks at all rows, and nothing is shuffled."""
    rules = tuple(marks)
    whole = max(failing.values())
    part = min(MOST_ROWS / whole, 1.0) if whole else 1.0
    frame = frame.sample(part, _SEED) if part < 1 else frame
    frame = frame.coalesce(1) if small else frame
    named = [f"{text} as {_MARK}{place}" for place, text in enumerate(marks.values())]
    # the number of rows of each rule is a slice of its own
    texts = ["cast(null as string)", *(dimension.text for dimension in chosen)]
    slices = ", ".join(f"named_struct('d', {place - 1}, 'v', {text})" for place, text in enumerate(texts))
    stacked = frame.selectExpr(*named, f"explode(array({slices})) as s").selectExpr("s.d", "s.v", "*")
    sums = [F.expr(f"count_if({_MARK}{place})").alias(f"n{place}") for place in range(len(rules))]
    near = " or ".join(f"n{place} >= {_NEAR * part * failing[rule]!r}D" for place, rule in enumerate(rules))
    grouped = stacked.groupBy("d", "v").agg(*sums).where(f"d < 0 or {near}").limit(MOST_SLICES).collect()
    rows = {(row["d"], row["v"]): tuple(int(row[f"n{place}"]) for place in range(len(rules))) for row in grouped}
    return Counted(rules, tuple(chosen), rows, rows.pop((-1, None), (0,) * len(rules)))


@dataclass(frozen=True)
class FailingRow:
    """A failing row that is on the driver: the ids of the rules it failed, and its text of each dimension."""

    rules: frozenset[str]
    texts: tuple[str | None, ...]


def texts_of(chosen: Sequence[Dimension]) -> str:
    """SQL: the texts of a row, one for each dimension."""
    return f"cast(array({', '.join(dimension.text for dimension in chosen)}) as array<string>)"


def count_here(
    rows: Sequence[FailingRow], rules: Mapping[str, Collection[str]], chosen: Sequence[Dimension]
) -> Counted:
    """What `count` finds, of failing rows that are on the driver. `rules`: by name the ids of which a row failed one."""
    named = list(rules.values())
    marks = [tuple(int(not row.rules.isdisjoint(ids)) for ids in named) for row in rows]
    found: dict[tuple[int, str | None], list[int]] = {}
    for row, marked in zip(rows, marks, strict=True):
        for place, text in enumerate(row.texts):
            sums = found.setdefault((place, text), [0] * len(named))
            for rule, one in enumerate(marked):
                sums[rule] += one
    failing = tuple(sum(marked[rule] for marked in marks) for rule in range(len(named)))
    near = {
        slice: tuple(sums)
        for slice, sums in found.items()
        if any(n >= _NEAR * whole for n, whole in zip(sums, failing, strict=True))
    }
    return Counted(tuple(rules), tuple(chosen), near, failing)


def written_marks(rules: Iterable[str]) -> dict[str, str]:
    """SQL over quarantined rows: the row failed the rule."""
    return {rule: f"exists(_quality.failures, f -> f.rule = {literal(rule)})" for rule in rules}


# judging what was counted


def best(
    counted: Counted,
    named: Mapping[str, Sequence[str]],
    of_batch: Mapping[tuple[str, str, str | None], float],
    constant: Mapping[str, str],
) -> dict[str, Slice]:
    """For each rule the slice that explains most. `named`: columns of each rule; `of_batch`: the share of all rows by (kind,
    column, value), where it is known; `constant`: columns that have one value in all rows that pass."""
    found = {}
    for place, rule in enumerate(counted.rules):
        own = {column.lower() for column in named.get(rule, ())}
        candidates = [
            Slice(d.kind, d.column, value, rows[place], counted.failing[place], of_batch.get((d.kind, d.column, value)))
            for (number, value), rows in counted.rows.items()
            if (d := counted.dimensions[number]).column.lower() not in own or d.kind == "file"
        ]
        telling = [one for one in candidates if _tells(one, constant)]
        if telling:
            found[rule] = max(telling, key=lambda one: (_explained(one), one.kind, one.column, one.value or ""))
    return found


def _tells(one: Slice, constant: Mapping[str, str]) -> bool:
    if one.failing < LEAST_ROWS or one.share <= LEAST_SHARE:
        return False
    if one.of_batch is not None and one.lift is not None:
        return one.lift >= LEAST_LIFT and _by_chance(one.rows, one.failing, one.of_batch) <= MOST_CHANCE
    # a value that every row has explains none of them
    return one.kind != "value" or one.column not in constant or constant[one.column] != one.value


def _by_chance(rows: int, failing: int, share: float) -> float:
    """How likely at least so many of the failing rows are in a slice of this share if failing has nothing to do with it (binomial).
    Of many rows the lift alone tells."""
    if failing > 500:
        return 0.0
    return sum(comb(failing, k) * share**k * (1 - share) ** (failing - k) for k in range(rows, failing + 1))


def _explained(one: Slice) -> float:
    """The part of the failing rows beyond what the slice would have anyhow; of one whose size is unknown half is doubted."""
    return one.share - one.of_batch if one.of_batch is not None else one.share / 2


def shares_of(profile: Profile | None) -> dict[tuple[str, str, str | None], float]:
    """The share of all rows of values that the profile counted; of those it did not see none, where it saw all."""
    found: dict[tuple[str, str, str | None], float] = {}
    for column in profile.columns if profile and profile.rows else ():
        assert profile is not None
        found |= {("value", column.name, text[:_CUT]): count / profile.rows for text, count in column.top}
        found["value", column.name, None] = 1 - column.tally.present / profile.rows
    return found


def shares_of_files(sizes: Mapping[str, int]) -> dict[tuple[str, str, str | None], float]:
    """The share of each input file by its bytes."""
    whole = sum(sizes.values())
    return {("file", "", path): size / whole for path, size in sizes.items()} if whole else {}
