"""Fewer, larger files of the history: what many runs left is copied into packs, and its own files go later.

Why nobody sees a metric twice, or none, whatever else runs and whoever is killed when:

- *Only files that a commit record names* are packed; they never change. A run under way is left alone.
- *A pack counts by its note*, which is written after the pack was read back and compared with what it was made of. Before,
  readers go by the files; after, by the pack. A compactor that is killed in between leaves a pack without a note, which
  the next one takes up (same files, same name), or removes after a day.
- *A file goes* when a pack that has it is older than `keep` and still has the bytes its note tells. A pack goes the same way when a
  larger one has all it has. Larger means strictly more files, so two compactors cannot remove each other's.
- *A reader who comes to a file that is gone* looks the notes up again, and where they still name a pack that is gone goes by
  the files (`history_reader.tables_of`).
- *Who lists the folders*, as Athena does, finds a packed run in two files until its own goes. The views `live_*` take the pack.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from quality import history_reader
from quality.errors import StorageError, UsageError, did_you_mean
from quality.storage import backfills, commit
from quality.storage.layout import TABLES, history_dir
from quality.storage.leases import GRACE, now
from quality.storage.packs import Pack, is_pack, pack_key, packs
from quality.storage.store import Entry, Store

#: Bytes of a pack: it is read whole, also for one run.
SIZE = 16_000_000
KEEP = GRACE
# so many small packs are made one: daily packs are copied about twice in all
_MANY = 8


@dataclass(frozen=True)
class Compacted:
    """What was done for a data set: packs made, files and packs that went because a pack has their rows, with their bytes, and
    files that wait until their pack is old enough."""

    dataset: str
    made: tuple[Pack, ...] = ()
    removed: tuple[Entry, ...] = ()
    waiting: int = 0


def compact(
    store: Store,
    dataset: str | None = None,
    *,
    keep: timedelta = KEEP,
    moment: datetime | None = None,
    dry_run: bool = False,
) -> list[Compacted]:
    """Pack the history of a data set, or of all, and remove what has been in a pack for `keep`. `dry_run`: tell what would be
    done. UsageError for an unknown data set; StorageError for what cannot be read, and then nothing that was there is
    removed. What a kill leaves undone the next call does."""
    if keep < timedelta(0):
        raise UsageError("--keep must be 0 or more")
    known = sorted({*commit.datasets(store), *backfills.datasets(store)})
    if dataset is not None and dataset not in known:
        raise UsageError(f"{store.root} has no data set '{dataset}'; {did_you_mean(dataset, known, 'data sets')}")
    moment = moment or now()
    return [_compact(store, one, keep, moment, dry_run) for one in ([dataset] if dataset else known)]


def _compact(store: Store, dataset: str, keep: timedelta, moment: datetime, dry_run: bool) -> Compacted:
    made: list[Pack] = []
    removed: list[Entry] = []
    waiting = 0
    listed = {table: store.list(history_dir(table, dataset)) for table in TABLES}
    named = _named(store, dataset)
    found = packs(store, dataset)
    known = [pack for pack in found if store.exists(pack.key)]
    for table in TABLES:
        of_table = [pack for pack in known if pack.table == table]
        singles = [entry for entry in listed[table] if entry.key in named]
        new = [
            _planned(dataset, table, files, moment) if dry_run else _pack(store, dataset, table, files, moment)
            for files in _groups(singles, of_table)
        ]
        gone = list(_superfluous(listed[table], of_table, keep, moment))
        went = {entry.key: entry for entry in ([entry for entry, _ in gone] if dry_run else _remove(store, gone))}
        packed = {file for pack in [*of_table, *new] for file in pack.files}
        waiting += sum(entry.key in packed and entry.key not in went for entry in singles)
        made += new
        removed += went.values()
    if not dry_run:
        # a pack goes before its note: who goes by the note finds nothing and looks again
        store.delete(pack.note for pack in found if moment - pack.at >= keep and not store.exists(pack.key))
    return Compacted(dataset, tuple(made), tuple(removed), waiting)


def _named(store: Store, dataset: str) -> set[str]:
    """The files of the history that a record names, live or not: they are never garbage."""
    batches = commit.batches(store, dataset)
    return {*backfills.all_keys(store, dataset)} | {
        key for batch in batches for record in commit.records(store, dataset, batch) for key in record.history
    }


def _groups(singles: Sequence[Entry], known: Sequence[Pack]) -> Iterator[list[str]]:
    """The files of each pack to make: those in no pack yet, and those of small packs once there are many."""
    packed = {file for pack in known for file in pack.files}
    sources = [([entry.key], entry.size) for entry in singles if entry.key not in packed]
    largest = [pack for pack in known if not any({*pack.files} < {*other.files} for other in known)]
    small = [pack for pack in largest if pack.size < SIZE // 2]
    if len(small) >= _MANY:
        sources += [([*pack.files], pack.size) for pack in small]
    group: dict[str, None] = {}
    size = parts = 0
    for files, more in sorted(sources):
        if group and size + more > SIZE:
            yield from [sorted(group)] if parts > 1 else []
            group, size, parts = {}, 0, 0
        group |= dict.fromkeys(files)
        size, parts = size + more, parts + 1
    yield from [sorted(group)] if parts > 1 else []


def _planned(dataset: str, table: str, files: Sequence[str], moment: datetime) -> Pack:
    return Pack(dataset, table, tuple(files), "", 0, moment)


def _pack(store: Store, dataset: str, table: str, files: Sequence[str], moment: datetime) -> Pack:
    """Write a pack, look at it, and make it known."""
    key = pack_key(table, dataset, files)
    tables = _alike(store, key, history_reader.tables_of(store, files, None))
    store.put_if_absent(key, _parquet(tables))
    data = store.read(key)  # ours, or another's of the same files
    _refuse_different(store.uri(key), data, tables)
    pack = Pack(dataset, table, tuple(files), hashlib.sha256(data).hexdigest(), len(data), moment)
    store.put_if_absent(pack.note, pack.to_json())
    return pack


def _alike(store: Store, key: str, tables: Sequence[Any]) -> list[Any]:
    """The tables with the columns of all; one that a later version added is NULL in those before it."""
    import pyarrow as pa

    try:
        schema = pa.unify_schemas([table.schema.remove_metadata() for table in tables], promote_options="default")
        empty = schema.empty_table()
        return [pa.concat_tables([empty, table], promote_options="default").combine_chunks() for table in tables]
    except pa.ArrowException as error:
        raise StorageError(f"{store.uri(key)}: files of this table do not go together: {error}") from error


def _parquet(tables: Sequence[Any]) -> bytes:
    """One row group for each table, in order; also for one without rows."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    sink = pa.BufferOutputStream()
    with ParquetWriter(sink, tables[0].schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(len(table), 1))
    return bytes(sink.getvalue())


def _refuse_different(place: str, data: bytes, tables: Sequence[Any]) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        parquet = ParquetFile(pa.BufferReader(data))
        found = [parquet.read_row_group(number) for number in range(parquet.num_row_groups)]
    except (pa.ArrowException, ValueError, OSError) as error:
        raise StorageError(f"{place}: is no Parquet file: {error}") from error
    # by their text: NaN is not equal to itself
    same = len(found) == len(tables) and all(
        old.schema.equals(new.schema) and repr(old.to_pylist()) == repr(new.to_pylist())
        for old, new in zip(tables, found, strict=True)
    )
    if not same:
        raise StorageError(f"{place}: does not hold what it was made of; the files stay, remove it and compact again")


def _superfluous(
    listed: Iterable[Entry], known: Sequence[Pack], keep: timedelta, moment: datetime
) -> Iterator[tuple[Entry, Pack | None]]:
    """What may go, and the largest pack that has its rows; None for a pack that never was known."""
    old = [pack for pack in known if moment - pack.at >= keep]  # the smallest first
    by_file = {file: pack for pack in old for file in pack.files}
    by_key = {pack.key: pack for pack in known}
    for entry in listed:
        if pack := by_key.get(entry.key):
            larger = [other for other in old if {*pack.files} < {*other.files}]
            yield from [(entry, larger[-1])] if larger else []
        elif entry.key in by_file:
            yield entry, by_file[entry.key]
        elif is_pack(entry.key) and moment - entry.modified >= GRACE:
            yield entry, None


def _remove(store: Store, gone: Sequence[tuple[Entry, Pack | None]]) -> list[Entry]:
    """Remove what a pack has that is whole, and tell what went."""
    covers = {pack for _, pack in gone if pack}
    whole = {pack for pack in covers if _is_whole(store, pack)}
    removed = [entry for entry, pack in gone if pack is None or pack in whole]
    store.delete(entry.key for entry in removed)
    return removed


def _is_whole(store: Store, pack: Pack) -> bool:
    """Whether the pack is as it was when its note was written; False when it went meanwhile."""
    try:
        data = store.read(pack.key)
    except FileNotFoundError:
        return False
    if hashlib.sha256(data).hexdigest() != pack.sha256:
        raise StorageError(f"{store.uri(pack.key)}: is not what its note tells; nothing that it has was removed")
    return True
