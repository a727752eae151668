"""Composites of DQDL: each rule judged by itself and the verdicts joined, or judged together row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quality.rule_types import REGISTRY
from quality.rule_types.base import RowRule
from quality.rulefile.dqdl.analyzers import fenced
from quality.rulefile.dqdl.entries import Entry, Joined, Made
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.printer import format_rule
from quality.rulefile.dqdl.rules_of_ours import convert
from quality.rulefile.dqdl.tree import Composite, Rule

_WORDS = {"and": "all", "or": "any"}


def converted(rule: Rule | Composite, *, by_row: bool = False) -> list[Made]:
    """The entries that demand together what a rule or a composite does. Raises Lost."""
    if isinstance(rule, Rule):
        return convert(rule)
    if by_row:
        told = "; ".join(dict.fromkeys(_differences(rule)))
        return [Entry(_WORDS[rule.operator], [_part(part) for part in rule.rules], about="composite", differs=told)]
    return [_joined(rule)]


def _joined(rule: Composite) -> Joined:
    parts: list[Made] = []
    for part in rule.rules:
        found: list[Made] = [_joined(part)] if isinstance(part, Composite) else _alone(part)
        parts.append(found[0] if len(found) == 1 else Joined("all", tuple(found)))
    return Joined(_WORDS[rule.operator], tuple(parts))


def _alone(rule: Rule) -> list[Made]:
    return [*fenced(rule)] if rule.type == "DetectAnomalies" else convert(rule)


def _part(rule: Rule | Composite) -> dict[str, Any]:
    """A part of a composition by row, sure of every row: NULL means to each rule what it means to it alone."""
    if isinstance(rule, Composite):
        return {_WORDS[rule.operator]: [_part(part) for part in rule.rules]}
    found = [_guarded(rule, made) for made in convert(rule)]
    return found[0] if len(found) == 1 else {"all": found}


def _differences(rule: Rule | Composite) -> Iterator[str]:
    """How its parts are not quite what DQDL has."""
    if isinstance(rule, Composite):
        for part in rule.rules:
            yield from _differences(part)
    else:
        yield from (made.differs for made in convert(rule) if isinstance(made, Entry) and made.differs)


def _guarded(rule: Rule, made: Made) -> dict[str, Any]:
    kind = REGISTRY[made.type] if isinstance(made, Entry) else RowRule
    if isinstance(made, Joined) or not issubclass(kind, RowRule):
        raise Lost(f"'{format_rule(rule)}' gives no verdict on a row by itself, and composites are judged by row here")
    if "tolerance" in made.beside:
        raise Lost("a threshold is about all rows, and composites are judged by row here")
    nulls = {"nulls": made.beside.get("nulls", "pass")} if kind.nulls_apply else {}
    return {made.type: made.body, **made.beside, **nulls}
