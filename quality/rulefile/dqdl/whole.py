"""A DQDL document as a rule file: read as what `quality convert` makes of it, at the lines of the document. What does not
carry over is a mistake, for a run that leaves a rule out would pass what was never judged.

DQDL names neither input nor data set: `--input` and `--dataset` do, or a rule file that has `extends: orders.dqdl`. Without
a data set of its own it is called as the file is.
"""

from __future__ import annotations

from dataclasses import replace

from quality.errors import Problem, RuleFileError
from quality.rulefile import nodes
from quality.rulefile.dqdl.inline import moved, undefaulted
from quality.rulefile.dqdl.parser import parse
from quality.rulefile.dqdl.to_yaml import to_yaml
from quality.rulefile.nodes import Node

ENDING = ".dqdl"


def tree_of(text: str, file: str) -> Node:
    """The tree of the rule file that the document stands for, without `input`. Raises RuleFileError with every mistake, and
    with every rule and analyzer that has no equal."""
    found = to_yaml(parse(text, file), file, input_path="unknown.parquet")
    lost = [loss for loss in found.losses if loss.demand and not loss.kept]
    if lost:
        raise RuleFileError(
            Problem(file, loss.position.line, f"{loss.what} does not carry over: {loss.why}") for loss in lost
        )
    tree = moved(nodes.parse(found.text, file), file, 1)
    rules = tree.mapping["rules"]
    placed = [moved(undefaulted(entry), file, at.line) for entry, at in zip(rules.items, found.places, strict=True)]
    sections = {word: node for word, node in tree.mapping.items() if word != "input"}
    return replace(tree, value={**sections, "rules": replace(rules, value=placed)})
