"""Rules of DQDL in a rule file, each a string: read as what `quality convert` makes of them, with one difference. A rule
that does not carry over is a mistake, for a run that leaves one out would pass what was never judged.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from quality.errors import Problem, RuleFileError
from quality.model import Nulls, Tolerance
from quality.rule_types import REGISTRY
from quality.rule_types.base import RowRule
from quality.rulefile import nodes
from quality.rulefile.dqdl.losses import Converted
from quality.rulefile.dqdl.parser import parse
from quality.rulefile.dqdl.rules_of_ours import MISSING
from quality.rulefile.dqdl.to_yaml import to_yaml
from quality.rulefile.nodes import Node
from quality.rulefile.ruleforms import misfit

#: A rule of DQDL under `rules:`.
WORD = "dqdl"


def with_rules_of_dqdl(tree: Node) -> Node:
    """The tree with every `dqdl:` entry as the entries that demand together what it does, each at its line. Raises
    RuleFileError with every one that has no equal."""
    section = tree.mapping.get("rules")
    if section is None or not any(WORD in entry.mapping for entry in section.items):
        return tree
    problems: list[Problem] = []
    entries = [one for entry in section.items for one in _entries(entry, problems)]
    if problems:
        raise RuleFileError(problems)
    return replace(tree, value={**tree.mapping, "rules": replace(section, value=entries)})


def _entries(entry: Node, problems: list[Problem]) -> list[Node]:
    given = entry.mapping.get(WORD)
    if given is None:
        return [entry]
    try:
        found = _converted(given)
    except ValueError as error:
        problems.append(Problem(given.file, given.line, f"'{WORD}' {error}"))
        return []
    beside = {word: node for word, node in entry.mapping.items() if word != WORD}
    named = beside.keys() & {"id", "name"}
    if "verdict" in found[-1].mapping:
        return _composite(found, beside, entry)
    if named and len(found) > 1:
        told = f"'{WORD}' becomes {len(found)} rules, which cannot share one '{min(named)}'"
        problems.append(Problem(given.file, given.line, told))
        return []
    return [_placed(node, beside, entry) for node in found]


def _composite(found: list[Node], beside: dict[str, Node], entry: Node) -> list[Node]:
    """A verdict with the rules it joins: what stands beside the string is about the whole, and its name about each."""
    *parts, whole = found
    own = whole.mapping["id"].value
    name = (beside.get("id") or beside.get("name") or whole.mapping["id"]).value
    made = [_placed(_renamed(node, str(own), str(name)), {}, entry) for node in parts]
    return [*made, _placed(_renamed(whole, str(own), str(name)), beside, entry)]


def _renamed(node: Node, own: str, name: str) -> Node:
    """The same values, with another beginning of the ids."""
    value = node.value
    if isinstance(value, dict):
        return replace(node, value={word: _renamed(entry, own, name) for word, entry in value.items()})
    if isinstance(value, list):
        return replace(node, value=[_renamed(entry, own, name) for entry in value])
    is_id = isinstance(value, str) and (value == own or value.startswith(f"{own}."))
    return replace(node, value=name + str(value)[len(own) :]) if is_id else node


def _placed(node: Node, beside: dict[str, Node], entry: Node) -> Node:
    """A made entry at the place of the one it was made of; what stands beside that one goes before what DQDL says."""
    made = dict(moved(undefaulted(node), entry.file, entry.line).mapping)
    if "name" in beside:
        made.pop("id", None)
    lines = {**dict.fromkeys(made, entry.line), **{w: entry.key_lines[w] for w in beside if w in entry.key_lines}}
    return Node({**made, **beside}, entry.file, entry.line, lines)


def undefaulted(entry: Node) -> Node:
    """The entry with what it does not say of tolerance, NULL and NaN said, so that `defaults` of the rule file do not
    change what a rule of DQDL means."""
    kind = next(kind for word, kind in REGISTRY.items() if word in entry.mapping)
    if not issubclass(kind, RowRule):
        return entry
    said: dict[str, tuple[Any, Any]] = {
        "tolerance": (0, Tolerance()),
        "nulls": ("pass", Nulls.PASS),
        "nan": ("fail", False),
    }
    fit = {word: written for word, (written, value) in said.items() if not misfit(kind, word, value)}
    words = {word: Node(value, entry.file, entry.line) for word, value in fit.items()}
    return replace(entry, value={**words, **entry.mapping})


def moved(node: Node, file: str, line: int) -> Node:
    """The same values, all at one place."""
    value = node.value
    if isinstance(value, dict):
        value = {word: moved(entry, file, line) for word, entry in value.items()}
    elif isinstance(value, list):
        value = [moved(entry, file, line) for entry in value]
    return replace(node, value=value, file=file, line=line, key_lines=dict.fromkeys(node.key_lines, line))


def _converted(given: Node) -> list[Node]:
    """The entries for one rule of DQDL. Raises ValueError with why there are none."""
    if not isinstance(given.value, str) or not given.value.strip():
        raise ValueError("must be a rule of DQDL as a text")
    if re.match(r"\s*(Rules|Analyzers|Metadata|DataSources|DefaultLabels)\s*=", given.value):
        raise ValueError("takes one rule; a whole document is a file of its own: 'extends: NAME.dqdl' takes its rules")
    if "{{" in given.value:
        raise ValueError("takes no templates: DQDL has none; write the rule as one of a rule file")
    try:
        found = to_yaml(parse(f"Rules = [ {given.value}\n]", WORD), WORD, dataset="dqdl", input_path="dqdl.parquet")
    except RuleFileError as error:
        raise ValueError(f"is not DQDL: {'; '.join(problem.message for problem in error.problems)}") from None
    lost = [*_lost(found), *([MISSING["DetectAnomalies"]] if "\nanomalies:" in found.text else [])]
    if lost:
        raise ValueError(f"does not carry over: {'; '.join(lost)}")
    return nodes.parse(found.text, WORD).mapping["rules"].items


def _lost(found: Converted) -> list[str]:
    return [loss.why for loss in found.losses if not loss.kept]
