"""Rows that somebody corrected: the file they come in, and what a later run of their batch does with them.

A correction stands for the row with its id. A run of the batch puts it in the place of that row before anything is judged,
so keys, metrics and sides see the batch as corrected, and each row is there once. A correction whose row is not in the input
any more has nothing to stand for and is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from quality.analyzers import base_type
from quality.backends.reading import Batch, reason
from quality.backends.schemas import columns_of, literal_path
from quality.casts import text_as
from quality.errors import InputError, UsageError, did_you_mean
from quality.model import Column
from quality.rows import ROW_ID, content_digest, numbered
from quality.rule_types.base import MALFORMED, MALFORMED_LINE, RESERVED_PREFIX
from quality.sql import quote
from quality.storage import commit, ledger
from quality.storage.ledger import CORRECTED, Entry
from quality.storage.store import Store

LOG = logging.getLogger("quality")
KEY = "row_id"
#: The name of the key where the data has a column `row_id` of its own. What else begins with `_` is a remark.
PLAIN_KEY = "_row_id"
#: So many ids are looked for before rows are judged.
MOST_ROWS = 1_000_000
_NEW = f"{RESERVED_PREFIX}new_"
_NESTED = ("struct", "array", "map", "binary")


@dataclass(frozen=True)
class Corrected:
    """Corrected rows as they were supplied: `frame` has ROW_ID and a column `__quality_new_<n>` for the n-th of `columns`."""

    frame: DataFrame
    columns: tuple[Column, ...]
    rows: int

    def name(self, column: Column) -> str | None:
        """The column of the frame that has the values of a column of the data; None when they were not supplied."""
        names = [own.name.lower() for own in self.columns]
        return f"{_NEW}{names.index(column.name.lower())}" if column.name.lower() in names else None

    def kind(self, column: Column) -> str:
        """The type in which they were supplied."""
        return next(own.type for own in self.columns if own.name.lower() == column.name.lower())


# the file


def read_file(spark: SparkSession, path: str, columns: Sequence[Column]) -> Corrected:
    """Corrected rows of a CSV file with a header, a file of JSON lines, or Parquet: `row_id`, and the columns that are to be
    replaced; an empty value is NULL. UsageError for what cannot be meant."""
    found = _load(spark, path)
    names = {column.name.lower(): column for column in columns}
    key = PLAIN_KEY if PLAIN_KEY in found.columns else KEY
    if key not in found.columns or (key == KEY and KEY in names):
        wanted = f"'{PLAIN_KEY}', as the data has a column '{KEY}' of its own" if KEY in names else f"'{KEY}'"
        raise UsageError(f"{path}: must have a column {wanted}; columns: {', '.join(found.columns[:20])}")
    given = [c for c in columns_of(found.schema) if c.name != key and not c.name.startswith("_")]
    for column in given:
        if column.name.lower() not in names:
            known = [own.name for own in columns]
            raise UsageError(
                f"{path}: column '{column.name}' is not in the data; {did_you_mean(column.name, known, 'columns')}"
            )
    selected = [f"{quote(column.name)} as {_NEW}{place}" for place, column in enumerate(given)]
    frame = found.selectExpr(f"trim(cast({quote(key)} as string)) as {ROW_ID}", *selected)
    corrected = Corrected(frame, tuple(given), _refuse_unusable(path, frame))
    _refuse_untyped(path, corrected, columns)
    return corrected


def _load(spark: SparkSession, path: str) -> DataFrame:
    ending = path.rstrip("/").lower().removesuffix(".gz").rpartition(".")[2]
    formats = {"csv": "csv", "json": "json", "jsonl": "json", "ndjson": "json", "parquet": "parquet"}
    if ending not in formats:
        raise UsageError(f"{path}: corrected rows are read from .csv, .json, .jsonl or .parquet")
    options = {"header": "true", "escape": '"', "multiLine": "true"} if formats[ending] == "csv" else {}
    try:
        return spark.read.format(formats[ending]).options(mode="FAILFAST", **options).load(literal_path(path))
    except PySparkException as error:
        raise UsageError(f"{path}: cannot be read: {reason(error)}") from None


def _refuse_unusable(path: str, frame: DataFrame) -> int:
    try:
        rows, ids, empty = frame.selectExpr(
            "count(1)", f"count(distinct {ROW_ID})", f"count_if(coalesce({ROW_ID}, '') = '')"
        ).collect()[0]
    except PySparkException as error:
        raise UsageError(f"{path}: cannot be read: {reason(error)}") from None
    if not rows:
        raise UsageError(f"{path}: has no rows")
    if empty:
        raise UsageError(f"{path}: {empty:,} of {rows:,} rows have no '{KEY}'")
    if rows > MOST_ROWS:
        raise UsageError(f"{path}: has {rows:,} rows, at most {MOST_ROWS:,} are corrected at once; divide it")
    if ids < rows:
        twice = frame.groupBy(ROW_ID).count().where("count > 1").limit(1).collect()[0][0]
        raise UsageError(f"{path}: row '{twice}' is there more than once; a row has one correction")
    return int(rows)


def _refuse_untyped(path: str, corrected: Corrected, columns: Sequence[Column]) -> None:
    """A value that is not of its column's type would become NULL without a word."""
    given = [column for column in columns if corrected.name(column)]
    for column in given:
        if base_type(column.type) in _NESTED and corrected.kind(column) != column.type:
            raise UsageError(f"{path}: column '{column.name}' is {column.type}, which only a Parquet file can hold")
    wrong = {column: f"{corrected.name(column)} is not null and {typed(corrected, column)} is null" for column in given}
    if not wrong:
        return
    first = " ".join(f"when {test} then {place}" for place, test in enumerate(wrong.values()))
    found = corrected.frame.selectExpr("*", f"case {first} end as wrong").where("wrong is not null").limit(1).collect()
    if found:
        column = given[found[0]["wrong"]]
        raise UsageError(f"{path}: row '{found[0][ROW_ID]}': the value of '{column.name}' is no {column.type}")


def typed(corrected: Corrected, column: Column, zone: str = "UTC") -> str:
    """SQL: the corrected value, of the column's type."""
    name, kind = str(corrected.name(column)), corrected.kind(column)
    if kind == column.type:
        return name
    text = name if kind == "string" else f"cast({name} as string)"
    return text if column.type == "string" else text_as(text, column.type, zone)


# a later run of the batch


def standing(store: Store, dataset: str, batch: str) -> list[Entry]:
    """The entries of the ledger that correct rows of what is live now, oldest first."""
    found = [entry for entry in ledger.entries(store, dataset, batch) if entry.rows.get(CORRECTED)]
    return ledger.came_back(found, commit.records(store, dataset, batch)) if found else []


def fold(spark: SparkSession, store: Store, batch: Batch, entries: Sequence[Entry]) -> tuple[Batch, int]:
    """The batch with corrected rows in the place of those they correct, and how many there are. With none it is the batch
    itself. One pass looks for the rows, and each later pass reads the batch twice."""
    rows = _corrections(spark, store, batch.columns, entries)
    digest, hit = f"{RESERVED_PREFIX}digest", f"{RESERVED_PREFIX}hit"
    wanted = rows.selectExpr(f"substring_index({ROW_ID}, '-', 1) as {hit}").distinct()
    own = batch.frame.columns
    digested = batch.frame.selectExpr("*", f"{content_digest(batch)} as {digest}")
    near = digested.join(F.broadcast(wanted), F.expr(f"{digest} = {hit}"), "left_semi")
    near = near.selectExpr(*map(quote, own), f"{numbered(digest)} as {ROW_ID}")
    matched = near.join(F.broadcast(rows), ROW_ID, "left")
    try:
        found = matched.where(f"{_NEW}there").count()
    except PySparkException as error:
        raise InputError(f"the batch cannot be read: {reason(error)}") from error
    told = sum(entry.rows[CORRECTED] for entry in entries)
    if found < told:
        LOG.warning(
            "%d of %d corrected rows are dropped: the rows they stand for are not in the input any more",
            told - found,
            told,
        )
    if not found:
        return batch, 0
    far = digested.join(F.broadcast(wanted), F.expr(f"{digest} = {hit}"), "left_anti")
    replaced = matched.selectExpr(*(_replaced(batch, name) for name in own), ROW_ID)
    rest = far.selectExpr(*map(quote, own), f"cast(null as string) as {ROW_ID}")
    return replace(batch, frame=rest.unionByName(replaced), small=False), found


def _corrections(spark: SparkSession, store: Store, columns: Sequence[Column], entries: Sequence[Entry]) -> DataFrame:
    """ROW_ID, `__quality_new_there`, and a value for each column; the last correction of a row counts."""
    parts = [_of_entry(spark, store, columns, entry, place) for place, entry in enumerate(entries)]
    every = parts[0]
    for part in parts[1:]:
        every = every.unionByName(part)
    newest = f"row_number() over (partition by {ROW_ID} order by {_NEW}place desc) as newest"
    return every.selectExpr("*", newest).where("newest = 1").drop("newest", f"{_NEW}place")


def _of_entry(spark: SparkSession, store: Store, columns: Sequence[Column], entry: Entry, place: int) -> DataFrame:
    frame = spark.read.parquet(*(literal_path(store.uri(file)) for file in entry.files)).where(f"state = '{CORRECTED}'")
    there = {c.name.lower(): c for c in columns_of(frame.select("row.*").schema)}
    values = [
        f"{_value(there.get(column.name.lower()), column)} as {_NEW}{number}" for number, column in enumerate(columns)
    ]
    return frame.selectExpr(f"row_id as {ROW_ID}", f"true as {_NEW}there", f"{place} as {_NEW}place", *values)


def _value(there: Column | None, column: Column) -> str:
    if there is None:
        return f"cast(null as {column.type})"
    name = f"row.{quote(there.name)}"
    return name if there.type == column.type else text_as(f"cast({name} as string)", column.type)


def _replaced(batch: Batch, name: str) -> str:
    """A column of the batch, helpers included, with the corrected value where there is one."""
    corrected = f"coalesce({_NEW}there, false)"
    columns = [column.name for column in batch.columns]
    if name in columns:
        new = f"{_NEW}{columns.index(name)}"
    elif name == MALFORMED:
        new = "false"
    elif name == MALFORMED_LINE:
        new = "null"
    else:
        helped = {helper: column for column, helper in batch.row.raw.items()}
        if name not in helped:
            return quote(name)
        new = f"cast({_NEW}{columns.index(helped[name])} as string)"
    return f"if({corrected}, {new}, {quote(name)}) as {quote(name)}"
