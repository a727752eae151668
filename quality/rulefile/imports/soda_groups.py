"""The checks of SodaCL on groups, as long as their query is one that a rule with `group_by` asks too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from quality import sql
from quality.rulefile.dqdl.losses import Lost

_NAME = r"[`\"]?(\w+)[`\"]?"
_QUERY = re.compile(
    r"\s*select\s+(?P<found>.+?)\s+from\s+[\w.`\"]+(?:\s+where\s+(?P<where>.+?))?\s+group\s+by\s+(?P<groups>[\w\s,`\"]+?)\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_AGGREGATE = re.compile(
    rf"(?P<function>\w+)\s*\(\s*(?P<distinct>distinct\s+)?(?:(?P<all>\*|1)|{_NAME})\s*\)(?:\s+(?:as\s+)?{_NAME})?",
    re.IGNORECASE,
)
_CLAUSES = re.compile(r"\b(?:having|order|limit|union|join)\b", re.IGNORECASE)
_SPLIT = re.compile(r",(?![^()]*\))")
_FUNCTIONS = {
    "avg": "avg", "mean": "avg", "sum": "sum", "min": "min", "max": "max", "stddev": "stddev", "stddev_pop": "stddev_pop",
    "stddev_samp": "stddev", "variance": "variance", "var_pop": "var_pop", "var_samp": "variance",
}  # fmt: skip
_CHECK = re.compile(r"(?P<metric>\w+)\s*(?P<threshold>.*)", re.DOTALL)
_OTHER = "its query is none of the form 'select groups, aggregates of columns from a table group by groups'"


@dataclass(frozen=True)
class Grouped:
    """A check of one number of each group."""

    metric: str
    arguments: list[str]
    columns: list[str]
    where: str
    threshold: str
    config: Mapping[str, Any] = field(default_factory=dict)


def checks(given: dict[str, Any]) -> list[Grouped]:
    """The checks under `group by`, whose keys are taken out. Raises Lost."""
    query, fields, asked = str(given.pop("query", "")), given.pop("fields", None) or [], given.pop("checks", None) or []
    given.pop("group_limit", None)
    if given:
        raise Lost(f"its key '{next(iter(given))}' has no form yet")
    found = _QUERY.fullmatch(query)
    if found is None or _CLAUSES.search(query):
        raise Lost(_OTHER)
    where = (found["where"] or "").strip()
    if where and sql.problems(where):
        raise Lost(f"its filter cannot be used: {'; '.join(sql.problems(where))}")
    columns = [name.strip().strip('`"') for name in found["groups"].split(",")]
    if sorted(map(str, fields)) != sorted(columns):
        raise Lost("its fields are not those that its query groups by")
    metrics = dict(_metrics(found["found"], columns))
    return [_check(one, metrics, columns, where) for one in asked]


def _metrics(text: str, columns: list[str]) -> Iterator[tuple[str, tuple[str, list[str]]]]:
    """What is selected, by its name: a metric and its columns."""
    for part in map(str.strip, _SPLIT.split(text)):
        if part.strip('`"') in columns:
            continue
        found = _AGGREGATE.fullmatch(part)
        if found is None:
            raise Lost(_OTHER)
        function, column, name = found["function"].lower(), found[4], found[5] or part
        if function == "count" and found["all"]:
            yield name, ("row_count", [])
        elif function == "count" and found["distinct"]:
            yield name, ("distinct_count", [column])
        elif function in _FUNCTIONS and column and not found["distinct"]:
            yield name, (_FUNCTIONS[function], [column])
        else:
            raise Lost(f"'{part}' of its query is no metric of a column")


def _check(given: Any, metrics: Mapping[str, tuple[str, list[str]]], columns: list[str], where: str) -> Grouped:
    text, config = next(iter(given.items())) if isinstance(given, dict) else (str(given), {})
    found = _CHECK.fullmatch(str(text).strip())
    if found is None or found["metric"] not in metrics:
        raise Lost(f"'{text}' is no check of a number that its query gives")
    metric, arguments = metrics[found["metric"]]
    return Grouped(
        metric, arguments, columns, where, found["threshold"].strip(), config if isinstance(config, dict) else {}
    )
