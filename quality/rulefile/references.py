"""The section `references:` of a rule file: other data sets that rules point at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from quality.errors import Problem, did_you_mean
from quality.model import Location
from quality.rule_types.args import shown
from quality.rule_types.questions import Relation
from quality.rule_types.rules import Input, Jdbc, Reference, Rule
from quality.rulefile.nodes import Node
from quality.rulefile.ruleforms import Problems
from quality.rulefile.sections import read_input
from quality.rulefile.streams import option_text
from quality.sql import RELATIONS

REFERENCE_KEYS = ("path", "table", "dataset", "jdbc", "where", "format", "options", "timezone")
JDBC_KEYS = ("url", "table", "query", "user", "password", "driver", "options")
_URL = re.compile(r"jdbc:[A-Za-z0-9]+:\S+", re.IGNORECASE)
#: Options of Spark's source that say what the section says.
_OWN_OPTIONS = ("url", "dbtable", "query", "user", "password", "driver")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: What stands for the input where none is read; references are not asked for there either.
UNREAD = ".unread/unread.parquet"
#: What may stand before the place of a reference on a command line.
_KINDS = ("dataset", "table")
_DATASET = re.compile(r"[a-z0-9_.-]*[a-z0-9_-][a-z0-9_.-]*")


def unread_input(file: str | Path) -> str | None:
    """What stands for the input where nothing is read: a .dqdl file names none."""
    return UNREAD if str(file).lower().endswith(".dqdl") else None


def is_name(text: str) -> bool:
    """Whether a reference can be called so."""
    return _NAME.fullmatch(text) is not None and text.lower() not in RELATIONS


def kind_of_place(place: str) -> tuple[str, str]:
    """The key of a reference and its value, of a path, `table:NAME` or `dataset:ID`."""
    word, _, rest = place.partition(":")
    return (word, rest) if word in _KINDS and not rest.startswith("/") else ("path", place)


def declared_by(places: Mapping[str, str], tree: Node) -> Node:
    """The section with these places by name: paths, `table:NAME`, `dataset:ID`. What the file says of a reference beside its
    place stays."""
    section = tree.mapping.get("references") or Node({}, tree.file, tree.line)
    entries = dict(section.mapping)
    for name, place in places.items():
        kind, value = kind_of_place(place)
        known = entries.get(name)
        beside = {w: node for w, node in known.mapping.items() if w == "where"} if known else {}
        source = "--reference"
        entries[name] = Node({kind: Node(value, source, 1), **beside}, source, 1, {kind: 1, **dict.fromkeys(beside, 1)})
    return replace(section, value=entries)


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
        if not is_name(name):
            problems.add(node, f"reference '{name}' is no name: letters, digits and '_', and not 'this' or 'primary'")
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
    if "jdbc" in node.mapping:
        return _of_database(name, node, problems)
    if not node.mapping.keys() & {"path", "table"}:
        problems.add(node, f"reference '{name}' needs one of 'path', 'table', 'jdbc' and 'dataset'")
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


def _of_database(name: str, node: Node, problems: Problems) -> Reference:
    others = [word for word in node.mapping if word in REFERENCE_KEYS and word not in ("jdbc", "where", "timezone")]
    if others:
        problems.add(node, f"reference '{name}' is of a database; '{others[0]}' does not go with 'jdbc'")
    section, location = node.mapping["jdbc"], Location(node.file, node.line)
    own: dict[str, Node] = {word: node.mapping[word] for word in ("where", "timezone") if word in node.mapping}
    rows = Node({"path": Node("rows.parquet", node.file, node.line), **own}, node.file, node.line)
    source = replace(read_input(Node({"input": rows}, node.file, node.line), problems, None), path=())
    if not isinstance(section.value, dict):
        example = "{url: 'jdbc:postgresql://host/name', table: orders}"
        # what stands here may be a password
        problems.add(section, f"'jdbc' of reference '{name}' must be a mapping such as {example}")
        return Reference(name, source, location=location)
    problems.unknown_keys(section, JDBC_KEYS, "key of 'jdbc'")
    texts = {word: _secret(section, word, problems) for word in JDBC_KEYS if word != "options"}
    url, waits = texts["url"], "{{" in texts["url"]
    if not waits and (not _URL.fullmatch(url) or re.search(r"password=|//[^/@]*:[^/@]*@", url, re.IGNORECASE)):
        wrong = (
            "must not hold a password, which 'password' is for"
            if _URL.fullmatch(url)
            else "must be such as jdbc:postgresql://host/name"
        )
        problems.add(section.mapping.get("url", section), f"'url' of reference '{name}' {wrong}")
    if bool(texts["table"]) == bool(texts["query"]):
        problems.add(section, f"'jdbc' of reference '{name}' needs either 'table' or 'query'")
    for word in ("table", "query"):
        if ";" in texts[word]:
            problems.add(
                section.mapping[word], f"'{word}' of reference '{name}' must not hold ';': one query, not a statement"
            )
    if texts["query"] and not re.match(r"\s*(select|with)\b", texts["query"], re.IGNORECASE):
        problems.add(section.mapping["query"], f"'query' of reference '{name}' must begin with SELECT or WITH")
    password = section.mapping.get("password")
    if password is not None and password.source is None:
        problems.add(
            password, "a password stands in no rule file; write \"{{ env('NAME') }}\", and allow NAME with --allow-env"
        )
    return Reference(name, source, "", location, Jdbc(**texts, options=_options(section, problems)))


def _secret(section: Node, word: str, problems: Problems) -> str:
    """A text of the section; a wrong one is not quoted."""
    node = section.mapping.get(word)
    value = "" if node is None else node.value
    empty = node is not None and value in (None, "") and word not in ("user", "password")
    if isinstance(value, (dict, list)) or empty:
        problems.add(node or section, f"'{word}' of 'jdbc' must be a text")
        return ""
    return "" if value is None else str(value)


def _options(section: Node, problems: Problems) -> dict[str, str]:
    options = section.mapping.get("options")
    if options is None:
        return {}
    if not isinstance(options.value, dict):
        problems.add(options, "'options' of 'jdbc' must be a mapping such as {fetchsize: 10000}")
        return {}
    for name, value in options.mapping.items():
        if name.lower() in _OWN_OPTIONS:
            problems.add(value, f"option '{name}' of 'jdbc' is not yours to set: a key of 'jdbc' says it")
    return {name: option_text(value.plain()) for name, value in options.mapping.items()}


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
        read = {question.reference for question in rule.check.questions() if isinstance(question, Relation)}
        for name in dict.fromkeys(question.reference for question in rule.check.questions()):
            # without a name it is the batch that is asked
            if not name or name in names:
                continue
            if name in read:
                hint = did_you_mean(name, [RELATIONS[0], *names], "relations")
                message = (
                    f"rule '{rule.id}': the query reads '{name}', which is neither the batch nor a reference; {hint}"
                )
            else:
                hint = (
                    did_you_mean(name, names, "references")
                    if names
                    else f"there is no section 'references:', and no --reference {name}=PATH"
                )
                message = f"rule '{rule.id}': reference '{name}' is not declared; {hint}"
            problems.found.append(Problem(rule.location.file, rule.location.line, message))


def canonical_references(tree: Node) -> dict[str, Any]:
    """What of them counts for the identity of the rules: all but where they lie."""
    section = tree.mapping.get("references")
    if section is None or not isinstance(section.value, dict):
        return {}
    plain = section.plain(canonical=True)
    return {
        "references": {name: _identity(entry) for name, entry in plain.items() if isinstance(entry, dict) and entry}
    }


def _identity(entry: dict[str, Any]) -> dict[str, Any]:
    found = {word: value for word, value in entry.items() if word not in ("path", "jdbc")}
    jdbc = entry.get("jdbc")
    asked = {word: jdbc[word] for word in ("table", "query") if word in jdbc} if isinstance(jdbc, dict) else {}
    return {**found, **({"jdbc": asked} if asked else {})}
