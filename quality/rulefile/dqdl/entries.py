"""What rules of DQDL become, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from quality.query_text import relations
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.tree import Condition, Rule
from quality.rulefile.dqdl.yaml_text import Template
from quality.rulefile.references import is_name, kind_of_place


@dataclass(frozen=True)
class Entry:
    """A rule of ours as plain data: its type, what stands behind it, what stands beside it. `about` is the beginning of
    its id where the type alone would not tell; `differs` says how it is not quite what DQDL has; `reference_where` which rows
    of its reference are meant."""

    type: str
    body: Any
    beside: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    differs: str = ""
    reference_where: str = ""


@dataclass(frozen=True)
class Joined:
    """Entries whose verdicts are joined by `all`, `any` or `not`."""

    word: str
    parts: tuple[Entry | Joined, ...]
    about: str = ""


Made = Union[Entry, Joined]
Converter = Callable[[Rule], "list[Made]"]


def condition_of(rule: Rule) -> Condition:
    """Its condition. Raises Lost when it has none."""
    if rule.condition is None:
        raise Lost("it has no condition")
    return rule.condition


def names_of(rule: Rule) -> list[str]:
    """The columns a rule names, each once."""
    # a key of the same column twice is a key of that column
    return list(dict.fromkeys(parameter.value for parameter in rule.parameters))


def default_id(entry: Entry) -> str:
    """As the loader names a rule."""
    named: Any = entry.body if isinstance(entry.body, dict) else {}
    # a match is named after its key, which pairs columns
    columns = list(named.get("key") or named.get("columns") or ([named["column"]] if "column" in named else []))
    if len(columns) == 1:
        return f"{columns[0]}.{entry.type}"
    return f"{entry.type}({','.join(columns)})" if columns else entry.type


def references_of(body: Any) -> Iterator[str]:
    """The names of data sets that a rule points at."""
    if isinstance(body, dict):
        if isinstance(body.get("reference"), str):
            yield body["reference"]
        if isinstance(body.get("query"), str):
            yield from (one.name for one in relations(body["query"]) if is_name(one.name))
        for value in body.values():
            yield from references_of(value)
    elif isinstance(body, list):
        for one in body:
            yield from references_of(one)


def placed(name: str, given: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """What stands in a rule file for a data set of which another language says the name alone, and what its reader is told:
    nothing where it is `given` where it lies, as `--reference` takes it."""
    if name in given:
        kind, value = kind_of_place(given[name])
        return {kind: Template(value)}, ""
    place = f"data/{name}.parquet"
    return {"path": place}, f"it is not said where it lies: '{place}' stands there until you write it"
