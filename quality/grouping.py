"""Judging in groups: from the verdict on each group of rows to one on the rule. Plain Python, no Spark.

A group is the rows in scope that share their values of the columns of `group_by`; NULL is a value. One without rows in scope
does not exist. The rule fails when some group fails, whatever the others say; where none fails and some cannot be told, it
cannot be told either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Union

from quality.model import Bounds, Metric, RuleResult, RuleStatus
from quality.rule_types.rules import Rule, batches_asked

#: The text of each value of a group; None for NULL.
Group = tuple[Union[str, None], ...]

#: More groups than these are not looked at: the driver holds a line for each.
MAX_GROUPS = 1_000
#: Groups that stand in a result, and those of which the history keeps the metric.
SHOWN_GROUPS = 20
STORED_GROUPS = 100
_SHOWN_TEXT = 60


def too_many_groups(columns: Iterable[str]) -> str:
    """Why groups cannot be told."""
    return (
        f"{', '.join(columns)} makes more than {MAX_GROUPS:,} groups; group by what has fewer values, or narrow the rule "
        f"with 'where'"
    )


def over_groups(
    rule: Rule, whole: RuleResult, found: Mapping[Group, RuleResult], bounds: Mapping[Group, Bounds] | None = None
) -> RuleResult:
    """The verdict on a rule from that on each of its groups; `whole` is the result of a rule without groups. `bounds` are those
    of each group, where they are not the rule's."""
    judged = {group: one for group, one in found.items() if one.rows_in_scope}
    by = ", ".join(rule.group_by)
    own = getattr(rule.check, "bounds", None)
    ranked = sorted(judged, key=lambda group: _rank((bounds or {}).get(group, own), judged[group], group))
    looks_back = bool(batches_asked(rule.check))
    waiting = [group for group in ranked if looks_back and judged[group].status == RuleStatus.NOT_APPLICABLE]
    bad = [group for group in ranked if judged[group].status in (RuleStatus.FAILED, RuleStatus.ERROR)]
    counts = {"all": len(judged)} | {
        word: sum(one.status == status for one in judged.values())
        for word, status in (("failed", RuleStatus.FAILED), ("error", RuleStatus.ERROR))
    }
    counts |= {"not_applicable": len(waiting)} if waiting else {}
    status = _status([one.status for one in judged.values()])
    # what a rule looks back at is kept of every group that it judges
    stored = MAX_GROUPS if looks_back else STORED_GROUPS
    return replace(
        whole,
        status=status,
        expected=f"{whole.expected} in each group of {by}",
        rows_in_scope=sum(one.rows_in_scope or 0 for one in judged.values()),
        message=_message(rule, status, counts, {group: judged[group] for group in (*bad, *waiting)}),
        groups=tuple(_entry(rule, group, judged[group]) for group in bad[:SHOWN_GROUPS]),
        group_by=rule.group_by,
        group_counts=counts,
        segments=tuple(found for group in ranked[:stored] for found in _segments(rule, group, judged[group])),
    )


def _status(found: list[RuleStatus]) -> RuleStatus:
    order = (RuleStatus.FAILED, RuleStatus.ERROR, RuleStatus.PASSED)
    return next((status for status in order if status in found), RuleStatus.NOT_APPLICABLE)


def _rank(bounds: Bounds | None, one: RuleResult, group: Group) -> tuple[Any, ...]:
    """The worst first: by how much it fails, then those that cannot be told, then the largest."""
    place = [RuleStatus.FAILED, RuleStatus.ERROR].index(one.status) if one.status in ("failed", "error") else 2
    scope = one.rows_in_scope or 0
    texts = tuple((text is None, text or "") for text in group)
    return place, -_badness(bounds, one), -(one.failed_rows or 0), -scope, texts


def _badness(bounds: Bounds | None, one: RuleResult) -> float:
    """Of rows the share that fails, of a metric how far it is from its bounds."""
    if one.failed_rows is not None:
        return one.failed_rows / (one.rows_in_scope or 1)
    if bounds is None or one.status != RuleStatus.FAILED or one.metric is None:
        return 0.0
    return _distance(bounds, one.metric)


def _distance(bounds: Bounds, metric: Metric) -> float:
    value = metric.number
    if value is None:
        return math.inf
    far = [abs(value - float(bound)) for word, bound in bounds.terms if _is_missed(word, value, bound)]
    return max(far, default=0.0)


def _is_missed(word: str, value: float, bound: Any) -> bool:
    return not isinstance(bound, (str, bool)) and not Bounds(((word, float(bound)),)).accepts(value)


def _entry(rule: Rule, group: Group, one: RuleResult) -> dict[str, Any]:
    """A group as the result JSON has it."""
    return {
        "group": dict(zip(rule.group_by, group, strict=True)),
        "status": str(one.status),
        "value": one.metric.number if one.metric else None,
        "value_text": one.metric.text if one.metric else "",
        "rows_in_scope": one.rows_in_scope,
        "failed_rows": one.failed_rows,
        "message": one.message,
    }


def _segments(rule: Rule, group: Group, one: RuleResult) -> list[Metric]:
    segment = tuple(zip(rule.group_by, group, strict=True))
    return [replace(metric, key=replace(metric.key, segment=segment)) for metric in one.metrics]


def _message(rule: Rule, status: RuleStatus, counts: Mapping[str, int], bad: Mapping[Group, RuleResult]) -> str:
    """`bad` are the groups that do not hold, the worst first, and then those that are not judged yet."""
    if not bad:
        return "" if status == RuleStatus.PASSED else "no row in scope"
    worst = next(iter(bad))
    told = ", ".join(f"{name}={_shown(text)}" for name, text in zip(rule.group_by, worst, strict=True))
    first = bad[worst].message.removeprefix("could not tell: ")
    waiting = counts.get("not_applicable", 0)
    if status in (RuleStatus.PASSED, RuleStatus.NOT_APPLICABLE):
        return f"{waiting:,} of {counts['all']:,} groups of {', '.join(rule.group_by)} not judged yet; {told}: {first}"
    failed, unsure, groups = (
        counts["failed"],
        counts["error"],
        f"of {counts['all']:,} groups of {', '.join(rule.group_by)}",
    )
    which = f"{told}: {first}" if failed + unsure == 1 else f"the worst is {told}: {first}"
    yet = [f"{waiting:,} not judged yet"] if waiting else []
    if status == RuleStatus.ERROR:
        return f"could not tell {unsure:,} {groups}{f' ({yet[0]})' if yet else ''}; {told}: {first}"
    parts = [*([f"{unsure:,} could not be told"] if unsure else []), *yet]
    more = f" ({', '.join(parts)})" if parts else ""
    return f"{failed:,} {groups} {'fails' if failed == 1 else 'fail'}{more}; {which}"


def _shown(text: str | None) -> str:
    if text is None:
        return "NULL"
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}..."
