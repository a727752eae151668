"""Iceberg tables: rows are written to a branch, counted there, and published by moving `main` to it.

`main` is moved only if it still is where the branch began. When another batch was published meanwhile, the files that
were written are put on a new `main` and nothing is written twice. A snapshot says in its summary whose rows it brought.
The classes of Iceberg are called directly: its SQL for branches needs an extension that a given session may lack.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from quality.backends.reading import reason
from quality.backends.tables import iceberg_table, needed_settings
from quality.errors import StorageError
from quality.sql import literal, quote
from quality.storage.commit import CommitRecord
from quality.targets.formats import (
    BATCH_COLUMN,
    OWNER_PROPERTY,
    Changes,
    MovedError,
    Table,
    fit,
    of_batch,
    pause,
    said,
    without_small_types,
)  # fmt: skip

LOG = logging.getLogger("quality")

#: A branch that a killed run left behind is removed with the snapshots that expire after this.
_BRANCH_MILLIS = 7 * 24 * 3600 * 1000
_PUBLICATIONS = 50
_STAMP = "quality."
#: Exceptions of Iceberg that mean another writer was faster.
_CONFLICTS = ("CommitFailedException", "AlreadyExistsException", "already exists")


@dataclass(frozen=True)
class State:
    """The metadata of a table at one moment."""

    words: Mapping[str, Any]

    @property
    def snapshot(self) -> int | None:
        """The snapshot of `main`."""
        main = self.words.get("refs", {}).get("main")
        return int(main["snapshot-id"]) if main else None

    @property
    def properties(self) -> dict[str, str]:
        """The properties of the table."""
        return dict(self.words.get("properties", {}))

    @property
    def only_by_batch(self) -> bool:
        """Whether rows are partitioned by the batch and by nothing else, and not sorted."""
        ids = self._batch_ids()
        specs = {spec["spec-id"]: spec["fields"] for spec in self.words["partition-specs"]}
        fields = specs[self.words["default-spec-id"]]
        return [(f["source-id"] in ids, f["transform"]) for f in fields] == [(True, "identity")] and not self.words.get(
            "default-sort-order-id"
        )

    @property
    def by_batch(self) -> bool:
        """Whether no file holds rows of two batches, so that a batch can be replaced by its files."""
        ids = self._batch_ids()
        return all(
            any(field["source-id"] in ids and field["transform"] == "identity" for field in spec["fields"])
            for spec in self.words["partition-specs"]
        )

    def _batch_ids(self) -> set[int]:
        fields = (field for schema in self.words["schemas"] for field in schema["fields"])
        return {field["id"] for field in fields if field["name"].lower() == BATCH_COLUMN}

    def stamps(self) -> Iterator[dict[str, str]]:
        """What publications say of themselves, from `main` backwards."""
        snapshots = {snapshot["snapshot-id"]: snapshot for snapshot in self.words.get("snapshots", [])}
        found = snapshots.get(self.snapshot)
        while found:
            summary = found.get("summary", {})
            yield {key.removeprefix(_STAMP): text for key, text in summary.items() if key.startswith(_STAMP)}
            found = snapshots.get(found.get("parent-snapshot-id"))


class IcebergTable(Table):
    """A side as an Iceberg table."""

    format = "iceberg"
    state: State | None = None

    def look(self) -> None:
        """See Table."""
        missing = needed_settings(self.spark, self.table, "iceberg")
        if missing:
            raise StorageError(f"{self.table}: {missing}")
        self.state = self._state() if self.spark.catalog.tableExists(self.table.sql) else None

    def is_published(self, record: CommitRecord) -> bool:
        """See Table. A table whose snapshots are expired says nothing: the rows are put there once more."""
        wanted = {"dataset": self.dataset, "side": self.side, "batch": record.batch}
        for stamp in self.state.stamps() if self.state else ():
            if all(stamp.get(key) == text for key, text in wanted.items()):
                return (stamp.get("run"), stamp.get("seq")) == (record.run, str(record.seq))
        return False

    def replace(self, record: CommitRecord) -> None:
        """See Table."""
        if self.state is None:
            self.create(record, {OWNER_PROPERTY: self.dataset})
            raise MovedError
        self.refuse_other_owner(self.state.properties.get(OWNER_PROPERTY, ""))
        columns, required = self.table_columns()
        changes = fit(str(self.table), columns, self.columns(record), required)
        _refuse_widening(str(self.table), changes, {column.name: column.type for column in columns})
        self.alter(changes)
        with self._branch(record) as branch:
            self._write(branch, record, changes)
            self._audit(branch, record)
            self._publish(branch, record)

    def is_conflict(self, error: BaseException) -> bool:
        """See Table."""
        return any(word in said(error) for word in _CONFLICTS)

    def stored_type(self, text: str) -> str:
        """See Table."""
        return without_small_types(text)

    # the state

    def _java(self) -> Any:
        return iceberg_table(self.spark, self.table)

    def _state(self) -> State:
        """The whole metadata as one text: asking for snapshot after snapshot takes a call to the JVM each."""
        jvm: Any = self.spark._jvm
        return State(json.loads(jvm.org.apache.iceberg.TableMetadataParser.toJson(self._java().operations().current())))

    def _changed(self, change: Callable[[Any], Any]) -> None:
        """Change references; once more when somebody changed something else in the same moment."""
        for attempt in range(_PUBLICATIONS):
            try:
                change(self._java().manageSnapshots()).commit()
            except (PySparkException, Py4JError) as error:
                if attempt == _PUBLICATIONS - 1 or "CommitFailedException" not in said(error):
                    raise
                time.sleep(pause(attempt))
            else:
                return

    # the branch

    @contextmanager
    def _branch(self, record: CommitRecord) -> Iterator[str]:
        """A branch of the state last seen, gone at the end."""
        assert self.state is not None
        if self.state.snapshot is None:
            # so that there is a `main` to compare with
            self._java().newAppend().commit()
            raise MovedError
        branch, start = f"quality_{record.run}_{uuid.uuid4().hex[:8]}", self.state.snapshot
        self._changed(lambda refs: refs.createBranch(branch, start).setMaxRefAgeMs(branch, _BRANCH_MILLIS))
        try:
            yield branch
        finally:
            try:
                self._changed(lambda refs: refs.removeBranch(branch))
            except (PySparkException, Py4JError) as error:
                LOG.warning("%s: branch %s could not be removed: %s", self.table, branch, reason(error))

    def _write(self, branch: str, record: CommitRecord, changes: Changes) -> None:
        assert self.state is not None
        target = self.table.below(f"branch_{branch}")
        if not self.state.by_batch:
            # files hold rows of several batches: they are written anew, by the table's own settings
            self.spark.sql(f"DELETE FROM {target} WHERE {quote(BATCH_COLUMN)} = {literal(record.batch)}")
        writer = self.frame(record, changes).writeTo(target)
        for key, text in self._stamp(record).items():
            writer = writer.option(f"snapshot-property.{key}", text)
        if self.state.only_by_batch:
            # one value: shuffling the rows by it would put them all into one task
            writer = writer.option("use-table-distribution-and-ordering", "false")
        if self.state.by_batch:
            writer.overwrite(of_batch(record.batch))
        else:
            writer.append()

    def _stamp(self, record: CommitRecord) -> dict[str, str]:
        words = {"dataset": self.dataset, "side": self.side, "batch": record.batch, "run": record.run}
        return {f"{_STAMP}{key}": text for key, text in {**words, "seq": str(record.seq)}.items()}

    def _audit(self, branch: str, record: CommitRecord) -> None:
        """The rows of the batch on the branch, counted in the table, are those of the commit."""
        frame = self.spark.sql(f"SELECT * FROM {self.table.sql} VERSION AS OF {literal(branch)}")
        found, wanted = frame.where(of_batch(record.batch)).count(), self.rows(record)
        if found != wanted:
            raise StorageError(
                f"{self.table}: {found:,} rows of batch '{record.batch}' are in the table before it is published, and "
                f"{wanted:,} in the commit; nothing was published"
            )

    def _publish(self, branch: str, record: CommitRecord) -> None:
        for attempt in range(_PUBLICATIONS):
            before = self.state.snapshot if self.state else None
            try:
                self._changed(lambda refs: refs.fastForwardBranch("main", branch))
                return
            except (PySparkException, Py4JError):
                self.state = self._state()
                if self.state.snapshot == before:
                    raise
            time.sleep(pause(attempt))
            self._rebase(branch, record)
        raise MovedError

    def _rebase(self, branch: str, record: CommitRecord) -> None:
        """Put the files of the branch on `main` as it is now. MovedError when that needs the rows to be written anew, or
        when somebody published the batch."""
        assert self.state is not None
        jvm: Any = self.spark._jvm
        table = self._java()
        written = table.snapshot(table.refs().get(branch).snapshotId())
        source = written.summary().get("source-snapshot-id") or str(written.snapshotId())
        if not self.state.by_batch or self._published_since(record):
            raise MovedError
        files = list(written.addedDataFiles(table.io()))
        start = self.state.snapshot
        self._changed(lambda refs: refs.replaceBranch(branch, start))
        batch = jvm.org.apache.iceberg.expressions.Expressions.equal(BATCH_COLUMN, record.batch)
        change = self._java().newOverwrite().overwriteByRowFilter(batch)
        for file in files:
            change = change.addFile(file)
        # the mark of a cherry-pick: without it, expiring the snapshot of the first attempt could take the files along
        for key, text in {**self._stamp(record), "source-snapshot-id": source}.items():
            change = change.set(key, text)
        change.toBranch(branch).commit()
        self._audit(branch, record)

    def _published_since(self, record: CommitRecord) -> bool:
        """Whether a later publication of the batch is in the table already."""
        assert self.state is not None
        wanted = {"dataset": self.dataset, "side": self.side, "batch": record.batch}
        newest = next((s for s in self.state.stamps() if all(s.get(k) == v for k, v in wanted.items())), None)
        return newest is not None and int(newest.get("seq", "0")) >= record.seq


def _refuse_widening(where: str, changes: Changes, types: Mapping[str, str]) -> None:
    """Iceberg turns int into bigint, float into double, and a decimal into one with more digits before the point."""
    for column in changes.widened:
        before = types[column.name]
        same_scale = before.startswith("decimal") and before.partition(",")[2] == column.type.partition(",")[2]
        if (before, column.type) not in {("int", "bigint"), ("float", "double")} and not same_scale:
            raise StorageError(
                f"{where}: column '{column.name}' is {before} in the table and would have to become {column.type}, which "
                f"Iceberg cannot change; nothing of the batch was written to the table"
            )
