"""From DQDL's rules that compare with other data sets to ours. DQDL names a reference; where it is stands under `references:`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from quality.rulefile.dqdl.constants import alternatives, bounds, looks_back, tolerance
from quality.rulefile.dqdl.entries import Converter, Entry, Joined, Made, condition_of, default_id
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.past import DIFFERS
from quality.rulefile.dqdl.tree import Condition, Rule, Tag

_AGGREGATE = re.compile(r"\s*(\w+)\s*\(\s*(?:([^.()]+)\.)?([^()]+?)\s*\)\s*")
_FUNCTIONS = {"sum": "sum", "avg": "mean", "average": "mean"}


def bounded(type: str, named: Mapping[str, Any], condition: Condition, differs: str = "") -> list[Made]:
    """Entries about one metric: all must hold, or they are joined where one is enough."""
    one_of = [Entry(type, {**named, **words}, differs=differs) for words in alternatives(condition)]
    if one_of:
        return [Joined("any", tuple(one_of), default_id(one_of[0]))]
    return [Entry(type, {**named, **words}, differs=differs) for words in bounds(condition)]


def _held(type: str, named: Mapping[str, Any], rule: Rule) -> list[Made]:
    condition = condition_of(rule)
    return bounded(type, named, condition, DIFFERS if looks_back(condition) else "")


def of_reference(type: str) -> Converter:
    """A rule that holds the whole batch against a reference, the one thing it names."""
    return lambda rule: _held(type, {"reference": rule.parameters[0].value}, rule)


def referential_integrity(rule: Rule) -> list[Made]:
    """The share of rows whose key is one of a reference's; a NULL is in none."""
    ours, theirs = (parameter.value for parameter in rule.parameters)
    found = re.fullmatch(r"([^.]+)\.(?:\{(.*)\}|(.*))", theirs)
    if found is None:
        raise Lost("the columns of the reference are written reference.column or reference.{a,b}")
    columns = [name.strip() for name in ours.split(",")]
    asked = [name.strip() for name in (found[2] or found[3]).split(",")]
    if len(columns) != len(asked):
        raise Lost("as many columns stand on either side")
    body = {"columns": columns, "reference": found[1], "reference_columns": asked}
    allowed = tolerance(Tag("threshold", condition_of(rule)))
    return [Entry("exists_in", body, {"nulls": "fail", **({"tolerance": allowed} if allowed else {})})]


def dataset_match(rule: Rule) -> list[Made]:
    """The share of the batch's rows that the reference has too."""
    reference, key, *columns = (parameter.value for parameter in rule.parameters)
    named: dict[str, Any] = {"key": _pairs(key), "reference": reference, "of": "batch"}
    return _held("dataset_match", {**named, **({"columns": _pairs(columns[0])} if columns else {})}, rule)


def _pairs(text: str) -> dict[str, str]:
    """`a->b,c` as columns of the batch to those of the reference."""
    sides = [[name.strip() for name in part.split("->")] for part in text.split(",")]
    if any(len(side) > 2 or not all(side) for side in sides):
        raise Lost("columns are written a,b or a->b")
    return {side[0]: side[-1] for side in sides}


def aggregate_match(rule: Rule) -> list[Made]:
    """An aggregate of the batch divided by one of a reference, or of the batch too."""
    found = [_AGGREGATE.fullmatch(parameter.value) for parameter in rule.parameters]
    if not all(found):
        raise Lost("aggregates are written sum(column) and avg(reference.column)")
    (first, place, column), (second, reference, other) = (part.groups() for part in found if part)
    function = _FUNCTIONS.get(first.lower())
    if function is None or function != _FUNCTIONS.get(second.lower()) or place:
        raise Lost("sums and averages are compared, of the batch and then of a reference, each with its like")
    if reference:
        named = {"column": column, "reference": reference, "function": function, "reference_column": other}
        return _held("aggregate_match", named, rule)
    if function != "sum":
        raise Lost("of one data set sums are compared only")
    return _held("ratio_of_sums", {"numerator": column, "denominator": other}, rule)
