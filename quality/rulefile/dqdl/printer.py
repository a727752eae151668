"""Prints a document, or a part of it, as DQDL that reads back as the same."""

from __future__ import annotations

import re
from collections.abc import Iterable

from quality.rulefile.dqdl.tree import (
    Between,
    Call,
    Comparison,
    Composite,
    Condition,
    Constant,
    Document,
    Entry,
    Expression,
    Label,
    Membership,
    Negative,
    Number,
    Operation,
    Parameter,
    Quantity,
    Rule,
    Tag,
    Text,
    Variable,
    Word,
)

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}


def format(document: Document) -> str:
    """The document as text, one rule a line; comments are not part of a document. Raises ValueError as `quoted` does."""
    parts = []
    for name, entries in (("Metadata", document.metadata), ("DataSources", document.data_sources)):
        if entries:
            parts.append(f"{name} = {{\n" + ",\n".join(f"    {_entry(entry)}" for entry in entries) + "\n}")
    for binding in document.variables:
        is_list = isinstance(binding.value, tuple)
        value = _listed(binding.value) if isinstance(binding.value, tuple) else expression(binding.value)
        parts.append(f"{binding.name} = {f'[{value}]' if is_list else value}")
    if document.default_labels:
        parts.append(f"DefaultLabels = [{_labels(document.default_labels)}]")
    for name, rules in (("Rules", document.rules), ("Analyzers", document.analyzers)):
        if rules is not None:
            parts.append(block(name, [format_rule(rule, analyzer=name == "Analyzers") for rule in rules]))
    return "\n\n".join(parts) + "\n"


def block(name: str, entries: Iterable[str]) -> str:
    """A list of rules or analyzers, one a line."""
    lines = [f"    {entry}" for entry in entries]
    return f"{name} = [\n" + ",\n".join(lines) + "\n]" if lines else f"{name} = []"


def format_rule(rule: Rule | Composite, *, analyzer: bool = False) -> str:
    """One rule in one line. The tags of an analyzer stand behind one `with`. Raises ValueError as `quoted` does."""
    if isinstance(rule, Composite):
        joined = f" {rule.operator} ".join(f"({format_rule(part)})" for part in rule.rules)
        return joined + (f" labels=[{_labels(rule.labels)}]" if rule.labels else "")
    parts = [rule.type, *(_parameter(parameter) for parameter in rule.parameters)]
    if rule.condition is not None:
        parts.append(format_condition(rule.condition))
    if rule.where is not None:
        parts.append(f"where {expression(rule.where)}")
    if rule.labels:
        parts.append(f"labels=[{_labels(rule.labels)}]")
    tags = [_tag(tag) for tag in rule.tags]
    parts += [f"with {', '.join(tags)}"] if analyzer and tags else [f"with {tag}" for tag in tags]
    return " ".join(parts)


def format_condition(condition: Condition) -> str:
    """What stands behind the parameters."""
    if isinstance(condition, Comparison):
        return f"{condition.sign} {_operand(condition.operand)}"
    negated = "not " if condition.negated else ""
    if isinstance(condition, Between):
        return f"{negated}between {_operand(condition.low)} and {_operand(condition.high)}"
    if isinstance(condition, Membership):
        values = condition.values
        return f"{negated}in " + (expression(values) if isinstance(values, Variable) else f"[{_listed(values)}]")
    return f"{negated}matches {expression(condition.pattern)}"


def _operand(value: Expression) -> str:
    # AWS reads arithmetic with now() only in parentheses
    text = expression(value)
    return f"({text})" if isinstance(value, Operation) and _has_moment(value) else text


def _has_moment(value: Expression) -> bool:
    if isinstance(value, Operation):
        return _has_moment(value.left) or _has_moment(value.right)
    return isinstance(value, Call) and value.name == "now"


def expression(value: Expression) -> str:
    """An operand, with the parentheses it needs."""
    if isinstance(value, Text):
        return quoted(value.value)
    if isinstance(value, Variable):
        return f"${value.name}"
    if isinstance(value, Constant):
        return value.name
    if isinstance(value, (Number, Word)):
        return value.text
    if isinstance(value, Quantity):
        return f"{value.number} {value.unit}"
    if isinstance(value, Call):
        return f"{value.name}({_listed(value.arguments)})"
    if isinstance(value, Negative):
        inner = expression(value.operand)
        return f"-({inner})" if isinstance(value.operand, (Number, Operation)) else f"-{inner}"
    rank = _PRECEDENCE[value.sign]
    left, right = expression(value.left), expression(value.right)
    if isinstance(value.left, Operation) and _PRECEDENCE[value.left.sign] < rank:
        left = f"({left})"
    if isinstance(value.right, Operation) and _PRECEDENCE[value.right.sign] <= rank:
        right = f"({right})"
    return f"{left} {value.sign} {right}"


def quoted(text: str) -> str:
    r"""A text in quotes. Raises ValueError for one that DQDL has no way to write: an odd number of backslashes before a
    quote or at the end, since `\"` is a quote."""
    if re.search(r"(?<!\\)(?:\\\\)*\\(?:\"|\Z)", text):
        raise ValueError(f"DQDL cannot write a backslash before a quote or at the end of a text: {text}")
    return '"' + text.replace('"', '\\"') + '"'


def _listed(values: tuple[Expression, ...]) -> str:
    return ", ".join(expression(value) for value in values)


def _parameter(parameter: Parameter) -> str:
    value = {"bare": parameter.value, "variable": f"${parameter.value}"}.get(parameter.form)
    text = quoted(parameter.value) if value is None else value
    return f"{parameter.link} {text}" if parameter.link else text


def _tag(tag: Tag) -> str:
    condition = tag.condition
    if isinstance(condition, Membership) and not condition.negated and isinstance(condition.values, tuple):
        return f"{tag.name} = [{_listed(condition.values)}]"
    return f"{tag.name} {format_condition(condition)}"


def _labels(labels: tuple[Label, ...]) -> str:
    return ", ".join(f"{quoted(label.key)}={quoted(label.value)}" for label in labels)


def _entry(entry: Entry) -> str:
    value = entry.value
    shown = quoted(value) if isinstance(value, str) else "[" + ", ".join(quoted(text) for text in value) + "]"
    return f"{quoted(entry.key)}: {shown}"
