"""Templates in the values of a rule file: Jinja, sandboxed, undefined names refused.

A value that depends on what differs between runs of one rule set (`batch`, `run_time`, `env()`) is rendered twice: for
use, and with those names left standing, for the fingerprint.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from quality.errors import did_you_mean
from quality.rulefile.nodes import Node

#: Names whose values are not part of the rule set's fingerprint.
DEFERRED = ("batch", "batch_time", "run_time", "this")
#: Names a rule file may not give to variables of its own.
RESERVED = (*DEFERRED, "env")
MAX_LENGTH = 100_000
#: Of one template, and of all that a file's templates render to.
MAX_TEMPLATE = 10_000
MAX_TOTAL = 5_000_000

#: Filters that cannot make much of little; `replace` and `round` are ours.
FILTERS = (
    "abs",
    "default",
    "first",
    "float",
    "int",
    "last",
    "length",
    "lower",
    "string",
    "title",
    "trim",
    "upper",
)
#: `if` and expressions; loops, assignments and macros are how a template eats all time and memory.
_FORBIDDEN_NODES = (
    nodes.For, nodes.Assign, nodes.AssignBlock, nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.Include,
    nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block, nodes.With, nodes.Mul, nodes.Pow, nodes.Mod,
)  # fmt: skip


class _Environment(ImmutableSandboxedEnvironment):
    """Without globals (`range`), methods (`'x'.ljust(...)`) and filters that make long texts."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Data, never methods."""
        return not callable(value) and super().is_safe_attribute(obj, attr, value)


def _replace(text: Any, old: str, new: str) -> str:
    whole = str(text)
    if len(whole) + whole.count(old) * len(new) > MAX_LENGTH:
        raise TemplateError(f"the template renders to more than {MAX_LENGTH:,} characters")
    return whole.replace(old, new)


def _round(number: float, digits: int = 0) -> float:
    # Jinja's own computes 10 ** digits
    return round(float(number), max(-300, min(digits, 300)))


def _environment() -> _Environment:
    environment = _Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.globals.clear()
    kept = {name: environment.filters[name] for name in FILTERS}
    environment.filters = {**kept, "replace": _replace, "round": _round}
    return environment


class TemplateError(ValueError):
    """A template cannot be rendered; the message says why."""


_ENVIRONMENT = _environment()


def is_template(text: Any) -> bool:
    """Whether a value holds template syntax."""
    return isinstance(text, str) and ("{{" in text or "{%" in text or "{#" in text)


def environment_reader(allowed: frozenset[str] = frozenset()) -> Callable[..., str]:
    """The `env()` of templates: names that begin with QUALITY_, and those the caller allows."""

    def env(name: str, default: str | None = None) -> str:
        name = str(name)
        if not name.startswith("QUALITY_") and name not in allowed:
            raise TemplateError(
                f"env('{name}') is not allowed; names begin with QUALITY_, others by --allow-env {name}"
            )
        value = os.environ.get(name, default)
        if value is None:
            raise TemplateError(f"env('{name}') is not set and has no default")
        return value

    return env


class Renderer:
    """Renders the string scalars of a tree in place, collecting what cannot be rendered as (node, message).

    `values` are the variables; `waiting` those among them that depend on the batch, as they stand before it is known.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        deferred: Mapping[str, str],
        env: Callable[..., str],
        waiting: Mapping[str, Any] | None = None,
    ) -> None:
        stand_ins = {name: "{{ " + name + " }}" for name in DEFERRED}
        self.values, self.deferred, self.waiting = dict(values), dict(deferred), dict(waiting or {})
        # without a batch (lint), what depends on it stays as it is written
        # a query's word for the batch, which waits for nothing
        stand_ins["this"] = "this"
        self.context = {**values, **stand_ins, **deferred, "env": env}
        self.canonical = {**values, **self.waiting, **stand_ins, "env": _env_stand_in}
        self.problems: list[tuple[Node, str]] = []
        self.rendered = 0

    def render_tree(self, tree: Node) -> None:
        """Every string scalar below and at `tree`."""
        for node in tree.walk():
            if is_template(node.value) and node.source is None:
                self._render_node(node)

    def _render_node(self, node: Node) -> None:
        text = str(node.value)
        try:
            names = self._names(text)
            waits = bool((names - {"this"}) & {*RESERVED, *self.waiting})
            node.value = self._value(text, names, waits)
            if waits:
                node.source = {"template": text, "renders": self._before_the_batch(text, names)}
        except TemplateError as error:
            self.problems += [(node, str(message)) for message in error.args]

    def _names(self, text: str) -> set[str]:
        """The names a template uses. Raises TemplateError for one that may not be rendered."""
        if len(text) > MAX_TEMPLATE:
            raise TemplateError(f"a template of more than {MAX_TEMPLATE:,} characters is refused")
        try:
            tree = _ENVIRONMENT.parse(text)
            _refuse_constructs(tree, text)
            names = meta.find_undeclared_variables(tree)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(f"the template '{_short(text)}' is wrong: {error.message}") from None
        except (RecursionError, ValueError) as error:
            if isinstance(error, TemplateError):
                raise
            raise TemplateError(f"the template '{_short(text)}' is too deep, or holds too large a number") from None
        unknown = sorted(names - self.context.keys())
        if unknown:
            known = [*self.values, *RESERVED]
            place = f"is not defined in the template '{_short(text)}'"
            raise TemplateError(*(f"'{name}' {place}; {did_you_mean(name, known, 'known')}" for name in unknown))
        largest = sum(len(str(self.context[name.name])) for name in tree.find_all(nodes.Name) if name.name in names)
        if largest > 4 * MAX_LENGTH:
            raise TemplateError(f"the template renders to more than {MAX_LENGTH:,} characters")
        return names

    def _value(self, text: str, names: set[str], waits: bool) -> str:
        try:
            return self.render(text, self.context)
        except TemplateError:
            # `batch[:4] | int` of a batch that is not known yet says nothing about the template
            if waits and not names & {*DEFERRED, *self.waiting} <= self.deferred.keys():
                return text
            raise

    def _before_the_batch(self, text: str, names: set[str]) -> str:
        try:
            return self.render(text, self.canonical)
        except TemplateError:
            return ""

    def render(self, text: str, context: Mapping[str, Any]) -> str:
        """The rendered text. Raises TemplateError."""
        try:
            result = _ENVIRONMENT.from_string(text).render(context)
        except TemplateError:
            raise
        except (
            jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError,
            SyntaxError, MemoryError,
        ) as error:  # fmt: skip
            raise TemplateError(f"the template '{_short(text)}' cannot be rendered: {error}") from None
        self.rendered += len(result)
        if len(result) > MAX_LENGTH:
            raise TemplateError(f"the template renders to more than {MAX_LENGTH:,} characters")
        if self.rendered > MAX_TOTAL:
            raise TemplateError(f"the file's templates render to more than {MAX_TOTAL:,} characters")
        return result


def _env_stand_in(*names: Any, **named: Any) -> str:
    words = [*map(repr, names), *(f"{name}={value!r}" for name, value in named.items())]
    return "{{ env(" + ", ".join(words) + ") }}"


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}..."


def _refuse_constructs(tree: nodes.Template, text: str) -> None:
    if next(tree.find_all(_FORBIDDEN_NODES), None):
        raise TemplateError(
            f"the template '{_short(text)}' may only hold values, filters and 'if'; not *, **, %, loops or assignments"
        )
    for call in tree.find_all(nodes.Call):
        # '{:>999999999}'.format(1) is a method that the sandbox lets through
        if not (isinstance(call.node, nodes.Name) and call.node.name == "env"):
            raise TemplateError(f"the template '{_short(text)}' calls something; only env(...) can be called")
    if any(name.name == "self" for name in tree.find_all(nodes.Name)):
        raise TemplateError(f"'self' is not defined in the template '{_short(text)}'")
    for used in tree.find_all(nodes.Filter):
        if used.name not in _ENVIRONMENT.filters:
            allowed = did_you_mean(used.name, sorted(_ENVIRONMENT.filters), "filters")
            raise TemplateError(f"'{used.name}' in the template '{_short(text)}' is not a filter; {allowed}")
