"""One run of one batch: load, compile, run, judge, decide, commit, report.

What is written becomes visible by the commit record alone, so a run that dies anywhere leaves nothing that a reader
sees. A user's mistake raises UsageError before anything is read; all else ends in a result.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

import quality
from quality import (
    anomalies,
    corrections,
    culprits,
    lookback,
    planner,
    publishing,
    results,
    sides,
    targets,
    verification,
)
from quality.backends.deequ import CheckOutcome
from quality.backends.files import Files, listing
from quality.backends.needs import needs
from quality.backends.parsing import refuse_unparsable
from quality.backends.pinning import PinnedFile, pinned_digest
from quality.backends.reading import Batch, Reader, reason
from quality.backends.session import session
from quality.backends.sizing import keeps, sized, stored_rows
from quality.backends.warming import warming
from quality.engine import ENGINES, Engine
from quality.errors import InputError, QualityError, StorageError, UsageError, did_you_mean
from quality.localise import QUARANTINED
from quality.model import Column, Location, RowCounts, RuleResult
from quality.planner import Plan
from quality.profiles import with_profile
from quality.references import References
from quality.results import Context, Progress, RunResult
from quality.rule_types.base import FILE_COLUMN, epoch_micros, parse_moment
from quality.rule_types.files import FileRule, Found
from quality.rule_types.rules import Rule, RuleSet, digest
from quality.rulefile import load
from quality.rulefile.interpret import type_rule
from quality.sensitive import MASKED, withholding
from quality.slices import Slice
from quality.sql import words
from quality.storage import backfills, commit, layout, ledger
from quality.storage.commit import CommitRecord
from quality.storage.leases import Lease
from quality.storage.ledger import CORRECTED, Entry
from quality.storage.store import Store, open_store

LOG = logging.getLogger("quality")


def run(
    rules: str | Path,
    batch: str,
    *,
    input: str | None = None,
    variables: Mapping[str, Any] | None = None,
    root: str | None = None,
    dataset: str | None = None,
    references: Mapping[str, str] | None = None,
    spark: SparkSession | None = None,
    force: bool = False,
    engine: str = "auto",
    allow_env: frozenset[str] = frozenset(),
    max_scans: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run a rule file on one batch.

    `input`, `root`, `dataset` and `references` (name: place) take the place of what the file says; `variables` override its
    `vars:`. A given `spark` is left as it was found. A plan that reads the batch more than `max_scans` times is not run. Raises
    UsageError before anything is read; whatever happens after that is in the result: see its `exit_code`."""
    given: Any = {"input": input, "variables": variables, "root": root, "allow_env": allow_env}
    given |= {"dataset": dataset, "references": references}
    how: Any = {"force": force, "engine": engine, "max_scans": max_scans, "progress": progress}
    return run_batches([rules], [batch], spark=spark, **how, **given)[0]


def run_batches(
    rules: Sequence[str | Path],
    batches: Sequence[str],
    *,
    input: str | None = None,
    variables: Mapping[str, Any] | None = None,
    root: str | None = None,
    dataset: str | None = None,
    references: Mapping[str, str] | None = None,
    spark: SparkSession | None = None,
    force: bool = False,
    engine: str = "auto",
    allow_env: frozenset[str] = frozenset(),
    max_scans: int | None = None,
    progress: Progress | None = None,
    conf: Mapping[str, str] | None = None,
) -> list[RunResult]:
    """Run every rule file on every batch, in order, in one session; the arguments are those of `run`. Every rule file is
    read before anything runs. A batch that fails does not keep the next from running. `conf` are settings for a Spark
    that is started here; UsageError beside a `spark` that runs already."""
    if spark is not None and conf:
        raise UsageError("'conf' is for a Spark that is started here, and 'spark' runs already: configure that one")
    if engine not in ENGINES:
        raise UsageError(f"engine '{engine}' is not known; {did_you_mean(engine, ENGINES)}")
    given: Any = {"variables": variables, "allow_env": allow_env, "input_path": input, "root": root, "dataset": dataset}
    if max_scans is not None and max_scans < 1:
        raise UsageError(f"'max_scans' must be at least 1, got {max_scans}")
    pairs = [(path, layout.check_batch(batch)) for path in rules for batch in batches]
    rule_sets = [load(path, batch=batch, references=references, **given) for path, batch in pairs]
    for rule_set in rule_sets:
        refuse_topic(rule_set)
        resolve_batch_time(rule_set, datetime.now(timezone.utc))
    told = progress or (lambda _words: None)
    if spark is None:
        told("starting Spark")
    wanted = needs(rule_sets, conf)
    with session(spark, extra=conf, needs=wanted) as own, warming(own.spark, wanted=own.owned and "haste" in wanted):
        for rule_set in rule_sets[:: len(batches)]:
            refuse_unparsable(own.spark, rule_set)
            targets.refuse_wrong(rule_set, own.spark)
        connected = Engine(own.spark, engine)
        found = []
        for path, batch in pairs:
            run_time = datetime.now(timezone.utc)
            rule_set = load(path, batch=batch, run_time=run_time, references=references, **given)
            prefix = f"{batch}: " if len(pairs) > 1 else ""
            found.append(_run(rule_set, connected, run_time, Wishes(force, max_scans), _prefixed(told, prefix)))
        if own.keeps:
            told("keeping Spark's classes: it starts quicker from now on")
        return found


def refuse_topic(rule_set: RuleSet) -> None:
    """Raise UsageError for an input that has no batches."""
    if rule_set.input.kafka:
        raise UsageError(f"{rule_set.file}: a topic has no batches; read it with: quality stream {rule_set.file}")


def _prefixed(told: Progress, prefix: str) -> Progress:
    return lambda words: told(prefix + words)


@dataclass(frozen=True)
class Wishes:
    """What a caller may ask of a run: to run although nothing changed, and to read the batch at most so often."""

    force: bool = False
    max_scans: int | None = None


def _run(rule_set: RuleSet, engine: Engine, run_time: datetime, wishes: Wishes, progress: Progress) -> RunResult:
    spark = engine.spark
    context = Context(
        rule_set,
        spark,
        open_store(rule_set.outputs.root, spark),
        engine.fresh(),
        layout.new_run_id(),
        run_time,
        resolve_batch_time(rule_set, run_time),
        progress,
    )
    return guarded(context, lambda lease: _execute(context, wishes, lease))


def guarded(context: Context, work: Callable[[Lease], RunResult]) -> RunResult:
    """What `work` gives, under a lease; whatever it raises but UsageError, as the result of a run that failed."""
    spark = context.spark
    try:
        spark.sparkContext.setJobGroup(context.run, f"quality run {context.dataset} {context.batch}")
        with (
            withholding(context.rule_set.sensitive),
            Lease(context.store, context.dataset, context.batch, context.run) as lease,
        ):
            return work(lease)
    except UsageError:
        raise
    except (QualityError, PySparkException, Py4JError, OSError) as error:  # OSError: the JVM died
        # a trace may quote a value
        LOG.debug(
            "run %s of %s %s failed",
            context.run,
            context.dataset,
            context.batch,
            exc_info=not context.rule_set.sensitive,
        )
        with withholding(context.rule_set.sensitive):
            return _failed(context, error)
    finally:
        with suppress(Py4JError, OSError):
            context.engine.release()
            spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]


def resolve_batch_time(rule_set: RuleSet, run_time: datetime) -> datetime:
    """When the batch is about, in UTC: `input.batch_time`, else the batch id when it is a date or time, else the time of
    the run. Raises UsageError for a `batch_time` that is neither."""
    text = rule_set.input.batch_time or rule_set.batch
    try:
        micros = epoch_micros(parse_moment(text), rule_set.input.timezone)
    except ValueError:
        if rule_set.input.batch_time:
            raise UsageError(f"{rule_set.file}: 'batch_time' must be an ISO-8601 date or time, got '{text}'") from None
        return run_time
    return datetime.fromtimestamp(micros // 1_000_000, timezone.utc).replace(microsecond=micros % 1_000_000)


def _execute(context: Context, wishes: Wishes, lease: Lease) -> RunResult:
    rule_set = context.rule_set
    with context.step("pin", "looking for the input"):
        live = commit.live_records(context.store, context.dataset)
        past = backfills.past(context.store, context.dataset, live)
        types, pinned_rules = types_for(rule_set, live)
        reader = Reader(context.spark, rule_set.input, types, mentions_file(rule_set))
        files = reader.pin()
        batch = reader.read(files) if rule_set.input.table else None
        references = References(context.engine, context.store, rule_set)
        references.pin()
        prints = fingerprints(context, batch.files if batch else files, batch.snapshot if batch else "", past)
        prints |= _files_elsewhere(context, rule_set)
        prints["references"] = references.fingerprint(context.run)
        last = commit.latest(context.store, context.dataset, context.batch)
    if last and not wishes.force and prints["input"] and dict(last.fingerprints) == prints:
        return unchanged(context, last)
    if last and last.told and last.published:
        told = f"run {last.run} was {last.told}; this run takes its place when it is published"
        LOG.warning("%s %s: %s", context.dataset, context.batch, told)
    with context.step("read", "reading the schema"):
        batch = batch or reader.read(files)
        context.engine.launched.wide += batch.scans
        batch, folded = _with_corrections(context, batch)
    if wishes.max_scans is not None and references.questions:
        unread = references.attach(batch, counting=False)
        planner.refuse_over_budget(
            planned(context.engine, context.store, rule_set, unread, pinned_rules), wishes.max_scans
        )
    if references.questions:
        with context.step("references", "reading references"):
            batch = references.attach(batch)
    with sized(context.spark, batch) as batch:
        plan = planned(context.engine, context.store, rule_set, batch, pinned_rules)
        plan = lookback.with_past(plan, context.store, past, context.batch, context.batch_time, context.spark)
        # a row that was corrected keeps its id, which the files of a shared pass do not hold
        plan = replace(plan, together=False) if folded.rows else plan
        planner.refuse_over_budget(plan, wishes.max_scans)
        return judged(context, reader, references, batch, plan, prints, last, lease, folded)


@dataclass(frozen=True)
class Folded:
    """Rows that were corrected by hand and stand in the batch in the place of those in the input."""

    rows: int = 0
    entries: tuple[Entry, ...] = ()


def _with_corrections(context: Context, batch: Batch) -> tuple[Batch, Folded]:
    entries = corrections.standing(context.store, context.dataset, context.batch)
    if not entries:
        return batch, Folded()
    context.engine.launched.wide += 1
    folded, rows = corrections.fold(context.spark, context.store, batch, entries)
    return folded, Folded(rows, tuple(entries))


def _keep_corrections(context: Context, folded: Folded) -> None:
    """Note in the ledger, as part of this run, what it has of earlier corrections."""
    if folded.rows:
        last, files = folded.entries[-1], tuple(file for entry in folded.entries for file in entry.files)
        words = (last.by, context.run_time, last.reason, context.run)
        rows = {CORRECTED: folded.rows}
        ledger.append(context.store, Entry(context.dataset, context.batch, context.run, rows, files, *words))


def judged(
    context: Context,
    reader: Reader,
    references: References,
    batch: Batch,
    plan: Plan,
    prints: Mapping[str, str],
    last: CommitRecord | None,
    lease: Lease,
    folded: Folded = Folded(),
) -> RunResult:
    """Run the rules on the batch, split it, and commit what came of it."""
    rule_set = context.rule_set
    written = sides.measure_and_write(context, batch, plan)
    findings = written.findings
    with context.step("judge", "judging"):
        measured_files = _files(context, batch, findings.plan)
        found = replace(findings.measured, files=measured_files)
        verdicts = _with_slices(verification.judge(findings.plan, found, batch.columns), written.slices)
        checks = tuple(_without_values(context.engine.checks(findings, context.dataset), verdicts))
        for warning in rule_set.sensitive.warnings(rule_set.file, [column.name for column in batch.columns]):
            LOG.warning(warning)
    rows = RowCounts(findings.measured.rows, *(sum(file.rows for file in written.files[side]) for side in layout.SIDES))
    # beside answers to rules rows are counted after joins
    whole = not (folded.rows or rule_set.input.where) and bool(references.questions)
    publishing.check_conservation(rows, stored_rows(context.spark, batch) if whole else None)
    measured = with_profile((metric for verdict in verdicts for metric in verdict.metrics), findings.profile)
    odd = anomalies.of_run(context, measured, rows.input)
    clues = (
        culprits.of_run(context, verdicts, rows, written.files, written.slices.get(QUARANTINED))
        if verification.too_many(rows, rule_set.quarantined_above)
        else []
    )
    outcome = verification.decide(
        [*verdicts, *odd.verdicts],
        rows,
        rule_set.quarantined_above,
        rule_set.input.allow_empty,
        culprits.told(clues),
    )
    _refuse_moved(reader, batch)
    references.refuse_moved()
    lease.confirm(file for side in written.files.values() for file in side)
    with context.step("store", "keeping the results"):
        data = {**results.judged(context, findings, verdicts, rows, outcome, written.files), "anomalies": odd.entries}
        data |= {"corrected": folded.rows} if folded.rows else {}
        data |= {"culprits": [clue.to_dict() for clue in clues]} if clues else {}
        _keep_corrections(context, folded)
        kept = publishing.Kept(verdicts, findings.profile, rows, outcome, written.files, prints, data, written.samples)
        publishing.publish(context, last, batch, kept)
    return RunResult(data, checks, findings.profile)


def _files_elsewhere(context: Context, rule_set: RuleSet) -> dict[str, str]:
    """The fingerprint of the files that rules are about beside those of the batch."""
    checks = [rule.check for rule in rule_set.rules if isinstance(rule.check, FileRule)]
    places = sorted({place for check in checks for place in (check.path, check.other) if place})
    return {"files": digest(listing(context.spark, places))} if places else {}


def _files(context: Context, batch: Batch, plan: Plan) -> Mapping[str, Found]:
    """The files that rules are about, as they are now."""

    def hashing() -> None:
        context.engine.launched.wide += 1

    return Files(context.spark, batch, hashing).of(plan.file_rules)


def planned(engine: Engine, store: Store, rule_set: RuleSet, batch: Batch, pinned: Iterable[Rule]) -> Plan:
    """What is to be done with a batch. `pinned` are the rules of types that an earlier batch pinned."""
    plan = planner.plan(rule_set, batch.row, batch.text, applying(pinned, batch.columns), batch.scans)
    tallied = engine.tallies(plan, small=batch.small)
    if plan.sketches and not tallied:
        LOG.warning("%s: no profile: Spark's class loader takes no classes here", rule_set.dataset)
    return replace(
        plan,
        small=batch.small,
        kept=keeps(engine.spark, batch),
        tally=tallied,
        several=len(batch.files) > 1 and not batch.snapshot,
        together=sides.writes_together(
            batch, store, plan, needs_file=mentions_file(rule_set), by_runner=engine.kind == "deequ-runner"
        ),
    )


def types_for(rule_set: RuleSet, live: Sequence[CommitRecord]) -> tuple[dict[str, str], list[Rule]]:
    """Column types of a text format: declared, else those of the batch published last. A pinned type is judged by a rule
    nobody wrote, so that no value becomes NULL without a reason."""
    declared = rule_set.declared_types
    if not rule_set.input.is_text or not live:
        return declared, []
    last = max(live, key=lambda record: record.run_time)
    pinned = {c.name: c.type for c in last.columns if c.type != "string" and c.name.lower() not in declared}
    place = Location(rule_set.file, 1)
    return {**pinned, **declared}, [type_rule(name, kind, place) for name, kind in pinned.items()]


def applying(rules: Iterable[Rule], columns: Iterable[Column]) -> list[Rule]:
    """Of the rules about single columns those whose column is there."""
    names = {column.name.lower() for column in columns}
    return [rule for rule in rules if rule.column.lower() in names]


def mentions_file(rule_set: RuleSet) -> bool:
    """Whether a rule asks for the file of a row."""
    texts = [text for rule in rule_set.rules for text in (rule.where, *rule.check.expressions(), *rule.check.columns())]
    return any(FILE_COLUMN in words(text) for text in texts)


def fingerprints(
    context: Context, files: tuple[PinnedFile, ...], snapshot: str, past: Sequence[CommitRecord]
) -> dict[str, str]:
    """All that a run depends on; equal to the last run's means there is nothing to do."""
    earlier = [[r.batch, r.seq, r.run] for r in past if r.batch_time < context.batch_time and r.batch != context.batch]
    return {
        "input": pinned_digest(files, snapshot),
        "rule_set": context.rule_set.fingerprint,
        "vars": digest(context.rule_set.vars),
        "engine_version": quality.__version__,
        "history": digest(earlier),
        # what was told before a column became sensitive is told again
        **({"sensitive": digest(sensitive)} if (sensitive := context.rule_set.sensitive.to_dict()) else {}),
    }


def unchanged(context: Context, last: CommitRecord) -> RunResult:
    """The stored result of a run; what follows its record is brought in line."""
    try:
        data = json.loads(context.store.read(last.result))
    except (FileNotFoundError, ValueError) as error:
        raise StorageError(f"{context.store.uri(last.result)}: the stored result cannot be read: {error}") from error
    # a run that was killed between its commit and its manifest is made whole here
    publishing.follow(context)
    # a run that was held may have been published since, by someone who looked at it
    now = {"decision": str(last.decision), "exit_code": last.exit_code, "message": last.told or data.get("message")}
    return RunResult({**data, **now, "unchanged": True})


def _with_slices(verdicts: Iterable[RuleResult], found: Mapping[str, Slice]) -> list[RuleResult]:
    return [replace(v, slice=found[v.id].to_dict()) if v.id in found else v for v in verdicts]


def _without_values(checks: Iterable[CheckOutcome], verdicts: Iterable[RuleResult]) -> Iterator[CheckOutcome]:
    """Deequ's verdicts less the messages that say a value of a sensitive column."""
    secret = {verdict.id for verdict in verdicts if verdict.metric and verdict.metric.exact == MASKED}
    for check in checks:
        told = (
            replace(one, message=MASKED) if one.rule in secret and one.message else one for one in check.constraints
        )
        yield replace(check, constraints=tuple(told)) if secret else check


def _refuse_moved(reader: Reader, batch: Batch) -> None:
    """Raise InputError when the files of the batch are not what they were at the start."""
    if batch.snapshot:
        return
    moved = sorted(file.path for file in {*reader.pinned_now(batch)}.symmetric_difference(batch.files))
    if moved:
        raise InputError(f"the input changed while it was read: {moved[0]}; run again when it is complete")


def _failed(context: Context, error: BaseException) -> RunResult:
    """A run that ended before there was anything to decide."""
    message = str(error) if isinstance(error, QualityError) else f"Spark gave up: {reason(error)}"
    data = results.failed(context, message)
    try:
        publishing.store_result(context, data)
    except StorageError as not_stored:
        data["outputs"]["report"] = None
        data["message"] = f"{message}; and the result could not be stored: {not_stored}"
    return RunResult(data)


def describe(
    rules: str | Path,
    batch: str,
    *,
    input: str | None = None,
    variables: Mapping[str, Any] | None = None,
    root: str | None = None,
    dataset: str | None = None,
    references: Mapping[str, str] | None = None,
    spark: SparkSession | None = None,
    allow_env: frozenset[str] = frozenset(),
    max_scans: int | None = None,
    conf: Mapping[str, str] | None = None,
) -> Plan:
    """What a run would do. Nothing is read but the schema of the batch, nothing is written. Raises what `run` raises,
    InputError when there is no batch, EngineError when it would be read more than `max_scans` times. `conf` is for a Spark started here."""
    given: Any = {"variables": variables, "allow_env": allow_env, "input_path": input, "root": root, "dataset": dataset}
    rule_set = load(rules, batch=layout.check_batch(batch), references=references, **given)
    refuse_topic(rule_set)
    with withholding(rule_set.sensitive), session(spark, extra=conf, needs=needs([rule_set], conf)) as own:
        refuse_unparsable(own.spark, rule_set)
        store = open_store(rule_set.outputs.root, own.spark)
        types, pinned = types_for(rule_set, commit.live_records(store, rule_set.dataset))
        reader = Reader(own.spark, rule_set.input, types, mentions_file(rule_set))
        found = reader.read(reader.pin())
        engine = Engine(own.spark)
        (others := References(engine, store, rule_set)).pin()
        with sized(own.spark, others.attach(found, counting=False)) as fitted:
            plan = engine.analyse(fitted.frame, planned(engine, store, rule_set, fitted, pinned))
        planner.refuse_over_budget(plan, max_scans)
        return plan
