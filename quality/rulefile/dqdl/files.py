"""From DQDL's rules about files to ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from quality.rulefile.dqdl.constants import WORDS, alternatives, bounds
from quality.rulefile.dqdl.entries import Entry, Joined, Made, condition_of, names_of
from quality.rulefile.dqdl.kinds import is_time
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.tree import (
    Between,
    Call,
    Comparison,
    Condition,
    Constant,
    Expression,
    Membership,
    Number,
    Operation,
    Quantity,
    Rule,
    Tag,
    Text,
    Word,
)


def file_freshness(rule: Rule) -> list[Made]:
    """Every file by the moment it was last written."""
    zone = _tag(rule, "timeZone")
    more = {"timezone": zone} if zone else {}
    return [*_made("file_freshness", rule, _each(rule, _moment), more)]


def file_size(rule: Rule) -> list[Made]:
    """Every file by its size."""
    return [*_made("file_size", rule, _each(rule, _size), {})]


def file_uniqueness(rule: Rule) -> list[Made]:
    """The share of files that occur once."""
    condition = condition_of(rule)
    found = _made("file_uniqueness", rule, alternatives(condition) or bounds(condition), _hash(rule))
    return [Joined("any", tuple(found), "file_uniqueness")] if alternatives(condition) else [*found]


def file_match(rule: Rule) -> list[Made]:
    """Two places, or the files of the batch against one; or hashes that are allowed."""
    paths, more = names_of(rule), _hash(rule)
    if rule.condition is not None:
        values = rule.condition.values if isinstance(rule.condition, Membership) else ()
        operands = values if isinstance(values, tuple) else ()
        if isinstance(rule.condition, Comparison) and rule.condition.sign == "=":
            operands = (rule.condition.operand,)
        if not operands or getattr(rule.condition, "negated", False) or len(paths) > 1:
            raise Lost("only hashes that files may have are asked for, of one place")
        hashes = [value.value for value in operands if isinstance(value, Text)]
        return [*_made("file_match", rule, [{"hashes": hashes}], more, paths[:1])]
    if len(rule.parameters) == 2 and len(paths) == 2:
        return [*_made("file_match", rule, [{"with": paths[1]}], more, paths[:1])]
    if len(paths) == 1 and len(rule.parameters) == 1:
        return [*_made("file_match", rule, [{"with": paths[0]}], more, [])]
    raise Lost("it compares a place with itself" if paths else "it says neither places nor hashes")


def _made(
    type: str, rule: Rule, held: list[dict[str, Any]], more: dict[str, Any], paths: list[str] | None = None
) -> list[Entry]:
    places = names_of(rule)[:1] if paths is None else paths
    named = {**({"path": places[0]} if places else {}), **_filters(rule), **more}
    hasty = _tag(rule, "failFast") == "true" and _tag(rule, "threshold", present=True)
    differs = "a failing file does not end it: failFast does not go with a threshold here" if hasty else ""
    return [Entry(type, {**named, **words}, differs=differs) for words in held]


def _filters(rule: Rule) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pattern, newest = _tag(rule, "uriRegex"), _tag(rule, "recentFiles")
    if pattern:
        found["matching"] = pattern
    if newest:
        found["newest"] = int(newest)
    order = next((tag.condition for tag in rule.tags if tag.name == "filterOrder"), None)
    values = order.values if isinstance(order, Membership) and isinstance(order.values, tuple) else ()
    if values and isinstance(values[0], Text) and values[0].value == "recentFiles" and pattern and newest:
        found["newest_first"] = True
    return found


def _hash(rule: Rule) -> dict[str, Any]:
    algorithm, names = _tag(rule, "hashAlgorithm"), _tag(rule, "matchFileName") == "true"
    return {**({"algorithm": algorithm} if algorithm else {}), **({"names": True} if names else {})}


def _tag(rule: Rule, name: str, *, present: bool = False) -> str:
    """The value of a tag as text, empty when it is not there."""
    found: Tag | None = next((tag for tag in rule.tags if tag.name == name), None)
    if found is None or present:
        return name if found else ""
    value = found.condition.operand if isinstance(found.condition, Comparison) else None
    return value.value if isinstance(value, Text) else value.text if isinstance(value, (Word, Number)) else ""


def _each(rule: Rule, read: Callable[[Expression], str]) -> list[dict[str, Any]]:
    """Bounds that every file is held to."""
    condition: Condition = condition_of(rule)
    if isinstance(condition, Comparison):
        return [{WORDS[condition.sign]: read(condition.operand)}]
    if isinstance(condition, Between) and not condition.negated:
        return [{"above": read(condition.low), "below": read(condition.high)}]
    if isinstance(condition, Between):
        return [{"outside": [read(condition.low), read(condition.high)]}]
    values = condition.values if isinstance(condition, Membership) and isinstance(condition.values, tuple) else ()
    found = list(dict.fromkeys(map(read, values)))
    negated = isinstance(condition, Membership) and condition.negated
    if len(found) == 1:
        return [{"not_equals" if negated else "equals": found[0]}]
    if not found:
        raise Lost("its list has no value")
    return [{"none_of" if negated else "one_of": found}]


def _moment(value: Expression) -> str:
    if isinstance(value, Text):
        return clock(value.value) if is_time(value.value) else value.value
    if isinstance(value, Call) and value.name == "now":
        return "now"
    if isinstance(value, Operation) and isinstance(value.left, Call) and isinstance(value.right, Quantity):
        return f"now {value.sign} {value.right.number} {value.right.unit}"
    never = isinstance(value, Constant)
    raise Lost(f"a moment is never {value.name}" if never else "now() is moved once at most")  # type: ignore[union-attr]


def clock(text: str) -> str:
    """A time of day as HH:MM."""
    found = re.fullmatch(r"([0-9]{1,2}):([0-9]{2}) ?([AaPp][Mm])?", text)
    assert found
    hour = int(found[1]) % 12 + 12 * (found[3].lower() == "pm") if found[3] else int(found[1])
    return f"{hour:02}:{found[2]}"


def _size(value: Expression) -> str:
    if isinstance(value, Quantity):
        return f"{value.number} {value.unit}"
    raise Lost("a size has a unit")
