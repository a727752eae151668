"""Reads a file of views; no Spark.

    version: 1
    views:
      - schema: analytics
        view: orders
        query: SELECT order_id, amount FROM {{ table }} WHERE amount > 0

A query is a template in which `table` is what to read from, and `dataset`, `batch`, `run`, `batch_time` and `run_time` are
texts. Every mistake of the file is told at once, with its line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quality.errors import Problem, RuleFileError, UsageError
from quality.rule_types.args import parse_text, shown
from quality.rulefile.nodes import Node, parse
from quality.rulefile.ruleforms import Problems
from quality.rulefile.templates import Renderer, environment_reader
from quality.sql import tokens

VERSION = 1
MAX_BYTES = 1_000_000
#: What a query may be told, with stand-ins of the right form for when there is no batch yet.
STAND_INS = {
    "table": "t", "dataset": "d", "run": "r",
    "batch": "b", "batch_time": "2000-01-01T00:00:00.000000Z", "run_time": "2000-01-01T00:00:00.000000Z",
}  # fmt: skip
_DEFERRED = ("batch", "batch_time", "run_time")
_SECTIONS = ("version", "views")
_KEYS = ("schema", "view", "query")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BEGINNINGS = ("select", "with", "(", "from", "values", "table")
_RUNS_CODE = ("reflect", "java_method", "try_reflect")


@dataclass(frozen=True)
class View:
    """A view as the file has it: the query is a template still."""

    schema: str
    view: str
    query: str
    file: str
    line: int

    @property
    def name(self) -> str:
        """The name in messages."""
        return f"{self.schema}.{self.view}"

    def rendered(self, words: Mapping[str, str]) -> str:
        """The query with these words in it. RuleFileError when it cannot be rendered."""
        node = Node(self.query, self.file, self.line)
        given = {name: value for name, value in words.items() if name not in _DEFERRED}
        renderer = Renderer(
            given, {name: words[name] for name in _DEFERRED} | {"this": "{{ this }}"}, environment_reader()
        )
        renderer.render_tree(node)
        if "{{ this }}" in str(node.value):
            renderer.problems.append((node, "'this' is a column of a rule; a view has none"))
        if renderer.problems:
            raise RuleFileError(Problem(at.file, at.line, message) for at, message in renderer.problems)
        return str(node.value).strip()


def read_views(path: str) -> list[View]:
    """The views of a file in its order. RuleFileError with every mistake; UsageError when it cannot be read."""
    tree = parse(_text(path), path)
    problems = Problems()
    if not isinstance(tree.value, dict):
        problems.add(tree, "a file of views is a mapping that begins with 'version: 1'")
        raise RuleFileError(problems.found)
    problems.unknown_keys(tree, _SECTIONS, "section of a file of views")
    _check_version(tree, problems)
    section = tree.mapping.get("views")
    if section is None or not section.items:
        problems.add(section or tree, "'views' must be a list with a view at least; each entry begins with '- '")
    found = [_view(node, problems) for node in (section.items if section else [])]
    views = [view for view in found if view]
    _refuse_twice(views, problems)
    for view in views:
        _check_query(view, problems)
    if problems.found:
        raise RuleFileError(problems.found)
    return views


def _text(path: str) -> str:
    place = Path(path)
    try:
        if place.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: a file of views of more than {MAX_BYTES:,} bytes is refused")
        return place.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            f"{path}: there is no such file of views; 'views' of 'outputs' is relative to the rule file"
        ) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: a file of views is UTF-8 text; byte {error.start} is not") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _check_version(tree: Node, problems: Problems) -> None:
    node = tree.mapping.get("version")
    if node is None:
        problems.add(tree, f"'version: {VERSION}' is missing at the top")
    elif node.value != VERSION or isinstance(node.value, bool):
        problems.add(node, f"'version' must be {VERSION}, got {shown(node.plain())}")


def _view(node: Node, problems: Problems) -> View | None:
    if not isinstance(node.value, dict):
        problems.add(node, f"a view is a mapping with schema, view and query, got {shown(node.plain())}")
        return None
    problems.unknown_keys(node, _KEYS, "key of a view")
    missing = [key for key in _KEYS if key not in node.mapping]
    if missing:
        problems.add(node, f"a view needs {', '.join(missing)}")
        return None
    before = len(problems.found)
    schema, view = (_name(node.mapping[key], key, problems) for key in ("schema", "view"))
    query = str(problems.parsed(node.mapping["query"], "'query'", parse_text, ""))
    at = node.mapping["query"]
    return View(schema, view, query, at.file, at.line) if len(problems.found) == before else None


def _name(node: Node, key: str, problems: Problems) -> str:
    text = str(problems.parsed(node, f"'{key}'", parse_text, "x"))
    if not _NAME.fullmatch(text):
        problems.add(node, f"'{key}' must be a name of letters, digits and '_', got {shown(text)}")
    return text


def _refuse_twice(views: list[View], problems: Problems) -> None:
    first: dict[str, View] = {}
    for view in views:
        # the catalog does not tell capital letters from small ones
        other = first.setdefault(view.name.lower(), view)
        if other is not view:
            message = f"the view {view.name} stands twice (first in line {other.line})"
            problems.found.append(Problem(view.file, view.line, message))


def _check_query(view: View, problems: Problems) -> None:
    try:
        text = view.rendered(STAND_INS)
    except RuleFileError as error:
        problems.found.extend(error.problems)
        return
    what = wrong_query(text)
    if what:
        problems.found.append(Problem(view.file, view.line, f"the query of {view.name} {what}"))


def wrong_query(text: str) -> str:
    """What keeps a rendered text from being one query, as far as that can be told without a parser; else empty."""
    found = tokens(text)
    if not found:
        return "is empty"
    if any(token.kind == "comment" for token in found):
        return "has a comment (-- or /*); use a YAML comment"
    if any(token.kind == "open" for token in found):
        return "opens a quote that is not closed"
    if any(token.kind == "sign" and token.text == ";" for token in found):
        return "must be one SELECT without ';'"
    if found[0].text.lower() not in _BEGINNINGS:
        return f"must be one SELECT, got {shown(found[0].text)} at its beginning"
    for token, after in zip(found, [*found[1:], None], strict=True):
        word = token.text.strip("`").lower()
        called = after is not None and after.text == "("
        if word in _RUNS_CODE and called:
            return f"may not call {word}(): it runs code outside Spark SQL"
        if word == "using" and after is not None and after.kind == "string":
            return "may not use TRANSFORM: it runs a program"
    return ""
