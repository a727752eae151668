"""Records of past batches that were measured for the history and never published: the past of a data set that has none yet.

They stand apart from the commit records, so that no reader of rows sees them. A batch that was ever judged by a run counts by that
run: its backfill, made before or after, is history no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from quality.errors import LostRaceError
from quality.storage import commit
from quality.storage.commit import CommitRecord
from quality.storage.layout import backfill_key, backfills_dir, commit_seq
from quality.storage.store import Store

# a small record is all waiting
_READERS = 16


def records(store: Store, dataset: str) -> list[CommitRecord]:
    """The newest backfill of every batch, by batch time, then batch id."""
    newest: dict[str, tuple[int, str]] = {}
    for entry in store.list(backfills_dir(dataset)):
        if (seq := commit_seq(entry.key)) is not None:
            batch = entry.key.split("/")[-2]
            newest[batch] = max(newest.get(batch, (0, "")), (seq, entry.key))
    if not newest:
        return []
    with ThreadPoolExecutor(min(_READERS, len(newest))) as pool:
        found = pool.map(
            lambda key: CommitRecord.from_json(store.read(key), store.uri(key)), (key for _, key in newest.values())
        )
        return sorted(found, key=lambda record: (record.batch_time, record.batch))


def all_keys(store: Store, dataset: str) -> list[str]:
    """The history files of every backfill, also of those a later one took the place of."""
    keys = [entry.key for entry in store.list(backfills_dir(dataset)) if commit_seq(entry.key) is not None]
    return [key for one in keys for key in CommitRecord.from_json(store.read(one), store.uri(one)).history]


def datasets(store: Store) -> list[str]:
    """The ids of all data sets with a backfill."""
    return [name.removeprefix("dataset=") for name in store.children("history/backfill")]


def add(store: Store, record: CommitRecord) -> None:
    """Keep a record. LostRaceError when another backfill of the batch was faster."""
    key = backfill_key(record.dataset, record.batch, record.seq)
    if not store.put_if_absent(key, record.to_json()) and store.read(key) != record.to_json():
        raise LostRaceError(f"batch '{record.batch}' of '{record.dataset}': another backfill of it was faster")


def past(store: Store, dataset: str, live: Sequence[CommitRecord]) -> list[CommitRecord]:
    """The live records with the backfills of batches that no run has judged, by batch time."""
    found = records(store, dataset)
    if not found:
        return [*live]
    judged = {*commit.batches(store, dataset)}
    return sorted(
        [*live, *(record for record in found if record.batch not in judged)],
        key=lambda record: (record.batch_time, record.batch),
    )
