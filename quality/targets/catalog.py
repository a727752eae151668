"""A Parquet table in the catalog with a partition for each batch, whose location is the folder of the live run.

Nothing is copied: to publish, supersede or roll back is to change the location of one partition, which a metastore does in
one step. A query that runs meanwhile reads the folder it began with, which stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from quality.backends.schemas import columns_of
from quality.errors import StorageError
from quality.model import Column
from quality.sql import literal, quote
from quality.storage import commit
from quality.storage.commit import CommitRecord
from quality.storage.layout import runs_dir
from quality.storage.readers import columns_of_side
from quality.storage.store import Store
from quality.targets.folders import folder_of
from quality.targets.session_catalog import SessionCatalog, session_name

#: The partition column. Its values are batch ids.
PARTITION = "batch"
_PROVIDERS = ("parquet", "hive")


class CatalogTable:
    """The partitions of one side of a data set in an external table, which is made when it does not exist."""

    def __init__(self, spark: SparkSession, store: Store, dataset: str, table: str, side: str = "passed") -> None:
        self.spark, self.store, self.dataset, self.side = spark, store, dataset, side
        self.table = session_name(table)
        self.name = f"table {table}"
        self._catalog = SessionCatalog(spark)

    def follow(self, batch: str) -> None:
        while True:
            before = commit.live(self.store, self.dataset, batch)
            self._follow(batch, before)
            # another run may have been committed and its folder set meanwhile: the last to set must have seen it
            if commit.live(self.store, self.dataset, batch) == before:
                return

    def foretell(self, record: CommitRecord) -> list[str]:
        """The statements that would switch the partition. The table is taken as it is."""
        there = self._location(record.batch) if self._catalog.metadata(self.table) else None
        folder = self._folder(record) if record.files(self.side) else None
        statement = self._statement(record.batch, there, folder)
        return [statement] if statement else []

    def _follow(self, batch: str, record: CommitRecord | None) -> None:
        metadata = self._catalog.metadata(self.table)
        if record is None or not record.files(self.side):
            if metadata is not None:
                self._switch(batch, None)
            return
        folder = self._folder(record)
        columns = columns_of_side(record, self.side)
        if metadata is None:
            self._create(columns)
        else:
            self._refuse_other_tables(metadata)
            self._widen(columns, record)
        self._switch(batch, folder)

    def _switch(self, batch: str, folder: str | None) -> None:
        there = self._location(batch)
        statement = self._statement(batch, there, folder)
        if statement is None:
            return
        self._run(statement)
        if folder is not None and there is None and self._location(batch) != folder:
            # somebody else added the partition between our look and our ADD, which then did nothing
            self._run(f"ALTER TABLE {self.table} {self._partition(batch)} SET LOCATION {literal(folder)}")
        # what this session has listed of the table is what was there before
        self._run(f"REFRESH TABLE {self.table}")

    def _statement(self, batch: str, there: str | None, folder: str | None) -> str | None:
        """What brings the partition from one location to the other, None for nothing."""
        partition = self._partition(batch)
        if there == folder:
            return None
        if folder is None:
            return f"ALTER TABLE {self.table} DROP IF EXISTS {partition}"
        if there is None:
            return f"ALTER TABLE {self.table} ADD IF NOT EXISTS {partition} LOCATION {literal(folder)}"
        return f"ALTER TABLE {self.table} {partition} SET LOCATION {literal(folder)}"

    def _partition(self, batch: str) -> str:
        return f"PARTITION ({PARTITION}={literal(batch)})"

    def _location(self, batch: str) -> str | None:
        """Where the partition is, None when there is none."""
        partition = self._partition(batch)
        if not self._run(f"SHOW PARTITIONS {self.table} {partition}"):
            return None
        rows = self._run(f"DESCRIBE EXTENDED {self.table} {partition}")
        places = [row.data_type for row in rows if row.col_name == "Location"]
        return _plain(places[0]) if places else None

    def _folder(self, record: CommitRecord) -> str:
        return _plain(self.store.uri(folder_of(self.store, record, self.side)))

    def _create(self, columns: Sequence[Column]) -> None:
        self._refuse_clash(columns)
        listed = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
        # a place without partitions of its own, so that MSCK REPAIR finds none
        place = self.store.uri(runs_dir(self.side, self.dataset, "x").rpartition("/")[0])
        self._run(
            f"CREATE TABLE IF NOT EXISTS {self.table} ({listed}, {quote(PARTITION)} string) USING parquet "
            f"PARTITIONED BY ({quote(PARTITION)}) LOCATION {literal(place)}"
        )

    def _refuse_clash(self, columns: Sequence[Column]) -> None:
        clash = next((column.name for column in columns if column.name.lower() == PARTITION), None)
        if clash:
            raise StorageError(
                f"{self.name}: column '{clash}' of the data has the name of the partition; rename it in the input, "
                "or use format iceberg or delta for the table"
            )

    def _refuse_other_tables(self, metadata: Any) -> None:
        """Raise StorageError for a table whose partitions are not ours to set."""
        kind, format = str(metadata.tableType().name()), metadata.provider()
        provider = str(format.get()).lower() if format.isDefined() else "unknown"
        names = metadata.partitionColumnNames()
        partitions = [str(names.apply(place)) for place in range(names.size())]
        if kind == "VIEW":
            raise StorageError(f"{self.name}: is a view; name another table in 'outputs'")
        if kind != "EXTERNAL":
            raise StorageError(
                f"{self.name}: is a managed table, and with a partition of it the files of a run would be deleted; "
                "make it an external one (with a LOCATION), or let it be made here"
            )
        if provider not in _PROVIDERS:
            raise StorageError(f"{self.name}: is a table of format {provider}, must be parquet")
        if partitions != [PARTITION]:
            found = f"by {', '.join(partitions)}" if partitions else "not at all"
            raise StorageError(f"{self.name}: is partitioned {found}, must be by {PARTITION} (string) alone")

    def _widen(self, columns: Sequence[Column], record: CommitRecord) -> None:
        """Add the columns that the table lacks. StorageError for a column of another type."""
        self._refuse_clash(columns)
        there = {column.name.lower(): column for column in columns_of(self.spark.table(self.table).schema)}
        for column in columns:
            known = there.get(column.name.lower())
            if known and known.type.lower() != column.type.lower():
                raise StorageError(
                    f"{self.name}: column '{column.name}' is {known.type} in the table and {column.type} in run "
                    f"{record.run} of batch '{record.batch}'; a partition cannot change a type: "
                    "declare the column's type in the rule file, or name a new table"
                )
        added = [column for column in columns if column.name.lower() not in there]
        if added:
            listed = ", ".join(f"{quote(column.name)} {column.type}" for column in added)
            self._run(f"ALTER TABLE {self.table} ADD COLUMNS ({listed})")

    def _run(self, statement: str) -> list[Any]:
        return self._catalog.sql(statement, self.name)


def _plain(uri: str) -> str:
    """A location as it is compared: a catalog writes `file:/x` or `file:///x` for the same."""
    return f"file:/{uri.removeprefix('file:').lstrip('/')}" if uri.startswith("file:") else uri
