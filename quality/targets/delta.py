"""Delta tables: one commit replaces the rows of a batch. Delta has no branches, so the rows are counted right after it,
and taken back, those of this batch alone, when they are not what the commit record says.

The number of the record is the transaction version of the batch in Delta's own log: Delta itself skips what was written
before, and fails whoever meets a newer one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from quality.backends.tables import TableName, needed_settings
from quality.errors import StorageError
from quality.model import Column
from quality.storage.commit import CommitRecord
from quality.targets.formats import (
    OWNER_PROPERTY,
    Changes,
    MovedError,
    Table,
    fit,
    of_batch,
    said,
)  # fmt: skip

#: Characters that Delta takes in the name of a column only when it maps names.
_UNUSUAL = set(" ,;{}()\n\t=")
#: The types Delta can widen on Spark 3.5, whose Parquet reader knows no more.
_WIDENED = {("tinyint", "smallint"), ("tinyint", "int"), ("smallint", "int")}
_CONFLICTS = (
    "Concurrent",
    "DELTA_CONCURRENT",
    "ProtocolChanged",
    "MetadataChanged",
    "already exists",
    "ALREADY_EXISTS",
)


@dataclass(frozen=True)
class Versions:
    """The number of the newest record of a batch that was written to the table, and of the newest taken back."""

    written: int = 0
    undone: int = 0


@dataclass(frozen=True)
class State:
    """A version of the table as Delta's log has it, without a job."""

    snapshot: Any

    def number(self, app: str) -> int:
        """The newest transaction of an application; 0 when there is none."""
        return int(_value(self.snapshot.transactions(), app) or 0)

    def property(self, name: str) -> str:
        """A property of the table, empty when it is not set."""
        return str(_value(self.snapshot.metadata().configuration(), name) or "")


class DeltaTable(Table):
    """A side as a Delta table, by name or by place."""

    format = "delta"
    state: State | None = None

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        if self.table.place:
            self.table = TableName(("delta", _absolute(self.table.place)))
            self.name = f"table {self.table}"

    def look(self) -> None:
        """See Table."""
        missing = needed_settings(self.spark, self.table, "delta") or self._forgetful()
        if missing:
            raise StorageError(f"{self.table}: {missing}")
        self.state = self._state() if self._exists() else None

    def is_published(self, record: CommitRecord) -> bool:
        """See Table. StorageError when the table is ahead of the records, or the rows were taken back."""
        found = self._versions(record.batch)
        if found.undone >= record.seq:
            raise StorageError(
                f"{self.table}: the rows of run {record.run} were taken back, for they were not those of the commit; "
                f"a new run of batch '{record.batch}' is written again (--force)"
            )
        if found.written > record.seq:
            raise StorageError(
                f"{self.table}: has number {found.written} of batch '{record.batch}', and the records know {record.seq} "
                f"only: were results kept at another root before? Give this one a table of its own"
            )
        return found.written == record.seq

    def replace(self, record: CommitRecord) -> None:
        """See Table."""
        if self.state is None:
            self.create(record, {OWNER_PROPERTY: self.dataset, **self._mapping(self.columns(record))})
            raise MovedError
        self.refuse_other_owner(self.state.property(OWNER_PROPERTY))
        columns, required = self.table_columns()
        changes = fit(str(self.table), columns, self.columns(record), required)
        self._refuse_widening(changes, {column.name: column.type for column in columns})
        self.alter(changes)
        self._write(record, changes)
        self._audit(record)

    def is_conflict(self, error: BaseException) -> bool:
        """See Table."""
        return any(word in said(error) for word in _CONFLICTS)

    # the state

    def _exists(self) -> bool:
        if not self.table.place:
            return bool(self.spark.catalog.tableExists(self.table.sql))
        jvm: Any = self.spark._jvm
        return bool(jvm.io.delta.tables.DeltaTable.isDeltaTable(self.spark._jsparkSession, self.table.place))

    def _forgetful(self) -> str:
        """Why a table would be gone after the run: a Spark of ours that was not given a catalog keeps names nowhere."""
        warehouse = urlsplit(str(self.spark.conf.get("spark.sql.warehouse.dir", ""))).path
        ours = Path(warehouse).name == "warehouse" and Path(warehouse).parent.name.startswith("quality-")
        kept = self.spark.conf.get("spark.sql.catalogImplementation", "in-memory") != "in-memory"
        if self.table.place or kept or not ours or len(self.table.parts) == 3:
            return ""
        return (
            "the Spark that is started here knows no catalog that outlives it: name the place of the table "
            "(a path or URI with a slash), or give the settings of a catalog by --conf"
        )

    def _state(self) -> State:
        jvm: Any = self.spark._jvm
        tables = jvm.io.delta.tables.DeltaTable
        session, place = self.spark._jsparkSession, self.table.place
        log = (tables.forPath(session, place) if place else tables.forName(session, self.table.sql)).deltaLog()
        return State(log.update(False, *(getattr(log, f"update$default${index}")() for index in (2, 3))))

    def _versions(self, batch: str) -> Versions:
        if self.state is None:
            return Versions()
        return Versions(*(self.state.number(self._app(batch, undo)) for undo in (False, True)))

    def _app(self, batch: str, undo: bool = False) -> str:
        return f"quality{'-undo' if undo else ''}:{self.dataset}:{self.side}:{batch}"

    @staticmethod
    def _mapping(columns: tuple[Column, ...]) -> dict[str, str]:
        unusual = any(_UNUSUAL & set(column.name) or "`" in column.type for column in columns)
        return {"delta.columnMapping.mode": "name"} if unusual else {}

    def _refuse_widening(self, changes: Changes, types: dict[str, str]) -> None:
        assert self.state is not None
        for column in changes.widened:
            before = types[column.name]
            problem = (
                f"{self.table}: column '{column.name}' is {before} in the table and would have to become {column.type}"
            )
            if (before, column.type) not in _WIDENED:
                raise StorageError(
                    f"{problem}, which Delta cannot change on Spark 3.5; declare the column as the table has it, or name a "
                    f"new table; nothing of the batch was written to the table"
                )
            if self.state.property("delta.enableTypeWidening") != "true":
                raise StorageError(
                    f"{problem}, which Delta does only in a table with the property 'delta.enableTypeWidening' = 'true' "
                    f"(ALTER TABLE ... SET TBLPROPERTIES; its readers must know the feature); nothing of the batch was "
                    f"written to the table"
                )

    # the commit

    def _write(self, record: CommitRecord, changes: Changes) -> None:
        told = {"dataset": self.dataset, "side": self.side, "batch": record.batch, "run": record.run, "seq": record.seq}
        writer = self.frame(record, changes).writeTo(self.table.sql)
        for key, text in _transaction(self._app(record.batch), record.seq, {"quality": told}).items():
            writer = writer.option(key, text)
        writer.overwrite(of_batch(record.batch))

    def _audit(self, record: CommitRecord) -> None:
        """The rows of the batch, counted in the table, are those of the commit."""
        found, wanted = self.spark.table(self.table.sql).where(of_batch(record.batch)).count(), self.rows(record)
        if found != wanted:
            self.state = self._state()
            if self._versions(record.batch).written != record.seq:
                raise MovedError  # the rows are those of a newer record
            self._take_back(record)
            raise StorageError(
                f"{self.table}: {found:,} rows of batch '{record.batch}' were in the table, and {wanted:,} in the commit; "
                f"the rows before were put back"
            )

    def _take_back(self, record: CommitRecord) -> None:
        """The rows of this batch as they were. Delta's RESTORE would undo what others committed since, too."""
        history = self.spark.sql(f"DESCRIBE HISTORY {self.table.sql}")
        ours = f'userMetadata like \'%"run": "{record.run}", "seq": {record.seq}}}%\''
        version = history.where(ours).agg({"version": "min"}).collect()[0][0]
        before = self.spark.sql(f"SELECT * FROM {self.table.sql} VERSION AS OF {int(version) - 1}")
        writer = before.where(of_batch(record.batch)).writeTo(self.table.sql)
        told = {"quality": {"undone": record.run}}
        for key, text in _transaction(self._app(record.batch, undo=True), record.seq, told).items():
            writer = writer.option(key, text)
        writer.overwrite(of_batch(record.batch))


def _transaction(app: str, version: int, told: Any) -> dict[str, str]:
    return {"txnAppId": app, "txnVersion": str(version), "userMetadata": json.dumps(told)}


def _value(words: Any, key: str) -> Any:
    option = words.get(key)
    return option.get() if option.isDefined() else None


def _absolute(place: str) -> str:
    # Delta takes a relative place for one below Spark's working directory, which may be another machine's
    return place if urlsplit(place).scheme else str(Path(place).expanduser().absolute())
