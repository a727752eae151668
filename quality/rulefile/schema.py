"""JSON Schema of rule files, generated from the rule types, for editors. The engine's own messages come from the loader."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

from quality.model import OnFail, Severity
from quality.rule_types import REGISTRY
from quality.rule_types.args import BOUND_SCHEMAS, arguments, is_required, yaml_name
from quality.rule_types.base import RowRule, RuleType
from quality.rule_types.files import FileRule
from quality.rulefile.anomalies import SEASONS, STRATEGIES
from quality.rulefile.choosing import CHOICE_SCHEMA, takes_many
from quality.rulefile.references import JDBC_KEYS, REFERENCE_KEYS
from quality.rulefile.ruleforms import DEFAULTS, RuleReader, modifiers_schema
from quality.rulefile.sections import FORMATS, TABLE_FORMATS
from quality.rulefile.streams import ON_HELD, STARTS

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_RATIO: Schema = {"type": ["number", "string"]}


def json_schema() -> Schema:
    """The schema of a rule file (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rule file of a data set",
        "type": "object",
        "required": ["version", "dataset", "input"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": 1},
            "dataset": {"type": "string", "pattern": r"^([a-z0-9_.-]+|.*\{\{.*)$"},
            "description": _TEXT,
            "owner": _TEXT,
            "vars": {"type": "object"},
            "extends": {"type": ["string", "array"], "items": _TEXT},
            "input": _input(),
            "references": {"type": "object", "additionalProperties": _reference()},
            "defaults": _closed({name: modifiers_schema()[name] for name in DEFAULTS}),
            "key": {
                "type": ["string", "array"],
                "items": _TEXT,
                "description": "The primary key: complete and unique.",
            },
            "columns": {"type": "object", "additionalProperties": {"anyOf": [{"type": "null"}, _column()]}},
            "rules": {
                "type": "array",
                "items": {"anyOf": [*(_entry(kind) for _, kind in sorted(REGISTRY.items())), _dqdl()]},
            },
            "profile": {"type": "boolean", "description": "Whether every column is profiled, for the history."},
            "hold": _closed({"quarantined_above": _RATIO}),
            "anomalies": {"anyOf": [{"type": "null"}, _anomalies()]},
            "stream": {"anyOf": [{"type": "null"}, _stream()]},
            "outputs": _closed(
                {
                    "root": _TEXT,
                    "format": {"enum": list(TABLE_FORMATS)},
                    "table": _TEXT,
                    "quarantine_table": _TEXT,
                    "mirror": {"type": "boolean"},
                    "views": _TEXT,
                    "flags": {"type": "boolean"},
                    "quarantine_kms_key": _TEXT,
                }
            ),
        },
    }


def _closed(properties: Schema, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


def _input() -> Schema:
    return _closed(
        {
            "path": {"type": ["string", "array"], "items": _TEXT},
            "table": _TEXT,
            "kafka": _closed(
                {"servers": _TEXT, "topic": _TEXT, "start": {"enum": list(STARTS)}, "options": {"type": "object"}},
                required=["servers", "topic"],
            ),
            "where": _TEXT,
            "format": {"enum": list(FORMATS)},
            "options": {"type": "object"},
            "timezone": _TEXT,
            "batch_time": _TEXT,
            "allow_empty": {"type": "boolean"},
            "schema": {"type": "object", "additionalProperties": _TEXT},
        }
    )


def _reference() -> Schema:
    jdbc = {**dict.fromkeys(JDBC_KEYS, _TEXT), "options": {"type": "object"}}
    properties = {**_input()["properties"], "dataset": _TEXT, "jdbc": _closed(jdbc, required=["url"])}
    return _closed({word: properties[word] for word in REFERENCE_KEYS})


def _stream() -> Schema:
    count: Schema = {"type": "integer", "minimum": 1}
    return _closed(
        {
            "trigger": _TEXT,
            "max_files": count,
            "max_messages": count,
            "on_held": {"enum": list(ON_HELD)},
            "checkpoint": _TEXT,
            "window": {
                "anyOf": [count, _TEXT],
                "description": "Micro-batches, or time, that one row set of history spans.",
            },
        }
    )


def _anomalies() -> Schema:
    number = {"type": ["number", "string"]}
    strategies = {name: _closed(dict.fromkeys(arguments, number)) for name, arguments in STRATEGIES.items()}
    return _closed(
        {
            "metrics": {"anyOf": [{"const": "all"}, {"type": "array", "items": _TEXT, "minItems": 1}]},
            "season": {"enum": list(SEASONS)},
            "false_alarms": _RATIO,
            "severity": {"enum": [str(severity) for severity in Severity]},
            "on_fail": {"enum": [str(OnFail.HOLD), str(OnFail.KEEP)]},
            "calendar": _TEXT,
            "strategy": {"anyOf": [{"enum": list(STRATEGIES)}, _closed(strategies, maxProperties=1)]},
        }
    )


def _argument_properties(kind: type[RuleType]) -> Schema:
    properties: Schema = {}
    for argument in arguments(kind).values():
        word = yaml_name(argument)
        if word == "bounds":
            properties.update(BOUND_SCHEMAS)
        else:
            properties[word] = {**argument.metadata["kind"].schema, "description": argument.metadata["doc"]}
        if word == "column" and takes_many(kind):
            properties["columns"] = CHOICE_SCHEMA
        if word == "columns":
            properties["column"] = {"type": "string", "description": "one column, instead of `columns`"}
    return properties


def documentation(kind: type[RuleType]) -> str:
    """What a rule type means: its docstring."""
    return cleandoc(kind.__doc__ or "")


def _entry(kind: type[RuleType]) -> Schema:
    """An entry of `rules:`: the type, with the modifiers beside it."""
    body = _closed(_argument_properties(kind))
    plain = [{"type": ["string", "number", "boolean", "array", "null"]}]
    return _closed(
        {kind.type: {"anyOf": [body, *plain], "description": documentation(kind)}, **_modifiers(kind)},
        required=[kind.type],
    )


def _dqdl() -> Schema:
    """A rule of DQDL as it is."""
    rule = {"type": "string", "description": 'A rule of AWS Glue\'s DQDL, such as: IsComplete "id"'}
    return _closed({"dqdl": rule, **modifiers_schema()}, required=["dqdl"])


def _modifiers(kind: type[RuleType]) -> Schema:
    """Those that go with the type: a rule about the batch has no rows to tolerate or to quarantine."""
    found = modifiers_schema()
    if kind.ungrouped:
        found.pop("group_by")
    if not issubclass(kind, RowRule):
        for word in ("nulls", "nan") if issubclass(kind, FileRule) and kind.each else ("tolerance", "nulls", "nan"):
            found.pop(word)
        found["on_fail"] = {"enum": [str(OnFail.HOLD), str(OnFail.KEEP)]}
    elif not kind.nulls_apply:
        found.pop("nulls")
    return found


def _column() -> Schema:
    """What may stand under a column: rule types, each bare or with arguments and modifiers together."""
    properties: Schema = {"description": _TEXT, "sensitive": {"enum": [True, False, "mask", "hash"]}}
    for word in RuleReader.column_types():
        kind = REGISTRY[word]
        own = {"column", "columns"}
        inside = {name: schema for name, schema in _argument_properties(kind).items() if name not in own}
        inside |= {short: _argument_properties(kind)[word] for short, word in kind.short_names.items()}
        bare = _argument_properties(kind).get(kind.main, {"type": "boolean"})
        properties[word] = {
            "anyOf": [bare, _closed({**inside, **_modifiers(kind)})],
            "description": documentation(kind),
        }
    return _closed(properties)


def reference(kind: type[RuleType]) -> dict[str, Any]:
    """A rule type as data: for `quality rules` and the reference page."""
    return {
        "type": kind.type,
        "about": kind.about or ("rows" if issubclass(kind, RowRule) else "the batch"),
        "documentation": documentation(kind),
        "example": kind.example,
        "arguments": [
            {
                "name": yaml_name(argument),
                "required": is_required(argument),
                "documentation": argument.metadata["doc"],
            }
            for argument in arguments(kind).values()
        ],
        "severities": [str(severity) for severity in Severity],
    }
