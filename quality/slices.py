"""Which slice of a batch explains the failing rows of a rule: one value of a column, one hour of the day, one input file.

Failing rows are counted on the driver, which is bounded: so many columns (`MOST_COLUMNS`), and so many rows (`MOST_ROWS`), of each
rule a sample of its own where more failed it, so that a rule with few rows is not lost beside one with many. A share of some
hundred rows is off by a few percent, which is enough to tell most of them. What was counted is judged without Spark.

A slice explains a rule when more than half of its failing rows are in it. How common the slice is among all rows is told by
the profile, of a file by its share of the bytes; *lift* is the one over the other, and must be at least `LEAST_LIFT`. Where
nothing tells it, lift is None, and two of three failing rows must be in it: half of all rows may be in any case. Columns the
rule names say nothing but the rule again, and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import Any

from pyspark.sql import DataFrame

from quality.analyzers import INTEGRAL, TEXTUAL, base_type
from quality.backends.reading import FILE
from quality.model import Column
from quality.profiles import Profile
from quality.rule_types.base import RESERVED_PREFIX
from quality.sensitive import Sensitive
from quality.sql import literal, quote

MOST_ROWS, MOST_COLUMNS = 10_000, 40
#: Of a rule no more are needed.
_ENOUGH = 1_000
LEAST_SHARE, LEAST_LIFT = 0.5, 1.5
LEAST_UNKNOWN = 2 / 3
#: Some hundred slices are looked at for each rule: one that chance makes more often than this is none.
MOST_CHANCE = 0.001
#: Too few failing rows to speak of a slice.
LEAST_ROWS = 5
_CUT = 120
#: Below LEAST_SHARE: of a sample the share is not exact.
_NEAR, _SEED = 0.4, 7
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


@dataclass(frozen=True)
class FailingRow:
    """A failing row that is on the driver: the ids of the rules it failed, of which it is looked at for, and its text of each
    dimension."""

    rules: frozenset[str]
    texts: tuple[str | None, ...]


def texts_of(chosen: Sequence[Dimension]) -> str:
    """SQL: the texts of a row, one for each dimension."""
    return f"cast(array({', '.join(dimension.text for dimension in chosen)}) as array<string>)"


def rows_to_look_at(
    frame: DataFrame, marks: Mapping[str, str], chosen: Sequence[Dimension], failing: Mapping[str, int]
) -> list[FailingRow]:
    """Failing rows of a frame. `marks` is SQL by rule: the row failed it; `failing` is how many rows of the batch did, of all rules
    that are asked about. Of each rule that many rows failed some are looked at, any as likely as another: the same share of them in
    every look, whatever frame and rules it is at."""
    each = min(_ENOUGH, MOST_ROWS // len(failing))
    rates = [min(1.0, each / failing[rule]) if failing[rule] else 1.0 for rule in marks]
    named = [f"{text} as {_MARK}{place}" for place, text in enumerate(marks.values())]
    drawn = [f"if({_MARK}{place}, {rate!r}D, 0D)" for place, rate in enumerate(rates)]
    failed = ", ".join(f"{_MARK}{place}" for place in range(len(rates)))
    found = (
        frame.selectExpr(*named, f"{texts_of(chosen)} as texts", f"rand({_SEED}) as drawn")
        .where(f"drawn < greatest(0D, {', '.join(drawn)})")
        .selectExpr("texts", "drawn", f"array({failed}) as failed")
        .collect()
    )
    rules = list(marks)
    return [
        FailingRow(
            frozenset(
                rule
                for rule, fails, rate in zip(rules, row["failed"], rates, strict=True)
                if fails and row["drawn"] < rate
            ),
            tuple(row["texts"]),
        )
        for row in found
    ]


def count_here(
    rows: Sequence[FailingRow], rules: Mapping[str, Collection[str]], chosen: Sequence[Dimension]
) -> Counted:
    """Count slices of failing rows. `rules`: by name the ids of which a row failed one. Only slices that may hold most rows of
    a rule are told."""
    named = list(rules.values())
    failing = [0] * len(named)
    found: dict[tuple[int, str | None], list[int]] = {}
    for row in rows:
        failed = [place for place, ids in enumerate(named) if not row.rules.isdisjoint(ids)]
        for place in failed:
            failing[place] += 1
        for at in enumerate(row.texts):
            sums = found.setdefault(at, [0] * len(named))
            for place in failed:
                sums[place] += 1
    near = {
        slice: tuple(sums)
        for slice, sums in found.items()
        if any(n >= _NEAR * whole for n, whole in zip(sums, failing, strict=True))
    }
    return Counted(tuple(rules), tuple(chosen), near, tuple(failing))


def near(counted: Counted, members: Mapping[int, Sequence[str]]) -> dict[int, tuple[str, ...]]:
    """The groups of input files, which stand in the place of files, that may have one with most of the failing rows of a rule."""
    groups = {int(value) for (number, value) in counted.rows if value and counted.dimensions[number].kind == "file"}
    return {group: tuple(members[group]) for group in sorted(groups & members.keys())}


def of_files(
    counted: Counted,
    groups: Mapping[int, Sequence[str]],
    closer: Callable[[Sequence[str]], Counted],
    staying: Counted | None = None,
) -> Counted:
    """The slices with files in the place of groups of them. `groups` are those that are `near`. `closer` counts the failing rows
    of files, which are its first dimension, and is asked for groups of several files alone. `staying`: so counted in all files for
    the rules whose rows are in no group."""
    file = next(number for number, one in enumerate(counted.dimensions) if one.kind == "file")
    rows = {at: sums for at, sums in counted.rows.items() if at[0] != file}
    told = {paths[0]: counted.rows[file, str(group)] for group, paths in groups.items() if len(paths) == 1}
    shared = [path for paths in groups.values() if len(paths) > 1 for path in paths]
    if shared:
        told |= {path: sums for (_, path), sums in closer(shared).rows.items() if path}
    apart = [counted.rules.index(rule) for rule in staying.rules] if staying else []
    of_all = {path: sums for (_, path), sums in staying.rows.items() if path} if staying else {}
    for path in {**told, **of_all}:
        sums = list(told.get(path, (0,) * len(counted.rules)))
        for place, n in zip(apart, of_all.get(path, (0,) * len(apart)), strict=True):
            sums[place] = n
        # of samples, which need not agree
        rows[file, path] = tuple(min(n, whole) for n, whole in zip(sums, counted.failing, strict=True))
    return replace(counted, rows=rows)


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
    if one.share < LEAST_UNKNOWN:
        return False
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
