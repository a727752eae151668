"""Judging: from counts and metrics to verdicts on rules, then on the batch. Plain Python over numbers, no Spark, so that
stored metrics can be judged again by changed rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from quality.analyzers import Analyzer, Compliance, Query
from quality.checks import MetricCheck, RowCheck, part_id
from quality.distributions import Drift
from quality.elements import SOURCE as OF_ELEMENTS
from quality.grouping import Group, over_groups
from quality.matches import Match
from quality.model import (
    BatchStatus,
    Bounds,
    Column,
    Decision,
    Metric,
    OnFail,
    RowCounts,
    RuleResult,
    RuleStatus,
    Severity,
    number_text,
)
from quality.planner import Plan, schema_differences
from quality.rule_types.base import MetricRule, SchemaRule, parse_moment
from quality.rule_types.composition import ABSENT, BatchComposition
from quality.rule_types.custom import RowsReturned
from quality.rule_types.files import FileCount, FileRule, Found
from quality.rule_types.rules import Rule, RuleSet
from quality.rule_types.verdicts import Verdict
from quality.sensitive import MASKED, tells, without_value
from quality.sql import words


@dataclass(frozen=True)
class Counts:
    """Rows a row rule looked at, and those of them that failed."""

    scope: int
    failed: int


@dataclass(frozen=True)
class Measured:
    """What the engine found out about a batch.

    `rows` are all rows read, `malformed` the lines that could not be read; `counts` by rule id; `metrics` and `scopes`
    (rows the metric's filter leaves) by rule id; `errors` by rule id; `files` by rule id, None when nobody looked for any.
    """

    rows: int
    malformed: int = 0
    counts: Mapping[str, Counts] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    scopes: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    #: Of rules that are judged in groups, by id: what was found of each group; or why groups cannot be told.
    groups: Mapping[str, Mapping[Group, Measured]] = field(default_factory=dict)
    ungrouped: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Found] | None = None


@dataclass(frozen=True)
class Outcome:
    """The verdict on a batch, by the first line of the outcome table that applies."""

    status: BatchStatus
    decision: Decision
    exit_code: int
    message: str = ""


def judge(plan: Plan, measured: Measured, columns: tuple[Column, ...]) -> list[RuleResult]:
    """The verdict on every rule, in file order."""
    verdicts: dict[str, RuleResult] = {}
    errors = {**plan.errors, **measured.errors}
    for check in plan.row_checks:
        if check.rule.id not in errors:
            verdicts[check.rule.id] = _judge_rows(check, measured.counts[check.rule.id])
            if check.by:
                verdicts[check.rule.id] = _rows_in_groups(check, measured, verdicts[check.rule.id])
    for metric_check in plan.metric_checks:
        if metric_check.rule.id not in errors:
            verdicts[metric_check.rule.id] = _judge_metric(metric_check, measured, plan.rule_set)
    for metric_check in plan.group_checks:
        if metric_check.rule.id not in errors:
            verdicts[metric_check.rule.id] = _metric_in_groups(metric_check, measured, plan.rule_set)
    for rule in plan.composed:
        verdicts[rule.id] = _judge_composed(rule, plan, measured, errors)
    for rule in plan.schema_rules:
        verdicts[rule.id] = _judge_schema(rule, plan, columns)
    for rule in plan.file_rules:
        verdicts[rule.id] = _judge_files(rule, measured, plan.rule_set)
    for rule in plan.rules:
        if rule.id not in verdicts:
            verdicts[rule.id] = could_not_tell(rule, errors.get(rule.id, "was not run"))
    return joined(plan, [verdicts[rule.id] for rule in plan.rules])


def joined(plan: Plan, results: Sequence[RuleResult]) -> list[RuleResult]:
    """The verdicts, with those that join others made of what these are now."""
    found = {result.id: result for result in results}
    for rule in plan.verdict_rules:
        found[rule.id] = _judge_verdict(rule, found)
    return [found[result.id] for result in results]


def could_not_tell(rule: Rule, why: str) -> RuleResult:
    """A rule that cannot be judged against this batch."""
    expected = rule.check.expected() if isinstance(rule.check, MetricRule) else rule.check.requirement()
    return _result(rule, RuleStatus.ERROR, expected, f"could not tell: {why}")


def _result(rule: Rule, status: RuleStatus, expected: str, message: str, **found: Any) -> RuleResult:
    return RuleResult(
        id=rule.id,
        name=rule.name,
        type=rule.check.type,
        column=rule.column,
        severity=rule.severity,
        on_fail=rule.on_fail,
        status=status,
        metric=found.get("metric"),
        expected=expected,
        rows_in_scope=found.get("rows_in_scope"),
        failed_rows=found.get("failed_rows"),
        message=message,
        location=str(rule.location),
        filter=rule.where,
        metadata=rule.metadata,
        match=found.get("match"),
    )


def ratio_metric(analyzer: Analyzer, numerator: int, denominator: int) -> Metric:
    """A share as a metric; None over nothing."""
    value = numerator / denominator if denominator else None
    return Metric(analyzer.key, value, numerator=numerator, denominator=denominator)


def _judge_rows(check: RowCheck, counts: Counts) -> RuleResult:
    rule = check.rule
    scope, failed = counts.scope, counts.failed
    expected = rule.check.requirement() + (f" (up to {rule.tolerance} may fail)" if rule.tolerance else "")
    metric = ratio_metric(check.analyzer, scope - failed, scope)
    found = {"metric": metric, "rows_in_scope": scope, "failed_rows": failed}
    if scope == 0:
        return _result(rule, RuleStatus.NOT_APPLICABLE, expected, "no row in scope", **found)
    if rule.tolerance.allows(failed, scope):
        message = f"{failed:,} of {scope:,} rows fail, within the tolerance of {rule.tolerance}" if failed else ""
        return _result(rule, RuleStatus.PASSED, expected, message, **found)
    subject = f"{rule.column}: " if rule.column else ""
    tolerance = f", more than {rule.tolerance}" if rule.tolerance else ""
    message = f"{subject}{failed:,} of {scope:,} rows fail{tolerance}; {rule.check.requirement()}"
    return _result(rule, RuleStatus.FAILED, expected, message, **found)


def _judge_metric(check: MetricCheck, measured: Measured, rule_set: RuleSet) -> RuleResult:
    rule, zone = check.rule, rule_set.input.timezone
    assert isinstance(rule.check, MetricRule)
    bounds, metric, scope = rule.check.bounds, measured.metrics[rule.id], measured.scopes[rule.id]
    # how many elements the rows have is not known: they may be few
    values = 0 if check.analyzer.source == OF_ELEMENTS else scope
    secret = tells(metric, check.analyzer.columns, rule_set.sensitive, values) or _tells(check, rule_set)
    found = {"metric": without_value(metric) if secret else metric, "rows_in_scope": scope}
    what = f"{metric.key.name} of '{metric.key.instance}'" if check.analyzer.columns else metric.key.name
    expected = rule.check.expected()
    match = check.analyzer if isinstance(check.analyzer, Match) else None
    if match and match.answer is not None:
        found["match"] = match.to_dict()
    if scope == 0 and not _counts_rows(check):
        return _result(rule, RuleStatus.NOT_APPLICABLE, expected, "no row in scope", **found)
    unsure = check.unsure or _unresolved(check, bounds, metric)
    if unsure:
        return _result(rule, RuleStatus.ERROR, expected, f"could not tell: {unsure}", **found)
    if check.waiting:
        return _result(rule, RuleStatus.NOT_APPLICABLE, expected, check.waiting, **found)
    if bounds.recorded:
        return _recorded(rule, metric, found)
    expected += f" ({check.origin})" if check.origin else ""
    if metric.value is None or isinstance(metric.value, str):
        why = match.nothing if match else f"{what} {_missing(check, metric, scope, secret=secret)}"
        return _result(rule, RuleStatus.ERROR, expected, f"could not tell: {why}", **found)
    try:
        holds = (
            bounds.accepts(metric.value)
            if not _is_moment(metric.value)
            else _typed(bounds, metric.value, zone).accepts(metric.value)
        )
    except (TypeError, ValueError) as error:
        shown = MASKED if secret else metric.text
        return _result(rule, RuleStatus.ERROR, expected, f"could not tell: {what} is {shown}; {error}", **found)
    shown = MASKED if secret else _shown(metric.value)
    message = "" if holds else f"{what} is {shown}, must be {expected}{_share(metric)}"
    if metric.detail and not holds and not any(rule_set.sensitive.how(name) for name in check.analyzer.columns):
        message = f"{rule.column}: {metric.detail}; {rule.check.requirement()}"
    if message and match and not secret and (told := match.told(metric)):
        message += f": {told}"
    return _result(rule, RuleStatus.PASSED if holds else RuleStatus.FAILED, expected, message, **found)


def _rows_in_groups(check: RowCheck, measured: Measured, whole: RuleResult) -> RuleResult:
    """The tolerance is one of each group; which rows fail is no matter of groups."""
    rule = check.rule
    if rule.id in measured.ungrouped:
        why = f"could not tell: {measured.ungrouped[rule.id]}"
        return replace(whole, status=RuleStatus.ERROR, message=why, group_by=rule.group_by)
    found = {g: _judge_rows(check, of.counts[rule.id]) for g, of in measured.groups.get(rule.id, {}).items()}
    return over_groups(rule, whole, found)


def _metric_in_groups(check: MetricCheck, measured: Measured, rule_set: RuleSet) -> RuleResult:
    rule = check.rule
    if rule.id in measured.ungrouped:
        return replace(could_not_tell(rule, measured.ungrouped[rule.id]), group_by=rule.group_by)
    assert isinstance(rule.check, MetricRule)
    whole = _result(rule, RuleStatus.NOT_APPLICABLE, str(rule.check.bounds), "")
    groups = measured.groups.get(rule.id, {})
    found = {g: _judge_metric(check.of_group(g), of, rule_set) for g, of in groups.items()}
    return over_groups(rule, whole, found, {g: _bounds(check.of_group(g)) for g in groups})


def _bounds(check: MetricCheck) -> Bounds:
    assert isinstance(check.rule.check, MetricRule)
    return check.rule.check.bounds


def _judge_composed(rule: Rule, plan: Plan, measured: Measured, errors: Mapping[str, str]) -> RuleResult:
    checks = {c.rule.id: c for c in (*plan.metric_checks, *plan.group_checks) if c.part_of == rule.id}
    if not rule.group_by:
        return _composed(rule, checks, measured, errors, plan.rule_set)
    groups = {id: measured.groups[id] for id in checks if id in measured.groups}
    errors = {**errors, **measured.ungrouped}
    every = list(dict.fromkeys(group for of in groups.values() for group in of))
    found = {}
    for group in every:
        known = [of[group] for of in groups.values() if group in of]
        merged = Measured(
            known[0].rows,
            metrics={id: metric for one in known for id, metric in one.metrics.items()},
            scopes={id: scope for one in known for id, scope in one.scopes.items()},
        )
        of_group = {id: check.of_group(group) for id, check in checks.items()}
        found[group] = _composed(rule, of_group, merged, errors, plan.rule_set)
    if not groups and errors.keys() & {part_id(rule, n) for n in range(1, len(rule.check.metrics()) + 1)}:
        why = next(
            errors[id] for id in (part_id(rule, n) for n in range(1, len(rule.check.metrics()) + 1)) if id in errors
        )
        return replace(could_not_tell(rule, why), group_by=rule.group_by)
    return over_groups(rule, _result(rule, RuleStatus.NOT_APPLICABLE, rule.check.requirement(), ""), found)


def _composed(
    rule: Rule, checks: Mapping[str, MetricCheck], measured: Measured, errors: Mapping[str, str], rule_set: RuleSet
) -> RuleResult:
    """In Kleene logic over the parts; a part that does not apply is left out."""
    assert isinstance(rule.check, BatchComposition)
    parts = []
    for number, part in enumerate(rule.check.metrics(), 1):
        id = part_id(rule, number)
        own = replace(rule, id=id, check=part)
        told = id in checks and id not in errors
        parts.append(
            _judge_metric(checks[id], measured, rule_set)
            if told
            else could_not_tell(own, errors.get(id, "was not run"))
        )
    known = {
        RuleStatus.PASSED: True,
        RuleStatus.FAILED: False,
        RuleStatus.ERROR: None,
        RuleStatus.NOT_APPLICABLE: ABSENT,
    }
    verdict = rule.check.verdict(iter([known[part.status] for part in parts]))
    status = next(status for status, value in known.items() if value is verdict)
    scope = next((part.rows_in_scope for part in parts if part.rows_in_scope is not None), None)
    message = _of_parts(status, parts)
    return replace(_result(rule, status, rule.check.requirement(), message, rows_in_scope=scope), parts=tuple(parts))


def _of_parts(status: RuleStatus, parts: Sequence[RuleResult]) -> str:
    unsure = [part.message.removeprefix("could not tell: ") for part in parts if part.status == RuleStatus.ERROR]
    if status == RuleStatus.ERROR:
        return f"could not tell: {'; '.join(unsure)}"
    if status == RuleStatus.NOT_APPLICABLE:
        return parts[0].message
    if status == RuleStatus.PASSED:
        return f"holds whatever could not be told: {'; '.join(unsure)}" if unsure else ""
    return "; ".join(part.message or _holding(part) for part in parts if part.status != RuleStatus.NOT_APPLICABLE)


def _holding(part: RuleResult) -> str:
    """A part that holds where it is not to."""
    if part.metric is None:
        return f"{part.type} is {part.expected}"
    shown = MASKED if part.metric.exact == MASKED else _shown(part.metric.value)
    of = f" of '{part.metric.key.instance}'" if part.column else ""
    return f"{part.metric.key.name}{of} is {shown}, which is {part.expected}"


def _tells(check: MetricCheck, rule_set: RuleSet) -> bool:
    """Whether a query may give a value of a sensitive column: it names one, or all columns."""
    if not isinstance(check.analyzer, Query) or not rule_set.sensitive or isinstance(check.rule.check, RowsReturned):
        return False
    query = check.analyzer.query
    return "*" in query.replace("count(*)", "") or any(rule_set.sensitive.how(word) for word in words(query))


def _recorded(rule: Rule, metric: Metric, found: Mapping[str, Any]) -> RuleResult:
    """A metric that nothing is demanded of."""
    if metric.value is None:
        return _result(rule, RuleStatus.NOT_APPLICABLE, "recorded", "no value to measure", **found)
    return _result(rule, RuleStatus.PASSED, "recorded", "", **found)


def _unresolved(check: MetricCheck, bounds: Bounds, metric: Metric) -> str:
    """Why what comes from earlier batches cannot be held against the metric."""
    if (check.origin or check.waiting) and _is_moment(metric.value):
        return f"functions of earlier batches are about numbers, and {metric.key.name} is {metric.text}"
    if bounds.past and not check.waiting:
        return f"the history was not read, and the bounds come from it: {bounds}"
    if check.analyzer.source == "profile" and check.reference is None and not check.waiting:
        asked = check.analyzer.reference if isinstance(check.analyzer, Drift) else ""
        what = f"reference '{asked}'" if asked else "the history"
        return f"{what} was not read, and the column is compared with it"
    return ""


def _missing(check: MetricCheck, metric: Metric, scope: int, *, secret: bool) -> str:
    """Why there is no value to hold against bounds."""
    if metric.value is not None:
        return f"is {MASKED if secret else metric.value}, beyond the year 9999"
    if metric.key.name == "CustomSQL":
        return "is NULL"
    if isinstance(check.analyzer, Drift) and check.reference == {}:
        return f"does not exist: {check.analyzer.other} holds no values"
    overflow = ", or their sum has more than 38 digits" if metric.key.name == "Sum" else ""
    if check.analyzer.source == OF_ELEMENTS:
        return f"does not exist: the {scope:,} rows in scope have no element that is not NULL{overflow}"
    return f"does not exist: all {scope:,} rows in scope are NULL{overflow}"


def _counts_rows(check: MetricCheck) -> bool:
    # "at least 300 rows" is a fair question about no rows at all, unless a filter says which rows it means
    share = isinstance(check.analyzer, Compliance)
    return not share and not check.analyzer.columns and (not check.rule.where or isinstance(check.analyzer, Match))


def _is_moment(value: Any) -> bool:
    return isinstance(value, date)


def _typed(bounds: Bounds, value: Any, zone: str) -> Bounds:
    """Bounds written as texts, as dates or times like the metric; a time without a zone is one of the input's zone."""
    return Bounds(tuple((word, _moment_like(str(bound), value, zone)) for word, bound in bounds.terms))


def _moment_like(text: str, value: date, zone: str) -> Any:
    try:
        moment = parse_moment(text)
    except ValueError:
        raise ValueError(f"the bound '{text}' is not a date; write YYYY-MM-DD[ HH:MM:SS]") from None
    if not isinstance(value, datetime):
        return moment.date() if isinstance(moment, datetime) else moment
    moment = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day)
    if value.tzinfo is None:
        return moment.replace(tzinfo=None)
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))


def _shown(value: Any) -> str:
    return number_text(value) if isinstance(value, (int, float)) else str(value)


def _share(metric: Metric) -> str:
    if metric.denominator is None or metric.numerator is None or metric.key.name == "CountDistinct":
        return ""
    return f" ({metric.numerator:,} of {metric.denominator:,})"


def _judge_schema(rule: Rule, plan: Plan, columns: tuple[Column, ...]) -> RuleResult:
    assert isinstance(rule.check, SchemaRule)
    expected = rule.check.requirement()
    if rule.check.from_past and not plan.before:
        return _result(rule, RuleStatus.NOT_APPLICABLE, expected, "no batch was published before this one")
    expected += f" ({plan.batch_before})" if rule.check.from_past else ""
    expected += f" ({rule.check.origin})" if rule.check.origin else ""
    if rule.check.waiting:
        return _result(rule, RuleStatus.NOT_APPLICABLE, expected, rule.check.waiting, metric=rule.check.metric(columns))
    unsure = rule.check.unsure or _unread(rule.check)
    if unsure:
        return _result(rule, RuleStatus.ERROR, expected, f"could not tell: {unsure}", metric=rule.check.metric(columns))
    differences = schema_differences(rule, plan, columns)
    status = RuleStatus.FAILED if differences else RuleStatus.PASSED
    shown = "; ".join(differences[:20]) + ("; ..." if len(differences) > 20 else "")
    return _result(rule, status, expected, shown, metric=rule.check.metric(columns))


def _unread(check: SchemaRule) -> str:
    """Why what comes from earlier batches cannot be held against the columns."""
    bounds = getattr(check, "bounds", None)
    is_past = isinstance(bounds, Bounds) and bounds.past
    return f"the history was not read, and the bounds come from it: {bounds}" if is_past else ""


def _judge_files(rule: Rule, measured: Measured, rule_set: RuleSet) -> RuleResult:
    assert isinstance(rule.check, FileRule)
    expected = rule.check.requirement() + (f" (up to {rule.tolerance} may fail)" if rule.tolerance else "")
    if measured.files is None:
        return _result(
            rule, RuleStatus.NOT_APPLICABLE, expected, "it is about files as they arrive; none are looked at here"
        )
    found = measured.files.get(rule.id) or Found(error="nobody looked for its files")
    place = rule.check.path or "the batch"
    if found.error or not (found.files or isinstance(rule.check, FileCount)):
        why = found.error or f"no file of {place} is meant"
        return _result(rule, RuleStatus.ERROR, expected, f"could not tell: {why}")
    judged = rule.check.judged(found.files, found.others, rule.tolerance, rule_set.input.timezone)
    if judged.holds:
        return _result(rule, RuleStatus.PASSED, expected, "", metric=judged.metric)
    return _result(rule, RuleStatus.FAILED, expected, f"{place}: {judged.message}", metric=judged.metric)


def _judge_verdict(rule: Rule, verdicts: Mapping[str, RuleResult]) -> RuleResult:
    assert isinstance(rule.check, Verdict)
    unknown = [name for name in rule.check.named() if name not in verdicts]
    if unknown:
        return could_not_tell(rule, f"there is no verdict on a rule '{unknown[0]}'")
    status = rule.check.combined({name: found.status for name, found in verdicts.items()})
    told = ", ".join(f"{name} {str(verdicts[name].status).replace('_', ' ')}" for name in rule.check.named())
    why = {RuleStatus.PASSED: "", RuleStatus.ERROR: f"could not tell: {told}"}.get(status, told)
    return _result(rule, status, rule.check.requirement(), why)


def too_many(rows: RowCounts, quarantined_above: float) -> bool:
    """Whether so many rows would be quarantined that the batch is held."""
    return rows.quarantined > Decimal(repr(quarantined_above)) * rows.input


def decide(
    results: Sequence[RuleResult], rows: RowCounts, quarantined_above: float, allow_empty: bool, culprits: str = ""
) -> Outcome:
    """The first line of the outcome table that applies. `culprits` ends the message of a batch that is held because too much of
    it would be quarantined."""
    unsure = [r for r in results if r.status == RuleStatus.ERROR]
    failed = [r for r in results if r.status == RuleStatus.FAILED]
    if any(r.severity == Severity.ERROR for r in unsure):
        return Outcome(BatchStatus.ERROR, Decision.HELD, 4, "a rule of severity error could not be judged")
    if any(r.on_fail == OnFail.HOLD for r in failed):
        return Outcome(BatchStatus.FAILED, Decision.HELD, 4, "a rule that holds the batch failed")
    if too_many(rows, quarantined_above):
        share = f"{rows.quarantined:,} of {rows.input:,} rows"
        message = f"{share} would be quarantined, more than {quarantined_above * 100:.6g}%{culprits}"
        return Outcome(BatchStatus.FAILED, Decision.HELD, 4, message)
    if rows.input == 0 and not allow_empty:
        return Outcome(
            BatchStatus.WARNING, Decision.HELD, 4, "the batch has no rows; 'input.allow_empty: true' lets it pass"
        )
    if any(r.severity == Severity.ERROR for r in failed):
        return Outcome(BatchStatus.FAILED, Decision.PUBLISHED, 1)
    if any(r.severity == Severity.WARNING for r in (*failed, *unsure)):
        return Outcome(BatchStatus.WARNING, Decision.PUBLISHED, 0)
    return Outcome(BatchStatus.PASSED, Decision.PUBLISHED, 0)
