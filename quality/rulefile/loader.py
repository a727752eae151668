"""Reads a rule file: YAML, then `extends`, then `vars`, then templates, then meaning. Every mistake of a stage is
reported together; a later stage is not tried on the ruins of an earlier one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from quality.errors import Problem, RuleFileError, UsageError, did_you_mean
from quality.rule_types.args import shown
from quality.rule_types.rules import RuleSet
from quality.rulefile.interpret import interpret
from quality.rulefile.nodes import Node, parse
from quality.rulefile.plugins import load_plugins
from quality.rulefile.references import declared_by
from quality.rulefile.ruleforms import MODIFIERS
from quality.rulefile.templates import RESERVED, Renderer, environment_reader, is_template

MAX_BYTES = 5_000_000
MAX_EXTENDS = 10
#: Files of one rule set, each counted as often as it is read.
MAX_FILES = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Source:
    """A rule file read and rendered: its tree after `extends`, and its variables: resolved, and for those that depend on
    the batch or the environment, as they are written. `run_time` is ISO 8601 with its zone."""

    tree: Node
    variables: Mapping[str, Any]
    run_time: str
    waiting: Mapping[str, str] = field(default_factory=dict)
    #: What takes the place of the file's input, rendered.
    input_path: str | None = None


def load(
    path: str | Path,
    *,
    batch: str | None = None,
    variables: Mapping[str, Any] | None = None,
    allow_env: frozenset[str] = frozenset(),
    run_time: datetime | None = None,
    input_path: str | None = None,
    root: str | None = None,
    dataset: str | None = None,
    references: Mapping[str, str] | None = None,
    tree: Node | None = None,
) -> RuleSet:
    """The rule set of a file, rendered for one batch; without a batch, what depends on it stays a template.

    `variables` override `vars:`, `input_path`, `root` and `dataset` what the file says of input, outputs and data set, `references`
    (name: place, as `--reference` takes it) what it says of those.
    With `tree`, what `parsed` gave, the file is not read again. Raises RuleFileError with every mistake, UsageError when
    the file cannot be read.
    """
    how: Any = {
        "run_time": run_time,
        "dataset": dataset,
        "tree": tree,
        "input_path": input_path,
        "references": references,
    }
    source = read(path, batch=batch, variables=variables, allow_env=allow_env, **how)
    given: Any = {"batch": batch, "input_path": source.input_path, "root": root, "run_time": source.run_time}
    return interpret(source.tree, str(path), source.variables, **given)


def read(
    path: str | Path,
    *,
    batch: str | None = None,
    variables: Mapping[str, Any] | None = None,
    allow_env: frozenset[str] = frozenset(),
    run_time: datetime | None = None,
    dataset: str | None = None,
    tree: Node | None = None,
    input_path: str | None = None,
    references: Mapping[str, str] | None = None,
) -> Source:
    """The file as a tree, before its meaning is asked. Arguments and errors as those of `load`."""
    load_plugins(MODIFIERS)
    given = dict(variables or {})
    for name in given:
        if name in RESERVED:
            raise UsageError(f"'{name}' is set by the run and cannot be a variable; name it otherwise")
    tree = _with_rules_of_dqdl(parsed(path) if tree is None else deepcopy(tree))
    if dataset is not None:
        tree.mapping["dataset"] = Node(dataset, str(path), tree.line)
    if references:
        tree.mapping["references"] = declared_by(references, tree)
    env, deferred = environment_reader(allow_env), _deferred(batch, run_time)
    resolved, waiting = _resolve_vars(tree, given, deferred, env)
    renderer = Renderer(resolved, deferred, env, {name: entry["renders"] for name, entry in waiting.items()})
    # what takes the place of the file's input knows the batch as that does
    elsewhere = Node(input_path, "--input", 1)
    for section in (*(section for name, section in tree.mapping.items() if name != "vars"), elsewhere):
        renderer.render_tree(section)
    _raise(renderer.problems)
    written = {name: entry["template"] for name, entry in waiting.items()}
    return Source(tree, resolved, f"{deferred['run_time']}+00:00", written, input_path and str(elsewhere.value))


def _tree(path: Path) -> Node:
    if path.suffix.lower() != ".dqdl":
        return parse(_text(path), str(path))
    # only here: the grammar takes a while to build
    from quality.rulefile.dqdl.whole import tree_of

    return tree_of(_text(path), str(path))


def parsed(path: str | Path) -> Node:
    """The file, and those it extends, as they are written. Raises as `load`."""
    return _Files().read(Path(path), ())


def _with_rules_of_dqdl(tree: Node) -> Node:
    if not any("dqdl" in entry.mapping for entry in (tree.mapping.get("rules") or tree).items):
        return tree
    # only here: the grammar takes a while to build
    from quality.rulefile.dqdl.inline import with_rules_of_dqdl

    return with_rules_of_dqdl(tree)


def _deferred(batch: str | None, run_time: datetime | None) -> dict[str, str]:
    now = (run_time or datetime.now(timezone.utc)).strftime("%Y-%m-%d %H:%M:%S.%f")
    return {"run_time": now, **({"batch": batch} if batch is not None else {})}


def _raise(problems: list[tuple[Node, str]]) -> None:
    if problems:
        raise RuleFileError(Problem(node.file, node.line, message) for node, message in problems)


class _Files:
    """Reads a file and those it extends, at most so many."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, path: Path, chain: tuple[Path, ...]) -> Node:
        """The merged tree."""
        self.count += 1
        tree = _tree(path)
        if not isinstance(tree.value, dict):
            raise RuleFileError(
                [Problem(str(path), tree.line, "a rule file is a mapping that begins with 'version: 1'")]
            )
        parents = tree.mapping.pop("extends", None)
        if parents is None:
            return tree
        whole = (*chain, path.resolve())
        merged = Node({}, str(path), 1)
        for parent in parents.value if isinstance(parents.value, list) else [parents]:
            below = _parent_path(path, parent)
            if below.resolve() in whole:
                circle = " -> ".join(p.name for p in (*whole[whole.index(below.resolve()) :], below))
                raise _at(parent, f"'extends' goes round in a circle: {circle}")
            if len(whole) > MAX_EXTENDS or self.count >= MAX_FILES:
                raise _at(parent, f"'extends' is more than {MAX_EXTENDS} files deep, or reads more than {MAX_FILES}")
            merged = _merge(merged, self.read(below, whole))
        return _merge(merged, tree)


def _at(node: Node, message: str) -> RuleFileError:
    return RuleFileError([Problem(node.file, node.line, message)])


def _parent_path(path: Path, node: Node) -> Path:
    if not isinstance(node.value, str) or is_template(node.value):
        raise _at(node, "'extends' is the path of a rule file, or a list of them, without templates")
    parent = path.parent / node.value
    if not parent.is_file():
        near = sorted(p.name for p in parent.parent.glob("*.y*ml")) if parent.parent.is_dir() else []
        hint = did_you_mean(parent.name, near, "there") if near else "paths are relative to this file"
        raise _at(node, f"'extends': there is no file {parent}; {hint}")
    return parent


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: a rule file of more than {MAX_BYTES:,} bytes is refused")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        raise UsageError(
            f"{path}: there is no such rule file" + (f"; here are: {', '.join(near)}" if near else "")
        ) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}: a rule file is UTF-8 text; byte {error.start}, in line {line}, is not") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _merge(below: Node, above: Node) -> Node:
    """`above` extends `below`: mappings merge, rules are appended, anything else is replaced. Nothing replaces nothing:
    an empty section keeps what is below."""
    if above.value is None and isinstance(below.value, (dict, list)):
        return below
    if isinstance(below.value, dict) and isinstance(above.value, dict):
        entries = dict(below.value)
        for key, node in above.value.items():
            entries[key] = _merge(entries[key], node) if key in entries else node
        return Node(entries, above.file, above.line, {**below.key_lines, **above.key_lines})
    if _are_rules(below) and (_are_rules(above) or above.value == []):
        rules = [*_without_overridden(below, above), *above.items]
        return Node(rules, above.file, above.line)
    return above


def _are_rules(node: Node) -> bool:
    return any(isinstance(entry.value, dict) for entry in node.items)


def _without_overridden(below: Node, above: Node) -> list[Node]:
    """A rule of the extending file takes the place of the one with the same `id` or `name`; a rule that comes by two
    ways is one."""
    taken = {_identity(node) for node in above.items} - {None}
    places = {(node.file, node.line) for node in above.items}
    return [node for node in below.items if _identity(node) not in taken and (node.file, node.line) not in places]


def _identity(node: Node) -> Any:
    named = node.mapping.get("id") or node.mapping.get("name")
    return named.plain() if named and not isinstance(named.value, (dict, list)) else None


def _resolve_vars(
    tree: Node, given: dict[str, Any], deferred: Mapping[str, str], env: Any
) -> tuple[dict[str, Any], dict[str, Mapping[str, str]]]:
    """Every variable's value, in the order of the file: a variable may use those above it."""
    declared = tree.mapping.get("vars")
    if declared is None or declared.value is None:
        return given, {}
    if not isinstance(declared.value, dict):
        raise _at(declared, f"'vars' must be a mapping of names to values, got {shown(declared.plain())}")
    resolved: dict[str, Any] = {}
    waiting: dict[str, Mapping[str, str]] = {}
    problems: list[tuple[Node, str]] = []
    for name, node in declared.mapping.items():
        line = Node(None, node.file, declared.key_lines.get(name, node.line))
        if not _NAME.fullmatch(name) or name in RESERVED:
            why = "is set by the run" if name in RESERVED else "is no name: letters, digits and '_'"
            problems.append((line, f"variable '{name}' {why}; name it otherwise"))
            continue
        if node.value is None or isinstance(node.value, (dict, list)):
            problems.append((line, f"variable '{name}' must be a text, number or boolean, got {shown(node.plain())}"))
            continue
        if name in given:
            resolved[name] = given[name]
            continue
        before = {known: entry["renders"] for known, entry in waiting.items()}
        renderer = Renderer({**resolved, **given}, deferred, env, before)
        renderer.render_tree(node)
        problems += renderer.problems
        resolved[name] = node.plain()
        if node.source is not None:
            waiting[name] = node.source
    _raise(problems)
    return {**resolved, **given}, waiting
