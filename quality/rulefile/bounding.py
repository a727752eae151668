"""Whether bounds fit a rule, and `min_history`: how many earlier batches a bound needs that comes from them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from quality.analyzers import TEMPORAL
from quality.formulas import MOST_BATCHES
from quality.rule_types.args import parse_number, shown
from quality.rule_types.base import MetricRule, RuleType, parse_moment
from quality.rule_types.composition import _Composition
from quality.rule_types.names import ColumnCount
from quality.rule_types.rules import batches_asked

WORD = "min_history"
MIN_HISTORY_SCHEMA = {"type": "integer", "minimum": 0, "maximum": MOST_BATCHES}


def parse_min_history(value: Any) -> int:
    """A number of batches."""
    number = parse_number(value)
    if not isinstance(number, int) or not 0 <= number <= MOST_BATCHES:
        raise ValueError(f"must be a whole number of batches from 0 to {MOST_BATCHES:,}, got {shown(value)}")
    return number


def with_min_history(check: RuleType, values: Mapping[str, Any], given: Container[str]) -> tuple[dict[str, Any], str]:
    """The modifiers of a rule, and why its own `min_history` does not go with its bounds. A default that does not is left
    out: it is for the rules it can be for."""
    asked, least = batches_asked(check), values.get(WORD) or 0
    unheld = values.get(WORD) == 0 and asked and not _of_formulas(check)
    if WORD in given:
        if not asked:
            return {**values}, "goes with bounds that look at earlier batches, such as 'at_least: 0.8 * median(last 7)'"
        if least > asked:
            return {**values}, f"must be at most {asked}, the number of batches the bounds ask for, got {least}"
        if unheld:
            return {**values}, "must be at least 1: there is no distribution of no batches"
    elif not asked or least > asked or unheld:
        return {word: value for word, value in values.items() if word.partition(":")[0] != WORD}, ""
    return {**values}, ""


def _of_formulas(check: RuleType) -> bool:
    """Whether all that looks at earlier batches are formulas, which can have a value without one."""
    return not any(getattr(part, "batches", 0) for part in (check, *check.metrics()))


def misfitting_bound(check: RuleType) -> str:
    """A bound that the metric can never be compared with: a text beside a number, or a text that is no date."""
    if not isinstance(check, MetricRule) and check.metrics():
        return next(filter(None, map(misfitting_bound, check.metrics())), "")
    if isinstance(check, ColumnCount):
        return check.problem()
    if not isinstance(check, MetricRule):
        return "" if not batches_asked(check) else "takes no formula of earlier batches: only metrics have a history"
    dates = set(check.analyzer("").types) & set(TEMPORAL)
    for word, bound in check.bounds.terms:
        if isinstance(bound, bool) or (isinstance(bound, str) and not dates and "{{" not in bound):
            return f"'{word}' must be a number, got {shown(bound)}"
        if isinstance(bound, str) and "{{" not in bound:
            try:
                parse_moment(bound)
            except ValueError:
                return f"'{word}' must be a number or a date (YYYY-MM-DD[ HH:MM:SS]), got {shown(bound)}"
    return ""


def unfit(check: RuleType, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Modifiers that do not go with what a rule is made of, and why."""
    if isinstance(check, _Composition) and check.of_keys:
        if "group_by" in given:
            yield "group_by", "does not go with a key in it, which is one of the whole batch"
        if "examples" in given:
            yield "examples", "rows are examples one by one, and a key in it is judged by all of them"
    for part in check.metrics():
        if "group_by" in given and part.ungrouped:
            yield "group_by", f"does not go with '{part.type}': {part.ungrouped}"
        if "where" in given and part.unfiltered:
            yield "where", f"does not go with '{part.type}' in it"
