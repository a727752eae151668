"""The opposite of a rule of DQDL, which denies nothing by a word of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.rules_of_dqdl import Theirs
from quality.rulefile.dqdl.signatures import TYPES
from quality.rulefile.dqdl.tree import Comparison, Composite, Number, Tag

_OTHERWISE = {">=": "<", ">": "<=", "<=": ">", "<": ">=", "=": "!=", "!=": "="}
#: Numbers that are always there; of a metric that may be NULL or NaN no bound of it holds, nor its opposite.
_COUNTS = ("RowCount", "ColumnCount", "ReferentialIntegrity")


def joined(operator: str, parts: Sequence[Theirs]) -> Theirs:
    """A composite, or the one part there is."""
    return parts[0] if len(parts) == 1 else Composite(operator, tuple(parts))


def turned(rule: Theirs) -> Theirs:
    """A rule that holds when this one does not. Raises Lost."""
    if isinstance(rule, Composite):
        return joined("or" if rule.operator == "and" else "and", [turned(part) for part in rule.rules])
    tag = next((one for one in rule.tags if one.name == "threshold"), None)
    if tag is not None and isinstance(tag.condition, Comparison):
        other = Tag("threshold", _otherwise(tag.condition))
        return replace(rule, tags=tuple(other if one is tag else one for one in rule.tags))
    about_rows = "threshold" in TYPES[rule.type].tags and (rule.type != "CustomSql" or rule.condition is None)
    if about_rows:
        return replace(rule, tags=(*rule.tags, Tag("threshold", Comparison("<", Number("1")))))
    if rule.type in _COUNTS and isinstance(rule.condition, Comparison):
        return replace(rule, condition=_otherwise(rule.condition))
    raise Lost("a composite of DQDL denies nothing but shares of rows and their number")


def _otherwise(condition: Comparison) -> Comparison:
    whole = condition.sign == "=" and isinstance(condition.operand, Number) and condition.operand.value == 1
    return Comparison("<" if whole else _OTHERWISE[condition.sign], condition.operand)
