"""Which rules are judged on windows of a stream: those whose numbers add up over its micro-batches."""

from __future__ import annotations

from collections.abc import Iterator

from quality.errors import Problem
from quality.rule_types.base import KeyRule, MetricRule, RowRule
from quality.rule_types.composition import BatchComposition
from quality.rule_types.rules import Rule, RuleSet

ADDED = frozenset({"Size", "Sum", "ZerosCount", "NegativesCount", "NaNCount", "EmptyCount", "BlankCount"})
SMALLEST, LARGEST = frozenset({"Minimum", "MinLength"}), frozenset({"Maximum", "MaxLength"})
#: Shares of rows; other ratios (uniqueness) look at more than a row.
SHARES = frozenset({"Completeness", "Compliance", "PatternMatch", "DataType"})
_MERGED = ADDED | SMALLEST | LARGEST | SHARES | {"Mean"}
_INSTEAD = "what it says of more rows needs a run of its own over the passed rows"


def adds_up(rule: Rule) -> bool:
    """Whether a rule about the batch can be judged on a window; then it says nothing about a single micro-batch."""
    if not isinstance(rule.check, (MetricRule, BatchComposition)):
        return False
    return not rule.over and not rule.group_by and not _apart(rule)


def _apart(rule: Rule) -> str:
    """The first metric of the rule that does not add up."""
    names = (metric.analyzer(rule.where).key.name for metric in rule.check.metrics())
    return next((name for name in names if name not in _MERGED), "")


def of_windows(rule_set: RuleSet) -> Iterator[Problem]:
    """What windows do not say of rules, where the file asks for windows, and what does."""
    for rule in rule_set.rules if rule_set.stream.window else ():
        why = ""
        if rule.group_by:
            why = "windows have no groups: it is judged in each micro-batch alone"
        elif isinstance(rule.check, KeyRule):
            why = "keys are compared within each micro-batch, not over a window"
        elif isinstance(rule.check, RowRule) and not rule.check.by_row:
            why = "rows are compared within each micro-batch, not over a window"
        elif isinstance(rule.check, (MetricRule, BatchComposition)) and (name := _apart(rule)):
            why = f"{name} of several micro-batches does not add up: it is judged in each of them alone"
        if why:
            yield Problem(rule.location.file, rule.location.line, f"rule '{rule.id}': {why}; {_INSTEAD}")
