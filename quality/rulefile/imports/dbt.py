"""The tests in property files of dbt (`schema.yml`) as rule files: generic tests of models, sources, seeds and snapshots, and the singular
tests of the project about the same model.

A file may be about several of them; one becomes the rule file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from quality.errors import Problem, RuleFileError
from quality.rulefile.dqdl.losses import Converted, Lost
from quality.rulefile.dqdl.rules_of_ours import Entry, slug
from quality.rulefile.imports import dbt_singular
from quality.rulefile.imports.choosing import chosen
from quality.rulefile.imports.counting import filtered
from quality.rulefile.imports.dbt_other import usable
from quality.rulefile.imports.dbt_tests import convert
from quality.rulefile.imports.writing import Writing
from quality.rulefile.nodes import Node

SECTIONS = ("models", "sources", "seeds", "snapshots")
#: What stands beside a test and is no argument of it.
_CONFIG = ("severity", "where", "warn_if", "error_if", "enabled", "fail_calc")
_UNHEARD = (
    "limit",
    "store_failures",
    "store_failures_as",
    "meta",
    "docs",
    "config",
    "name",
    "description",
    "tags",
    "group",
    "alias",
)
_OFF = "it is switched off (enabled: false)"
_CONDITION = re.compile(r"\s*(!=|>=|>)\s*(\d+)\s*")


def is_properties(tree: Node) -> bool:
    """Whether a file's content is a property file of dbt."""
    return any(isinstance(tree.mapping[key].value, list) for key in SECTIONS if key in tree.mapping)


def to_yaml(
    tree: Node,
    file: str,
    *,
    dataset: str = "",
    input_path: str = "",
    root: str = "",
    references: Mapping[str, str] | None = None,
) -> Converted:
    """The rule file of one model, and what is not in it. Raises RuleFileError when there is no such model."""
    tables, singular = dict(_tables(tree)), dbt_singular.by_model(file)
    tested = {
        n: node.line for n, node in tables.items() if any(True for _ in _tests(node)) or n in singular or n == dataset
    }
    if not tables:
        raise RuleFileError([Problem(file, tree.line, f"a property file of dbt has one of {', '.join(SECTIONS)}")])
    name = chosen(file, tested, dataset, "tests")
    writing = Writing(file, slug(name))
    for other, line in tested.items():
        if other != name:
            writing.lose(line, other, "it is another data set; convert the file again with its name as --dataset")
    for column, node in _tests(tables[name]):
        _test(writing, column, node)
    for test in singular.get(name, ()):
        what = f"singular test {test.place}"
        if test.config.get("enabled", "true").lower() == "false":
            writing.lose(1, what, _OFF)
        else:
            writing.add(1, what, partial(dbt_singular.entries, test, name, _alerts))
    return writing.whole(input_path, root, references)


def _tables(tree: Node) -> Iterator[tuple[str, Node]]:
    for section in SECTIONS:
        for node in tree.mapping[section].items if section in tree.mapping else ():
            named = [*node.mapping["tables"].items] if section == "sources" and "tables" in node.mapping else [node]
            for one in named:
                if "name" in one.mapping:
                    yield str(one.mapping["name"].plain()), one


def _tests(table: Node) -> Iterator[tuple[str, Node]]:
    """The tests with the column that each stands under, '' for those of the table."""
    for word in ("tests", "data_tests"):
        for node in table.mapping[word].items if word in table.mapping else ():
            yield "", node
    for column in table.mapping["columns"].items if "columns" in table.mapping else ():
        for word in ("tests", "data_tests"):
            for node in column.mapping[word].items if word in column.mapping else ():
                yield str(column.mapping["name"].plain()) if "name" in column.mapping else "", node


def _test(writing: Writing, column: str, node: Node) -> None:
    name, given = _read(node)
    what = f"{name} of '{column}'" if column else name
    config = {**given, **_mapping(given.get("config"))}
    if str(config.get("enabled", True)).lower() == "false":
        writing.lose(node.line, what, _OFF)
        return
    writing.add(node.line, what, partial(entries, name, column, given))


def _read(node: Node) -> tuple[str, dict[str, Any]]:
    """The test's name and all that stands with it."""
    given: Any = node.plain()
    if not isinstance(given, dict):
        return str(given), {}
    if "test_name" in given:
        return str(given["test_name"]), {key: value for key, value in given.items() if key != "test_name"}
    known = {*_CONFIG, *_UNHEARD, "arguments"}
    name = next((key for key in given if key not in known), next(iter(given)))
    return str(name), {**{key: value for key, value in given.items() if key != name}, **_mapping(given[name])}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def entries(name: str, column: str, given: Mapping[str, Any]) -> list[Entry]:
    """The entries that demand together what a test does. Raises Lost."""
    if any("{{" in text or "{%" in text for text in _texts(given)):
        raise Lost("templates of dbt ({{ ... }}) have no value here; write the value")
    config = {**given, **_mapping(given.get("config"))}
    own = {key: value for key, value in given.items() if key not in (*_CONFIG, *_UNHEARD, "arguments")}
    arguments = {**({"column_name": column} if column else {}), **own, **_mapping(given.get("arguments"))}
    made, counts = convert(name, arguments)
    if "fail_calc" in config:
        raise Lost("its fail_calc has no form")
    beside: dict[str, Any] = {"name": str(given["name"])} if given.get("name") else {}
    beside |= {"description": str(given["description"])} if given.get("description") else {}
    tags = config.get("tags")
    beside |= {"tags": tags if isinstance(tags, list) else [str(tags)]} if tags else {}
    where = usable(config["where"], "its where") if config.get("where") else ""
    found = []
    for alert, allowed in _alerts(config, counts):
        for one in made:
            own_where = one.beside.get("where")
            both = {"where": f"({where}) and ({own_where})" if own_where else where} if where else {}
            told = {**beside, **one.beside, **both, **alert}
            found.append(filtered(_allowing(replace(one, beside=told), counts, allowed)))
    return found


def _allowing(entry: Entry, counts: str, allowed: int) -> Entry:
    """The entry with so many failures that are allowed."""
    if not allowed:
        return entry
    if counts == "rows":
        return replace(entry, beside={**entry.beside, "tolerance": f"{allowed} row{'s' if allowed > 1 else ''}"})
    # a query counts its failures itself, whichever rule the test mostly becomes
    return replace(entry, body={**entry.body, "at_most" if "query" in entry.body else counts: allowed})


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


def _alerts(config: Mapping[str, Any], counts: str) -> list[tuple[dict[str, Any], int]]:
    """The severities of a test, each with how many failures it allows."""
    severity = str(config.get("severity", "error")).lower()
    if severity not in ("error", "warn"):
        raise Lost(f"its severity '{severity}' is not known")
    allowed = {word: _allowed(config.get(word, "!= 0"), word) for word in ("error_if", "warn_if")}
    if any(allowed.values()) and not counts:
        raise Lost("its warn_if and error_if count failures that are not rows")
    warning = {"severity": "warning"}, allowed["warn_if"]
    if severity == "warn":
        return [warning]
    error: tuple[dict[str, Any], int] = {}, allowed["error_if"]
    return [error, warning] if allowed["warn_if"] < allowed["error_if"] else [error]


def _allowed(condition: Any, word: str) -> int:
    found = _CONDITION.fullmatch(str(condition))
    if found is None or (found[1] == "!=" and found[2] != "0") or (found[1] == ">=" and found[2] == "0"):
        raise Lost(f"its {word} '{condition}' is no limit of failures such as '>10'")
    return int(found[2]) - (found[1] == ">=")
