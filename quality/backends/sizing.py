"""Small batches do not pay for a cluster: one task reads such a batch, nothing is shuffled, and Spark neither plans again
while it runs nor generates code, which take longer than the batch itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from py4j.protocol import Py4JError
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from quality.analyzers import NUMERIC, TEMPORAL
from quality.backends.footers import row_counts
from quality.backends.reading import Batch
from quality.errors import UsageError
from quality.sql import quote

#: A Spark setting: files of up to so many bytes together are a small batch. 0: none is.
SMALL_BATCH = "spark.quality.smallBatchBytes"
_SMALL_BYTES = 4 * 1024 * 1024
#: Columns of one value take hardly a byte: of such formats the rows are counted as well, in the footers of a few files.
_SMALL_ROWS = 500_000
_FOOTERS = 64
#: Generated code pays from some 10,000 rows on.
_INTERPRETED_BYTES = 512 * 1024
_INTERPRETED_ROWS = 20_000

#: A Spark setting: of a text whose files are no larger together, the first pass keeps the rows on the executors' disks.
KEPT_TEXT = "spark.quality.keptTextBytes"
_KEPT_BYTES = 16 * 1024**3
_KEPT_AT_ONCE = "spark.sql.inMemoryColumnarStorage.batchSize"
_KEPT_VALUES = 400_000
_FIXED = (*NUMERIC, *TEMPORAL, "boolean")

_ONE_TASK: Mapping[str, str] = {"spark.sql.adaptive.enabled": "false"}
_INTERPRETED: Mapping[str, str] = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@contextmanager
def sized(spark: SparkSession, batch: Batch) -> Iterator[Batch]:
    """The batch as it is best worked with, and the session set for it meanwhile."""
    limit = _setting(spark, SMALL_BATCH, _SMALL_BYTES)
    # of a table's snapshot no size is known
    if batch.snapshot or not batch.files or batch.bytes > limit or not limit:
        yield batch
        return
    rows = 0 if batch.text else stored_rows(spark, batch)
    if rows is None or rows > _SMALL_ROWS:
        yield batch
        return
    interpreted = batch.bytes <= _INTERPRETED_BYTES and rows <= _INTERPRETED_ROWS
    with one_task(spark, interpreted=interpreted):
        yield replace(batch, frame=batch.frame.coalesce(1), small=True)


@contextmanager
def one_task(spark: SparkSession, *, interpreted: bool = True) -> Iterator[None]:
    """The session set for few rows."""
    with _set(spark, {**_ONE_TASK, **(_INTERPRETED if interpreted else {})}):
        yield


@contextmanager
def _set(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    before = {key: spark.conf.get(key, None) for key in settings}
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, old in before.items():
            spark.conf.set(key, old) if old is not None else spark.conf.unset(key)


def keeps(spark: SparkSession, batch: Batch) -> bool:
    """Whether the first pass is to keep the rows: a text is costly to read, and every pass would read all of it. A small one
    is not worth it."""
    limit = _setting(spark, KEPT_TEXT, _KEPT_BYTES)
    return batch.text and not batch.small and bool(batch.files) and batch.bytes <= limit


@contextmanager
def keeping(spark: SparkSession, batch: Batch) -> Iterator[Batch]:
    """The batch whose rows are kept once a pass has read them. Its frame is to be unpersisted."""
    # a task holds so many rows before it puts them away
    most = max(100, min(10_000, _KEPT_VALUES // len(batch.frame.columns)))
    with _set(spark, {_KEPT_AT_ONCE: str(most)}):
        # not in memory, which the passes need; what the first pass left is in the system's cache anyway
        yield replace(batch, frame=batch.frame.persist(StorageLevel.DISK_ONLY), kept=True)


def _setting(spark: SparkSession, name: str, default: int) -> int:
    """A number of bytes, written as Spark's own settings are: 4194304, 4m, 16g."""
    text = spark.conf.get(name, None)
    if not text:
        return default
    try:
        return int(cast("Any", spark._jvm).org.apache.spark.network.util.JavaUtils.byteStringAsBytes(text))
    except Py4JError:
        raise UsageError(f"{name} must be a number of bytes such as 4194304, 4m or 1g, got '{text}'") from None


def stored_rows(spark: SparkSession, batch: Batch) -> int | None:
    """The rows of Parquet files; None when the files are of another kind, or too many to look at, or a snapshot has others."""
    if batch.text or batch.snapshot or not 0 < len(batch.files) <= _FOOTERS:
        return None
    try:
        return sum(row_counts(spark, [file.path for file in batch.files]))
    except Py4JError:
        return None


#: What a batch is joined with is sent to every executor up to so many bytes: the driver holds all of it meanwhile.
BROADCAST_BYTES = 64 * 1024 * 1024
_ROW_BYTES, _VALUE_BYTES = 24, 8


def extent(frame: DataFrame) -> tuple[int, int]:
    """How many rows a frame has, and about how many bytes they take in memory. One job."""
    widths = [_width(field.dataType.simpleString(), quote(field.name)) for field in frame.schema.fields]
    found = frame.agg(F.count(F.lit(1)), F.expr(f"coalesce(sum({' + '.join([f'{_ROW_BYTES}L', *widths])}), 0L)"))
    rows, size = found.collect()[0]
    return int(rows), int(size)


def _width(kind: str, reference: str) -> str:
    if kind in _FIXED:
        return f"{_VALUE_BYTES}L"
    if kind.startswith("decimal"):
        return f"{2 * _VALUE_BYTES}L"
    text = reference if kind in ("string", "binary") else f"cast({reference} as string)"
    return f"{_VALUE_BYTES}L + coalesce(octet_length({text}), 0)"
