"""The versions of a batch: which run readers see, chosen by a person where the engine chose otherwise.

`publish` makes a held run live after someone looked at it, `rollback` an earlier published one; both append a commit
record and touch no data. Everything readers look at follows the record. `publish` without a batch only brings that in
line, for what was killed in between or could not be reached.

A later `quality run` of the batch takes the place of what was chosen, as it takes the place of any run: it has nothing to
do only while its input and rules are those of the run that is live.
"""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from quality import targets
from quality.errors import StorageError, UsageError, did_you_mean
from quality.model import BatchStatus, Decision
from quality.rulefile import load
from quality.rulefile.references import unread_input
from quality.storage import commit, readers
from quality.storage.commit import PUBLISH, ROLLBACK, CommitRecord, utc_text
from quality.storage.layout import SIDES, check_batch, check_dataset
from quality.storage.store import Store, open_store
from quality.targets.base import Target

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


SCHEMA = "quality.change/1"
DEFAULT_ROOT = "quality-data"
SYNC = "sync"

_RULE_FILES = (".yml", ".yaml", ".json", ".dqdl")
#: Schemes of roots that are reached without Spark.
_WITHOUT_SPARK = ("", "file", "s3", "s3a", "s3n")


@runtime_checkable
class Foretells(Protocol):
    """A target that can say what following a record would do."""

    def foretell(self, record: CommitRecord) -> list[str]:
        """What would be done if this were the live record of its batch, a line or statement each."""


@dataclass(frozen=True)
class Change:
    """What was done, or with `dry_run` what would be.

    `record` is the live record after it, None when several batches were brought in line; `changed` says whether it is a
    new one. `behind` has a message for each place that does not follow the records yet; `planned` is for a dry run.
    """

    action: str
    dataset: str
    batches: tuple[str, ...]
    message: str
    record: CommitRecord | None = None
    before: CommitRecord | None = None
    changed: bool = False
    dry_run: bool = False
    planned: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or 3 when some readers do not see the change yet."""
        return StorageError.exit_code if self.behind else 0

    def to_dict(self) -> dict[str, Any]:
        """The change as plain data."""
        return {
            "schema": SCHEMA,
            "action": self.action,
            "dataset": self.dataset,
            "batches": list(self.batches),
            "changed": self.changed,
            "dry_run": self.dry_run,
            "live": _shown(self.record),
            "before": _shown(self.before),
            "message": self.message,
            "planned": list(self.planned),
            "behind": list(self.behind),
            "exit_code": self.exit_code,
        }


@dataclass(frozen=True)
class _Place:
    """A data set, and what follows its records as far as that is known: a rule file tells all of it."""

    store: Store
    dataset: str
    found: Sequence[Target]

    def follow(self, batches: Sequence[str]) -> tuple[str, ...]:
        """Bring everything in line; what lags behind."""
        return tuple(text for batch in batches for text in targets.follow(list(self.found), self.dataset, batch))


def publish(
    what: str | Path,
    batch: str | None = None,
    *,
    run: str | None = None,
    root: str | None = None,
    reason: str = "",
    by: str | None = None,
    sync: bool = False,
    dry_run: bool = False,
    variables: Mapping[str, Any] | None = None,
    allow_env: frozenset[str] = frozenset(),
    spark: SparkSession | None = None,
    conf: Mapping[str, str] | None = None,
    dataset: str | None = None,
) -> Change:
    """Make a held run of a batch live: `run`, or the last one, when nothing was published since.

    `what` is a rule file, or the id of a data set (then only the manifest and the mirror follow at once). Without a batch,
    or with `sync`, no record is written: everything readers look at is brought in line with the records.

    UsageError when there is nothing to publish; StorageError when files of the run are gone; LostRaceError when another
    record was written meanwhile. A run that is live already is fine, and nothing is written.
    """
    if run is not None and (sync or batch is None):
        raise UsageError("--run goes with --batch and without --sync: it names the held run of one batch")
    with _opened(what, batch, root, variables, allow_env, spark, conf=conf, own_id=dataset) as place:
        if sync or batch is None:
            return _sync(place, batch, dry_run)
        records = readers.records(place.store, place.dataset, batch)
        return _reinstate(place, records, _to_publish(records, run), PUBLISH, by, reason, dry_run)


def rollback(
    what: str | Path,
    batch: str,
    *,
    to: str | None = None,
    root: str | None = None,
    reason: str = "",
    by: str | None = None,
    dry_run: bool = False,
    variables: Mapping[str, Any] | None = None,
    allow_env: frozenset[str] = frozenset(),
    spark: SparkSession | None = None,
    conf: Mapping[str, str] | None = None,
    dataset: str | None = None,
) -> Change:
    """Make an earlier published run of a batch live again: `to`, a run or the number of a record; else the one that was
    published before the run that is live, so that a second rollback goes one further back. Errors and `what` as `publish`.
    """
    with _opened(what, batch, root, variables, allow_env, spark, conf=conf, own_id=dataset) as place:
        records = readers.records(place.store, place.dataset, batch)
        return _reinstate(place, records, _to_roll_back(records, to), ROLLBACK, by, reason, dry_run)


def versions(
    what: str | Path, batch: str, *, root: str | None = None, dataset: str | None = None
) -> list[dict[str, Any]]:
    """The records of a batch as plain data, oldest first; `live` marks the one readers see."""
    with _opened(what, batch, root, None, frozenset(), None, quiet=True, own_id=dataset) as place:
        records = readers.records(place.store, place.dataset, batch)
    live = _live(records)
    return [{**_version(record), "live": record is live} for record in records]


def _version(record: CommitRecord) -> dict[str, Any]:
    return {
        "seq": record.seq,
        "run": record.run,
        "action": record.action,
        "of_seq": record.of_seq or None,
        "time": utc_text(record.at or record.run_time),
        "status": str(record.status),
        "decision": str(record.decision),
        "rows": dict(record.rows),
        "by": record.by or None,
        "reason": record.reason or None,
    }


def _shown(record: CommitRecord | None) -> dict[str, Any] | None:
    return _version(record) if record else None


# which run is meant


def _live(records: Sequence[CommitRecord]) -> CommitRecord | None:
    return next((record for record in reversed(records) if record.published), None)


def _published(records: Sequence[CommitRecord]) -> list[CommitRecord]:
    """The versions of a batch: for each run that was ever published the first record that did it."""
    first: dict[str, CommitRecord] = {}
    for record in records:
        if record.published:
            first.setdefault(record.run, record)
    return list(first.values())


def _to_publish(records: Sequence[CommitRecord], run: str | None) -> CommitRecord:
    live, where = _live(records), _where(records)
    if run is not None:
        found = {record.run: record for record in records}
        if run not in found:
            raise UsageError(f"{where} has no run '{run}'; {did_you_mean(run, list(reversed(found)), 'runs')}")
        chosen = found[run]
        if chosen.published and (live is None or chosen.run != live.run):
            raise UsageError(
                f"{where}: run {run} was published before (number {chosen.seq}); "
                f"quality rollback {chosen.dataset} --batch {chosen.batch} --to {run} makes it live again"
            )
        return chosen
    held = [record for record in records if not record.published]
    if held and (live is None or held[-1].seq > live.seq):
        return held[-1]
    assert live is not None
    advice = f"; run {held[-1].run} was held before that (number {held[-1].seq}): --run names it" if held else ""
    raise UsageError(f"{where} has nothing held: its last run {live.run} is live (number {live.seq}){advice}")


def _to_roll_back(records: Sequence[CommitRecord], to: str | None) -> CommitRecord:
    live, known, where = _live(records), _published(records), _where(records)
    if live is None:
        raise UsageError(f"{where} was never published; quality publish makes its held run {records[-1].run} live")
    if to is None:
        earlier = known[: [record.run for record in known].index(live.run)]
        if not earlier:
            raise UsageError(f"{where} has nothing before run {live.run}, which is live: no run was published earlier")
        return earlier[-1]
    named = {str(record.seq): record for record in records} | {record.run: record for record in records}
    if to not in named:
        runs = [record.run for record in reversed(known)]
        raise UsageError(f"{where} has no run or number '{to}'; {did_you_mean(to, runs, 'published runs')}")
    chosen = named[to]
    if chosen.run not in {record.run for record in known}:
        raise UsageError(
            f"{where}: run {chosen.run} was held and never published; "
            f"quality publish {chosen.dataset} --batch {chosen.batch} --run {chosen.run} makes it live"
        )
    return chosen


def _where(records: Sequence[CommitRecord]) -> str:
    return f"batch '{records[-1].batch}' of '{records[-1].dataset}'"


# what is done


def _reinstate(
    place: _Place,
    records: Sequence[CommitRecord],
    chosen: CommitRecord,
    action: str,
    by: str | None,
    reason: str,
    dry_run: bool,
) -> Change:
    before, last = _live(records), records[-1]
    change = Change(action, place.dataset, (last.batch,), "", before, before, dry_run=dry_run)
    if before is not None and before.run == chosen.run:
        # a call that was killed behind its record is made whole here
        behind = () if dry_run else place.follow(change.batches)
        message = f"{_where(records)}: run {chosen.run} is live already (number {before.seq}); nothing was changed"
        return dataclasses.replace(change, message=message, behind=behind)
    _check_files(place.store, chosen)
    record = dataclasses.replace(
        chosen,
        seq=last.seq + 1,
        decision=Decision.PUBLISHED,
        exit_code=1 if chosen.status in (BatchStatus.FAILED, BatchStatus.ERROR) else 0,
        action=action,
        of_seq=_number_of_run(records, chosen),
        by=by or user(),
        at=datetime.now(timezone.utc),
        reason=reason,
    )
    message = _message(before, record, dry_run)
    change = dataclasses.replace(change, record=record, message=message)
    if dry_run:
        return dataclasses.replace(change, planned=tuple(_planned(place, before, record)))
    commit.commit(place.store, record)
    _refuse_collected(place, before, record)
    return dataclasses.replace(change, changed=True, behind=place.follow(change.batches))


def _refuse_collected(place: _Place, before: CommitRecord | None, record: CommitRecord) -> None:
    """The other half of the collector's promise. It marks a run first and reads the records then; the record was written
    first, and the mark is looked for now. Whichever was late sees the other."""
    if before is None or commit.collected_at(place.store, record) is None:
        return
    again = dataclasses.replace(
        before,
        seq=record.seq + 1,
        action=ROLLBACK,
        of_seq=before.of_seq or before.seq,
        by=record.by,
        at=datetime.now(timezone.utc),
        reason=f"the rows of run {record.run} are being collected",
    )
    commit.commit(place.store, again)
    raise StorageError(
        f"{_where([record])}: the rows of run {record.run} are being collected just now; run {before.run} stays live"
    )


def _number_of_run(records: Sequence[CommitRecord], chosen: CommitRecord) -> int:
    """The number under which the run itself was committed."""
    return next(record.seq for record in records if record.run == chosen.run)


def _message(before: CommitRecord | None, record: CommitRecord, dry_run: bool) -> str:
    verb = "would be" if dry_run else "is"
    instead = f" instead of run {before.run}" if before else ""
    rows = f"{sum(file.rows for file in record.passed):,} rows passed"
    return (
        f"batch '{record.batch}' of '{record.dataset}': run {record.run} {verb} live{instead} "
        f"(number {record.seq}, {record.action} of {record.of_seq}; {rows})"
    )


def _planned(place: _Place, before: CommitRecord | None, record: CommitRecord) -> Iterator[str]:
    yield f"write {place.store.uri(record.key)}"
    for side in SIDES:
        yield from (f"- {place.store.uri(file.path)}" for file in (before.files(side) if before else ()))
        yield from (f"+ {place.store.uri(file.path)}" for file in record.files(side))
    for target in place.found:
        yield from target.foretell(record) if isinstance(target, Foretells) else [f"{target.name} would follow"]


def _sync(place: _Place, batch: str | None, dry_run: bool) -> Change:
    known = readers.known_batches(place.store, place.dataset)
    if batch is not None and batch not in known:
        raise UsageError(f"data set '{place.dataset}' has no batch '{batch}'; {did_you_mean(batch, known, 'batches')}")
    batches = tuple(known) if batch is None else (batch,)
    names = ", ".join(target.name for target in place.found)
    counted = "1 batch" if len(batches) == 1 else f"{len(batches)} batches"
    if dry_run:
        planned = tuple(line for one in batches for line in _foretold(place, one))
        message = f"'{place.dataset}': {counted} would be brought in line: {names}"
        return Change(SYNC, place.dataset, batches, message, dry_run=True, planned=planned)
    behind = place.follow(batches)
    outcome = "is not wholly in line, see above" if behind else "is in line with the records"
    return Change(SYNC, place.dataset, batches, f"'{place.dataset}', {counted}: {names} {outcome}", behind=behind)


def _foretold(place: _Place, batch: str) -> list[str]:
    live = commit.live(place.store, place.dataset, batch)
    able = [target for target in place.found if isinstance(target, Foretells)]
    return [line for target in able for line in target.foretell(live)] if live else []


def _check_files(store: Store, record: CommitRecord) -> None:
    """Raise StorageError for the first file of the run that is not there as it was committed."""
    gone = commit.collected_at(store, record)
    if gone:
        raise StorageError(
            f"{_where([record])}: the rows of run {record.run} were collected on {gone:%Y-%m-%d}, so it cannot be made "
            f"live again; quality versions {record.dataset} --batch {record.batch} lists what there is"
        )
    sizes: dict[str, int] = {}
    for folder in {file.path.rpartition("/")[0] for side in SIDES for file in record.files(side)}:
        sizes.update((entry.key, entry.size) for entry in store.list(folder))
    for file in (file for side in SIDES for file in record.files(side)):
        if file.path not in sizes:
            raise StorageError(f"{store.uri(file.path)}: is gone, so run {record.run} cannot be made live again")
        if sizes[file.path] != file.size:
            raise StorageError(
                f"{store.uri(file.path)}: has {sizes[file.path]:,} bytes, was committed with {file.size:,}; "
                f"run {record.run} cannot be made live again"
            )


def user() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return "unknown"


# where it is


@contextlib.contextmanager
def _opened(
    what: str | Path,
    batch: str | None,
    root: str | None,
    variables: Mapping[str, Any] | None,
    allow_env: frozenset[str],
    spark: SparkSession | None,
    *,
    conf: Mapping[str, str] | None = None,
    quiet: bool = False,
    own_id: str | None = None,
) -> Iterator[_Place]:
    """The data set with its targets, called `own_id` instead of what the rule file says; Spark only where one of them, or the root, cannot do without. `quiet`: no targets."""
    if batch is not None:
        check_batch(batch)
    if not is_rule_file(what):
        place = root or DEFAULT_ROOT
        scheme = place.partition(":/")[0].lower() if ":/" in place else ""
        with _session(spark, conf, (), needed=scheme not in _WITHOUT_SPARK) as session:
            store = open_store(place, session)
            dataset = check_dataset(str(what))
            yield _Place(store, dataset, () if quiet else targets.known(store, dataset))
        return
    given: Any = {"root": root, "dataset": own_id, "input_path": unread_input(what)}
    rule_set = load(what, batch=batch, variables=variables, allow_env=allow_env, **given)
    from quality.backends.needs import needs

    root, outputs = rule_set.outputs.root, rule_set.outputs
    scheme = root.partition(":/")[0].lower() if ":/" in root else ""
    followed = not quiet and bool(outputs.table or outputs.quarantine_table or outputs.views)
    needed = followed or scheme not in _WITHOUT_SPARK
    with _session(spark, conf, needs([rule_set], conf) if needed else (), needed=needed) as session:
        store = open_store(rule_set.outputs.root, session)
        yield _Place(store, rule_set.dataset, () if quiet else targets.of(rule_set, store, session))


def is_rule_file(what: str | Path) -> bool:
    """Whether an argument names a rule file, not a data set."""
    return isinstance(what, Path) or what.endswith(_RULE_FILES) or "/" in what


@contextlib.contextmanager
def _session(
    spark: SparkSession | None, conf: Mapping[str, str] | None, needs: Collection[str], *, needed: bool
) -> Iterator[SparkSession | None]:
    if spark is None and not needed:
        yield None
        return
    from quality.backends.session import session

    with session(spark, extra=conf, needs=needs) as own:
        yield own.spark
