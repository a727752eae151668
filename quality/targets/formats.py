"""What Iceberg and Delta tables share as targets: the rows of a batch with the column that tells batches apart, columns
that change from batch to batch, and the loop that ends when the table is in line with the last record.

Of one batch, each publication replaces all rows in one commit. It reads the state of the table first and the record
second, and lands only on that state: so rows of an older record never take the place of a newer one's.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.column import Column as SparkColumn

from quality.backends.reading import reason
from quality.backends.schemas import columns_of, literal_path
from quality.backends.tables import TableName, needed_settings
from quality.errors import QualityError, StorageError
from quality.model import Column
from quality.sql import literal, quote
from quality.storage import commit
from quality.storage.commit import CommitRecord
from quality.storage.readers import QUALITY_COLUMN, wider_type
from quality.storage.store import Store

#: The column that says which batch a row of a table is of.
BATCH_COLUMN = "_batch"
#: The property of a table we made that says whose it is.
OWNER_PROPERTY = "quality.dataset"
_ATTEMPTS = 30
_LONGEST_PAUSE = 2.0


class MovedError(Exception):
    """Someone else changed the table meanwhile: look at it again."""


@dataclass(frozen=True)
class Changes:
    """What must be done to the columns of a table before the rows of a batch fit, and the rows' columns as SQL."""

    added: tuple[Column, ...]
    widened: tuple[Column, ...]
    selected: tuple[str, ...]


def fit(where: str, table: Sequence[Column], rows: Sequence[Column], required: Iterable[str] = ()) -> Changes:
    """How rows get into a table: by name, whatever the case; columns they lack are NULL, columns the table lacks are
    added, types are widened where no value can change. StorageError names the column that does not fit."""
    own = {column.name.lower(): column for column in rows}
    known = {column.name.lower() for column in table}
    if BATCH_COLUMN in own:
        raise StorageError(
            f"{where}: the input has a column '{own[BATCH_COLUMN].name}', the name of the column that tells batches apart "
            f"in the table; rename it in the input"
        )
    _refuse_unfit_table(where, table)
    missing = [name for name in required if name.lower() not in {*own, BATCH_COLUMN}]
    if missing:
        raise StorageError(f"{where}: column '{missing[0]}' must not be NULL in the table and is not in the batch")
    widened, selected = [], []
    for column in table:
        source = own.get(column.name.lower())
        target = column if source is None else Column(column.name, _common_type(where, column, source))
        if target.type != column.type:
            widened.append(target)
        selected.append(_selected(target, source))
    added = tuple(column for column in rows if column.name.lower() not in known)
    return Changes(added, tuple(widened), (*selected, *(quote(column.name) for column in added)))


def _refuse_unfit_table(where: str, table: Sequence[Column]) -> None:
    found = [column for column in table if column.name.lower() == BATCH_COLUMN]
    if not found:
        raise StorageError(
            f"{where}: the table has no column '{BATCH_COLUMN}', which tells batches apart: add it to the table (its type "
            f"is string), or name a table that does not exist yet and is made"
        )
    if found[0].type != "string":
        raise StorageError(f"{where}: column '{BATCH_COLUMN}' of the table is {found[0].type}, must be string")


def _common_type(where: str, table: Column, rows: Column) -> str:
    common = wider_type(table.type, rows.type)
    if common is None:
        raise StorageError(
            f"{where}: column '{table.name}' is {table.type} in the table and {rows.type} in the batch, and no type holds "
            f"both unchanged; nothing of the batch was written to the table"
        )
    return common


def _selected(target: Column, source: Column | None) -> str:
    if target.name.lower() == BATCH_COLUMN:
        return quote(target.name)
    if source is None:
        return f"CAST(NULL AS {target.type}) AS {quote(target.name)}"
    if source.type == target.type:
        return f"{quote(source.name)} AS {quote(target.name)}"
    return f"CAST({quote(source.name)} AS {target.type}) AS {quote(target.name)}"


class Table:
    """One side of a data set as a table that follows the records. Formats say how it is made, seen and replaced."""

    format = ""

    def __init__(self, spark: SparkSession, store: Store, dataset: str, side: str, text: str) -> None:
        self.spark, self.store, self.dataset, self.side = spark, store, dataset, side
        self.table = TableName.parse(text)
        self.name = f"table {self.table}"

    def follow(self, batch: str) -> None:
        """See Target: the live rows of the batch, in one commit."""
        for attempt in range(_ATTEMPTS):
            try:
                if self._in_line(batch):
                    return
            except MovedError:
                time.sleep(pause(attempt))
            except QualityError:
                raise
            except (PySparkException, Py4JError, TypeError, OSError) as error:
                if not self.is_conflict(error):
                    raise StorageError(f"{self.table}: {self._explained(error)}") from error
                time.sleep(pause(attempt))
        raise StorageError(
            f"{self.table}: others changed the table each of the {_ATTEMPTS} times batch '{batch}' was to be published"
        )

    def _in_line(self, batch: str) -> bool:
        self.look()
        # the record is asked for after the state of the table: a newer one in the table would have changed that state
        record = commit.live(self.store, self.dataset, batch)
        if record is None or self.is_published(record):
            return True
        self.replace(record)
        # whoever commits a newer one follows it too, but may have been killed
        return commit.live(self.store, self.dataset, batch) == record

    # what formats do

    def look(self) -> None:
        """Take note of the state of the table; make it ready to be looked at."""
        raise NotImplementedError

    def is_published(self, record: CommitRecord) -> bool:
        """Whether the newest publication of the batch in the state last seen is this record."""
        raise NotImplementedError

    def replace(self, record: CommitRecord) -> None:
        """The rows of the record instead of those of the batch, if the table is as it was seen. MovedError."""
        raise NotImplementedError

    def is_conflict(self, error: BaseException) -> bool:
        """Whether an error of the format means that another writer was faster."""
        raise NotImplementedError

    def stored_type(self, text: str) -> str:
        """A type as the format keeps it."""
        return text

    # what they share

    def columns(self, record: CommitRecord) -> tuple[Column, ...]:
        """The columns of the side, with the types the format has for them."""
        own = record.columns if self.side == "passed" else (*record.columns, QUALITY_COLUMN)
        return tuple(Column(column.name, self.stored_type(column.type)) for column in own)

    def create(self, record: CommitRecord, properties: dict[str, str]) -> None:
        """Make the table, unless somebody just did."""
        columns = self.columns(record)
        fit(self.name, [Column(BATCH_COLUMN, "string")], columns)  # a column of the input may not be named so
        listed = ", ".join(f"{quote(c.name)} {c.type}" for c in (*columns, Column(BATCH_COLUMN, "string")))
        told = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in properties.items())
        self.spark.sql(
            f"CREATE TABLE IF NOT EXISTS {self.table.sql} ({listed}) USING {self.format} "
            f"PARTITIONED BY ({quote(BATCH_COLUMN)}) TBLPROPERTIES ({told})"
        )

    def alter(self, changes: Changes) -> None:
        """Bring the columns of the table to what the rows need."""
        if changes.added:
            listed = ", ".join(f"{quote(column.name)} {column.type}" for column in changes.added)
            self.spark.sql(f"ALTER TABLE {self.table.sql} ADD COLUMNS ({listed})")
        for column in changes.widened:
            self.spark.sql(f"ALTER TABLE {self.table.sql} ALTER COLUMN {quote(column.name)} TYPE {column.type}")

    def table_columns(self) -> tuple[tuple[Column, ...], tuple[str, ...]]:
        """The columns of the table, and those of them that must not be NULL."""
        schema = self.spark.table(self.table.sql).schema
        return columns_of(schema), tuple(field.name for field in schema if not field.nullable)

    def frame(self, record: CommitRecord, changes: Changes) -> DataFrame:
        """The rows of the record as the table wants them."""
        files = [literal_path(self.store.uri(file.path)) for file in record.files(self.side)]
        own = record.columns if self.side == "passed" else (*record.columns, QUALITY_COLUMN)
        ddl = ", ".join(f"{quote(column.name)} {column.type}" for column in own)
        frame = self.spark.read.schema(ddl).parquet(*files) if files else self.spark.createDataFrame([], ddl)
        # the cast keeps a column that may be NULL in the table from being one that may not in the rows
        return frame.withColumn(BATCH_COLUMN, F.lit(record.batch)).selectExpr(*changes.selected)

    def rows(self, record: CommitRecord) -> int:
        """As many as the commit record says there are."""
        return sum(file.rows for file in record.files(self.side))

    def refuse_other_owner(self, owner: str) -> None:
        """StorageError for a table that was made for another data set: batches of one name would replace each other."""
        if owner and owner != self.dataset:
            raise StorageError(f"{self.table}: the table belongs to data set '{owner}', not to '{self.dataset}'")

    def _explained(self, error: BaseException) -> str:
        return needed_settings(self.spark, self.table, self.format) or reason(error)


def of_batch(batch: str) -> SparkColumn:
    """The condition for the rows of a batch."""
    return F.col(quote(BATCH_COLUMN)) == F.lit(batch)


def pause(attempt: int) -> float:
    """Seconds until the next attempt; by chance, so that two that met do not meet again."""
    return random.uniform(0.05, min(_LONGEST_PAUSE, 0.1 * 1.5**attempt))


def said(error: BaseException) -> str:
    """All that the JVM says of an error, causes included, to look for words in."""
    texts = [str(error)]
    cause: Any = getattr(error, "java_exception", None)
    while cause is not None and len(texts) < 20:
        texts.append(str(cause.toString()))
        cause = cause.getCause()
    return "\n".join(texts)


def without_small_types(text: str) -> str:
    """A type for a format that has no whole numbers below `int`, and no texts of limited length."""
    text = re.sub(r"\b(tinyint|smallint)\b(?!`)", "int", text)
    return re.sub(r"\b(var)?char\(\d+\)", "string", text)
