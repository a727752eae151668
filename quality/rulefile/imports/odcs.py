"""Contracts of the Open Data Contract Standard, version 3 (Bitol), as rule files: what they demand of the data of one object.

A pattern is searched for, as JSON Schema does; `mustBeBetween` leaves its ends out; NULL is not invalid. A column is called
by its physical name where it has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from quality import sql
from quality.errors import Problem, RuleFileError
from quality.query_text import relations
from quality.rule_types import REGISTRY
from quality.rule_types.base import RowRule
from quality.rulefile import nodes
from quality.rulefile.dqdl.losses import Converted, Lost
from quality.rulefile.dqdl.rules_of_ours import Entry, slug
from quality.rulefile.dqdl.yaml_text import Template, flow
from quality.rulefile.imports import expectations
from quality.rulefile.imports.choosing import chosen
from quality.rulefile.imports.counting import filtered
from quality.rulefile.imports.soda_checks import failing
from quality.rulefile.imports.soda_metrics import measured
from quality.rulefile.imports.soda_schema import PLAIN_TYPE, TYPES
from quality.rulefile.imports.soda_thresholds import Threshold
from quality.rulefile.imports.user_sql import number, over_batch
from quality.rulefile.imports.writing import Writing, exists_in
from quality.rulefile.nodes import Node
from quality.rulefile.ruleforms import MODIFIERS
from quality.rulefile.templates import is_template

#: The engine whose rules stand in a contract as they stand in a rule file.
ENGINE = "quality"
#: What the parts of a contract say that is read here; the rest is named as lost.
_TABLE = {"name", "physicalName", "properties", "quality", "relationships", "description", "id", "logicalType"}
_PROPERTY = {
    "name", "physicalName", "properties", "quality", "relationships", "id", "logicalType", "logicalTypeOptions", "physicalType",
    "required", "unique", "primaryKey", "primaryKeyPosition", "items",
}  # fmt: skip
_CONTRACT = {"kind", "apiVersion", "schema", "name", "id", "version", "status"}
_QUALITY = {
    "id", "name", "description", "dimension", "severity", "tags", "type", "metric", "rule", "arguments", "unit", "query",
    "engine", "implementation",
}  # fmt: skip
_SEVERITIES = {"error": "error", "critical": "error", "warning": "warning", "warn": "warning", "info": "info"}
OPERATORS = {
    "mustBe": "equals", "mustNotBe": "not_equals", "mustBeGreaterThan": "above", "mustBeGreaterOrEqualTo": "at_least",
    "mustBeLessThan": "below", "mustBeLessOrEqualTo": "at_most",
}  # fmt: skip
_METRICS = {
    "nullValues": "missing",
    "missingValues": "missing",
    "invalidValues": "invalid",
    "duplicateValues": "duplicate",
}
BOUNDS = {"minimum": "at_least", "exclusiveMinimum": "above", "maximum": "at_most", "exclusiveMaximum": "below"}
INTEGERS = {"i8": "tinyint", "i16": "smallint", "i32": "int", "i64": "bigint"}
FLOATS = {"f32": "float", "f64": "double"}
FORMATS = {"email": "email", "uuid": "uuid", "uri": "url", "hostname": "hostname", "ipv4": "ipv4", "ipv6": "ipv6"}
#: The number of rows with a condition.
COUNTED = re.compile(
    r"\s*select\s+count\s*\(\s*(?:\*|1)\s*\)\s+from\s+[^\s,]+\s+where\s+(.+?)\s*;?\s*", re.IGNORECASE | re.DOTALL
)
#: The share of rows with a condition, as it is written here.
SHARE = "SELECT AVG(CASE WHEN ({}) THEN 1E0 ELSE 0E0 END) FROM {}"
_CLAUSE = re.compile(r"\b(?:group|order|having|limit|union|join)\b", re.IGNORECASE)


def is_contract(tree: Node) -> bool:
    """Whether a file's content is a contract."""
    return "kind" in tree.mapping and tree.mapping["kind"].plain() == "DataContract"


def to_yaml(
    tree: Node,
    file: str,
    *,
    dataset: str = "",
    input_path: str = "",
    root: str = "",
    references: Mapping[str, str] | None = None,
) -> Converted:
    """The rule file of one object of the contract, and what is not in it. Raises RuleFileError when there is no such."""
    version = str(tree.mapping["apiVersion"].plain()) if "apiVersion" in tree.mapping else ""
    if version and not re.match(r"v?3\.", version):
        raise RuleFileError(
            [Problem(file, tree.mapping["apiVersion"].line, f"'apiVersion' must be of version 3, got '{version}'")]
        )
    tables = {str(node.mapping["name"].plain()): node for node in _items(tree, "schema") if "name" in node.mapping}
    name = chosen(file, {one: node.line for one, node in tables.items()}, dataset, "object under 'schema'")
    writing, table = Writing(file, slug(name)), tables[name]
    _unread(writing, tree, "the contract", _CONTRACT)
    for other, node in tables.items():
        if other != name:
            writing.lose(node.line, other, "it is another data set; convert the file again with its name as --dataset")
    _unread(writing, table, name, _TABLE)
    if "description" in table.mapping:
        writing.head.append(f"description: {flow(str(table.mapping['description'].plain()))}")
    _table(writing, table)
    return writing.whole(input_path, root, references)


def _items(node: Node, key: str) -> list[Node]:
    return node.mapping[key].items if key in node.mapping else []


def _unread(writing: Writing | _OfElements, node: Node, what: str, known: set[str]) -> None:
    """What a rule file has no place for, in one line."""
    others = [key for key in node.mapping if key not in known]
    if others:
        writing.lose(
            node.key_lines.get(others[0], node.line),
            what,
            f"a rule file has no place for {', '.join(others)}",
        )


class _OfElements:
    """Writes what is demanded of the elements of an array: rules about rows and one column."""

    def __init__(self, writing: Writing) -> None:
        self.writing, self.lose, self.dataset = writing, writing.lose, writing.dataset

    def add(self, line: int, what: str, made: Callable[[], list[Entry]]) -> None:
        """One demand, refused where it is no rule about the elements by themselves."""

        def guarded() -> list[Entry]:
            entries = made()
            for entry in entries:
                named = entry.body if isinstance(entry.body, dict) else {}
                if "column" not in named or "where" in entry.beside or not issubclass(REGISTRY[entry.type], RowRule):
                    raise Lost("of the elements of an array only what is true of each by itself can be demanded")
            return entries

        self.writing.add(line, what, guarded)


def _as_text(given: Mapping[str, Any], kind: Any) -> bool:
    """Whether dates are kept as text."""
    return (
        kind in ("date", "timestamp")
        and TYPES.get(str(given.get("physicalType") or "").lower().partition("(")[0]) == "string"
    )


def _table(writing: Writing, table: Node) -> None:
    keys = []
    for node in _items(table, "properties"):
        keys += _property(writing, node, "")
    if keys:
        columns = [name for _, _, name in sorted(keys, key=lambda key: key[0])]
        writing.add(keys[0][1], "primaryKey", lambda: [Entry("key", {"columns": columns})])
    for node in _items(table, "relationships"):
        writing.add(node.line, "a relationship", partial(_relationship, node.plain(), ""))
    for node in _items(table, "quality"):
        _quality(writing, node, "")


def _property(writing: Writing | _OfElements, node: Node, above: str) -> list[tuple[int, int, str]]:
    """The rules of a property; returned is its place in the primary key."""
    given = node.plain() if node.mapping else {}
    name = above + str(given.get("physicalName") or given.get("name") or "")
    if given.get("physicalName") and given["physicalName"] != given.get("name"):
        writing.lose(node.line, str(given.get("name")), f"a column has one name, here the physical one, '{name}'")
    return _named(writing, node, name)


def _named(writing: Writing | _OfElements, node: Node, name: str) -> list[tuple[int, int, str]]:
    """The rules of the property that is reached by a path; what is in an array are its elements, `name[]`."""
    given = node.plain() if node.mapping else {}
    kind, options = given.get("logicalType"), given.get("logicalTypeOptions") or {}
    _unread(writing, node, name, _PROPERTY)
    if (kind or given.get("physicalType")) and isinstance(writing, Writing):
        writing.add(node.line, f"type of '{name}'", partial(_type, name, kind, given.get("physicalType"), options))
    for word, type in (("required", "required"), ("unique", "unique")):
        if given.get(word) is True:
            body: Any = {"column": name} if type == "required" else {"columns": [name]}
            writing.add(node.key_lines[word], f"{word} of '{name}'", partial(_one, Entry(type, body)))
    lines = node.mapping["logicalTypeOptions"].key_lines if "logicalTypeOptions" in node.mapping else {}
    for words, line, made in _options(name, str(kind), _as_text(given, kind), options):
        writing.add(lines.get(line, node.line), f"{words} of '{name}'", made)
    for one in _items(node, "relationships"):
        writing.add(one.line, f"a relationship of '{name}'", partial(_relationship, one.plain(), name))
    for one in _items(node, "quality"):
        _quality(writing, one, name)
    for one in _items(node, "properties"):
        _property(writing, one, f"{name}.")
    if "items" in node.mapping:
        _named(_OfElements(writing) if isinstance(writing, Writing) else writing, node.mapping["items"], f"{name}[]")
    return (
        [(given.get("primaryKeyPosition", 0), node.key_lines["primaryKey"], name)]
        if given.get("primaryKey") is True
        else []
    )


def _one(entry: Entry) -> list[Entry]:
    return [entry]


def _refuse(why: str) -> list[Entry]:
    raise Lost(why)


def _type(name: str, kind: Any, physical: Any, options: Any) -> list[Entry]:
    given = str(physical or "").lower()
    known = TYPES.get(given.partition("(")[0], given)
    format = options.get("format") if isinstance(options, Mapping) else None
    # with a format of its own a date that is kept as text stays one
    found = known if format and known == "string" and kind in ("date", "timestamp") else {
        "string": "string", "boolean": "boolean", "date": "date", "timestamp": "timestamp",
        "integer": INTEGERS.get(str(format), known if known in INTEGERS.values() else "bigint"),
        "number": FLOATS.get(str(format), known if PLAIN_TYPE.fullmatch(known) and known != "string" else "double"),
        "None": known if PLAIN_TYPE.fullmatch(known) else "",
    }.get(str(kind), "")  # fmt: skip
    if not found:
        raise Lost(f"the type '{kind or physical}' has no form")
    return [Entry("type", {"column": name, "is": found})]


def _options(name: str, kind: str, as_text: bool, given: Any) -> Iterator[tuple[str, str, Callable[[], list[Entry]]]]:
    """What `logicalTypeOptions` demand: the words, the one whose line is told, and how they become entries."""
    options = dict(given) if isinstance(given, Mapping) else {}
    bounds = {BOUNDS[word]: options.pop(word) for word in BOUNDS if word in options}
    if bounds:
        first = next(word for word in BOUNDS if word in given)
        made = (
            partial(_refuse, "times of day have no form yet")
            if kind == "time"
            else partial(_one, Entry("values", {"column": name, **bounds}))
        )
        yield "minimum and maximum", first, made
    lengths = {
        ours: options.pop(word)
        for word, ours in (("minLength", "at_least"), ("maxLength", "at_most"))
        if word in options
    }
    if lengths:
        yield (
            "the length",
            next(word for word in ("minLength", "maxLength") if word in given),
            partial(_one, Entry("length", {"column": name, **lengths})),
        )
    for word, value in options.items():
        if not (word == "format" and str(value) in (*INTEGERS, *FLOATS)):
            yield word, word, partial(_option, name, word, value, as_text)


def _option(name: str, word: str, value: Any, as_text: bool) -> list[Entry]:
    column = sql.quote(name).replace(".", "`.`") if "." in name else sql.quote(name)
    if word == "pattern":
        return [Entry("contains_match", {"column": name, "pattern": str(value)})]
    if word == "format" and as_text:
        return [Entry("date_format", {"column": name, "pattern": str(value)})]
    if word == "format":
        if str(value) not in FORMATS:
            raise Lost(f"the format '{value}' has no form; texts that are dates are read as ISO 8601")
        return [
            Entry(
                "format",
                {"column": name, "is": FORMATS[value]},
                differs="what has the format is said by the rule type 'format' here",
            )
        ]
    if word == "multipleOf":
        return [Entry("that", f"{column} % {sql.literal(value)} = 0", about=f"{name}.multiple")]
    if word in ("minItems", "maxItems"):
        return [
            Entry("that", f"size({column}) {'>=' if word == 'minItems' else '<='} {int(value)}", {}, f"{name}.{word}")
        ]
    if word == "uniqueItems" and value is True:
        return [Entry("that", f"size(array_distinct({column})) = size({column})", about=f"{name}.{word}")]
    raise Lost("it has no form yet")


def _relationship(given: Any, column: str) -> list[Entry]:
    """A foreign key: `to` names columns of one other object as `object.column`."""
    given = given if isinstance(given, Mapping) else {}
    ours, theirs = [
        [str(name) for name in (value if isinstance(value, list) else [value])]
        for value in (given.get("from") or column, given.get("to") or "")
    ]
    pairs = [name.rpartition(".") for name in theirs]
    if given.get("type", "foreignKey") != "foreignKey" or not all(
        re.fullmatch(r"[\w-]+\.[\w-]+", name) for name in theirs
    ):
        raise Lost("only a foreign key to columns that are named as 'object.column' has a form")
    if len({other for other, _, _ in pairs}) != 1 or len(ours) != len(theirs):
        raise Lost("its columns are not those of one object, as many on either side")
    # a column of the object itself is named with or without it
    names = [name.rpartition(".")[2] if not column else name for name in ours]
    return [Entry("exists_in", exists_in(names, pairs[0][0], [name for _, _, name in pairs])["exists_in"])]


# quality


def _quality(writing: Writing | _OfElements, node: Node, column: str) -> None:
    given: Any = node.plain() if node.mapping else {}
    what = str(
        given.get("id")
        or given.get("name")
        or given.get("metric")
        or given.get("rule")
        or given.get("type")
        or "a rule"
    )
    what += f" of '{column}'" if column else ""
    _unread(writing, node, what, {*_QUALITY, *OPERATORS, "mustBeBetween", "mustNotBeBetween"})
    if given.get("type") == "sql" and given.get("query"):
        given = {**given, "query": over_batch(given["query"], writing.dataset)}
    writing.add(node.line, what, partial(rules, given, column))


def rules(given: Mapping[str, Any], column: str) -> list[Entry]:
    """The entries of one entry of `quality`. Raises Lost."""
    kind = given.get("type") or ("library" if given.get("metric") or given.get("rule") else "text")
    if kind == "text":
        raise Lost("it is prose")
    if kind == "custom":
        made = _custom(given)
    elif kind == "sql":
        made = [_sql(given, column)]
    elif kind == "library":
        made = [_library(given, column)]
    else:
        raise Lost(f"its type '{kind}' is not known")
    beside: dict[str, Any] = {
        word: str(given[word]) for word in ("name", "description", "dimension") if given.get(word)
    }
    if isinstance(given.get("tags"), list) and given["tags"]:
        beside["tags"] = [str(tag) for tag in given["tags"]]
    severity = str(given.get("severity", "error")).lower()
    if severity not in _SEVERITIES:
        raise Lost(f"its severity '{severity}' is not known")
    beside |= {"severity": _SEVERITIES[severity]} if severity not in ("error", "critical") else {}
    beside |= {"id": str(given["id"])} if given.get("id") else {}
    return [filtered(replace(one, beside={**beside, **one.beside})) for one in made]


def _custom(given: Mapping[str, Any]) -> list[Entry]:
    engine, body = str(given.get("engine", "")), given.get("implementation")
    if isinstance(body, str):
        try:
            body = nodes.parse(body, "implementation").plain()
        except RuleFileError as error:
            raise Lost(f"its implementation cannot be read: {error.problems[0].message}") from None
    body = body if isinstance(body, Mapping) else {}
    if engine == ENGINE:
        body = _templated(body)
        types = [word for word in body if word not in MODIFIERS]
        if len(types) != 1:
            raise Lost("its implementation is no rule")
        return [Entry(types[0], body[types[0]], {word: value for word, value in body.items() if word in MODIFIERS})]
    if engine.lower().replace("-", "").replace("_", "") in ("greatexpectations", "gx"):
        kwargs = body.get("kwargs")
        return expectations.entries(
            str(body.get("type") or body.get("expectation_type")), kwargs if isinstance(kwargs, Mapping) else {}
        )
    raise Lost(f"rules of the engine '{engine}' have no form here")


def _templated(value: Any) -> Any:
    """A rule of ours, in whose texts templates are meant."""
    if isinstance(value, Mapping):
        return {word: _templated(one) for word, one in value.items()}
    if isinstance(value, list):
        return [_templated(one) for one in value]
    return Template(value) if isinstance(value, str) and is_template(value) else value


def _limit(given: Mapping[str, Any]) -> Threshold:
    bounds = {ours: given[theirs] for theirs, ours in OPERATORS.items() if theirs in given}
    if "mustBeBetween" in given or "mustNotBeBetween" in given:
        low, high = given.get("mustBeBetween") or given["mustNotBeBetween"]
        return Threshold({"above": low, "below": high}, outside="mustNotBeBetween" in given)
    if not bounds or any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in bounds.values()):
        raise Lost("it says no number that must be")
    return Threshold(bounds)


def _library(given: Mapping[str, Any], column: str) -> Entry:
    metric, arguments = str(given.get("metric") or given.get("rule")), given.get("arguments") or {}
    percent = given.get("unit") in ("percent", "%")
    if metric == "rowCount" and not percent:
        return measured("row_count", [], {}, _limit(given))
    if metric not in _METRICS:
        raise Lost(f"the metric '{metric}' has no form yet")
    names = [column] if column else list(arguments.get("properties") or [])
    if not names:
        raise Lost("it names no column")
    keys: dict[str, Any] = {}
    if metric == "missingValues":
        values = [value for value in arguments.get("missingValues") or [] if value is not None]
        keys = {"missing values": values} if values else {}
    if metric == "invalidValues":
        # NULL is no value, and not invalid
        valid = [value for value in arguments.get("validValues") or [] if value is not None]
        keys = {"valid values": valid} if valid else {}
        keys |= {"valid regex": arguments["pattern"]} if "pattern" in arguments else {}
    made = measured(f"{_METRICS[metric]}_{'percent' if percent else 'count'}", names, keys, _limit(given))
    return _of_field(made, column) if "." in column else made


def _of_field(entry: Entry, path: str) -> Entry:
    """The entry with the path of a field quoted part by part in its SQL."""

    def quoted(value: Any) -> Any:
        if isinstance(value, str) and sql.quote(path) in value:
            return type(value)(value.replace(sql.quote(path), sql.quote(path).replace(".", "`.`")))
        if isinstance(value, dict):
            return {word: quoted(one) for word, one in value.items()}
        return [quoted(one) for one in value] if isinstance(value, list) else value

    return replace(entry, body=quoted(entry.body), beside=quoted(dict(entry.beside)))


def _sql(given: Mapping[str, Any], column: str) -> Entry:
    counted = COUNTED.fullmatch(str(given.get("query", "")))
    if counted is None or not all(one.is_batch for one in relations(str(given["query"]))):
        return _number(given, column)
    condition = re.sub(r"\$?\{(?:property|column)\}", lambda _: sql.quote(column), counted[1])
    good, limit = _negated(condition), _limit(given)
    if not good and (sql.problems(condition) or _CLAUSE.search(condition)):
        return _number(given, column)
    made = failing(condition, limit)
    return replace(made, body=good, about="") if made.type == "that" and good else made


def _number(given: Mapping[str, Any], column: str) -> Entry:
    """A query that gives a number."""
    limit = _limit(given)
    if not given.get("query"):
        raise Lost("it has no query")
    before, _, behind = SHARE.format("\n", "this").partition("\n")
    text = str(given["query"])
    if text.startswith(before) and text.endswith(behind):
        return Entry("compliance", {"that": text.removeprefix(before).removesuffix(behind), **limit.words()})
    query = re.sub(r"\$?\{(?:property|column)\}", lambda _: sql.quote(column), str(given["query"]))
    return number(query, limit.words(), f"{column}.sql" if column else "")


def _negated(condition: str) -> str:
    """What is negated as a whole, '' when it is something else."""
    found = re.fullmatch(r"not\s*\((.*)\)", condition.strip(), re.IGNORECASE | re.DOTALL)
    # the bracket that opens first must be the one that closes last
    return found[1] if found and not sql.problems(found[1]) else ""
