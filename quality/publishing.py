"""Makes a run count. Its data lies there; history and result come next, the commit record last: it alone decides what
readers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import quality
from quality import history, targets
from quality.backends.reading import Batch
from quality.errors import LostRaceError, StorageError
from quality.model import Metric, RowCounts, RuleResult
from quality.profiles import Profile, with_profile
from quality.report import html
from quality.results import Context, Sides, to_json
from quality.sides import Samples
from quality.storage import commit
from quality.storage.commit import CommitRecord, utc_text
from quality.verification import Outcome


def check_conservation(rows: RowCounts, stored: int | None = None) -> None:
    """Rows in = rows passed + rows quarantined, or nothing is published. `stored`: the rows that the input's own files say they
    have, where that is known: a join for a rule must not have made more of them."""
    if stored is not None and stored != rows.input:
        raise StorageError(
            f"rows do not add up: the input's files have {stored:,} rows, {rows.input:,} were judged; nothing is published "
            f"(did the input change while it was read?)"
        )
    if rows.input != rows.passed + rows.quarantined:
        raise StorageError(
            f"rows do not add up: {rows.input:,} read, {rows.passed:,} passed and {rows.quarantined:,} quarantined were "
            f"written; nothing is published (did the input change while it was read?)"
        )


def store_result(context: Context, data: Mapping[str, Any], samples: Samples | None = None) -> None:
    """The result JSON and the report."""
    context.store.put(context.result_key, to_json(data).encode())
    context.store.put(context.report_key, html.render({**data, "samples": samples or {}}).encode())


@dataclass(frozen=True)
class Kept:
    """What a run found and wrote, and its result: `fingerprints` are of all it depends on, `metrics` are those that no rule
    asked for, `act` is what the record says of a person's action."""

    results: Sequence[RuleResult]
    profile: Profile | None
    rows: RowCounts
    outcome: Outcome
    sides: Sides
    fingerprints: Mapping[str, str]
    data: Mapping[str, Any]
    samples: Samples
    metrics: Sequence[Metric] = ()
    act: Mapping[str, Any] = field(default_factory=dict)


def publish(context: Context, last: CommitRecord | None, batch: Batch, kept: Kept) -> None:
    """Keep everything and commit. Raises LostRaceError when another run of the batch was faster."""
    seq, outcome, sides = last.seq + 1 if last else 1, kept.outcome, kept.sides
    tables = _tables(context, seq, batch, kept)
    keys = history.write(context.spark, context.store, context.dataset, context.run, tables)
    store_result(context, kept.data, kept.samples)
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
        fingerprints=kept.fingerprints,
        rows=kept.rows.to_dict(),
        columns=batch.columns,
        passed=sides["passed"],
        quarantine=sides["quarantine"],
        flags=sides["flags"],
        history=tuple(keys),
        result=context.result_key,
        sensitive=context.rule_set.sensitive.to_dict(),
        **kept.act,
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
    targets.follow(targets.of(context.rule_set, context.store, context.spark), context.dataset, context.batch)


def _tables(context: Context, seq: int, batch: Batch, kept: Kept) -> dict[str, list[dict[str, Any]]]:
    """The rows this run adds to the history."""
    results, data = kept.results, kept.data
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
        **{f"rows_{name}": count for name, count in kept.rows.to_dict().items()},
        "input_files": len(batch.files),
        "input_bytes": batch.bytes,
        "wide_scans": actual["wide"],
        "narrow_scans": actual["narrow"],
        "jobs": actual["jobs"],
        "shuffle_bytes": actual["shuffle_bytes"],
        "seconds": data["timings"]["total"],
        "engine": versions["engine"],
        "engine_version": versions["quality"],
        "spark_version": versions["spark"],
        "deequ_version": versions["deequ"],
    }
    metrics = with_profile((metric for result in results for metric in result.metrics), kept.profile)
    metrics += [metric for metric in kept.metrics if metric.key not in {one.key for one in metrics}]
    metrics += [metric for result in results for metric in result.segments]
    return {
        "metrics": history.metric_rows(metrics, {**common, "engine_version": quality.__version__}),
        "results": history.result_rows(results, context.rule_set.owner, common),
        "runs": [run_row],
    }
