"""Batches as runs leave them, made without an engine: Parquet files under a root and a commit record that lists them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from quality.model import BatchStatus, Column, Decision
from quality.storage import commit, layout
from quality.storage.commit import CommitRecord, DataFile
from quality.storage.store import LocalStore

FAILURE = pa.struct([(name, pa.string()) for name in ("rule", "severity", "column", "message", "value")])
QUALITY = pa.struct(
    [*((name, pa.string()) for name in ("row_id", "batch", "run", "rule_set")), ("failures", pa.list_(FAILURE))]
)


@dataclass
class Runs:
    """Runs of a data set below a directory."""

    root: Path
    dataset: str = "d"

    @property
    def store(self) -> LocalStore:
        return LocalStore(str(self.root))

    def put(
        self,
        types: Mapping[str, str],
        passed: Mapping[str, Any] | pa.Table,
        *,
        batch: str = "b",
        quarantined: Sequence[Mapping[str, Any]] = (),
        told: int | None = None,
        decision: Decision = Decision.PUBLISHED,
    ) -> CommitRecord:
        """Write the files of a run and commit it; `told` rows are what the record says instead of the truth."""
        run, store = layout.new_run_id(), self.store
        last = commit.latest(store, self.dataset, batch)
        table = passed if isinstance(passed, pa.Table) else pa.table(passed)
        sides = {"passed": table}
        if quarantined:
            names = {name: [row.get(name) for row in quarantined] for name in types}
            row = {"row_id": "r", "batch": batch, "run": run, "rule_set": "x"}
            failure = {"rule": "a.required", "severity": "error", "column": "a", "message": "m", "value": None}
            extra = pa.array([{**row, "failures": [failure]}] * len(quarantined), QUALITY)
            schema = {name: table.schema.field(name).type for name in types}
            columns = {name: pa.array(values, schema[name]) for name, values in names.items()}
            sides["quarantine"] = pa.table({**columns, "_quality": extra})
        files: dict[str, Any] = {side: self._file(side, batch, run, content) for side, content in sides.items()}
        if told is not None:
            files["passed"] = tuple(replace(file, rows=told) for file in files["passed"])
        now = datetime.now(timezone.utc)
        record = CommitRecord(
            self.dataset, batch, now, last.seq + 1 if last else 1, run, now, BatchStatus.PASSED, decision, 0, "x",
            columns=tuple(Column(name, kind) for name, kind in types.items()), **files,
        )  # fmt: skip
        commit.commit(store, record)
        return record

    def again(self, record: CommitRecord) -> CommitRecord:
        """What a rollback appends: an older run under the next number."""
        last = commit.latest(self.store, self.dataset, record.batch)
        assert last is not None
        later = replace(record, seq=last.seq + 1)
        commit.commit(self.store, later)
        return later

    def _file(self, side: str, batch: str, run: str, table: pa.Table) -> tuple[DataFile, ...]:
        if not table.num_rows:
            return ()
        key = f"{layout.runs_dir(side, self.dataset, batch)}/{run}/part-0.parquet"
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        return (DataFile(key, table.num_rows, path.stat().st_size),)


def at_once(*actions: Callable[[], Any]) -> None:
    """All in threads of their own; the first that fails fails the test."""
    failures: list[BaseException] = []

    def guarded(action: Callable[[], Any]) -> None:
        try:
            action()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
