"""One entry that demands the same of many columns: a list of them, a glob, a regular expression, a kind of type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from quality.errors import did_you_mean
from quality.rule_types.args import arguments, shown
from quality.rule_types.base import RuleType
from quality.rule_types.rules import KINDS, Rule, Selector
from quality.rulefile.nodes import Node

if TYPE_CHECKING:
    from quality.rulefile.ruleforms import Problems

CHOICE_SCHEMA: dict[str, Any] = {
    "description": "many columns instead of one: a list, a glob such as '*_id', {matching: regex} or {type: numeric}",
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        {
            "type": "object",
            "properties": {"matching": {"type": "string"}, "type": {"enum": list(KINDS)}},
            "minProperties": 1,
            "additionalProperties": False,
        },
    ],
}


@dataclass(frozen=True)
class Choice:
    """A column by its name, or those a selector means; `said` is what stands in the file."""

    node: Node
    selector: Selector | None = None
    said: Any = None


def takes_many(kind: type[RuleType]) -> bool:
    """Whether the rule type is about one column, and so can be demanded of many."""
    names = [a.name for a in arguments(kind).values() if a.metadata["kind"].role in ("column", "columns")]
    return names == ["column"]


def choices(kind: type[RuleType], node: Node, problems: Problems) -> list[Choice]:
    """What `columns:` of a rule about one column means; mistakes are noted."""
    try:
        found = list(_choices(node))
    except ValueError as error:
        problems.add(node, f"'columns' of '{kind.type}' {error}")
        return []
    if kind.type == "type" and any(choice.selector for choice in found):
        problems.add(node, "'columns' of 'type' must be names: the columns get their types before they are known")
        return []
    return found


def _choices(node: Node) -> Iterator[Choice]:
    value = node.plain()
    if isinstance(value, dict):
        selector = _by_kind(value)
        yield Choice(Node(str(selector), node.file, node.line), selector, value)
        return
    entries = node.items if isinstance(value, list) else [node]
    if not entries or any(not isinstance(entry.value, str) or not entry.value for entry in entries):
        raise ValueError(f"must be names, a glob, {{matching: regex}} or {{type: numeric}}, got {shown(value or None)}")
    for entry in entries:
        text = str(entry.value)
        yield Choice(entry, Selector(glob=text) if re.search(r"[*?\[]", text) else None, text)


def _by_kind(value: dict[str, Any]) -> Selector:
    if not value or not value.keys() <= {"matching", "type"}:
        raise ValueError(f"takes 'matching' (a regular expression) and 'type', got {', '.join(value) or 'nothing'}")
    kind, pattern = value.get("type", ""), str(value.get("matching", ""))
    if "type" in value and kind not in KINDS:
        raise ValueError(f"has no type {shown(kind)}; {did_you_mean(str(kind), KINDS, 'types')}")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error} in {shown(pattern)}") from None
    return Selector(matching=pattern, type=str(kind))


def over(rule: Rule, selector: Selector, said: Any) -> Rule:
    """The rule over the columns that a selector means. The columns of a batch are not in its canonical form."""
    canonical = {word: value for word, value in rule.canonical.items() if word != "column"}
    return replace(rule, over=selector, canonical={**canonical, "columns": said})


def renamed(rule: Rule, id: str) -> Rule:
    """The rule under another id."""
    return replace(rule, id=id, canonical={**rule.canonical, "id": id})
