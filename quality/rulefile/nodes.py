"""YAML with places: a tree of nodes that know their line, scalars read by the YAML 1.2 core schema (`NO`, `on` and
`12:30` are texts), duplicate keys refused, size bounded whatever the aliases expand to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Union

import yaml

from quality.errors import Problem, RuleFileError

MAX_NODES = 200_000
MAX_DEPTH = 50
MAX_DIGITS = 1_000

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOATS = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_UNQUOTED_TEMPLATE = re.compile(r"(?:^\s*|[:\-\[,]\s*)\{\{")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"")
_UNQUOTED_ADVICE = "a value that begins with '{{' must be quoted: \"{{ ... }}\""

Scalar = Union[str, int, float, bool, Decimal, None]
Value = Union[Scalar, "list[Node]", "dict[str, Node]"]


@dataclass
class Node:
    """A value with its place. `source` is the canonical form of a template that depends on the batch: the template as
    written, and what it renders to while the batch is unknown."""

    value: Value
    file: str
    line: int
    key_lines: dict[str, int] = field(default_factory=dict)
    source: Mapping[str, str] | None = None

    def plain(self, canonical: bool = False) -> Any:
        """The value as plain data; `canonical` puts the template in place of what depends on the batch."""
        if isinstance(self.value, dict):
            return {key: node.plain(canonical) for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain(canonical) for node in self.value]
        return self.source if canonical and self.source is not None else self.value

    def written(self) -> Any:
        """The value as plain data, templates that depend on the batch as they are written."""
        if isinstance(self.value, dict):
            return {key: node.written() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.written() for node in self.value]
        return self.source["template"] if self.source is not None else self.value

    @property
    def waits(self) -> bool:
        """Whether something in it depends on the batch."""
        return any(node.source is not None for node in self.walk())

    @property
    def mapping(self) -> dict[str, Node]:
        """The entries of a mapping, none for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The entries of a list, none for anything else."""
        return self.value if isinstance(self.value, list) else []

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for child in (*self.mapping.values(), *self.items):
            yield from child.walk()


def core_scalar(text: str) -> Scalar:
    """A plain scalar by the YAML 1.2 core schema. A fraction with more digits than a double holds keeps them all. Raises
    ValueError for a number that is no sensible one."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    for pattern, base in ((_INT, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            if len(text) > MAX_DIGITS:
                raise ValueError(f"a number of {len(text):,} digits")
            return int(text, base)
    if _FLOAT.fullmatch(text):
        return _fraction(text)
    special = _SPECIAL_FLOATS.fullmatch(text)
    if special:
        return float("nan") if special[3] else float(f"{special[1]}inf")
    return text


def _fraction(text: str) -> float | Decimal:
    number = float(text)
    if len(text) > MAX_DIGITS or abs(number) == float("inf"):
        raise ValueError(f"the number '{text[:20]}' is too large")
    exact = Decimal(text)
    return number if exact == Decimal(repr(number)) or not number else exact


#: The C parser where PyYAML has it. Its idea of what a plain scalar means is not used: `core_scalar` says that.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str, file: str) -> Node:
    """The tree of a rule file. Raises RuleFileError with every structural mistake."""
    try:
        _refuse_events(text, file)
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character U+{error.character:04X} is not allowed in YAML"
        raise RuleFileError([Problem(file, line, what)]) from None
    except yaml.MarkedYAMLError as error:
        raise RuleFileError([_syntax_problem(error, text, file)]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise RuleFileError([Problem(file, 1, f"not YAML: {' '.join(str(error).split())}")]) from None
    if root is None:
        raise RuleFileError([Problem(file, 1, "the file is empty; it needs at least 'version', 'dataset' and 'input'")])
    builder = _Builder(file)
    tree = builder.build(root, 0)
    if builder.problems:
        raise RuleFileError(builder.problems)
    return tree


def _refuse_events(text: str, file: str) -> None:
    """What must be seen before a tree is made: depth (the C parser's own recursion ends the process), tags, a second
    document."""
    depth, documents, wrong = 0, 0, []
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise RuleFileError([Problem(file, line, f"values are nested more than {MAX_DEPTH} levels deep")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise RuleFileError([Problem(file, line, "a second document begins here ('---'); a rule file is one")])
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            wrong.append(Problem(file, line, f"the tag {shown} is not allowed; write the plain value"))
    if wrong:
        raise RuleFileError(wrong)


#: What the parser says, and what a person can do about it.
_ADVICE = (
    ("mapping values are not allowed", "a text with ': ' in it must be quoted; else check the indentation"),
    ("unexpected ':'", "a blank follows every ':'; a text with ':' in it must be quoted"),
    ("undefined alias", "a value that begins with '*' must be quoted"),
    ("undefined tag", "a value that begins with '!' must be quoted"),
    ("unknown escape", "in double quotes a backslash is written twice; in single quotes once"),
    ("expected key", "a text that begins with '[', '{' or a quote must be quoted as a whole; else check the indentation"),
    ("expected '-' indicator", "entries of one list begin in the same column"),
    ("unexpected end of stream", "a quote is opened and not closed"),
    ("expected ',' or", "a bracket is opened and not closed, or a comma is missing"),
)  # fmt: skip


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    last = mark.line if mark else 0
    first = error.context_mark.line if error.context_mark else last
    lines = text.splitlines()
    for number in range(min(first, last), min(last + 1, len(lines))):
        if _UNQUOTED_TEMPLATE.search(_QUOTED.sub("''", lines[number])):
            return Problem(file, number + 1, _UNQUOTED_ADVICE)
    message = ", ".join(str(part) for part in (error.context, error.problem) if part)
    if "nesting depth" in message:
        # the library has a limit of its own since 6.0.4
        return Problem(file, last + 1, f"values are nested more than {MAX_DEPTH} levels deep")
    advice = next((advice for sign, advice in _ADVICE if sign in message), "check the indentation")
    if "cannot start any token" in message and mark:
        sign = lines[last][mark.column : mark.column + 1]
        tab = sign == "\t"
        advice = (
            "lines are indented by blanks, not tabs" if tab else f"a value that begins with '{sign}' must be quoted"
        )
    if "expected key" in message and lines[min(last, len(lines) - 1)].lstrip().startswith("- "):
        advice = "entries of one list begin in the same column"
    # a quote or bracket that is never closed is found at the end of the file, and belongs where it was opened
    unclosed = "end of stream" in message or "expected ',' or" in message
    return Problem(file, (first if unclosed else last) + 1, f"{advice} (not YAML: {message})")


class _Builder:
    def __init__(self, file: str) -> None:
        self.file, self.problems, self.count = file, list[Problem](), 0

    def problem(self, node: yaml.Node, message: str) -> None:
        self.problems.append(Problem(self.file, node.start_mark.line + 1, message))

    def build(self, node: yaml.Node, depth: int) -> Node:
        self.count += 1
        if self.count > MAX_NODES or depth > MAX_DEPTH:
            limit = f"{MAX_NODES:,} values" if self.count > MAX_NODES else f"{MAX_DEPTH} levels"
            raise RuleFileError(
                [Problem(self.file, node.start_mark.line + 1, f"aliases (*name) make more than {limit} of the file")]
            )
        line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, line, depth)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.build(item, depth + 1) for item in node.value], self.file, line)
        return Node(self._scalar(node), self.file, line)

    def _scalar(self, node: Any) -> Scalar:
        # the C parser gives a plain scalar the style "", the Python one None
        if node.style:
            return str(node.value)
        try:
            return core_scalar(node.value)
        except ValueError as error:
            self.problem(node, f"{error}; quote it if it is a text")
            return None

    def _mapping(self, node: yaml.MappingNode, line: int, depth: int) -> Node:
        entries: dict[str, Node] = {}
        key_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                is_template = isinstance(key_node, yaml.MappingNode)
                self.problem(key_node, _UNQUOTED_ADVICE if is_template else "a key must be a text, not a list")
                continue
            key = str(key_node.value)
            if key == "<<":
                self.problem(key_node, "merge keys (<<) are not of YAML 1.2; write the values out, or use 'extends'")
                continue
            if key in entries:
                self.problem(key_node, f"'{key}' stands twice (first in line {key_lines[key]})")
                continue
            key_lines[key] = key_node.start_mark.line + 1
            entries[key] = self.build(value_node, depth + 1)
        return Node(entries, self.file, line, key_lines)
