"""A plan for people: passes, what is asked of rows, what is measured, where rows go and what failing does."""

from __future__ import annotations

from typing import Any

from quality.model import OnFail, Severity
from quality.passes import describe_pass
from quality.planner import Plan
from quality.rule_types.rules import Rule, batches_asked


def to_dict(plan: Plan) -> dict[str, Any]:
    """The plan as plain data."""
    return {
        "dataset": plan.rule_set.dataset,
        "batch": plan.rule_set.batch,
        "rule_set": plan.rule_set.fingerprint,
        "columns": [vars(column) for column in plan.columns],
        "passes": plan.passes.to_dict(),
        "steps": [
            {
                "width": p.width,
                "purpose": p.purpose,
                "shuffles": p.shuffles,
                "rules": list(p.rules),
                **({"reference": p.of} if p.of else {}),
            }
            for p in plan.steps
        ],
        "key_passes": [{"columns": list(key.columns), "scope": key.scope} for key in plan.key_passes],
        "row_rules": [
            {"id": c.rule.id, "scope": c.scope, "complies": c.complies, "deequ": _deequ(c.analyzer), **_fate(c.rule)}
            for c in plan.row_checks
        ],
        "metric_rules": [
            {"id": c.rule.id, "metric": _deequ(c.analyzer), "requirement": c.rule.check.requirement(), **_fate(c.rule)}
            for c in (*plan.metric_checks, *plan.group_checks)
        ],
        "composed_rules": [{"id": r.id, "requirement": r.check.requirement(), **_fate(r)} for r in plan.composed],
        "group_rules": [{"id": id, "group_by": list(part.columns)} for part in plan.group_passes for id in part.rules],
        "earlier_batches": plan.batches,
        "schema_rules": [
            {"id": rule.id, "requirement": rule.check.requirement(), **_fate(rule)} for rule in plan.schema_rules
        ],
        "file_rules": [
            {"id": rule.id, "requirement": rule.check.requirement(), **_fate(rule)} for rule in plan.file_rules
        ],
        "verdict_rules": [
            {"id": rule.id, "requirement": rule.check.requirement(), **_fate(rule)} for rule in plan.verdict_rules
        ],
        "errors": dict(plan.errors),
    }


def _deequ(analyzer: Any) -> str:
    where = f" where {analyzer.where}" if analyzer.where else ""
    return f"{analyzer.name}({analyzer.key.instance}){where}"


def _fate(rule: Rule) -> dict[str, str]:
    return {"rows": rows_go(rule), "failing": failing_does(rule)}


def rows_go(rule: Rule) -> str:
    """Where the failing rows of a rule go."""
    if not rule.is_row_rule:
        return "stay"
    return "quarantine" if rule.quarantines else "stay in passed, counted"


def failing_does(rule: Rule) -> str:
    """What it means for the batch when the rule fails."""
    if rule.on_fail == OnFail.HOLD:
        return "the batch is held"
    return {
        Severity.ERROR: "the batch fails, and is published",
        Severity.WARNING: "a warning",
        Severity.INFO: "recorded",
    }[rule.severity]


def render(plan: Plan) -> str:
    """The plan as text."""
    passes, small = plan.passes, " (a small batch: one task reads it)" if plan.small else ""
    lines = [
        f"{plan.rule_set.dataset} {plan.rule_set.batch}: {len(plan.rules)} rules over {len(plan.columns)} columns",
        f"passes: at most {passes.wide} wide, {passes.narrow} narrow; shuffles: {passes.shuffles}{small}",
    ]
    lines += [f"  {describe_pass(step)}" for step in plan.steps]
    if plan.batches:
        checks = (*plan.metric_checks, *plan.group_checks)
        asking = ", ".join(dict.fromkeys(c.part_of or c.rule.id for c in checks if batches_asked(c.rule.check)))
        lines.append(f"history: the metrics of up to {plan.batches} published batches before this one (for {asking})")
    for title, entries in (("about rows", _row_lines(plan)), ("about the batch", _batch_lines(plan))):
        lines += ["", f"{title}:", *entries] if entries else []
    lines += ["", "cannot be judged on this batch:"] if plan.errors else []
    lines += [f"  {id}: {why}" for id, why in plan.errors.items()]
    return "\n".join(lines)


def _in_groups(rule: Rule) -> str:
    return f" in a group of {', '.join(rule.group_by)}" if rule.group_by else ""


def _row_lines(plan: Plan) -> list[str]:
    lines = []
    for check in plan.row_checks:
        rule = check.rule
        tolerance = f", more than {rule.tolerance}" if rule.tolerance else ""
        tolerance += _in_groups(rule)
        lines.append(f"  {rule.id}  [{rule.severity}]  rows: {rows_go(rule)}; failing{tolerance}: {failing_does(rule)}")
        lines.append(f"      {_deequ(check.analyzer)}: {check.complies}")
        lines += [f"      in scope: {check.scope}"] if check.scope not in ("true", plan.well_formed) else []
    return lines


def _batch_lines(plan: Plan) -> list[str]:
    lines = [
        f"  {c.rule.id}  [{c.rule.severity}]  {_deequ(c.analyzer)} {c.rule.check.requirement()}{_in_groups(c.rule)}; failing: {failing_does(c.rule)}"
        for c in (*plan.metric_checks, *plan.group_checks)
    ]
    return lines + [
        f"  {r.id}  [{r.severity}]  {r.check.requirement()}; failing: {failing_does(r)}"
        for r in (*plan.composed, *plan.schema_rules, *plan.file_rules, *plan.verdict_rules)
    ]
