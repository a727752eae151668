"""From the rendered tree of a rule file to a RuleSet. Nothing stops at the first mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from quality.errors import Problem, RuleFileError, did_you_mean
from quality.model import Location
from quality.rule_types import REGISTRY
from quality.rule_types.args import parse_flag, shown
from quality.rule_types.base import QUALITY_COLUMN, RESERVED_PREFIX
from quality.rule_types.rules import Filter, Input, Rule, RuleSet
from quality.rule_types.schema import Malformed, Schema
from quality.rule_types.uniqueness import Key
from quality.rule_types.values import Type
from quality.rule_types.verdicts import Verdict
from quality.rulefile import sections
from quality.rulefile.anomalies import read_anomalies
from quality.rulefile.examples import check_examples
from quality.rulefile.nodes import Node
from quality.rulefile.references import UNREAD, canonical_references, read_references, refuse_unknown
from quality.rulefile.ruleforms import MODIFIERS, Problems, RuleReader, meant, no_type
from quality.rulefile.streams import read_stream
from quality.sensitive import Sensitive

SECTIONS = (
    "version", "dataset", "description", "owner", "vars", "extends", "input", "references", "defaults", "key", "columns", "rules",
    "profile", "hold", "anomalies", "stream", "outputs",
)  # fmt: skip
VERSION = 1
_DATASET = re.compile(r"[a-z0-9_.-]+")


def interpret(
    tree: Node,
    file: str,
    variables: Mapping[str, Any],
    *,
    batch: str | None,
    input_path: str | None,
    root: str | None,
    run_time: str,
    further: Callable[[Sequence[Rule], Sequence[Filter]], Iterable[Problem]] | None = None,
) -> RuleSet:
    """The rule set as of `run_time` (ISO 8601 with its zone). Raises RuleFileError with every mistake found, also with what
    `further` finds in rules, those with a mistake of their own among them, and in filters."""
    problems = Problems()
    problems.unknown_keys(tree, SECTIONS, "section")
    _check_version(tree, problems)
    dataset = _dataset(tree, problems)
    source = Input() if _misspelt(tree, "input") else sections.read_input(tree, problems, input_path)
    reader = RuleReader(problems, tree.mapping.get("defaults"))
    rules = _rules(tree, reader, source)
    _refuse_clashes(rules, problems)
    _refuse_unknown(rules, problems)
    columns = _column_types(tree, rules)
    declared = {name.lower(): kind for name, kind in (*columns, *source.schema)}
    check_examples(rules, declared, problems)
    sensitive = sections.read_sensitive(tree, problems)
    _refuse_sensitive_groups(rules, sensitive, problems)
    anomalies = read_anomalies(tree, problems)
    references = read_references(tree, problems)
    if input_path != UNREAD:
        refuse_unknown(rules, references, problems)
    canonical = _canonical(source, tree, dataset, rules)
    rule_set = RuleSet(
        file=file,
        dataset=dataset,
        input=source,
        rules=tuple(replace(rule, check=rule.check.at(run_time)) for rule in rules),
        columns=columns,
        outputs=sections.read_outputs(tree, problems, root),
        stream=read_stream(tree, problems),
        quarantined_above=sections.read_hold(tree, problems),
        # anomalies are looked for in everything that a profile measures
        profile=problems.parsed(tree.mapping.get("profile"), "'profile'", parse_flag, anomalies is not None),
        anomalies=anomalies,
        references=references,
        vars=dict(variables),
        batch=batch or "",
        sensitive=sensitive,
        description=problems.text(tree, "description"),
        owner=problems.text(tree, "owner"),
        canonical={
            **canonical,
            **({"anomalies": anomalies.canonical} if anomalies else {}),
            **canonical_references(tree),
        },
    )
    problems.found += further((*rules, *reader.refused), rule_set.filters) if further else ()
    if problems.found:
        raise RuleFileError(problems.found)
    return rule_set


def _check_version(tree: Node, problems: Problems) -> None:
    node = tree.mapping.get("version")
    if node is None:
        if not _misspelt(tree, "version"):
            problems.add(tree, f"'version: {VERSION}' is missing at the top")
    elif node.value != VERSION or isinstance(node.value, bool):
        problems.add(
            node, f"'version' must be {VERSION}, got {shown(node.value)}; a newer language needs a newer engine"
        )


def _misspelt(tree: Node, section: str) -> bool:
    """Whether the section is there under a wrong name, which is told already."""
    others = [word for word in tree.mapping if word not in SECTIONS]
    return section not in tree.mapping and any(meant(word, SECTIONS) == section for word in others)


def _dataset(tree: Node, problems: Problems) -> str:
    node = tree.mapping.get("dataset")
    if node is None:
        if not _misspelt(tree, "dataset"):
            problems.add(tree, "'dataset' is missing: the id of the data set, such as 'orders'")
        return ""
    text = str(node.value)
    if not _DATASET.fullmatch(text) or not text.strip("."):
        problems.add(node, f"'dataset' must be lower-case letters, digits, '_', '.' and '-', got {shown(node.value)}")
    return text


def _rules(tree: Node, reader: RuleReader, source: Input) -> list[Rule]:
    rules = _key_rule(tree, reader)
    rules += _column_rules(tree, reader)
    rules += _listed_rules(tree, reader)
    rules += _implicit_type_rules(tree, source, rules)
    return _implicit_malformed_rule(tree, source, rules) + rules


def _key_rule(tree: Node, reader: RuleReader) -> list[Rule]:
    node = tree.mapping.get("key")
    return [] if node is None else reader.read(Key, {"columns": node}, {}, node)


def _column_rules(tree: Node, reader: RuleReader) -> list[Rule]:
    section = tree.mapping.get("columns")
    if section is None or section.value is None:
        return []
    if not isinstance(section.value, dict):
        reader.problems.add(
            section, f"'columns' must be a mapping such as {{id: {{required: true}}}}, got {shown(section.plain())}"
        )
        return []
    rules = []
    for name, node in section.mapping.items():
        _refuse_reserved(name, node, reader.problems)
        rules += _rules_of_column(name, node, reader)
    return rules


def _refuse_reserved(name: str, node: Node, problems: Problems) -> None:
    if name.lower() == QUALITY_COLUMN or name.startswith(RESERVED_PREFIX):
        problems.add(node, f"column '{name}' has a name the engine needs; rename it in the input")


def _rules_of_column(name: str, node: Node, reader: RuleReader) -> list[Rule]:
    if node.value is None:
        return []
    if not isinstance(node.value, dict):
        reader.problems.add(
            node,
            f"column '{name}' must be a mapping such as {{type: integer, required: true}}, got {shown(node.plain())}",
        )
        return []
    rules = []
    for word, value in node.mapping.items():
        # the value knows its file: the mapping may be merged from several
        line = Node(None, value.file, node.key_lines.get(word, value.line))
        kind = REGISTRY.get(word)
        if word in ("description", "sensitive"):
            continue
        if word in MODIFIERS:
            said = f"it goes with a rule, such as {{required: {{{word}: ...}}}}, or with one under 'rules:'"
            reader.problems.add(line, f"column '{name}': '{word}' is a modifier and no rule type; {said}")
            continue
        if kind is None:
            reader.problems.add(
                line, f"column '{name}': '{word}' is not a rule type; {no_type(word, reader.column_types())}"
            )
        elif word not in reader.column_types():
            reader.problems.add(line, f"'{word}' is not about a single column; write it under 'rules:'")
        else:
            rules += reader.read_short(kind, name, value, line)
    return rules


def _listed_rules(tree: Node, reader: RuleReader) -> list[Rule]:
    section = tree.mapping.get("rules")
    if section is None or section.value is None:
        return []
    if not isinstance(section.value, list):
        reader.problems.add(section, "'rules' must be a list; each entry begins with '- '")
        return []
    return [rule for node in section.value for rule in reader.read_entry(node)]


def _implicit_type_rules(tree: Node, source: Input, rules: list[Rule]) -> list[Rule]:
    """A column of a text format that `input.schema` types has a type rule: no value becomes NULL without a reason."""
    judged = {rule.check.column.lower() for rule in rules if isinstance(rule.check, Type)}
    node = tree.mapping.get("input") or tree
    node = node.mapping.get("schema") or node
    return [
        type_rule(name, kind, Location(node.file, node.line))
        for name, kind in source.schema
        if kind != "string" and name.lower() not in judged
    ]


def _implicit_malformed_rule(tree: Node, source: Input, rules: list[Rule]) -> list[Rule]:
    if not source.is_text or any(isinstance(rule.check, Malformed) for rule in rules):
        return []
    node = tree.mapping.get("input") or tree
    return [
        Rule("malformed", Malformed(), Location(node.file, node.line), canonical=_unwritten("malformed", "malformed"))
    ]


def type_rule(column: str, kind: str, location: Location) -> Rule:
    """The rule that no one wrote: values of a typed column of a text format must be of its type."""
    check = Type(column, kind)
    canonical = _unwritten(f"{column}.type", "type", {"column": column, "is": kind})
    return Rule(f"{column}.type", check, location, canonical=canonical)


def _unwritten(id: str, kind: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The canonical form that the rule would have if it were written."""
    return {"id": id, "type": kind, **(given or {}), "severity": "error", "on_fail": "quarantine"}


def _refuse_clashes(rules: list[Rule], problems: Problems) -> None:
    first: dict[str, Rule] = {}
    for rule in rules:
        other = first.setdefault(rule.id, rule)
        if other is not rule:
            here = other.location.file == rule.location.file
            place = f"in line {other.location.line}" if here else str(other.location)
            message = f"two rules are called '{rule.id}' (the other {place}); give one of them another 'name'"
            problems.found.append(Problem(rule.location.file, rule.location.line, message))


def _refuse_unknown(rules: list[Rule], problems: Problems) -> None:
    """Note verdicts on rules that are not there, or are judged later."""
    told_by_batch = any(rule.over for rule in rules)
    before: dict[str, Rule] = {rule.id: rule for rule in rules if not isinstance(rule.check, Verdict)}
    for rule in rules:
        if not isinstance(rule.check, Verdict):
            continue
        for name in rule.check.named():
            if name not in before and not told_by_batch:
                hint = did_you_mean(name, [*before], "ids")
                message = f"'{rule.check.type}' names '{name}', which is the id of no rule before it; {hint}"
                problems.found.append(Problem(rule.location.file, rule.location.line, message))
        before[rule.id] = rule


def _refuse_sensitive_groups(rules: list[Rule], sensitive: Sensitive, problems: Problems) -> None:
    """A group is told by its value, in results and history."""
    for rule in rules:
        secret = next((name for name in rule.group_by if sensitive.how(name)), "")
        if secret:
            message = f"'group_by' of '{rule.check.type}': column '{secret}' is sensitive, and groups are told by their values"
            problems.found.append(Problem(rule.location.file, rule.location.line, message))


def _column_types(tree: Node, rules: list[Rule]) -> tuple[tuple[str, str], ...]:
    """The declared columns: those of `columns:`, and those that a rule under `rules:` gives a type."""
    typed = {rule.check.column: rule.check.is_ for rule in rules if isinstance(rule.check, Type)}
    types = {name.lower(): kind for name, kind in typed.items()}
    section = tree.mapping.get("columns")
    named = list(section.mapping if section else {})
    known = {name.lower() for name in named}
    named += [name for name in typed if name.lower() not in known]
    return tuple((name, types.get(name.lower(), "")) for name in named)


def _canonical(source: Input, tree: Node, dataset: str, rules: list[Rule]) -> dict[str, Any]:
    """What is judged beside the rules: how the batch is read, when it is held, which columns a schema rule expects."""
    section = tree.mapping.get("input") or tree
    share = tree.mapping["hold"].mapping.get("quarantined_above") if "hold" in tree.mapping else None

    def of_input(name: str, value: Any) -> Any:
        node = section.mapping.get(name)
        return node.plain(canonical=True) if node is not None and node.waits else value

    return {
        "dataset": dataset,
        "input": {
            "format": source.format,
            "where": of_input("where", source.where),
            "options": of_input("options", source.options),
            "timezone": of_input("timezone", source.timezone),
            "batch_time": of_input("batch_time", source.batch_time),
            "allow_empty": source.allow_empty,
            "schema": source.schema,
        },
        "hold": share.plain(canonical=True) if share is not None and share.waits else _hold(tree),
        "columns": _expected_columns(tree, rules),
    }


def _hold(tree: Node) -> float:
    return sections.read_hold(tree, Problems())


def _expected_columns(tree: Node, rules: list[Rule]) -> list[str]:
    """The columns that a schema rule without a list of its own goes by; their order only where it is judged."""
    judging = [rule.check for rule in rules if isinstance(rule.check, Schema) and not rule.check.declared]
    names = [name for name, _ in _column_types(tree, rules)] if judging else []
    return names if any(check.order == "fail" for check in judging) else sorted(names)
