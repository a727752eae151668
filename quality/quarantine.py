"""The quarantine as people work with it: what is in it, in which state, and words about rows that stay there.

Which rows are quarantined is told by the commit records, what was said of them by the ledger. To accept rows, to let them
expire and to open them again is to append an entry: it moves no row and can be taken back. An accepted or expired row is
not re-driven any more.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from quality.backends.footers import row_counts
from quality.backends.schemas import literal_path
from quality.rule_types.base import RESERVED_PREFIX
from quality.sensitive import MASKED, NOTHING, Sensitive
from quality.sql import literal, quote
from quality.storage import commit, layout, ledger, readers
from quality.storage.commit import CommitRecord, utc_text
from quality.storage.encryption import storage_options
from quality.storage.ledger import ACCEPTED, CORRECTED, EXPIRED, OPEN, REDRIVEN, Entry
from quality.storage.store import Store

#: What a person may say of rows that stay: the word of the command, and the state it gives.
ACTIONS: Mapping[str, str] = {"accept": ACCEPTED, "expire": EXPIRED, "reopen": OPEN}
#: From which states each word takes rows.
_FROM: Mapping[str, tuple[str, ...]] = {
    "accept": (OPEN, EXPIRED),
    "expire": (OPEN,),
    "reopen": (ACCEPTED, EXPIRED),
}
STATE = f"{RESERVED_PREFIX}state"
ENTRY = f"{RESERVED_PREFIX}entry"
_MARKS = "row_id string, state string, entry string, batch string"
#: Lines of each table of `stats`.
MOST = 20


@dataclass(frozen=True)
class Selection:
    """Which quarantined rows are meant: of these batches (all when empty), failing this rule, in this state, or by id."""

    batches: tuple[str, ...] = ()
    rule: str = ""
    states: tuple[str, ...] = ()
    row_ids: tuple[str, ...] = ()

    @property
    def condition(self) -> str:
        """SQL over rows of `rows_of`, less the batches."""
        parts = ["true"]
        if self.states:
            parts.append(f"{STATE} in ({', '.join(map(literal, self.states))})")
        if self.rule:
            parts.append(failed(self.rule))
        if self.row_ids:
            parts.append(f"_quality.row_id in ({', '.join(map(literal, self.row_ids))})")
        return " and ".join(parts)


def failed(rule: str) -> str:
    """SQL: the quarantined row failed this rule."""
    return f"exists(_quality.failures, f -> f.rule = {literal(rule)})"


def live_records(store: Store, dataset: str, batches: Sequence[str] = ()) -> list[CommitRecord]:
    """The live records of these batches, or of all. UsageError for an unknown one; InputError when none is published."""
    if not batches:
        return readers.select(store, dataset, side="quarantine")
    return [record for batch in dict.fromkeys(batches) for record in readers.select(store, dataset, batch)]


def rows_of(spark: SparkSession, store: Store, record: CommitRecord, found: Sequence[Entry]) -> DataFrame:
    """The quarantined rows of a record, with columns STATE and ENTRY: the last word about each, and the entry that says it."""
    return _with_states(spark, store, _stored(spark, store, record), found)


def _stored(spark: SparkSession, store: Store, record: CommitRecord) -> DataFrame:
    columns = ", ".join(f"{quote(c.name)} {c.type}" for c in readers.columns_of_side(record, "quarantine"))
    if not record.quarantine:
        return spark.createDataFrame([], columns)
    return spark.read.schema(columns).parquet(*(literal_path(store.uri(file.path)) for file in record.quarantine))


def _with_states(spark: SparkSession, store: Store, rows: DataFrame, found: Sequence[Entry]) -> DataFrame:
    files = [literal_path(store.uri(file)) for entry in ledger.words(found) for file in entry.files]
    if not files:
        return rows.selectExpr("*", f"{literal(OPEN)} as {STATE}", f"cast(null as string) as {ENTRY}")
    marks = spark.read.schema(_MARKS).parquet(*files).groupBy("batch", "row_id")
    last = marks.agg(F.expr("max(named_struct('entry', entry, 'state', state)) as word"))
    last = last.toDF(f"{ENTRY}_batch", f"{ENTRY}_row", f"{ENTRY}_word")
    same = f"_quality.row_id = {ENTRY}_row and _quality.batch = {ENTRY}_batch"
    names = [quote(name) for name in rows.columns]
    state, entry = f"coalesce({ENTRY}_word.state, {literal(OPEN)}) as {STATE}", f"{ENTRY}_word.entry as {ENTRY}"
    return rows.join(last, F.expr(same), "left").selectExpr(*names, state, entry)


# what is there


def listed(spark: SparkSession, store: Store, dataset: str, batches: Sequence[str] = ()) -> list[dict[str, Any]]:
    """For each batch the quarantined rows by state, and those that came back, by time of the batch."""
    records = live_records(store, dataset, batches)
    found = ledger.entries(store, dataset)
    counted = _by(spark, store, records, found, ["_quality.batch", STATE])
    states = {(row[0], row[1]): int(row[2]) for row in counted}
    return [_line(store, record, found, states) for record in records]


def _line(
    store: Store, record: CommitRecord, found: Sequence[Entry], states: Mapping[tuple[str, str], int]
) -> dict[str, Any]:
    own = [entry for entry in found if entry.batch == record.batch]
    back = ledger.came_back(own, commit.records(store, record.dataset, record.batch)) if own else []
    return {
        "batch": record.batch,
        "day": utc_text(record.batch_time)[:10],
        "run": record.run,
        "since": utc_text(record.run_time),
        "quarantined": sum(file.rows for file in record.quarantine),
        **{state: states.get((record.batch, state), 0) for state in (OPEN, ACCEPTED, EXPIRED)},
        **{state: sum(entry.rows.get(state, 0) for entry in back) for state in (REDRIVEN, CORRECTED)},
    }


def stats(spark: SparkSession, store: Store, dataset: str, chosen: Selection) -> dict[str, Any]:
    """Counts of the rows by rule, column, value, batch and day, the largest first. A row that fails two rules counts with
    both."""
    records = live_records(store, dataset, chosen.batches)
    found = ledger.entries(store, dataset)
    days = {record.batch: utc_text(record.batch_time)[:10] for record in records}
    rows = functools.partial(_by, spark, store, records, found, chosen=chosen)
    batches = {row[0]: int(row[1]) for row in rows(["_quality.batch"])}
    by_day: dict[str, int] = {}
    for batch, count in batches.items():
        by_day[days[batch]] = by_day.get(days[batch], 0) + count
    by_rule = rows(["f.rule", "f.severity", "f.column"], failures=True)
    by_column: dict[str, int] = {}
    for row in rows(["f.column"], failures=True, distinct=True):
        by_column[row[0]] = int(row[1])
    values = rows(["f.rule", "f.value"], failures=True, most=MOST)
    return {
        "rows": sum(batches.values()),
        "rule": [{"rule": r[0], "severity": r[1], "column": r[2], "rows": int(r[3])} for r in by_rule[:MOST]],
        "column": _largest("column", by_column),
        "value": [{"rule": r[0], "value": r[1], "rows": int(r[2])} for r in values],
        "batch": _largest("batch", batches),
        "day": [{"day": day, "rows": by_day[day]} for day in sorted(by_day)],
    }


def _largest(word: str, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{word: name, "rows": count} for name, count in ordered[:MOST]]


def _by(
    spark: SparkSession,
    store: Store,
    records: Sequence[CommitRecord],
    found: Sequence[Entry],
    keys: Sequence[str],
    *,
    chosen: Selection = Selection(),
    failures: bool = False,
    distinct: bool = False,
    most: int = 10_000,
) -> list[Any]:
    """Rows (key..., count), the largest first. `failures`: keys of `f`, each failure of a row; `distinct`: a row counts once
    with each key."""
    files = [literal_path(store.uri(file.path)) for record in records for file in record.quarantine]
    if not files:
        return []
    # the one column that all batches have alike
    frame = spark.read.schema(f"{quote('_quality')} {readers.QUALITY_COLUMN.type}").parquet(*files)
    frame = _with_states(spark, store, frame, found).where(chosen.condition)
    if failures:
        frame = frame.selectExpr("_quality.row_id as id", "_quality.batch as batch", "explode(_quality.failures) as f")
    named = [f"{key} as k{place}" for place, key in enumerate(keys)]
    extra = ["id", "batch"] if distinct else []
    frame = frame.selectExpr(*named, *extra)
    frame = frame.distinct() if distinct else frame
    names = [f"k{place}" for place in range(len(keys))]
    counted = frame.groupBy(*names).count()
    return list(counted.orderBy(F.expr("count").desc(), *names).limit(most).collect())


def shown(
    spark: SparkSession, store: Store, dataset: str, chosen: Selection, limit: int, *, reveal: bool = False
) -> list[dict[str, Any]]:
    """At most `limit` rows: id, batch, state and who said so, the failures, and the row as it is stored; `sensitive` names its
    columns whose values are hidden, unless `reveal`."""
    out: list[dict[str, Any]] = []
    for record in live_records(store, dataset, chosen.batches):
        found = ledger.entries(store, dataset, record.batch)
        if len(out) >= limit or not record.quarantine:
            continue
        frame = rows_of(spark, store, record, found).where(chosen.condition).orderBy("_quality.row_id")
        told = {entry.id: entry for entry in found}
        for row in (
            frame.limit(limit - len(out))
            .selectExpr("to_json(struct(*), map('ignoreNullFields', 'false')) as r")
            .collect()
        ):
            sensitive = NOTHING if reveal else Sensitive.of(record.sensitive)
            out.append(_shown(row["r"], told, sensitive))
    return out


def _shown(text: str, told: Mapping[str, Entry], sensitive: Sensitive) -> dict[str, Any]:
    row = json.loads(text)
    secret = [name for name in row if sensitive.how(name)]
    row |= {name: MASKED for name in secret if row[name] is not None}
    about, state, entry = row.pop("_quality"), row.pop(STATE), told.get(row.pop(ENTRY) or "")
    return {
        "row_id": about["row_id"],
        "batch": about["batch"],
        "run": about["run"],
        "state": state,
        "by": entry.by if entry else None,
        "at": utc_text(entry.at) if entry else None,
        "reason": (entry.reason or None) if entry else None,
        "failures": about["failures"],
        "row": row,
        **({"sensitive": secret} if secret else {}),
    }


# words about rows


@dataclass(frozen=True)
class Said:
    """What was said of rows, or would be: the state they are in now, and how many of each batch."""

    action: str
    dataset: str
    state: str
    rows: Mapping[str, int]
    by: str
    dry_run: bool = False

    @property
    def message(self) -> str:
        """In one line."""
        total = sum(self.rows.values())
        verb = "would be" if self.dry_run else "are"
        if not total:
            return f"'{self.dataset}': no such rows; nothing was changed"
        where = f"batch '{next(iter(self.rows))}'" if len(self.rows) == 1 else f"{len(self.rows)} batches"
        return f"'{self.dataset}', {where}: {total:,} rows {verb} {self.state}, by {self.by}"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"schema": "quality.quarantine/1", **vars(self), "rows": dict(self.rows), "message": self.message}


def say(
    spark: SparkSession,
    store: Store,
    dataset: str,
    action: str,
    chosen: Selection,
    *,
    by: str,
    reason: str = "",
    older_than: timedelta | None = None,
    dry_run: bool = False,
) -> Said:
    """Accept rows, let them expire, or open them again: an entry for each batch. `older_than`: only of batches whose run is
    older. Rows that are in that state already are left alone. UsageError for a row that is not in quarantine."""
    at, state = datetime.now(timezone.utc), ACTIONS[action]
    chosen = Selection(chosen.batches, chosen.rule, _FROM[action], chosen.row_ids)
    counts: dict[str, int] = {}
    for record in live_records(store, dataset, chosen.batches):
        if not record.quarantine or (older_than is not None and at - record.run_time < older_than):
            continue
        rows = rows_of(spark, store, record, ledger.entries(store, dataset, record.batch)).where(chosen.condition)
        count = rows.count() if dry_run else _append(spark, store, record, rows, state, by, at, reason)
        if count:
            counts[record.batch] = count
    return Said(action, dataset, state, counts, by, dry_run)


def _append(
    spark: SparkSession,
    store: Store,
    record: CommitRecord,
    rows: DataFrame,
    state: str,
    by: str,
    at: datetime,
    reason: str,
) -> int:
    id = layout.new_run_id()
    words = [f"{literal(text)} as {name}" for text, name in ((state, "state"), (id, "entry"), (record.batch, "batch"))]
    files, count = write_rows(
        spark,
        store,
        layout.ledger_rows(record.dataset, record.batch, id),
        rows.selectExpr("_quality.row_id as row_id", *words),
    )
    if count:
        ledger.append(store, Entry(record.dataset, record.batch, id, {state: count}, files, by, at, reason))
    return count


def write_rows(
    spark: SparkSession, store: Store, folder: str, rows: DataFrame, kms_key: str = ""
) -> tuple[tuple[str, ...], int]:
    """Write rows of an entry; the keys of the files and how many rows are in them, by their footers. Without rows nothing
    is left there."""
    rows.write.options(**storage_options(kms_key)).parquet(store.uri(folder))
    keys = [entry.key for entry in store.list(folder) if entry.key.endswith(".parquet")]
    count = sum(row_counts(spark, [store.uri(key) for key in keys]))
    if not count:
        store.delete_folder(folder)
        return (), 0
    return tuple(keys), count


# where it is


@contextlib.contextmanager
def opened(
    what: str | Path,
    root: str | None,
    spark: SparkSession | None = None,
    conf: Mapping[str, str] | None = None,
    own_id: str | None = None,
) -> Iterator[tuple[SparkSession, Store, str]]:
    """Spark, the store and the data set that a rule file or the id of a data set mean; `own_id` takes the place of the one
    the rule file says. UsageError for an unknown one."""
    from quality.backends.session import session
    from quality.rulefile.references import unread_input
    from quality.storage.store import open_store
    from quality.versions import is_rule_file

    if is_rule_file(what):
        from quality.rulefile import load

        rule_set = load(what, root=root, dataset=own_id, input_path=unread_input(what))
        dataset, place = rule_set.dataset, rule_set.outputs.root
    else:
        dataset, place = layout.check_dataset(str(what)), root or "quality-data"
    needs = ["s3"] if place.partition("://")[0] in ("s3", "s3a", "s3n") else []
    if needs or place.startswith("file:") or ":/" not in place:
        # a mistyped name is told before Spark starts
        readers.known_batches(open_store(place), dataset)
    with session(spark, extra=conf, needs=needs) as own:
        store = open_store(place, own.spark)
        readers.known_batches(store, dataset)
        yield own.spark, store, dataset
