"""Measures past batches for the history: the metrics of the rules and a profile of each, in one session, in the order of their
times. No rule is judged and no row is written.

A batch that a run has judged is passed over, and so is one that was measured by the same rules, input and version. What comes
late, or in another order, is put where its time says: who looks back goes by batch times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

import quality
from quality import history, lookback, verification
from quality.backends.needs import needs
from quality.backends.parsing import refuse_unparsable
from quality.backends.pinning import pinned_digest
from quality.backends.reading import Reader, reason
from quality.backends.session import session
from quality.backends.sizing import sized
from quality.engine import Engine
from quality.errors import InputError, QualityError, UsageError
from quality.model import BatchStatus, Decision, RowCounts
from quality.planner import Plan
from quality.profiles import with_profile
from quality.references import References
from quality.rule_types.rules import RuleSet
from quality.rulefile import load
from quality.runs import mentions_file, planned, refuse_topic, resolve_batch_time
from quality.sensitive import withholding
from quality.storage import backfills, commit, layout
from quality.storage.commit import CommitRecord, utc_text
from quality.storage.store import Store, open_store

MEASURED, KNOWN, JUDGED, FAILED = "measured", "already measured", "judged by a run", "failed"
_BATCH = re.compile(r"\{\{\s*batch\s*\}\}")
_NOTHING = lookback.Past((), ())


@dataclass(frozen=True)
class Backfilled:
    """What became of a batch: one of MEASURED, KNOWN, JUDGED, FAILED; `passes` over it, as planned and as made; `message` says why it
    failed, or what could not be measured of it."""

    batch: str
    batch_time: datetime
    state: str
    rows: int = 0
    metrics: int = 0
    passes: tuple[int, int] = (0, 0)
    message: str = ""


def backfill(
    rules: str | Path,
    batches: Sequence[str] = (),
    *,
    since: str = "",
    until: str = "",
    input: str | None = None,
    variables: Mapping[str, Any] | None = None,
    root: str | None = None,
    dataset: str | None = None,
    references: Mapping[str, str] | None = None,
    spark: SparkSession | None = None,
    allow_env: frozenset[str] = frozenset(),
    progress: Callable[[str], None] | None = None,
    told: Callable[[Backfilled], None] | None = None,
    conf: Mapping[str, str] | None = None,
) -> list[Backfilled]:
    """Measure these batches, or all that the input's path has where it says `{{ batch }}`; `since` and `until` are the first and
    the last by name. A batch that cannot be read is told and keeps no other from being measured. `told` gets each as it is done.

    Raises UsageError before anything is read, InputError when there is no batch."""
    given: Any = {"variables": variables, "allow_env": allow_env, "input_path": input, "root": root}
    given |= {"dataset": dataset, "references": references}
    whole = load(rules, **given)
    refuse_topic(whole)
    if whole.input.table or not any(_BATCH.search(path) for path in whole.input.path):
        raise UsageError(
            f"{whole.file}: a backfill needs '{{{{ batch }}}}' in 'input.path', where a batch's name stands"
        )
    for name in batches:
        layout.check_batch(name)
    say = progress or (lambda _words: None)
    say("starting Spark")
    with withholding(whole.sensitive), session(spark, extra=conf, needs=needs([whole], conf)) as own:
        refuse_unparsable(own.spark, whole)
        now = datetime.now(timezone.utc)
        chosen = [name for name in batches or _found(own.spark, whole) if (since or name) <= name <= (until or name)]
        if not chosen:
            raise InputError(f"{whole.file}: no batch is from '{since or 'the first'}' to '{until or 'the last'}'")
        loaded = [load(rules, batch=layout.check_batch(name), **given) for name in dict.fromkeys(chosen)]
        timed = sorted(((resolve_batch_time(one, now), one.batch, one) for one in loaded), key=lambda item: item[:2])
        _refuse_untimed(timed, now)
        store, engine, done = open_store(whole.outputs.root, own.spark), Engine(own.spark), []
        judged = {*commit.batches(store, whole.dataset)}
        known = {record.batch: record for record in backfills.records(store, whole.dataset)}
        for moment, name, rule_set in timed:
            say(f"{name}: measuring")
            if name in judged:
                found = Backfilled(name, moment, JUDGED)
            else:
                found = _guarded(_Work(own.spark, store, engine.fresh(), rule_set, moment), known.get(name))
            done.append(found)
            if told:
                told(found)
        return done


def _refuse_untimed(timed: Sequence[tuple[datetime, str, RuleSet]], now: datetime) -> None:
    """Names that are no dates leave nothing to go by: all would be of now, in no order."""
    wrong = [name for moment, name, _ in timed if moment == now]
    if wrong:
        raise UsageError(
            f"{timed[0][2].file}: batch '{wrong[0]}' is no date or time; 'input.batch_time' says what time a batch is of"
        )


def _found(spark: SparkSession, whole: RuleSet) -> list[str]:
    """The names of the batches by the paths of the files that are there."""
    (template,) = [path for path in whole.input.path if _BATCH.search(path)][:1]
    paths = tuple(_BATCH.sub("*", path) for path in whole.input.path)
    files = Reader(spark, replace(whole.input, path=paths), {}).pin()
    first, *rest = (".*?".join(re.escape(part) for part in re.split(r"\*+", text)) for text in _BATCH.split(template))
    pattern = re.compile(re.sub(r"^(\\\./)+", "", first) + r"([^/]+?)" + r"[^/]+?".join(rest) + r"(?=/|\Z)")
    found = {match[1] for file in files if (match := pattern.search(unquote(file.path)))}
    if not found:
        raise InputError(f"{whole.file}: no file matches {template}")
    return sorted(found)


@dataclass(frozen=True)
class _Work:
    spark: SparkSession
    store: Store
    engine: Engine
    rule_set: RuleSet
    batch_time: datetime


def _guarded(work: _Work, known: CommitRecord | None) -> Backfilled:
    try:
        return _measured(work, known)
    except UsageError:
        raise
    except (QualityError, PySparkException, Py4JError, OSError) as error:
        message = str(error) if isinstance(error, QualityError) else f"Spark gave up: {reason(error)}"
        return Backfilled(work.rule_set.batch, work.batch_time, FAILED, message=message)


def _measured(work: _Work, known: CommitRecord | None) -> Backfilled:
    rule_set, engine = replace(work.rule_set, profile=True), work.engine
    reader = Reader(work.spark, rule_set.input, rule_set.declared_types, mentions_file(rule_set))
    references, run = References(engine, work.store, rule_set), layout.new_run_id()
    references.pin()
    files = reader.pin()
    prints = {
        "input": pinned_digest(files, ""),
        "references": references.fingerprint(run),
        "rule_set": rule_set.fingerprint,
        "engine_version": quality.__version__,
        "batch_time": utc_text(work.batch_time),
        "sensitive": str(sorted(rule_set.sensitive.to_dict().items())),
    }
    if known and known.fingerprints == prints:
        return Backfilled(rule_set.batch, work.batch_time, KNOWN, known.rows.get("input", 0))
    read = reader.read(files)
    engine.launched.wide += read.scans
    try:
        # what is kept of references is let go whatever fails
        with sized(work.spark, references.attach(read)) as batch:
            plan = engine.analyse(batch.frame, _alone(planned(engine, work.store, rule_set, batch, ())))
            findings = engine.measure(batch, plan)
    finally:
        engine.release()
    verdicts = verification.judge(findings.plan, findings.measured, batch.columns)
    metrics = with_profile((metric for verdict in verdicts for metric in verdict.metrics), findings.profile)
    if {*reader.pinned_now(batch)} != {*batch.files}:
        raise InputError(f"{rule_set.file}: the input of batch '{rule_set.batch}' changed while it was read")
    references.refuse_moved()
    run_time = datetime.now(timezone.utc)
    common = {
        "batch": rule_set.batch, "batch_time": utc_text(work.batch_time), "run": run, "run_time": utc_text(run_time),
        "rule_set": rule_set.fingerprint, "engine_version": quality.__version__,
    }  # fmt: skip
    rows = history.metric_rows(metrics, common)
    keys = history.write(work.spark, work.store, rule_set.dataset, run, {"metrics": rows})
    record = CommitRecord(
        rule_set.dataset, rule_set.batch, work.batch_time, known.seq + 1 if known else 1, run, run_time,
        BatchStatus.PASSED, Decision.NONE, 0, rule_set.fingerprint, prints,
        RowCounts(findings.measured.rows, 0, 0, 0).to_dict(), batch.columns, history=tuple(keys),
        sensitive=rule_set.sensitive.to_dict(),
    )  # fmt: skip
    try:
        backfills.add(work.store, record)
    except QualityError:
        # a history that is read by listing files must not show it
        work.store.delete(keys)
        raise
    passes = (plan.passes.wide + plan.passes.narrow, engine.launched.wide + engine.launched.narrow)
    unread = "; ".join(f"not all is measured: {why}" for why in dict.fromkeys(batch.row.unanswered.values()))
    return Backfilled(rule_set.batch, work.batch_time, MEASURED, findings.measured.rows, len(rows), passes, unread)


def _alone(plan: Plan) -> Plan:
    """The plan without what comes from earlier batches: nothing is judged by them."""
    checks = tuple(lookback.resolved(check, _NOTHING) for check in plan.metric_checks)
    return replace(plan, metric_checks=checks, together=False, writes=False)
