"""A root as runs leave it, made without Spark: rows, results, history and records of any age, on any store."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from random import Random

from quality.model import BatchStatus, Decision
from quality.storage import commit, layout, readers
from quality.storage.commit import PUBLISH, ROLLBACK, CommitRecord, DataFile
from quality.storage.store import Store

NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)


def run_id(began: datetime, draw: Random) -> str:
    """A run id with this time inside."""
    millis = int(began.timestamp() * 1000)
    return str(uuid.UUID(int=millis << 80 | 7 << 76 | draw.getrandbits(12) << 64 | 2 << 62 | draw.getrandbits(60)))


@dataclass
class Kept:
    """Data set `d` in a store. Files are as old as they are: ages come from run ids, records, and the `moment` of a find."""

    store: Store
    draw: Random

    def run(self, began: datetime, batch: str = "b", rows: bytes = b"rows", *, history: bool = True) -> str:
        """Everything a run writes before its record."""
        run = run_id(began, self.draw)
        for folder in (layout.passed_dir, layout.quarantine_dir):
            self.store.put(f"{folder('d', batch, run)}/part-0.parquet", rows)
        self.store.put(layout.result_key("d", batch, run), b"{}")
        if history:
            for table in layout.TABLES:
                self.store.put(layout.history_file(table, "d", run), b"rows")
        return run

    def commit(self, run: str, batch: str = "b", *, held: bool = False) -> CommitRecord:
        """Its record; the manifest follows."""
        began = layout.run_began(run)
        assert began is not None
        last = commit.latest(self.store, "d", batch)
        decision, code = (Decision.HELD, 4) if held else (Decision.PUBLISHED, 0)
        passed, bad = (
            (DataFile(f"{folder('d', batch, run)}/part-0.parquet", 1, 4),)
            for folder in (layout.passed_dir, layout.quarantine_dir)
        )
        record = CommitRecord(
            "d", batch, began, last.seq + 1 if last else 1, run, began, BatchStatus.PASSED, decision, code, "r",
            history=tuple(layout.history_file(table, "d", run) for table in layout.TABLES),
            result=layout.result_key("d", batch, run), passed=passed, quarantine=bad,
        )  # fmt: skip
        return self._keep(record)

    def published(self, began: datetime, batch: str = "b") -> str:
        run = self.run(began, batch)
        self.commit(run, batch)
        return run

    def held(self, began: datetime, batch: str = "b") -> str:
        run = self.run(began, batch)
        self.commit(run, batch, held=True)
        return run

    def reinstate(self, run: str, at: datetime, batch: str = "b") -> CommitRecord:
        """What a rollback, or publishing a held run, appends."""
        found = commit.records(self.store, "d", batch)
        old = next(record for record in found if record.run == run)
        action = ROLLBACK if old.published else PUBLISH
        seq = found[-1].seq + 1
        return self._keep(
            replace(old, seq=seq, decision=Decision.PUBLISHED, action=action, of_seq=old.seq, by="me", at=at)
        )

    def _keep(self, record: CommitRecord) -> CommitRecord:
        commit.commit(self.store, record)
        readers.write_manifest(self.store, "d", record.batch)
        return record

    def names(self) -> set[str]:
        return {entry.key for entry in self.store.list(unfinished=True)}

    def of(self, run: str) -> set[str]:
        """The kinds of files that are there of a run."""
        return {key.partition("/")[0] for key in self.names() if run in key}

    def readable(self, batch: str = "b") -> bool:
        """Whether everything readers are told to read is there."""
        live = readers.select(self.store, "d", batch)
        return all(self.store.exists(file.path) for record in live for file in (*record.passed, *record.quarantine))
