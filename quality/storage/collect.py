"""What no reader can need any more, and its removal.

Garbage is: **superseded runs** (the rows of a run that a later one took the place of, unless it is the live run, one of the
`keep_versions` published before it, or a held run that still waits for a decision); **dead runs** (everything of a run
without a commit record: it was killed, failed, or lost a race; its history files too); **unfinished writes** (temporary
files of a process that died). The first two are kept for `keep`, and never less than the 24 hours of `leases.GRACE` after the
last sign of life. Commit records, and the results and history of committed runs, are never garbage.

Why this is safe beside anything else that runs:

- *A run that commits meanwhile.* Folders are listed before records are read. A run without a record by then, silent for a
  day, is dead, or it slept: then `Lease.confirm` looks for its files before it commits.
- *A rollback to what is being collected.* The run is marked as collected first, then the records of its batch are read
  again, and only then its rows go. A rollback writes its record first or finds the mark.
- *A second collector.* Both decide by the same records, which only grow, and to delete twice is to delete once.
- *A collector that is killed.* The mark stands, the rest of the rows is still garbage, and the next one goes on. What is
  missing by then belonged to runs that nobody may read.
- *A manifest that lags behind* (its run was killed between commit and manifest) is brought in line before rows go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from quality.errors import UsageError, did_you_mean
from quality.storage import backfills, commit, readers
from quality.storage.commit import CommitRecord, utc_text
from quality.storage.layout import SIDES, TABLES, collected_key, decode_batch, history_dir, run_began
from quality.storage.leases import GRACE, now, renewed
from quality.storage.store import LOCK, Entry, Store, hidden

SUPERSEDED, DEAD, UNFINISHED = "superseded run", "dead run", "unfinished write"
#: In the order of the reports.
KINDS = (SUPERSEDED, DEAD, UNFINISHED)
KEEP = timedelta(days=30)
KEEP_VERSIONS = 1
_SCHEMA = "quality.collected/1"
# a listing or a small record is all waiting
_THREADS = 16


@dataclass(frozen=True)
class Garbage:
    """Something to remove: `folders` with all in them, and single `keys`; `files` and `bytes` say how much that is.

    `dataset`, `batch` and `run` are empty where they are not known: an unfinished write belongs to no run.
    """

    kind: str
    dataset: str = ""
    batch: str = ""
    run: str = ""
    folders: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    files: int = 0
    bytes: int = 0


@dataclass
class _Run:
    """What lies there of a run."""

    batch: str = ""
    entries: dict[str, list[Entry]] = field(default_factory=dict)  # by folder
    history: list[Entry] = field(default_factory=list)

    def last_sign(self) -> datetime:
        """When anything of it was written last, by the store's clock."""
        found = [entry.modified for entries in self.entries.values() for entry in entries]
        return max([*found, *(entry.modified for entry in self.history)])

    def garbage(self, kind: str, dataset: str, run: str, folders: Iterable[str], keys: Sequence[Entry]) -> Garbage:
        chosen = sorted(folders)
        entries = [*(entry for folder in chosen for entry in self.entries[folder]), *keys]
        names = tuple(entry.key for entry in keys)
        size = sum(entry.size for entry in entries)
        return Garbage(kind, dataset, self.batch, run, tuple(chosen), names, len(entries), size)


_Runs = dict[tuple[str, str], _Run]


def find(
    store: Store,
    dataset: str | None = None,
    *,
    keep: timedelta = KEEP,
    keep_versions: int = KEEP_VERSIONS,
    moment: datetime | None = None,
) -> list[Garbage]:
    """The garbage of a data set, or of all. Nothing is changed. `moment` is now, unless a test says otherwise.

    UsageError for an unknown data set; StorageError when a record cannot be read: then nothing can be told to be garbage.
    """
    if keep < timedelta(0) or keep_versions < 0:
        raise UsageError("what is kept cannot be less than nothing: --keep and --keep-versions must be 0 or more")
    moment = moment or now()
    entries = [entry for prefix in _prefixes(store, dataset) for entry in store.list(prefix, unfinished=True)]
    runs = _by_run(entry for entry in entries if not hidden(entry.key))
    # after the listing: what has been committed by now is not dead
    names = {name for name, _ in runs} if dataset is None else {dataset}
    records = {name: _records(store, name) for name in names}
    found = [Garbage(UNFINISHED, keys=(e.key,), files=1, bytes=e.size) for e in entries if _abandoned(e, moment)]
    known = {(name, record.run): batch for name in names for batch in records[name] for record in batch}
    measured = {key for name in names for key in backfills.all_keys(store, name)}
    old = {
        (name, run)
        for name, run in runs
        if (name, run) in known and _is_superseded(known[name, run], run, keep_versions, moment, max(keep, GRACE))
    }
    # a record may list files that another run wrote
    kept = {folder for place, batch in known.items() if place not in old for folder in _folders(batch, place[1])}
    for place, what in runs.items():
        name, run = place
        if place in old:
            # rows only: result and report of a committed run stay
            sides = [folder for folder in what.entries if folder.partition("/")[0] in SIDES and folder not in kept]
            found += [what.garbage(SUPERSEDED, name, run, sides, ())] if sides else []
        elif (
            place not in known
            and not measured & {entry.key for entry in what.history}
            and not kept & set(what.entries)
            and _is_dead(store, name, run, what, moment, max(keep, GRACE))
        ):
            found.append(what.garbage(DEAD, name, run, what.entries, what.history))
    return sorted(found, key=lambda item: (KINDS.index(item.kind), item.dataset, item.run, item.keys))


def collect(store: Store, found: Iterable[Garbage]) -> list[Garbage]:
    """Remove what `find` found and return what was removed: less than was found where somebody rolled back meanwhile.

    StorageError in the middle leaves the rest; a second call goes on.
    """
    followed: set[tuple[str, str]] = set()
    return [item for item in found if _remove(store, item, followed)]


def _prefixes(store: Store, dataset: str | None) -> list[str]:
    if dataset is None:
        return [""]
    sides, tables = [f"{side}/{dataset}" for side in SIDES], [history_dir(table, dataset) for table in TABLES]
    known = sorted({name for place in (*SIDES, "runs", "commits") for name in store.children(place)})
    if dataset not in known:
        raise UsageError(f"{store.root} has no data set '{dataset}'; {did_you_mean(dataset, known, 'data sets')}")
    return [*sides, f"runs/{dataset}", f"commits/{dataset}", *tables]


def _by_run(entries: Iterable[Entry]) -> _Runs:
    runs: _Runs = {}
    for entry in entries:
        match entry.key.split("/"):
            case [side, dataset, "_runs", segment, run, _, *_] if side in SIDES:
                place, history = (dataset, run), False
            case ["runs", dataset, segment, run, _, *_]:
                place, history = (dataset, run), False
            case ["history", table, partition, file] if table in TABLES and partition.startswith("dataset="):
                place, history = (partition.removeprefix("dataset="), file.removesuffix(".parquet")), True
                segment = ""
            case _:
                continue
        if run_began(place[1]) is None:  # somebody else's
            continue
        what = runs.setdefault(place, _Run())
        if history:
            what.history.append(entry)
        else:
            what.batch = decode_batch(segment)
            what.entries.setdefault(_folder(entry.key, place[1]), []).append(entry)
    return runs


def _folder(key: str, run: str) -> str:
    return f"{key.partition(f'/{run}/')[0]}/{run}"


def _records(store: Store, dataset: str) -> list[list[CommitRecord]]:
    """The records of each batch, oldest first."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda batch: commit.records(store, dataset, batch), commit.batches(store, dataset)))


def _folders(records: Iterable[CommitRecord], run: str) -> Iterator[str]:
    """Every folder in which the records of a run have files."""
    files = (file for record in records if record.run == run for side in SIDES for file in record.files(side))
    return (file.path.rpartition("/")[0] for file in files)


def _abandoned(entry: Entry, moment: datetime) -> bool:
    name = entry.key.rpartition("/")[2]
    return hidden(entry.key) and name != LOCK and moment - entry.modified >= GRACE


def _is_dead(store: Store, dataset: str, run: str, what: _Run, moment: datetime, keep: timedelta) -> bool:
    """By the time in the run id, by the files, and at last by the lease: of several clocks one may be wrong."""
    began = run_began(run)
    if began is None or moment - max(began, what.last_sign()) < keep:
        return False
    lease = renewed(store, dataset, what.batch, run) if what.batch else None
    return lease is None or moment - lease >= keep


def _is_superseded(
    records: Sequence[CommitRecord], run: str, keep_versions: int, moment: datetime, keep: timedelta
) -> bool:
    since = _superseded_since(records, run, keep_versions)
    return since is not None and moment - since >= keep


def _superseded_since(records: Sequence[CommitRecord], run: str, keep_versions: int) -> datetime | None:
    """When another run took the place of this one; None while it has to stay."""
    # a run that was rolled back to is as young as the rollback
    versions = list(dict.fromkeys(record.run for record in reversed(records) if record.published))
    if run in versions[: 1 + keep_versions]:
        return None
    last = max(number for number, record in enumerate(records) if record.run == run)
    later = [record for record in records[last + 1 :] if record.published or not records[last].published]
    return max(later[0].at or later[0].run_time, run_began(later[0].run) or later[0].run_time) if later else None


def _remove(store: Store, item: Garbage, followed: set[tuple[str, str]]) -> bool:
    if item.kind == UNFINISHED:
        store.delete(item.keys)
        return True
    if item.kind == SUPERSEDED and (item.dataset, item.batch) not in followed:
        readers.write_manifest(store, item.dataset, item.batch)
        followed.add((item.dataset, item.batch))
    mark = collected_key(item.dataset, item.batch, item.run) if item.kind == SUPERSEDED else ""
    if mark:
        store.put(mark, _note(item))
    if _came_back(store, item):
        if mark:
            store.delete([mark])
        return False
    # its own folder last: it says what the run was
    for folder in sorted(item.folders, key=lambda folder: folder.startswith("runs/")):
        store.delete_folder(folder)
    store.delete(item.keys)
    return True


def _note(item: Garbage) -> bytes:
    moment = utc_text(datetime.now(timezone.utc))
    words = {"schema": _SCHEMA, "run": item.run, "collected": moment, "files": item.files, "bytes": item.bytes}
    return (json.dumps(words) + "\n").encode()


def _came_back(store: Store, item: Garbage) -> bool:
    """Whether the run was committed, published or rolled back to since it was found to be garbage."""
    records = commit.records(store, item.dataset, item.batch) if item.batch else []
    of_run = [record for record in records if record.run == item.run]
    if item.kind == DEAD:
        return bool(of_run)
    live = next((record for record in reversed(records) if record.published), None)
    return live is not None and (live.run == item.run or bool({*_folders([live], live.run)} & {*item.folders}))
