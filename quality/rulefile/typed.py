"""What does not go with the types of a text format: those are declared, so that it is wrong whatever the data. Columns of a typed
format are what the batch has, and are looked at when it is there."""

from __future__ import annotations

from quality.errors import Problem, RuleDataError
from quality.model import Column
from quality.rule_types.base import MetricRule, Row, RowRule
from quality.rule_types.rules import Rule, RuleSet
from quality.sql import quote


def misfits(rule_set: RuleSet) -> list[Problem]:
    """Rules that cannot be judged on a column of the type that is declared for it: a value that is none of the type, a metric of
    numbers over texts."""
    if not rule_set.input.is_text:
        return []
    types, spelt = (
        rule_set.declared_types,
        {name.lower(): name for name, _ in (*rule_set.columns, *rule_set.input.schema)},
    )
    columns = tuple(Column(spelt[name], kind) for name, kind in types.items())
    row = Row(columns, {column.name: quote(column.name) for column in columns}, rule_set.input.timezone)
    found = []
    for rule in rule_set.rules:
        wrong = _misfit(rule, row) if rule.check.columns() and not rule.over else ""
        if wrong:
            found.append(Problem(rule.location.file, rule.location.line, f"rule '{rule.id}': {wrong}"))
    return found


def _misfit(rule: Rule, row: Row) -> str:
    known = {column.name.lower() for column in row.columns}
    if not {name.lower() for name in rule.check.columns()} <= known or "{{" in repr(rule.check):
        # a column without a type may get one from the batch before, a template its value from the batch
        return ""
    try:
        if isinstance(rule.check, RowRule):
            rule.check.predicate(row)
        for metric in rule.check.metrics():
            _measured(metric, row)
    except RuleDataError as error:
        return str(error)
    return ""


def _measured(metric: MetricRule, row: Row) -> None:
    analyzer = metric.analyzer("")
    for name in analyzer.columns:
        analyzer.check_type(name, row.type(name))
