"""Writes the sides of a batch and makes a run count. Data, history and result come first, the commit record last: it
alone decides what readers see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

import quality
from quality import history, targets
from quality.backends.footers import row_counts
from quality.backends.reading import Batch, reason
from quality.backends.schemas import literal_path
from quality.engine import Findings
from quality.errors import LostRaceError, StorageError
from quality.model import RowCounts, RuleResult
from quality.report import html
from quality.results import Context, Sides, to_json
from quality.rows import Origin, Split, split
from quality.storage import commit, readers
from quality.storage.commit import CommitRecord, DataFile, utc_text
from quality.verification import Outcome

#: Failing rows that are looked at for the samples of a report, and how many of them stand there for each rule.
SAMPLED_ROWS = 200
SAMPLES_PER_RULE = 3

Samples = dict[str, list[dict[str, Any]]]


def write_sides(context: Context, batch: Batch, findings: Findings) -> tuple[dict[str, tuple[DataFile, ...]], Samples]:
    """Write every side; its files with their rows, and samples of failing rows by rule."""
    origin = Origin(context.batch, context.run, context.rule_set.fingerprint)
    sides = split(batch, findings, origin)
    flags = context.rule_set.outputs.flags
    written = {
        "passed": sides.passed,
        "quarantine": sides.quarantined,
        "flags": sides.flagged if flags else None,
    }
    _note_launched(context, sides, sum(frame is not None for frame in written.values()))
    try:
        files = {side: _write(context, side, frame) for side, frame in written.items()}
        return files, _samples(context, files, None if flags else sides.flagged)
    finally:
        for frame in sides.cached:
            frame.unpersist()


def _note_launched(context: Context, sides: Split, frames: int) -> None:
    launched = context.engine.launched
    launched.wide += frames
    launched.narrow += len(sides.cached)
    launched.shuffles += len(sides.cached) + (frames - 1)


def _write(context: Context, side: str, frame: DataFrame | None) -> tuple[DataFile, ...]:
    """Write one side and count its rows from the footers of the files, not from our own numbers."""
    if frame is None:
        return ()
    folder = context.folder(side)
    writer = frame.write.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    try:
        writer.parquet(context.store.uri(folder))
    except (PySparkException, Py4JError) as error:
        raise StorageError(f"{context.store.uri(folder)}: the rows could not be written: {reason(error)}") from error
    entries = [entry for entry in context.store.list(folder) if entry.key.endswith(".parquet")]
    rows = row_counts(context.spark, [context.store.uri(entry.key) for entry in entries])
    return tuple(DataFile(entry.key, count, entry.size) for entry, count in zip(entries, rows, strict=True))


def _samples(context: Context, files: Sides, kept: DataFrame | None) -> Samples:
    """A few failing rows of each rule; rows that stay in passed are looked for only until there are enough."""
    frames = [kept] if kept is not None else []
    context.engine.launched.wide += len(frames)
    for side in ("quarantine", "flags"):
        if files[side]:
            paths = [literal_path(context.store.uri(file.path)) for file in files[side]]
            frames.append(context.spark.read.parquet(*paths))
    samples: Samples = {}
    for frame in frames:
        for row in frame.limit(SAMPLED_ROWS).selectExpr("to_json(struct(*)) as row").collect():
            _add_sample(samples, json.loads(row["row"]))
    return samples


def _add_sample(samples: Samples, row: dict[str, Any]) -> None:
    quality_struct = row.pop(readers.QUALITY_COLUMN.name)
    for failure in quality_struct["failures"]:
        found = samples.setdefault(failure["rule"], [])
        if len(found) < SAMPLES_PER_RULE:
            # a line that could not be read has no columns: it is shown as it is
            found.append(row or {"line": failure.get("value")})


def check_conservation(rows: RowCounts) -> None:
    """Rows in = rows passed + rows quarantined, or nothing is published."""
    if rows.input != rows.passed + rows.quarantined:
        raise StorageError(
            f"rows do not add up: {rows.input:,} read, {rows.passed:,} passed and {rows.quarantined:,} quarantined were "
            f"written; nothing is published (did the input change while it was read?)"
        )


def store_result(context: Context, data: Mapping[str, Any], samples: Samples | None = None) -> None:
    """The result JSON and the report."""
    context.store.put(context.result_key, to_json(data).encode())
    context.store.put(context.report_key, html.render({**data, "samples": samples or {}}).encode())


def publish(
    context: Context,
    last: CommitRecord | None,
    batch: Batch,
    results: Sequence[RuleResult],
    rows: RowCounts,
    outcome: Outcome,
    sides: Sides,
    fingerprints: Mapping[str, str],
    data: Mapping[str, Any],
    samples: Samples,
) -> None:
    """Keep everything and commit. Raises LostRaceError when another run of the batch was faster."""
    seq = last.seq + 1 if last else 1
    scratch = context.result_key.replace("/result.json", "/_history")
    tables = _tables(context, seq, batch, results, rows, data)
    keys = history.write(context.spark, context.store, context.dataset, context.run, scratch, tables)
    store_result(context, data, samples)
    record = CommitRecord(
        dataset=context.dataset,
        batch=context.batch,
        batch_time=context.batch_time,
        seq=seq,
        run=context.run,
        run_time=context.run_time,
        status=outcome.status,
        decision=outcome.decision,
        exit_code=outcome.exit_code,
        rule_set=context.rule_set.fingerprint,
        fingerprints=fingerprints,
        rows=rows.to_dict(),
        columns=batch.columns,
        passed=sides["passed"],
        quarantine=sides["quarantine"],
        flags=sides["flags"],
        history=tuple(keys),
        result=context.result_key,
    )
    try:
        commit.commit(context.store, record)
    except LostRaceError:
        # a history that is read by listing files must not show a run that never was
        context.store.delete(keys)
        raise
    follow(context)


def follow(context: Context) -> None:
    """Bring everything readers look at in line with the records of the batch, also after a run with nothing to do."""
    outputs = context.rule_set.outputs
    targets.follow(
        targets.targets(outputs, context.store, context.dataset, context.spark), context.dataset, context.batch
    )


def _tables(
    context: Context,
    seq: int,
    batch: Batch,
    results: Sequence[RuleResult],
    rows: RowCounts,
    data: Mapping[str, Any],
) -> dict[str, list[dict[str, Any]]]:
    """The rows this run adds to the history."""
    common = {
        "batch": context.batch,
        "batch_time": utc_text(context.batch_time),
        "run": context.run,
        "run_time": utc_text(context.run_time),
        "rule_set": context.rule_set.fingerprint,
    }
    actual, versions = data["passes"]["actual"], data["versions"]
    run_row = {
        **common,
        "seq": seq,
        "rule_file": context.rule_set.file,
        "status": data["status"],
        "decision": data["decision"],
        **{f"rows_{name}": count for name, count in rows.to_dict().items()},
        "input_files": len(batch.files),
        "input_bytes": batch.bytes,
        "wide_scans": actual["wide"],
        "narrow_scans": actual["narrow"],
        "jobs": actual["jobs"],
        "seconds": data["timings"]["total"],
        "engine": versions["engine"],
        "engine_version": versions["quality"],
        "spark_version": versions["spark"],
        "deequ_version": versions["deequ"],
    }
    metrics = [result.metric for result in results if result.metric]
    return {
        "metrics": history.metric_rows(metrics, {**common, "engine_version": quality.__version__}),
        "results": history.result_rows(results, context.rule_set.owner, common),
        "runs": [run_row],
    }
