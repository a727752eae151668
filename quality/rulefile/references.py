"""The section `references:` of a rule file: other data sets that rules point at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from quality.errors import Problem, did_you_mean
from quality.model import Location
from quality.rule_types.args import shown
from quality.rule_types.rules import Input, Reference, Rule
from quality.rulefile.nodes import Node
from quality.rulefile.ruleforms import Problems
from quality.rulefile.sections import read_input

REFERENCE_KEYS = ("path", "table", "dataset", "where", "format", "options", "timezone")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DATASET = re.compile(r"[a-z0-9_.-]*[a-z0-9_-][a-z0-9_.-]*")


def read_references(tree: Node, problems: Problems) -> tuple[Reference, ...]:
    """The references by name, in the order of the file. Nothing is read of them."""
    section = tree.mapping.get("references")
    if section is None or section.value is None:
        return ()
    if not isinstance(section.value, dict):
        problems.add(
            section,
            f"'references' must be a mapping such as {{planes: {{path: planes.csv}}}}, got {shown(section.plain())}",
        )
        return ()
    found = []
    for name, node in section.mapping.items():
        if not _NAME.fullmatch(name) or name.lower() == "this":
            problems.add(node, f"reference '{name}' is no name: letters, digits and '_', and not 'this'")
        elif not isinstance(node.value, dict):
            problems.add(
                node, f"reference '{name}' must be a mapping such as {{path: planes.csv}}, got {shown(node.plain())}"
            )
        else:
            found.append(_reference(name, node, problems))
    return tuple(found)


def _reference(name: str, node: Node, problems: Problems) -> Reference:
    problems.unknown_keys(node, REFERENCE_KEYS, f"key of reference '{name}'")
    if "dataset" in node.mapping:
        return _live(name, node, problems)
    if not node.mapping.keys() & {"path", "table"}:
        problems.add(node, f"reference '{name}' needs one of 'path', 'table' and 'dataset'")
        return Reference(name, Input(), location=Location(node.file, node.line))
    own = Problems()
    known = {word: value for word, value in node.mapping.items() if word in REFERENCE_KEYS}
    inner = Node(known, node.file, node.line, node.key_lines)
    source = read_input(Node({"input": inner}, node.file, node.line), own, None)
    # it is read as an input is, and called by its own name
    problems.found += [
        Problem(wrong.file, wrong.line, wrong.message.replace("'input'", f"reference '{name}'")) for wrong in own.found
    ]
    return Reference(name, source, location=Location(node.file, node.line))


def _live(name: str, node: Node, problems: Problems) -> Reference:
    dataset = problems.text(node, "dataset")
    if dataset and not _DATASET.fullmatch(dataset):
        problems.add(
            node.mapping["dataset"], f"'dataset' of reference '{name}' is the id of a data set, got {shown(dataset)}"
        )
    others = [word for word in node.mapping if word in REFERENCE_KEYS and word not in ("dataset", "where")]
    if others:
        problems.add(node, f"reference '{name}' is a data set of ours; '{others[0]}' goes with 'path' or 'table'")
    where = node.mapping.get("where")
    if where is not None:
        own = Node({"path": Node("live.parquet", node.file, node.line), "where": where}, node.file, node.line)
        checked = read_input(Node({"input": own}, node.file, node.line), problems, None)
        return Reference(name, replace(checked, path=()), dataset, Location(node.file, node.line))
    return Reference(name, Input(format="parquet"), dataset, Location(node.file, node.line))


def refuse_unknown(rules: Iterable[Rule], references: Iterable[Reference], problems: Problems) -> None:
    """Add a problem for each rule that points at a reference which is not there."""
    names = [reference.name for reference in references]
    for rule in rules:
        for name in dict.fromkeys(link.reference for link in rule.check.links()):
            if name not in names:
                hint = did_you_mean(name, names, "references") if names else "there is no section 'references:'"
                message = f"rule '{rule.id}': reference '{name}' is not declared; {hint}"
                problems.found.append(Problem(rule.location.file, rule.location.line, message))


def canonical_references(tree: Node) -> dict[str, Any]:
    """What of them counts for the identity of the rules: all but where they lie."""
    section = tree.mapping.get("references")
    if section is None or not isinstance(section.value, dict):
        return {}
    plain = section.plain(canonical=True)
    return {"references": {n: {k: v for k, v in entry.items() if k != "path"} for n, entry in plain.items() if entry}}
