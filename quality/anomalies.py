"""Anomalies of a data set: its history and its steward's words, brought to the detector; by a run or by hand."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from quality import history_reader
from quality.anomaly.calendar import Calendar
from quality.anomaly.values import Batch, Point, Series
from quality.errors import InputError, QualityError, StorageError, UsageError, did_you_mean
from quality.model import Metric, RuleResult, RuleStatus, Severity
from quality.profiles import CARRIERS
from quality.referenced import readable, with_references
from quality.rule_types.rules import AnomalySettings
from quality.rulefile.calendar import load_calendar
from quality.sensitive import NOTHING, Sensitive, is_value
from quality.storage import backfills, commit, layout, readers
from quality.storage.commit import parse_utc, utc_text
from quality.storage.store import Store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from quality.anomaly.judging import Accepted, Judgement
    from quality.results import Context

_SCHEMA = "quality.accepted/1"


@dataclass(frozen=True)
class Odd:
    """What a run found: entries of the result JSON, and the verdict that takes part in the decision."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    verdicts: tuple[RuleResult, ...] = ()


def of_run(context: Context, metrics: Iterable[Metric | None], rows: int) -> Odd:
    """The anomalies of the batch of a run. Nothing without a section `anomalies:`. What cannot be told (a history that
    cannot be read) is a warning, never more: it is no fault of the batch."""
    settings = context.rule_set.anomalies
    if settings is None:
        return Odd()
    known = [metric for metric in metrics if metric is not None]
    points = {series_of(metric): point_of(metric) for metric in known}
    points[Series("Size")] = Point(float(rows))
    sketches = {series_of(m): content for m in known if (content := _sketch_of(m)) is not None}
    tested = Batch(context.batch, context.batch_time, rows, points, sketches)
    try:
        found = judged(
            context.store, context.dataset, tested, settings, spark=context.spark, sensitive=context.rule_set.sensitive
        )
    except UsageError:
        raise
    except QualityError as error:
        why = f"could not tell: {error}"
        return Odd(verdicts=(_verdict(settings, RuleStatus.ERROR, why, Severity.WARNING),))
    if not found.anomalies:
        why = f"could not tell of all: {found.unknown}"
        return Odd(verdicts=(_verdict(settings, RuleStatus.ERROR, why, Severity.WARNING),) if found.unknown else ())
    entries = [anomaly.to_dict() for anomaly in found.anomalies]
    message = f"{found.message}; {found.unknown}" if found.unknown else found.message
    return Odd(entries, (_verdict(settings, RuleStatus.FAILED, message, settings.severity),))


def _verdict(settings: AnomalySettings, status: RuleStatus, message: str, severity: Severity) -> RuleResult:
    location = str(settings.location)
    return RuleResult(
        "anomalies", "", "anomalies", "", severity, settings.on_fail, status, None, "", None, None, message, location
    )


def series_of(metric: Metric) -> Series:
    """What the detector calls a metric."""
    key = metric.key
    return Series(key.name, key.instance, key.filter, (), tuple(sorted(key.parameters)))


def point_of(metric: Metric) -> Point:
    """A metric's value, None for what is no finite number."""
    return Point(metric.number, metric.numerator, metric.denominator)


def _sketch_of(metric: Metric) -> bytes | None:
    if (sketch := metric.sketch) is None:
        return None
    return readable({"format": sketch.format, "version": sketch.version, "bytes": sketch.content})


def judged(
    store: Store,
    dataset: str,
    tested: Batch,
    settings: AnomalySettings,
    *,
    spark: SparkSession | None = None,
    sensitive: Sensitive = NOTHING,
) -> Judgement:
    """The judgement on a batch by the live batches before it. What is a value of a sensitive column is not looked at, also
    where an earlier run still told it. Raises StorageError for a history that cannot be read, and
    EngineError when nothing is there to read it with."""
    from quality.anomaly.judging import MOST, Options, before, judge, judge_by

    calendar = load_calendar(settings.calendar) if settings.calendar else Calendar()
    known = history_reader.records(store, dataset)
    earlier = [r for r in known if r.batch_time < tested.time and r.batch != tested.id]
    past = [_shown(batch, sensitive) for batch in history_reader.batches(store, earlier[-MOST:], spark)]
    tested = _shown(tested, sensitive)
    options = Options(settings.false_alarms, settings.metrics, settings.season)
    if settings.strategy:
        # each metric by itself: a number that says little would only be wrong once more
        telling = {one: point for one, point in tested.points.items() if one.name not in CARRIERS}
        tested = tested if settings.metrics else replace(tested, points=telling)
        return judge_by(settings.strategy, dict(settings.arguments), past, tested, options)
    *past, tested = with_references([*before(past, tested), tested])
    return judge(past, tested, options, calendar, accepted(store, dataset))


def _shown(batch: Batch, sensitive: Sensitive) -> Batch:
    if not sensitive:
        return batch
    shown = {s: point for s, point in batch.points.items() if not (is_value(s.name) and sensitive.how(s.instance))}
    return replace(batch, points=shown)


def judge_stored(store: Store, dataset: str, batch: str | None, settings: AnomalySettings) -> tuple[Batch, Judgement]:
    """The newest live batch, or a named one (its last run, held or not, or its backfill), judged as a run would. UsageError for a batch that is
    not there, and for a metric that no batch has."""
    if batch is None:
        live = history_reader.records(store, dataset)
        if not live:
            readers.known_batches(store, dataset)
            raise InputError(f"data set '{dataset}' has no live batch; name a held one with --batch")
        record = live[-1]
    else:
        record = _record(store, dataset, batch)
    tested = history_reader.batches(store, [record])[0]
    found = judged(store, dataset, tested, settings, sensitive=Sensitive.of(record.sensitive))
    if found.unknown:
        raise UsageError(found.unknown)
    return tested, found


def _record(store: Store, dataset: str, batch: str) -> commit.CommitRecord:
    past = {record.batch: record for record in backfills.records(store, dataset)}
    judged = commit.batches(store, dataset) if past else readers.known_batches(store, dataset)
    found = commit.latest(store, dataset, batch) if batch in judged else past.get(batch)
    if found is None:
        newest = sorted({*judged, *past}, reverse=True)
        raise UsageError(f"data set '{dataset}' has no batch '{batch}'; {did_you_mean(batch, newest, 'batches')}")
    return found


def accept(
    store: Store,
    dataset: str,
    batch: str,
    *,
    metrics: Sequence[str] = (),
    by: str | None = None,
    reason: str = "",
) -> str:
    """Note that a batch is the new normal, for these metrics (names, or names with a column) or for all that moved. The
    note is never changed; it counts from the next judgement on. Returns its key. UsageError for an unknown batch or metric.
    """
    record = _record(store, dataset, layout.check_batch(batch))
    if metrics:
        _refuse_unknown(history_reader.batches(store, [record])[0], metrics)
    note = {
        "schema": _SCHEMA,
        "dataset": dataset,
        "batch": batch,
        "metrics": list(metrics),
        "by": by or _user(),
        "at": utc_text(datetime.now(timezone.utc)),
        "reason": reason,
    }
    key = f"{layout.accepted_dir(dataset)}/{layout.new_run_id()}.json"
    if not store.put_if_absent(key, (json.dumps(note, ensure_ascii=False) + "\n").encode()):
        raise StorageError(f"{store.uri(key)}: is there already; try again")
    return key


def is_held(store: Store, dataset: str, batch: str) -> bool:
    """Whether a batch is no part of the history: no run of it is live, nor a backfill known."""
    return all(record.batch != batch for record in history_reader.records(store, dataset))


def _refuse_unknown(batch: Batch, metrics: Sequence[str]) -> None:
    from quality.anomaly.judging import chosen

    for name in metrics:
        if not any(chosen(series, (name,)) for series in batch.points):
            known = sorted({text for series in batch.points for text in (series.name, str(series))})
            raise UsageError(f"batch '{batch.id}' has no metric '{name}'; {did_you_mean(name, known, 'metrics')}")


def accepted(store: Store, dataset: str) -> list[Accepted]:
    """What was accepted, oldest first. StorageError for a note that is none."""
    from quality.anomaly.judging import Accepted

    found = []
    for entry in store.list(layout.accepted_dir(dataset)):
        try:
            note = json.loads(store.read(entry.key))
            parse_utc(note["at"])
            found.append(Accepted(str(note["batch"]), tuple(map(str, note["metrics"]))))
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{store.uri(entry.key)}: is no note of an accepted batch: {error}") from error
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return "unknown"
