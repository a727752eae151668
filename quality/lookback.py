"""Bounds that come from earlier batches, made numbers: the history is read once a run, without Spark where it can be.

Drift is against earlier batches too: their sketches of a column.

What counts are the last k published batches with an earlier batch time, and in them the rule's own metric: the same name,
columns, filter and parameters, in a rule with groups of the same group. Names of columns compare without case, as Spark compares them,
values of groups byte by byte. A batch that has no value of it is none of those that `min_history` asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from quality import drifting, history_reader
from quality.anomaly.drift import merged
from quality.anomaly.values import Point, Series
from quality.checks import MetricCheck
from quality.distributions import Drift
from quality.errors import QualityError, UsageError
from quality.formulas import Unreckonable
from quality.grouping import Group
from quality.model import Bounds, MetricKey, number_text
from quality.planner import Plan
from quality.rule_types.base import MetricRule
from quality.rule_types.names import ColumnCount
from quality.rule_types.rules import Rule, batches_asked
from quality.storage.commit import CommitRecord
from quality.storage.store import Store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_V = TypeVar("_V")
#: Batches that are named one by one.
_NAMED = 7


class ByName(Mapping[Series, _V]):
    """What is known of series, of each also by other cases of the names of its columns; where these are ambiguous, by the very names."""

    def __init__(self, known: Mapping[Series, _V]) -> None:
        self._known = known
        self._folded = {_folded(one): value for one, value in known.items()}

    def __getitem__(self, one: Series) -> _V:
        return self._known[one] if one in self._known else self._folded[_folded(one)]

    def __iter__(self) -> Iterator[Series]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _folded(one: Series) -> Series:
    segment: Any = sorted(((name.lower(), value) for name, value in one.segment), key=itemgetter(0))
    return replace(one, instance=one.instance.lower(), segment=tuple(segment))


@dataclass(frozen=True)
class Past:
    """The published batches before one, newest first, with their metrics and, where a rule asks for them, the content of
    their sketches."""

    ids: tuple[str, ...]
    points: tuple[Mapping[Series, Point], ...]
    sketches: tuple[Mapping[Series, bytes], ...] = ()

    def values(self, key: MetricKey) -> list[float | None]:
        """The values of a metric, newest first; None where a batch has none."""
        series = _series(key)
        found = (points.get(series) for points in self.points)
        return [point.value if point else None for point in found]

    def groups(self, key: MetricKey, by: Sequence[str]) -> set[Group]:
        """The groups of these columns that have the metric in some batch."""
        whole, names = _folded(_series(key)), [name.lower() for name in by]
        return {
            tuple(dict(one.segment)[name] for name in names)
            for points in self.points
            for one in map(_folded, points)
            if [name for name, _ in one.segment] == sorted(names) and replace(one, segment=()) == whole
        }


def _series(key: MetricKey) -> Series:
    segment: Any = tuple(sorted(key.segment))
    return Series(key.name, key.instance, key.filter, segment, tuple(sorted(key.parameters)))


def with_past(
    plan: Plan,
    store: Store,
    live: Sequence[CommitRecord],
    batch: str,
    batch_time: datetime,
    spark: SparkSession | None,
) -> Plan:
    """The plan with the columns of the batch before, and every bound in numbers. A rule whose past is too short does not apply yet; one whose bounds have no
    number, or whose history cannot be read, cannot be told. `live` are the records that count, by batch time (`backfills.past`)."""
    earlier = [record for record in live if record.batch_time < batch_time and record.batch != batch]
    # a batch that was measured alone was published with no columns
    if published := [record for record in earlier if record.published]:
        plan = replace(plan, before=published[-1].columns, batch_before=published[-1].batch)
    if not plan.batches:
        return plan
    try:
        drifts = any(isinstance(c.analyzer, Drift) and not c.analyzer.reference for c in plan.metric_checks)
        past = read(store, earlier[-plan.batches :], spark, sketches=drifts)
    except UsageError:
        raise
    except QualityError as error:
        schema_rules = tuple(_unread_schema(rule, str(error)) for rule in plan.schema_rules)
        checks = tuple(_unread(check, str(error)) for check in plan.metric_checks)
        groups = tuple(_unread(check, str(error)) for check in plan.group_checks)
        return replace(plan, metric_checks=checks, group_checks=groups, schema_rules=schema_rules)
    schema_rules = tuple(_resolved_schema(rule, past) for rule in plan.schema_rules)
    checks = tuple(resolved(check, past) for check in plan.metric_checks)
    groups = tuple(in_groups(check, past) for check in plan.group_checks)
    return replace(plan, metric_checks=checks, group_checks=groups, schema_rules=schema_rules)


def read(
    store: Store, records: Sequence[CommitRecord], spark: SparkSession | None = None, *, sketches: bool = False
) -> Past:
    """The past that records tell, given by batch time. The number of rows is known of every run."""
    by_run, contents = history_reader.measured(store, records, spark, sketches=sketches)
    newest = [*reversed(records)]
    rows = [{Series("Size"): Point(float(record.rows.get("input", 0)))} for record in newest]
    points = (ByName(known | by_run.get(record.run, {})) for known, record in zip(rows, newest, strict=True))
    content = tuple(ByName(contents.get(record.run, {})) for record in newest)
    return Past(tuple(record.batch for record in newest), tuple(points), content)


def _unread(check: MetricCheck, why: str) -> MetricCheck:
    assert isinstance(check.rule.check, MetricRule)
    return replace(check, unsure=why) if batches_asked(check.rule.check) else check


def in_groups(check: MetricCheck, past: Past) -> MetricCheck:
    """The check of a rule that is judged in groups, with one for each group by its own past, and as it is for others."""
    assert isinstance(check.rule.check, MetricRule)
    if not check.rule.check.bounds.past:
        return check
    groups = past.groups(check.analyzer.key, check.rule.group_by)
    nothing = replace(past, points=({},) * len(past.ids))
    return replace(resolved(check, nothing), in_groups={group: resolved(check, past, group) for group in groups})


def resolved(check: MetricCheck, past: Past, group: Group = ()) -> MetricCheck:
    """The check with its bounds in numbers and where they come from, or with why there are none; of a group of rows by what
    earlier batches had of that group."""
    assert isinstance(check.rule.check, MetricRule)
    bounds = check.rule.check.bounds
    if isinstance(check.analyzer, Drift) and not check.analyzer.reference:
        return _compared(check, check.analyzer, past)
    if not bounds.past:
        return check
    segment = tuple(zip(check.rule.group_by, group, strict=True)) if group else ()
    key, what = replace(check.analyzer.key, segment=segment), "this group" if check.by else "this metric"
    found = _reckoned(bounds, key, check.rule.min_history, past, what)
    if found.bounds is None:
        return replace(check, waiting=found.waiting, unsure=found.unsure)
    rule = replace(check.rule, check=replace(check.rule.check, bounds=found.bounds))  # type: ignore[type-var]
    return replace(check, rule=rule, origin=found.origin)


@dataclass(frozen=True)
class _Reckoned:
    """Bounds in numbers and where they come from, or why there are none."""

    bounds: Bounds | None = None
    origin: str = ""
    waiting: str = ""
    unsure: str = ""


def _reckoned(
    bounds: Bounds, key: MetricKey, min_history: int | None, past: Past, what: str = "this metric"
) -> _Reckoned:
    asked = bounds.batches
    values = past.values(key)[:asked]
    known = [value for value in values if value is not None]
    least = asked if min_history is None else min(min_history, asked)
    if len(known) < least:
        return _Reckoned(waiting=_waiting(least, len(values), len(known), what))
    try:
        if not known:
            # asked for, as on Glue: what is not there is 0
            return _Reckoned(bounds.resolved([0.0] * asked), f"0 for {what} of earlier batches, of which none has it")
        numbers = bounds.resolved(values)
        parts = [part for _, term in bounds.past for part in term.parts()]
        told = ", ".join(f"{part} = {number_text(part.value(values))}" for part in dict.fromkeys(parts))
    except Unreckonable as error:
        return _Reckoned(unsure=str(error))
    over = [id for id, value in zip(past.ids, values, strict=False) if value is not None]
    return _Reckoned(numbers, f"{told}, of {_named(over)}")


def _resolved_schema(rule: Rule, past: Past) -> Rule:
    """A rule about the columns with its bounds in numbers: the number of columns has a history."""
    check = rule.check
    if not isinstance(check, ColumnCount) or not check.bounds.past:
        return rule
    found = _reckoned(check.bounds, check.metric(()).key, rule.min_history, past)
    held = replace(
        check, bounds=found.bounds or check.bounds, origin=found.origin, waiting=found.waiting, unsure=found.unsure
    )
    return replace(rule, check=held)


def _unread_schema(rule: Rule, why: str) -> Rule:
    if not isinstance(rule.check, ColumnCount) or not rule.check.bounds.past:
        return rule
    return replace(rule, check=replace(rule.check, unsure=why))


def _compared(check: MetricCheck, analyzer: Drift, past: Past) -> MetricCheck:
    """The check with what earlier batches held of its column."""
    asked = analyzer.against
    held = [
        drifting.held(analyzer, points, sketches)
        for points, sketches in zip(past.points[:asked], past.sketches[:asked], strict=True)
    ]
    known = [counts for counts in held if counts]
    least = check.rule.min_history or asked
    if len(known) < least:
        return replace(check, waiting=_waiting(least, len(held), len(known), "a sketch of this column"))
    over = [id for id, counts in zip(past.ids, held, strict=False) if counts]
    return replace(check, reference=merged(known), origin=f"{analyzer.measure} against {_named(over)}")


def _waiting(least: int, batches: int, known: int, what: str = "this metric") -> str:
    have = f"there {'is' if batches == 1 else 'are'} {batches}"
    if known < batches:
        have += f", {known} of them with {what}"
    return f"looks back over at least {least} published {'batch' if least == 1 else 'batches'} before this one, {have}"


def _named(ids: Sequence[str]) -> str:
    """The batches, oldest first."""
    ordered = [*reversed(ids)]
    if len(ordered) > _NAMED:
        return f"{len(ordered)} batches, {ordered[0]} to {ordered[-1]}"
    return ", ".join(ordered)
