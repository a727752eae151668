"""The schema checks of SodaCL as entries of a rule file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.rules_of_ours import Entry

#: Types of SQL by their names in Spark; one that is not here is taken as it is.
TYPES = {
    "integer": "int", "varchar": "string", "text": "string", "character varying": "string", "char": "string",
    "double precision": "double", "real": "float", "numeric": "decimal", "bool": "boolean", "long": "bigint",
    "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamp", "number": "decimal",
}  # fmt: skip
#: A type of Spark that is not nested.
PLAIN_TYPE = re.compile(
    r"(?:tinyint|smallint|int|bigint|float|double|string|boolean|binary|date|timestamp|timestamp_ntz|decimal(?:\(\d+, ?\d+\))?)"
)
_CHANGES = {
    "column add": "added", "column delete": "removed", "column type change": "types", "column index change": "order",
}  # fmt: skip


def schema(given: dict[str, Any]) -> list[Entry]:
    """The entries of `fail` and `warn`. Raises Lost."""
    found = []
    for word, beside in (("fail", {}), ("warn", {"severity": "warning"})):
        asked = given.pop(word, None)
        if asked is None:
            continue
        if not isinstance(asked, dict):
            raise Lost(f"what stands under '{word}' is no mapping")
        for key, value in asked.items():
            if key not in _VALIDATIONS:
                raise Lost(f"'{key}' has no form yet")
            found += [replace(e, beside={**e.beside, **beside}) for e in _VALIDATIONS[key](value)]
    for key in given:
        raise Lost(f"its key '{key}' has no form yet")
    if not found:
        raise Lost("it says nothing that must hold")
    return found


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise Lost("it takes a list of columns")
    return [one.strip('"`') for one in value]


def _required(value: Any) -> list[Entry]:
    return [Entry("columns_exist", {"columns": _names(value)})]


def _forbidden(value: Any) -> list[Entry]:
    names = _names(value)
    globs = [name for name in names if "%" in name or "*" in name]
    plain = [name for name in names if name not in globs]
    found = [Entry("columns_absent", {"columns": plain})] if plain else []
    if globs:
        parts = "|".join(re.escape(glob).replace("%", ".*").replace(r"\*", ".*") for glob in globs)
        found.append(Entry("column_names", {"pattern": f"(?i)(?!(?:{parts})$).*"}))
    return found


def _types(value: Any) -> list[Entry]:
    if not isinstance(value, dict) or not value:
        raise Lost("it takes columns with their types")
    declared = {}
    for name, kind in value.items():
        known = TYPES.get(str(kind).lower(), str(kind).lower())
        if not PLAIN_TYPE.fullmatch(known):
            raise Lost(f"the type '{kind}' of column '{name}' is none of Spark's")
        declared[name] = known
    body = {"missing": "fail", "extra": "allow", "types": "fail", "declared": declared}
    return [Entry("schema", body, differs="in text formats (CSV, JSON) only a rule 'type' judges types")]


def _indexes(value: Any) -> list[Entry]:
    if not isinstance(value, dict) or len(value) < 2:
        raise Lost("the place of one column by itself has no form")
    names = sorted(value, key=lambda name: value[name])
    return [
        Entry(
            "column_order", {"columns": names}, differs="the columns stand in this order, and others may stand between"
        )
    ]


def _changes(value: Any) -> list[Entry]:
    asked = list(_CHANGES) if value == "any" else value if isinstance(value, list) else [value]
    if not set(asked) <= set(_CHANGES):
        raise Lost(f"'{value}' is no change of a schema that is known here")
    return [Entry("schema_change", {ours: "fail" if theirs in asked else "allow" for theirs, ours in _CHANGES.items()})]


_VALIDATIONS: Mapping[str, Callable[[Any], list[Entry]]] = {
    "when required column missing": _required,
    "when forbidden column present": _forbidden,
    "when wrong column type": _types,
    "when wrong column index": _indexes,
    "when schema changes": _changes,
}
