"""Checks a rule file without data and without Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml

from quality import sql
from quality.errors import Problem, RuleFileError, UsageError
from quality.model import Nulls
from quality.rule_types.args import arguments, yaml_name
from quality.rule_types.custom import ComplianceBounds, SqlRows
from quality.rule_types.rules import Rule, RuleSet
from quality.rulefile.interpret import interpret
from quality.rulefile.loader import Source, read
from quality.rulefile.nodes import core_scalar, parse
from quality.rulefile.ruleforms import JUDGING
from quality.rulefile.syntax import doubts, syntax_problems
from quality.rulefile.typed import misfits
from quality.rulefile.windowed import of_windows


@dataclass(frozen=True)
class LintReport:
    """What lint finds in a file: mistakes (a run would refuse it), warnings, and the rule set when there are no mistakes."""

    file: str
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    rule_set: RuleSet | None
    source: Source | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "file": self.file,
            "problems": [vars(problem) for problem in self.problems],
            "warnings": [vars(problem) for problem in self.warnings],
            "fingerprint": self.rule_set.fingerprint if self.rule_set else None,
        }


def lint(
    path: str,
    batch: str | None = None,
    variables: Mapping[str, Any] | None = None,
    allow_env: frozenset[str] = frozenset(),
    input_path: str | None = None,
    root: str | None = None,
    dataset: str | None = None,
    references: Mapping[str, str] | None = None,
) -> LintReport:
    """The report on a file; a file that cannot be read is a mistake in line 1."""
    try:
        how: Any = {"dataset": dataset, "input_path": input_path, "references": references}
        source = read(path, batch=batch, variables=variables, allow_env=allow_env, **how)
        given: Any = {"batch": batch, "input_path": source.input_path, "root": root, "run_time": source.run_time}
        rule_set = interpret(source.tree, path, source.variables, **given, further=syntax_problems)
        if unfit := misfits(rule_set):
            raise RuleFileError(unfit)
    except RuleFileError as error:
        return LintReport(path, error.problems, (), None)
    except UsageError as error:
        return LintReport(path, (Problem(path, 1, str(error).removeprefix(f"{path}: ")),), (), None)
    return LintReport(path, (), tuple(_warnings(rule_set)), rule_set, source)


def mistakes(text: str, file: str = "rules.yml") -> tuple[Problem, ...]:
    """The mistakes of a rule file that is not stored yet."""
    try:
        source = read(file, tree=parse(text, file))
        given: Any = {"batch": None, "input_path": None, "root": None, "run_time": source.run_time}
        interpret(source.tree, file, source.variables, **given, further=syntax_problems)
    except RuleFileError as error:
        return error.problems
    return ()


def _warnings(rule_set: RuleSet) -> list[Problem]:
    found = [*doubts(rule_set.rules), *of_windows(rule_set)]
    for rule in rule_set.rules:
        for text in dict.fromkeys((rule.where, *rule.check.expressions(), *rule.check.queries())):
            if sql.compares_with_null(text):
                why = "a comparison with NULL is neither true nor false: write 'is null', 'is not null' or '<=> null'"
                found.append(_at(rule, why))
        # a row that a query returns is one of which the condition is true
        asked = isinstance(rule.check, (SqlRows, ComplianceBounds)) or rule.nulls != Nulls.PASS
        for text in () if asked else rule.check.expressions():
            if "cast(" in text.lower():
                found.append(
                    _at(
                        rule,
                        "a cast makes NULL of what does not fit, and a NULL result passes; state the type under 'columns:'",
                    )
                )
    if rule_set.input.is_text and any(rule.check.metrics() for rule in rule_set.rules):
        found += _untyped(rule_set)
    return found


def _untyped(rule_set: RuleSet) -> list[Problem]:
    """Metrics of numbers over a column of a text format that has no type will end in `error`."""
    found = []
    for rule in rule_set.rules:
        for metric in rule.check.metrics() if not rule.over else ():
            analyzer = metric.analyzer("")
            for name in analyzer.columns if analyzer.types and "string" not in analyzer.types else ():
                if name.lower() not in rule_set.declared_types:
                    found.append(
                        _at(
                            rule,
                            f"column '{name}' has no type here; unless an earlier batch pinned one, {metric.type} cannot be told",
                        )
                    )
    return found


def _at(rule: Rule, message: str) -> Problem:
    return Problem(rule.location.file, rule.location.line, f"rule '{rule.id}': {message}")


def expanded(report: LintReport) -> str:
    """The whole file after `extends`, every rule in its one canonical form, as YAML that loads to the same fingerprint.
    Variables are resolved; what depends on the batch or the environment stays a template."""
    assert report.rule_set is not None
    assert report.source is not None
    rule_set, tree = report.rule_set, report.source.tree
    kept = {word: node.written() for word, node in tree.mapping.items() if word not in _EXPANDED}
    variables = {**report.source.variables, **report.source.waiting}
    hiding = rule_set.sensitive.to_dict()
    columns = {name: {"sensitive": hiding[name]} if name in hiding else None for name, _ in rule_set.columns}
    first = ("version", "dataset", "description", "owner")
    whole: dict[str, Any] = {
        **{word: kept.pop(word) for word in first if word in kept},
        **({"vars": variables} if variables else {}),
        **kept,
        **({"columns": columns} if columns else {}),
        "rules": [entry(rule) for rule in rule_set.rules],
    }
    return dumped(whole)


def dumped(whole: Any) -> str:
    """Plain data as YAML that is read back as it was."""
    return yaml.dump(whole, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)


_EXPANDED = ("vars", "defaults", "key", "columns", "rules")


class _Dumper(yaml.SafeDumper):
    """Writes what `nodes.core_scalar` reads back as it was."""

    def ignore_aliases(self, data: Any) -> bool:
        """A value is written as often as it stands."""
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    try:
        is_text = core_scalar(text) == text
    except ValueError:
        is_text = False
    # YAML 1.2 takes 1e3 and 0o17 for numbers, PyYAML for texts
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_text else "'")


_Dumper.add_representer(str, _write_text)
_Dumper.add_representer(
    Decimal, lambda dumper, number: dumper.represent_scalar("tag:yaml.org,2002:float", f"{number:f}")
)
_Dumper.add_representer(
    float, lambda dumper, number: dumper.represent_scalar("tag:yaml.org,2002:float", _float(number))
)


def _float(number: float) -> str:
    text = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(number), repr(number))
    # PyYAML knows a float by its point, and would tag 1e+30
    return text if "." in text else text.replace("e", ".0e")


def entry(rule: Rule) -> dict[str, Any]:
    """The rule in its one canonical form, as it stands in a rule file."""
    words = {word: _templates(value) for word, value in rule.canonical.items()}
    kind, id = words.pop("type"), words.pop("id")
    beside = {word: words.pop(word) for word in JUDGING if word in words}
    words.update(words.pop("bounds", {}))
    for argument in arguments(type(rule.check)).values():
        # pairs keep the order of columns; the file has a mapping
        if argument.metadata["kind"].role == "types" and yaml_name(argument) in words:
            words[yaml_name(argument)] = dict(words[yaml_name(argument)])
    named = {"name": rule.name} if rule.name else {}
    return {"id": id, **named, kind: words or True, **beside, **rule.metadata}


def _templates(value: Any) -> Any:
    """Canonical data with templates as they are written."""
    if isinstance(value, dict):
        whole = value.keys() == {"template", "renders"}
        return value["template"] if whole else {name: _templates(entry) for name, entry in value.items()}
    return [_templates(entry) for entry in value] if isinstance(value, list) else value
