"""Windows over the micro-batches of a stream: their numbers added up, and the rules judged once more on the sums.

A window is so many micro-batches, or all that began within a stretch of time. When it is over it becomes a batch without
rows of a data set of its own, `<dataset>.windows`, with history, result and report like any other, so `quality history` and
`quality anomalies` work on it. It is made of nothing but committed micro-batches and their history, and written under a key
that is written once: whatever was killed, the next start makes the windows that are missing. A micro-batch
that was held and is published after its window was written is in none.

What adds up: rows, shares of rows (completeness, compliance), sums, counts, smallest and largest values, and means where it is
known of how many values, and compositions of these. What does not (distinct values, keys, quantiles, deviations, groups) is judged in
each micro-batch alone, and is `not_applicable` here; `quality lint` names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, cast

from quality import anomalies, history_reader, lookback, planner, publishing, results, verification
from quality.backends.reading import Batch
from quality.engine import Findings
from quality.model import BatchStatus, Decision, Metric, MetricKey, OnFail, RowCounts, RuleResult, RuleStatus, Severity
from quality.profiles import CARRIERS
from quality.results import Context, RunResult
from quality.rule_types.base import MALFORMED_LINE, Row
from quality.rule_types.custom import SqlRows
from quality.rule_types.rules import Outputs, RuleSet
from quality.rulefile.streams import Window
from quality.rulefile.windowed import ADDED, LARGEST, SHARES, SMALLEST, adds_up
from quality.storage import commit, layout
from quality.storage.commit import CommitRecord
from quality.storage.store import Store
from quality.verification import Counts, Measured, Outcome

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_METRIC = ("entity", "name", "instance", "filter", "parameters", "value", "exact", "numerator", "denominator")
_RESULT = ("rule_id", "rows_in_scope", "failed_rows")


def of_micro_batch(rule_set: RuleSet) -> RuleSet:
    """The rules as they are judged in a micro-batch where windows are: those about the batch are measured and noted, and
    decide nothing, and anomalies are looked for in windows."""
    noted = (
        replace(rule, severity=Severity.INFO, on_fail=OnFail.KEEP) if adds_up(rule) else rule for rule in rule_set.rules
    )
    return replace(rule_set, rules=tuple(noted), anomalies=None)


@dataclass(frozen=True)
class _Whole:
    """What is asked of the windows of one stream."""

    store: Store
    dataset: str
    stream: str
    window: Window

    def name(self, record: CommitRecord) -> str:
        """The batch id of the window a micro-batch is in."""
        if isinstance(self.window, int):
            first = _number(record.batch) // self.window * self.window
            return f"{self.stream}-{first:09}-{first + self.window - 1:09}"
        return f"{self.stream}-{self._start(record):%Y-%m-%dT%H:%M:%SZ}"

    def over(self, record: CommitRecord, newest: int, now: datetime) -> bool:
        """Whether no micro-batch to come is in the same window."""
        if isinstance(self.window, int):
            return newest >= (_number(record.batch) // self.window + 1) * self.window - 1
        return now >= self._start(record) + self.window

    def _start(self, record: CommitRecord) -> datetime:
        assert isinstance(self.window, timedelta)
        return _EPOCH + (record.batch_time - _EPOCH) // self.window * self.window


def _number(batch: str) -> int:
    return int(batch.rpartition("-")[2])


def dataset_of(dataset: str) -> str:
    """Where the windows of a data set are kept."""
    return f"{dataset}.windows"


def missing(
    store: Store, dataset: str, stream: str, window: Window, newest: int, now: datetime
) -> list[list[CommitRecord]]:
    """The windows that are over and not written yet, each as its published micro-batches, oldest first. `newest` is the number
    of the last micro-batch that is done. Looks back from there to the last window that is written."""
    whole = _Whole(store, dataset, stream, window)
    written = set(commit.batches(store, dataset_of(dataset)))
    names = [batch for batch in commit.batches(store, dataset) if layout.stream_of(batch) == stream]
    found: dict[str, list[CommitRecord]] = {}
    for batch in sorted(names, key=_number, reverse=True):
        last = commit.latest(store, dataset, batch)
        assert last is not None
        if last.published:
            newest = max(newest, _number(batch))
        name = whole.name(last)
        if name in written:
            break
        live = last if last.published else commit.live(store, dataset, batch)
        if whole.over(last, newest, now):
            found.setdefault(name, []).extend([live] if live else [])
    return [list(reversed(records)) for records in reversed(found.values()) if records]


def next_end(window: Window, now: datetime) -> datetime:
    """When the next window of time is over; for ever away where windows are counted."""
    if isinstance(window, int):
        return datetime.max.replace(tzinfo=timezone.utc)
    return _EPOCH + ((now - _EPOCH) // window + 1) * window


def name_of(records: Sequence[CommitRecord], stream: str, window: Window) -> str:
    """The batch id of a window."""
    return _Whole(cast("Any", None), "", stream, window).name(records[0])


# merging


def merged(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[MetricKey, Metric]:
    """Metrics of several runs as those of all their rows; what does not add up is left out. Rows are (run, row of the table of
    metrics)."""
    by_key: dict[MetricKey, dict[str, Mapping[str, Any]]] = {}
    for run, row in rows:
        if row.get("segment"):
            continue
        parameters = tuple(sorted((str(k), str(v)) for k, v in json.loads(row["parameters"] or "{}").items()))
        key = MetricKey(row["entity"], row["name"], row["instance"], row["filter"] or "", parameters)
        by_key.setdefault(key, {})[run] = row
    found = {key: _merged(key, list(of_run.values())) for key, of_run in by_key.items() if key.name != "Mean"}
    for key, of_run in by_key.items():
        if key.name == "Mean":
            counts = by_key.get(replace(key, name="Completeness"), {})
            found[key] = _mean(key, of_run, counts)
    return {key: metric for key, metric in found.items() if metric is not None}


def _merged(key: MetricKey, rows: Sequence[Mapping[str, Any]]) -> Metric | None:
    if key.name in SHARES:
        if any(row["denominator"] is None for row in rows):
            return None
        part, whole = (sum(row[name] for row in rows) for name in ("numerator", "denominator"))
        return Metric(key, part / whole if whole else None, numerator=part, denominator=whole)
    values = [value for row in rows if (value := _value(row)) is not None]
    if not values or any(value != value for value in values):
        return None
    how: Callable[[Any], Any] | None = (
        sum if key.name in ADDED else min if key.name in SMALLEST else max if key.name in LARGEST else None
    )
    return Metric(key, how(values)) if how else None


def _value(row: Mapping[str, Any]) -> int | float | Decimal | None:
    """The value as it was: whole numbers and decimals exactly. None for what is no number."""
    if row["value"] is None:
        return None
    text = row["exact"] or ""
    if text.lstrip("-").isdecimal():
        return int(text)
    return float(row["value"]) if repr(float(row["value"])) == text or not text else _decimal(text)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


def _mean(
    key: MetricKey, means: Mapping[str, Mapping[str, Any]], counts: Mapping[str, Mapping[str, Any]]
) -> Metric | None:
    """A mean of means, each weighed by the values it is of; None where these are not known of every run."""
    known = [(row["value"], counts[run]["numerator"]) for run, row in means.items() if run in counts]
    if len(known) < len(means) or any(count is None for _, count in known):
        return None
    weighed = [(value, count) for value, count in known if value is not None and count]
    total = sum(count for _, count in weighed)
    return Metric(key, sum(value * count for value, count in weighed) / total) if total else None


# judging


def write(context: Context, records: Sequence[CommitRecord]) -> RunResult:
    """Judge the micro-batches of a window as one, and keep that as a batch of `<dataset>.windows`: `context` is of that batch,
    with the rules as the file has them. Always published: the rows are."""
    rule_set, store = context.rule_set, context.store
    measured_rows = history_reader.rows_of(store, history_reader.keys_of(records, "metrics"), context.spark, _METRIC)
    judged_rows = history_reader.rows_of(store, history_reader.keys_of(records, "results"), context.spark, _RESULT)
    metrics, columns = merged(measured_rows), records[-1].columns
    text = rule_set.input.is_text
    row = Row(columns, {MALFORMED_LINE: MALFORMED_LINE} if text else {}, rule_set.input.timezone)
    plan = planner.plan(rule_set, row, text)
    if plan.looks_back:
        live = commit.live_records(store, context.dataset)
        plan = lookback.with_past(plan, store, live, context.batch, context.batch_time, context.spark)
    with context.step("judge", "judging a window"):
        rows = RowCounts(*(sum(record.rows.get(side, 0) for record in records) for side in RowCounts().to_dict()))
        measured, apart = _measured(plan, judged_rows, metrics, rows.input, len(records))
        verdicts = [
            _apart(result, apart[result.id]) if result.id in apart else result
            for result in verification.judge(plan.without(apart), measured, columns)
        ]
        verdicts = verification.joined(plan, verdicts)
        counted = (metric for metric in metrics.values() if metric.key.name not in CARRIERS)
        odd = anomalies.of_run(context, counted, rows.input)
        verdicts += odd.verdicts
        outcome = _published(verification.decide(verdicts, rows, rule_set.quarantined_above, allow_empty=True))
    nothing: dict[str, tuple[commit.DataFile, ...]] = dict.fromkeys(layout.SIDES, ())
    data = {
        **results.judged(context, Findings(plan, measured), verdicts, rows, outcome, nothing),
        "anomalies": odd.entries,
        "window": {"of": rule_set.dataset.removesuffix(".windows"), "micro_batches": [r.batch for r in records]},
    }
    prints = {"rule_set": rule_set.fingerprint}
    kept = publishing.Kept(verdicts, None, rows, outcome, nothing, prints, data, {}, tuple(metrics.values()))
    batch = Batch(cast("Any", None), columns, row, text)
    publishing.publish(context, None, batch, kept)
    return RunResult(data)


def as_windows(rule_set: RuleSet, name: str) -> RuleSet:
    """The rule set of a window: tables and views are those of the rows, and have nothing to follow here."""
    outputs = Outputs(root=rule_set.outputs.root)
    return replace(rule_set, dataset=dataset_of(rule_set.dataset), batch=name, outputs=outputs)


def _measured(
    plan: planner.Plan,
    judged_rows: Iterable[tuple[str, Mapping[str, Any]]],
    metrics: Mapping[MetricKey, Metric],
    rows: int,
    runs: int,
) -> tuple[Measured, dict[str, str]]:
    """What was measured over all micro-batches, and why some rules cannot be judged on it, by rule id."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for _, row in judged_rows:
        if row["rows_in_scope"] is not None:
            found.setdefault(row["rule_id"], []).append(row)
    scopes = {rule: sum(row["rows_in_scope"] for row in several) for rule, several in found.items()}
    counts, apart = {}, {}
    for check in plan.row_checks:
        several = found.get(check.rule.id, [])
        if len(several) < runs:
            apart[check.rule.id] = f"judged in {len(several):,} of {runs:,} micro-batches only"
            continue
        if isinstance(check.rule.check, SqlRows) and any(row["failed_rows"] is None for row in several):
            apart[check.rule.id] = "the query does not tell rows; judged in each of the micro-batches"
            continue
        counts[check.rule.id] = Counts(scopes[check.rule.id], sum(row["failed_rows"] or 0 for row in several))
    measured = {}
    for metric_check in plan.metric_checks:
        id, key = metric_check.rule.id, metric_check.analyzer.key
        # a part has no result of its own
        whole = metric_check.part_of or id
        if key not in metrics or len(found.get(whole, [])) < runs:
            apart |= dict.fromkeys(
                (id, whole), f"{key.name} of several micro-batches does not add up; judged in each of them"
            )
        else:
            measured[id], scopes[id] = metrics[key], scopes[whole]
    for part in plan.group_passes:
        apart |= dict.fromkeys(part.rules, "groups of several micro-batches are not kept; judged in each of them")
    return Measured(rows, 0, counts, measured, scopes), apart


def _apart(result: RuleResult, why: str) -> RuleResult:
    return replace(result, status=RuleStatus.NOT_APPLICABLE, message=why)


def _published(outcome: Outcome) -> Outcome:
    if outcome.decision != Decision.HELD:
        return outcome
    return Outcome(BatchStatus.FAILED, Decision.PUBLISHED, 1, f"{outcome.message}; its rows are published")
