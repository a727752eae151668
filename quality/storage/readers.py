"""The live rows of a data set, by the commit records and never by listing folders: never half, never twice."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from quality.backends.schemas import literal_path
from quality.errors import InputError, StorageError, UsageError, did_you_mean
from quality.model import Column
from quality.sql import quote
from quality.storage import commit
from quality.storage.commit import CommitRecord
from quality.storage.layout import SIDES, manifest_key
from quality.storage.store import Store, open_store

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_Schema = tuple[Column, ...]

#: What the quarantine and flags sides have beside the input's columns.
QUALITY_COLUMN = Column(
    "_quality",
    "struct<row_id:string,batch:string,run:string,rule_set:string,failures:array<struct<"
    "rule:string,severity:string,column:string,message:string,value:string>>>",
)


def paths(
    root: str | Store, dataset: str, batch: str | None = None, side: str = "passed", run: str | None = None
) -> list[str]:
    """The URIs of the live files, batches by time; with `run` those of that run, published or not.

    UsageError for an unknown side, data set, batch or run; InputError when the batch was only ever held.
    """
    store = open_store(root) if isinstance(root, str) else root
    return [store.uri(file.path) for record in select(store, dataset, batch, side, run) for file in record.files(side)]


def read(
    spark: SparkSession, root: str | Store, dataset: str, batch: str | None = None, side: str = "passed"
) -> DataFrame:
    """The live rows as a frame, read when an action asks for them. Errors as `paths`.

    Batches of different schema are joined by column name: the newest batch's columns first, missing ones NULL, types
    widened where no value can change. StorageError for types that have no common one.
    """
    store = open_store(root, spark) if isinstance(root, str) else root
    groups: dict[_Schema, list[str]] = {}
    for record in reversed(select(store, dataset, batch, side)):
        files = [store.uri(file.path) for file in record.files(side)]
        groups.setdefault(columns_of_side(record, side), []).extend(files)
    target = common_columns(groups, f"{store.root}: data set '{dataset}'")
    return _union(spark, {columns: files for columns, files in groups.items() if files}, target)


def write_manifest(store: Store, dataset: str, batch: str) -> None:
    """Bring the symlink manifest of a batch in line with its live record; without live files there is none.

    Run after each commit; running it again changes nothing. The manifest follows the record by a moment: the record
    decides, and whoever commits writes the manifest.
    """
    while True:
        before = commit.live(store, dataset, batch)
        _write_manifest(store, manifest_key(dataset, batch), before)
        # another run may have committed and written while we did: the last to write must have seen the last record
        if commit.live(store, dataset, batch) == before:
            return


def select(
    store: Store, dataset: str, batch: str | None = None, side: str = "passed", run: str | None = None
) -> list[CommitRecord]:
    """The records that `paths` and `read` go by, with their errors."""
    if side not in SIDES:
        raise UsageError(f"side '{side}' does not exist; {did_you_mean(side, SIDES, 'sides')}")
    if run is not None:
        return [_record_of_run(store, dataset, batch, run)]
    if batch is not None:
        return [_live_record(store, dataset, batch)]
    found = commit.live_records(store, dataset)
    if not found:
        held = len(known_batches(store, dataset))
        raise InputError(f"data set '{dataset}' has no published batch; {held} batches were only held")
    return found


def records(store: Store, dataset: str, batch: str) -> list[CommitRecord]:
    """Every record of a batch, oldest first. UsageError for an unknown data set or batch."""
    found = commit.records(store, dataset, batch)
    if not found:
        _unknown("batch", batch, known_batches(store, dataset), f"data set '{dataset}' has no")
    return found


def common_columns(schemas: Iterable[Sequence[Column]], where: str = "") -> _Schema:
    """The columns that take the rows of all schemas, in order of first appearance; names compare without case.

    StorageError when a column has types that no value-preserving type covers.
    """
    different = list(dict.fromkeys(map(tuple, schemas)))
    if len(different) == 1:
        return different[0]
    merged: dict[str, Column] = {}
    for column in (column for schema in different for column in _unambiguous(schema, where)):
        known = merged.setdefault(column.name.lower(), column)
        merged[column.name.lower()] = Column(known.name, _common_type(known, column, where))
    return tuple(merged.values())


def wider_type(left: str, right: str) -> str | None:
    """The Spark type that holds every value of both unchanged, or None. Nested types must be equal."""
    left, right = (_ALIASES.get(text.lower(), text) for text in (left, right))
    if right in (left, "void"):
        return left
    if left == "void":
        return right
    if {left, right} <= set(_EXACT_IN_DOUBLE):
        return right if left in _EXACT_IN_DOUBLE[right] else left if right in _EXACT_IN_DOUBLE[left] else "double"
    if {left, right} <= set(_DIGITS):
        return max(left, right, key=lambda name: _DIGITS[name])
    return _wider_decimal(left, right)


_ALIASES = {"integer": "int", "long": "bigint", "short": "smallint", "byte": "tinyint", "real": "float"}
#: Whole numbers, and the decimal digits each may need.
_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
#: Types whose values a double holds exactly, with those each holds itself. A bigint may lose its last digits.
_EXACT_IN_DOUBLE: Mapping[str, tuple[str, ...]] = {
    "tinyint": (),
    "smallint": ("tinyint",),
    "int": ("tinyint", "smallint"),
    "float": ("tinyint", "smallint"),
    "double": ("tinyint", "smallint", "int", "float"),
}


def _wider_decimal(left: str, right: str) -> str | None:
    sizes = [size for size in (_decimal(left), _decimal(right)) if size]
    if len(sizes) < 2:
        return None
    whole, scale = max(size[0] for size in sizes), max(size[1] for size in sizes)
    return f"decimal({whole + scale},{scale})" if whole + scale <= 38 else None


def _decimal(text: str) -> tuple[int, int] | None:
    """Digits before and after the point."""
    if text in _DIGITS:
        return _DIGITS[text], 0
    match = re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", text)
    return (int(match[1]) - int(match[2]), int(match[2])) if match else None


def _unambiguous(schema: _Schema, where: str) -> _Schema:
    """The schema unchanged; StorageError when case alone sets two of its names apart, so that either may be meant."""
    if len({column.name.lower() for column in schema}) == len(schema):
        return schema
    names = ", ".join(column.name for column in schema)
    raise StorageError(f"{where}: batches differ, and the columns of one cannot be told apart without case: {names}")


def _common_type(left: Column, right: Column, where: str) -> str:
    found = wider_type(left.type, right.type)
    if found is None:
        raise StorageError(
            f"{where}: column '{left.name}' is {left.type} in one batch and {right.type} in another, and no type "
            "holds both unchanged; read the batches one by one, or run the older ones again"
        )
    return found


def columns_of_side(record: CommitRecord, side: str) -> tuple[Column, ...]:
    """The columns of the files of one side."""
    return record.columns if side == "passed" else (*record.columns, QUALITY_COLUMN)


def _ddl(columns: Iterable[Column]) -> str:
    return ", ".join(f"{quote(column.name)} {column.type}" for column in columns)


def _union(spark: SparkSession, groups: Mapping[_Schema, list[str]], target: _Schema) -> DataFrame:
    frames = [_aligned(_frame(spark, columns, files), columns, target) for columns, files in groups.items()]
    return functools.reduce(lambda left, right: left.union(right), frames or [_empty(spark, target)])


def _empty(spark: SparkSession, columns: _Schema) -> DataFrame:
    return spark.createDataFrame([], _ddl(columns))


def _frame(spark: SparkSession, columns: _Schema, files: list[str]) -> DataFrame:
    # the recorded schema, so that no footer is read now
    return spark.read.schema(_ddl(columns)).parquet(*map(literal_path, files))


def _aligned(frame: DataFrame, columns: _Schema, target: _Schema) -> DataFrame:
    if columns == target:
        return frame
    own = {column.name.lower(): column.name for column in columns}
    return frame.selectExpr(*(_expression(column, own.get(column.name.lower())) for column in target))


def _expression(column: Column, source: str | None) -> str:
    return f"CAST({quote(source) if source else 'NULL'} AS {column.type}) AS {quote(column.name)}"


def _write_manifest(store: Store, key: str, record: CommitRecord | None) -> None:
    wanted = "".join(f"{_for_catalogs(store.uri(file.path))}\n" for file in record.passed) if record else ""
    if not wanted:
        store.delete([key])
    elif _stored(store, key) != wanted.encode():
        store.put(key, wanted.encode())


def _for_catalogs(uri: str) -> str:
    # Athena knows s3: alone, and Hive and Trino know it too
    return re.sub(r"^s3[an]://", "s3://", uri)


def _stored(store: Store, key: str) -> bytes | None:
    try:
        return store.read(key)
    except FileNotFoundError:
        return None


def _live_record(store: Store, dataset: str, batch: str) -> CommitRecord:
    record = commit.live(store, dataset, batch)
    if record is not None:
        return record
    last = commit.latest(store, dataset, batch)
    if last is None:
        _unknown("batch", batch, known_batches(store, dataset), f"data set '{dataset}' has no")
    raise InputError(f"batch '{batch}' of '{dataset}' was never published; its last run {last.run} is {last.decision}")


def _record_of_run(store: Store, dataset: str, batch: str | None, run: str) -> CommitRecord:
    known = known_batches(store, dataset)
    if batch is not None and batch not in known:
        _unknown("batch", batch, known, f"data set '{dataset}' has no")
    found = {
        record.run: record for one in ([batch] if batch else known) for record in commit.records(store, dataset, one)
    }
    if run not in found:
        _unknown("run", run, reversed(found), f"data set '{dataset}' has no committed")
    gone = commit.collected_at(store, found[run])
    if gone:
        raise InputError(f"the rows of run {run} were collected on {gone:%Y-%m-%d}: a later run had taken its place")
    return found[run]


def known_batches(store: Store, dataset: str) -> list[str]:
    """The batches of a data set; UsageError when it has none at all, which is to say it does not exist."""
    found = commit.batches(store, dataset)
    if not found:
        _unknown("data set", dataset, commit.datasets(store), f"{store.root} has no")
    return found


def _unknown(noun: str, word: str, known: Iterable[str], where: str) -> NoReturn:
    plural = f"{noun}es" if noun == "batch" else f"{noun}s"
    raise UsageError(f"{where} {noun} '{word}'; {did_you_mean(word, list(known), plural)}")
