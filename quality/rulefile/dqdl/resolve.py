"""Puts the values of variables in the place of `$name`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from quality.errors import did_you_mean
from quality.rulefile.dqdl.tree import (
    Between,
    Binding,
    Call,
    Comparison,
    Composite,
    Condition,
    Constant,
    Document,
    Expression,
    Matches,
    Negative,
    Operation,
    Parameter,
    Position,
    Rule,
    Tag,
    Text,
    Variable,
)

Tell = Callable[[Position, str], None]


def resolved(document: Document) -> Document:
    """The document without variables; one that has no value stays as it is."""
    variables = {binding.name: binding for binding in document.variables}
    rules = document.rules and tuple(resolved_rule(rule, variables, _silent) for rule in document.rules)
    analyzers = document.analyzers and tuple(resolved_rule(rule, variables, _silent) for rule in document.analyzers)
    return replace(document, variables=(), rules=rules, analyzers=analyzers)


def _silent(_at: Position, _message: str) -> None:
    """Nothing is told: the parser has told it."""


def resolved_rule(rule: Any, variables: Mapping[str, Binding], tell: Tell) -> Any:
    """A rule with the values of its variables; `tell` gets what has no value, or one of the wrong kind."""
    resolver = _Resolver(variables, tell)
    return resolver.composite(rule) if isinstance(rule, Composite) else resolver.rule(rule)


class _Resolver:
    def __init__(self, variables: Mapping[str, Binding], tell: Tell) -> None:
        self.variables, self.tell = variables, tell

    def composite(self, rule: Composite) -> Composite:
        return replace(
            rule, rules=tuple(self.composite(r) if isinstance(r, Composite) else self.rule(r) for r in rule.rules)
        )

    def rule(self, rule: Rule) -> Rule:
        return replace(
            rule,
            parameters=tuple(self.parameter(parameter) for parameter in rule.parameters),
            condition=rule.condition and self.condition(rule.condition),
            where=self.text(rule.where) if isinstance(rule.where, Variable) else rule.where,
            tags=tuple(Tag(tag.name, self.condition(tag.condition), tag.at) for tag in rule.tags),
        )

    def value(self, variable: Variable) -> Text | Constant | tuple[Text | Constant, ...] | None:
        binding = self.variables.get(variable.name)
        if binding is None:
            hint = did_you_mean(variable.name, sorted(self.variables), "variables")
            self.tell(variable.at, f"'${variable.name}' is not defined; {hint}")
            return None
        return binding.value

    def text(self, variable: Variable) -> Text | Variable:
        value = self.value(variable)
        if isinstance(value, Text):
            return replace(value, at=variable.at)
        if value is not None:
            self.tell(variable.at, f"'${variable.name}' must be a text here, it is {_kind(value)}")
        return variable

    def parameter(self, parameter: Parameter) -> Parameter:
        if parameter.form != "variable":
            return parameter
        value = self.text(Variable(parameter.value, parameter.at))
        return replace(parameter, value=value.value, form="quoted") if isinstance(value, Text) else parameter

    def condition(self, condition: Condition) -> Condition:
        if isinstance(condition, Comparison):
            return replace(condition, operand=self.operand(condition.operand))
        if isinstance(condition, Between):
            return replace(condition, low=self.operand(condition.low), high=self.operand(condition.high))
        if isinstance(condition, Matches):
            pattern = condition.pattern
            return replace(condition, pattern=self.text(pattern) if isinstance(pattern, Variable) else pattern)
        if isinstance(condition.values, tuple):
            return replace(condition, values=tuple(self.operand(value) for value in condition.values))
        variable, value = condition.values, self.value(condition.values)
        if isinstance(value, tuple):
            return replace(condition, values=tuple(replace(entry, at=variable.at) for entry in value))
        if value is not None:
            self.tell(variable.at, f"'${variable.name}' must be a list behind 'in', it is {_kind(value)}")
        return condition

    def operand(self, value: Expression) -> Expression:
        if isinstance(value, Variable):
            found = self.value(value)
            if isinstance(found, tuple):
                self.tell(value.at, f"'${value.name}' is a list; lists stand behind 'in'")
            return value if found is None or isinstance(found, tuple) else replace(found, at=value.at)
        if isinstance(value, Operation):
            return replace(value, left=self.operand(value.left), right=self.operand(value.right))
        if isinstance(value, Negative):
            return replace(value, operand=self.operand(value.operand))
        if isinstance(value, Call):
            return replace(value, arguments=tuple(self.operand(entry) for entry in value.arguments))
        return value


def _kind(value: Text | Constant | tuple[Text | Constant, ...]) -> str:
    return "a list" if isinstance(value, tuple) else "a text" if isinstance(value, Text) else value.name
