"""What became of quarantined rows: an append-only list of entries, each about the rows of one batch.

An entry is a small object that says who did what, when, and to how many rows; the rows stand beside it as Parquet, written
first (columns `row_id`, `state`, `entry`, `batch`, and `row` where rows came back). Entries are named by UUIDv7, so they sort
by time.

*Redriven* and *corrected* rows have left the quarantine: the entry has the name of their run, and counts when that run has a
commit record, not before. So a re-drive that was killed or lost a race leaves an entry that nobody counts. *Accepted*,
*expired* and (again) *open* are words about rows that stay where they are; such an entry counts when it is there. A row
without a word is open. Which rows are in quarantine is told by the commit records alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from quality.errors import StorageError
from quality.storage.commit import REDRIVE, RUN, CommitRecord, parse_utc, utc_text
from quality.storage.layout import decode_batch, ledger_dir, ledger_key
from quality.storage.store import Store

SCHEMA = "quality.ledger/1"
OPEN, REDRIVEN, CORRECTED, ACCEPTED, EXPIRED = "open", "redriven", "corrected", "accepted", "expired"
#: Every state of a row that was once quarantined.
STATES = (OPEN, REDRIVEN, CORRECTED, ACCEPTED, EXPIRED)
#: States that a word gives; the others come of a run.
WORDS = (OPEN, ACCEPTED, EXPIRED)


@dataclass(frozen=True)
class Entry:
    """Something that was done to rows of a batch. `rows` counts them by state; `files` are the keys of their Parquet; `run`
    is the run whose commit makes it count, empty for a word."""

    dataset: str
    batch: str
    id: str
    rows: Mapping[str, int]
    files: tuple[str, ...]
    by: str
    at: datetime
    reason: str = ""
    run: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Where it is kept."""
        return ledger_key(self.dataset, self.batch, self.id)

    def to_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "schema": SCHEMA,
            "dataset": self.dataset,
            "batch": self.batch,
            "entry": self.id,
            "run": self.run or None,
            "rows": dict(self.rows),
            "by": self.by,
            "at": utc_text(self.at),
            "reason": self.reason or None,
            **({"details": dict(self.details)} if self.details else {}),
            "files": list(self.files),
        }


def append(store: Store, entry: Entry) -> None:
    """Add an entry. StorageError when there is another of its name, which no two actions share."""
    data = (json.dumps(entry.to_dict(), ensure_ascii=False) + "\n").encode()
    if not store.put_if_absent(entry.key, data) and store.read(entry.key) != data:
        raise StorageError(f"{store.uri(entry.key)}: is there already and says something else")


def entries(store: Store, dataset: str, batch: str | None = None) -> list[Entry]:
    """Every entry about a batch, or about all of a data set, oldest first; also those whose run was never committed."""
    place = ledger_dir(dataset) if batch is None else ledger_key(dataset, batch, "x").rpartition("/")[0]
    depth = ledger_dir(dataset).count("/") + 2
    keys = [e.key for e in store.list(place) if e.key.endswith(".json") and e.key.count("/") == depth]
    return sorted((_read(store, key) for key in keys), key=lambda entry: entry.id)


def words(found: Iterable[Entry]) -> list[Entry]:
    """The entries that say something of rows that stay in quarantine."""
    return [entry for entry in found if not entry.run]


def chain(records: Sequence[CommitRecord]) -> list[str]:
    """The runs that the live rows of a batch come from, newest first: the live run, and while that is a re-drive the run it
    took rows for. Empty when nothing is live."""
    live = next((record for record in reversed(records) if record.published), None)
    own = {record.seq: record for record in records if record.action in (RUN, REDRIVE)}
    at = next((record for record in own.values() if live and record.run == live.run), None)
    runs: list[str] = []
    while at is not None:
        runs.append(at.run)
        at = own.get(at.of_seq) if at.action == REDRIVE else None
    return runs


def came_back(found: Iterable[Entry], records: Sequence[CommitRecord]) -> list[Entry]:
    """The entries of rows that are live on the passed side because they were re-driven or corrected, oldest first."""
    runs = chain(records)
    return sorted((entry for entry in found if entry.run in runs), key=lambda entry: runs[::-1].index(entry.run))


def _read(store: Store, key: str) -> Entry:
    try:
        words = json.loads(store.read(key))
        if str(words["schema"]).partition("/")[0] != SCHEMA.partition("/")[0]:
            raise ValueError(f"schema is '{words['schema']}'")
        return Entry(
            dataset=key.split("/")[1],
            batch=decode_batch(key.split("/")[-2]),
            id=str(words["entry"]),
            rows={str(state): int(count) for state, count in words["rows"].items()},
            files=tuple(map(str, words["files"])),
            by=str(words["by"]),
            at=parse_utc(words["at"]),
            reason=words.get("reason") or "",
            run=words.get("run") or "",
            details=words.get("details") or {},
        )
    except FileNotFoundError:
        raise StorageError(
            f"{store.uri(key)}: was listed and is gone; the ledger must not be deleted by hand"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{store.uri(key)}: is not an entry of the ledger ({type(error).__name__}: {error})"
        ) from error
