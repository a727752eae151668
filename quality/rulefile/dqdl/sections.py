"""What a rule file says beside its rules, in DQDL: anomalies that are looked for, and the profile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields

from quality.model import Severity
from quality.rule_types.custom import CustomSql
from quality.rule_types.rules import AnomalySettings, RuleSet, StreamSettings
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.more_of_dqdl import as_primary
from quality.rulefile.dqdl.signatures import ANOMALY_METRICS
from quality.rulefile.dqdl.tree import Parameter, Rule

#: DQDL's names of metrics that are called otherwise here.
_THEIRS = {
    "Size": "RowCount", "CountDistinct": "DistinctValuesCount", "MinLength": "ColumnLength", "MaxLength": "ColumnLength",
    "Minimum": "ColumnValues", "Maximum": "ColumnValues", "Correlation": "ColumnCorrelation",
}  # fmt: skip
#: What DQDL has no place for of the section: all but which metrics are looked at.
_UNSAID = ("season", "false_alarms", "calendar", "strategy")
PROFILE = Rule("Distribution", (Parameter("AllColumns", "bare"),))


def detected(name: str, rules: RuleSet) -> Rule:
    """The rule that looks for anomalies of a metric, `Name(columns)`. Raises Lost."""
    metric, _, rest = name.partition("(")
    instance = rest.removesuffix(")")
    if metric == "CustomSQL":
        query = next((r.check.query for r in rules.rules if r.id == instance and isinstance(r.check, CustomSql)), None)
        if query is None:
            raise Lost(f"'{instance}' is no query of this file")
        return Rule("DetectAnomalies", (Parameter(metric), Parameter(as_primary(query))))
    theirs = _THEIRS.get(metric, metric)
    if theirs not in ANOMALY_METRICS:
        raise Lost(f"DetectAnomalies does not know the metric {metric}")
    least, most = ANOMALY_METRICS[theirs]
    columns = [one.strip() for one in re.split(",", instance)] if instance and least else []
    if len(columns) < least or (most is not None and len(columns) > most):
        raise Lost(f"DetectAnomalies of {theirs} names its columns")
    return Rule("DetectAnomalies", (Parameter(theirs), *map(Parameter, columns)))


def unsaid(settings: AnomalySettings) -> Iterator[str]:
    """What of the section DQDL cannot say."""
    usual = {field.name: field.default for field in fields(AnomalySettings)}
    yield from (word for word in _UNSAID if getattr(settings, word) != usual[word])
    if settings.metrics and settings.severity != Severity.ERROR:
        yield f"severity {settings.severity}"


def placeless(rules: RuleSet) -> Iterator[str]:
    """Sections that say something and that DQDL has no place for."""
    if rules.sensitive:
        yield "sensitive"
    if rules.stream != StreamSettings():
        yield "stream"
    if rules.quarantined_above != next(f.default for f in fields(RuleSet) if f.name == "quarantined_above"):
        yield "hold"
