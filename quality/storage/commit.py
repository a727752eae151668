"""What makes a run live: one record per committed run, numbered within its batch, created with put-if-absent.

The newest published record of a batch is what readers see. A held run is recorded too, and leaves the one before it
live. A run that dies before its record, or loses the race for its number, leaves files that nobody lists.

A person who publishes a held run, or rolls back, appends a record as well: the same run with the same files, and who
did it (`action`). So what is live, and why, is always told by one list that only grows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeVar

from quality.errors import LostRaceError, StorageError
from quality.model import BatchStatus, Column, Decision
from quality.storage.layout import collected_key, commit_key, commit_seq, commits_dir, decode_batch
from quality.storage.store import Store

SCHEMA = "quality.commit/1"
#: What a record came from: a run, a person who chose among runs, or rows of the quarantine that came back.
RUN, PUBLISH, ROLLBACK, REDRIVE = "run", "publish", "rollback", "redrive"
# a small record is all waiting: more requests at once than processors
_READERS = 16

_T = TypeVar("_T")


@dataclass(frozen=True)
class DataFile:
    """A file of a run: its path relative to the root, the rows in it, its size in bytes."""

    path: str
    rows: int
    size: int


@dataclass(frozen=True)
class CommitRecord:
    """All a reader must know of a run. Times are aware datetimes, kept in UTC; `columns` is the passed side's schema.

    `fingerprints` says what the run depended on (input, rule_set, vars, references, engine_version, history); `history`
    and `result` are keys. `action` is `run`, or `publish` or `rollback` when a person made the run of record `of_seq` live
    again: `by` whom, `at` what time, for what `reason`. With `redrive` the run is a new one: that of record `of_seq`, and rows of
    its quarantine that pass by now. `sensitive` are the columns whose values nobody is to read, and how they are hidden.
    """

    dataset: str
    batch: str
    batch_time: datetime
    seq: int
    run: str
    run_time: datetime
    status: BatchStatus
    decision: Decision
    exit_code: int
    rule_set: str
    fingerprints: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    passed: tuple[DataFile, ...] = ()
    quarantine: tuple[DataFile, ...] = ()
    flags: tuple[DataFile, ...] = ()
    history: tuple[str, ...] = ()
    result: str = ""
    action: str = RUN
    of_seq: int = 0
    by: str = ""
    at: datetime | None = None
    reason: str = ""
    sensitive: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Where the record is kept."""
        return commit_key(self.dataset, self.batch, self.seq)

    @property
    def published(self) -> bool:
        """Whether readers may see the run, as long as no later one is published."""
        return self.decision == Decision.PUBLISHED

    @property
    def told(self) -> str:
        """Who made the run live again, and why; empty for the record of a run."""
        if self.action == RUN or self.at is None:
            return ""
        what = {PUBLISH: "published", ROLLBACK: "made live again", REDRIVE: "re-driven"}.get(self.action, self.action)
        return f"{what} by {self.by} at {utc_text(self.at)}" + (f": {self.reason}" if self.reason else "")

    def files(self, side: str) -> tuple[DataFile, ...]:
        """The files of one side."""
        return {"passed": self.passed, "quarantine": self.quarantine, "flags": self.flags}[side]

    def to_json(self) -> bytes:
        """The record as stored. Equal records give equal bytes, which is how a repeated put is recognised."""
        # one line: Athena and Hive take a line of a JSON file for a row
        return (json.dumps(self._to_dict(), ensure_ascii=False) + "\n").encode()

    def _to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "dataset": self.dataset,
            "batch": self.batch,
            "batch_time": utc_text(self.batch_time),
            "seq": self.seq,
            "run": self.run,
            "run_time": utc_text(self.run_time),
            "status": str(self.status),
            "decision": str(self.decision),
            "exit_code": self.exit_code,
            "rule_set": self.rule_set,
            "fingerprints": _sorted(self.fingerprints),
            "rows": dict(self.rows),
            "columns": [{"name": column.name, "type": column.type} for column in self.columns],
            **{side: [_file_to_dict(file) for file in self.files(side)] for side in ("passed", "quarantine", "flags")},
            "history": list(self.history),
            "result": self.result,
            **({"sensitive": _sorted(self.sensitive)} if self.sensitive else {}),
            **self._act_to_dict(),
        }

    def _act_to_dict(self) -> dict[str, Any]:
        if self.action == RUN:
            return {}
        at = utc_text(self.at) if self.at else None
        return {"action": self.action, "of_seq": self.of_seq, "by": self.by, "at": at, "reason": self.reason}

    @classmethod
    def from_json(cls, data: bytes | str, key: str = "commit record") -> CommitRecord:
        """The record in a stored text; keys it does not know are ignored.

        StorageError, naming the key, when the text is damaged or of a later major schema.
        """
        try:
            words = json.loads(data)
            _check_schema(words["schema"], key)
            return cls._from_dict(words)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(f"{key}: is not a commit record ({type(error).__name__}: {error})") from error

    @classmethod
    def _from_dict(cls, words: Mapping[str, Any]) -> CommitRecord:
        fields: dict[str, Any] = {
            **{name: _typed(words[name], str) for name in ("dataset", "batch", "run", "rule_set", "result")},
            **{name: _typed(words[name], int) for name in ("seq", "exit_code")},
            **{name: parse_utc(words[name]) for name in ("batch_time", "run_time")},
            **{name: tuple(map(_file_from_dict, words[name])) for name in ("passed", "quarantine", "flags")},
        }
        return cls(
            **fields,
            status=BatchStatus(words["status"]),
            decision=Decision(words["decision"]),
            fingerprints=dict(words["fingerprints"]),
            rows={name: _typed(count, int) for name, count in words["rows"].items()},
            columns=tuple(Column(_typed(item["name"], str), _typed(item["type"], str)) for item in words["columns"]),
            history=tuple(_typed(key, str) for key in words["history"]),
            sensitive={_typed(name, str): _typed(how, str) for name, how in words.get("sensitive", {}).items()},
            **_act_from_dict(words),
        )


def utc_text(moment: datetime) -> str:
    """A time as it is stored: `2013-01-01T05:00:00.000000Z`, always with microseconds so that text sorts as time.

    ValueError for a time without a zone: what zone it is in has been decided before.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def parse_utc(text: str) -> datetime:
    """The time in a stored text, in UTC. ValueError when it is none, or has no zone."""
    # Python 3.10 does not know Z
    moment = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text))
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.astimezone(timezone.utc)


def commit(store: Store, record: CommitRecord) -> None:
    """Make the run known, and live if it is published. LostRaceError when another record has its number.

    Committing the same record again is fine: it is what a repeated request looks like.
    """
    data = record.to_json()
    if store.put_if_absent(record.key, data):
        return
    winner = _read(store, record.key)
    if winner.to_json() != data:
        raise LostRaceError(_lost(record, winner))


def records(store: Store, dataset: str, batch: str) -> list[CommitRecord]:
    """Every record of a batch, oldest first."""
    return _parallel(lambda key: _read(store, key), _keys(store, dataset, batch))


def latest(store: Store, dataset: str, batch: str) -> CommitRecord | None:
    """The last record of a batch, published or held; the next run's number is its `seq` + 1."""
    keys = _keys(store, dataset, batch)
    return _read(store, keys[-1]) if keys else None


def live(store: Store, dataset: str, batch: str) -> CommitRecord | None:
    """The record readers see: the last one that is published."""
    return _newest_published(store, _keys(store, dataset, batch))


def live_records(store: Store, dataset: str) -> list[CommitRecord]:
    """The live record of every batch that has one, by batch time, then batch id. One listing, one read per batch."""
    found = _parallel(lambda keys: _newest_published(store, keys), list(_keys_by_batch(store, dataset).values()))
    return sorted((record for record in found if record), key=lambda record: (record.batch_time, record.batch))


def collected_at(store: Store, record: CommitRecord) -> datetime | None:
    """When the rows of a run were collected; None when they were not, so that missing ones are lost."""
    try:
        return parse_utc(json.loads(store.read(collected_key(record.dataset, record.batch, record.run)))["collected"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        key = store.uri(collected_key(record.dataset, record.batch, record.run))
        raise StorageError(f"{key}: is not what a collector writes: {error}") from error


def batches(store: Store, dataset: str) -> list[str]:
    """The ids of all batches with a record, also of those that were only ever held."""
    return sorted(decode_batch(segment) for segment in _keys_by_batch(store, dataset))


def datasets(store: Store) -> list[str]:
    """The ids of all data sets with a record."""
    return store.children("commits")


def _keys(store: Store, dataset: str, batch: str) -> list[str]:
    return _in_order(entry.key for entry in store.list(commits_dir(dataset, batch)))


def _keys_by_batch(store: Store, dataset: str) -> dict[str, list[str]]:
    folders: dict[str, list[str]] = {}
    for entry in store.list(commits_dir(dataset)):
        folders.setdefault(entry.key.split("/")[-2], []).append(entry.key)
    ordered = {segment: _in_order(keys) for segment, keys in folders.items()}
    return {segment: keys for segment, keys in ordered.items() if keys}


def _in_order(keys: Iterable[str]) -> list[str]:
    """Commit keys by number: as text, 10 comes before 9."""
    numbered = ((commit_seq(key), key) for key in keys)
    return [key for _, key in sorted((seq, key) for seq, key in numbered if seq is not None)]


def _newest_published(store: Store, keys: Sequence[str]) -> CommitRecord | None:
    return next((record for key in reversed(keys) if (record := _read(store, key)).published), None)


def _read(store: Store, key: str) -> CommitRecord:
    try:
        return CommitRecord.from_json(store.read(key), store.uri(key))
    except FileNotFoundError:
        raise StorageError(f"{store.uri(key)}: was listed and is gone; records must not be deleted by hand") from None


def _parallel(action: Callable[[_T], Any], items: Sequence[_T]) -> list[Any]:
    if len(items) < 2:
        return [action(item) for item in items]
    with ThreadPoolExecutor(min(_READERS, len(items))) as pool:
        return list(pool.map(action, items))


def _lost(record: CommitRecord, winner: CommitRecord) -> str:
    if record.action != RUN:
        taken = f"run {winner.run}, {winner.told or winner.decision}"
        return (
            f"batch '{record.batch}' of '{record.dataset}': number {winner.seq} was taken meanwhile by {taken}; "
            f"nothing was changed; look at it with quality versions {record.dataset} --batch {record.batch}"
        )
    if winner.action != RUN:
        return (
            f"batch '{record.batch}' of '{record.dataset}': run {winner.run} was {winner.told} while this run worked "
            f"(number {winner.seq}); run {record.run} is not visible; run again if it shall take that one's place"
        )
    return (
        f"batch '{record.batch}' of '{record.dataset}': run {winner.run} committed first "
        f"(number {winner.seq}, {winner.decision}, begun {utc_text(winner.run_time)}); "
        f"run {record.run} is not visible; run again to judge on top of it"
    )


def _check_schema(schema: str, key: str) -> None:
    name, _, major = schema.partition("/")
    if name != "quality.commit" or not major.isdecimal():
        raise StorageError(f"{key}: is not a commit record: schema is '{schema}', must be '{SCHEMA}'")
    if int(major) > 1:
        raise StorageError(f"{key}: was written by a later version ('{schema}', this one reads '{SCHEMA}'); upgrade")


def _typed(value: Any, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not {kind.__name__}")
    return value


def _act_from_dict(words: Mapping[str, Any]) -> dict[str, Any]:
    if words.get("action", RUN) == RUN:
        return {}
    return {
        **{name: _typed(words[name], str) for name in ("action", "by", "reason")},
        "of_seq": _typed(words["of_seq"], int),
        "at": parse_utc(words["at"]) if words["at"] is not None else None,
    }


def _sorted(value: Any) -> Any:
    """The value with the keys of all its objects in order."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, (list, tuple)) else value


def _file_to_dict(file: DataFile) -> dict[str, Any]:
    return {"path": file.path, "rows": file.rows, "size": file.size}


def _file_from_dict(words: Mapping[str, Any]) -> DataFile:
    return DataFile(_typed(words["path"], str), _typed(words["rows"], int), _typed(words["size"], int))
