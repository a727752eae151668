"""From DQDL's rules that compare with other data sets to ours. DQDL names a reference; where it is stands under `references:`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from quality import sql
from quality.rulefile.dqdl.constants import alternatives, bounds, looks_back, number, operands, tolerance
from quality.rulefile.dqdl.entries import Converter, Entry, Joined, Made, condition_of, default_id
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.past import DIFFERS
from quality.rulefile.dqdl.tree import Between, Comparison, Condition, Expression, Membership, Rule, Tag

_AGGREGATE = re.compile(r"\s*(\w+)\s*\(\s*(?:([^.()]+)\.)?([^()]+?)\s*\)\s*")
_FUNCTIONS = {"sum": "sum", "avg": "mean", "average": "mean"}


def bounded(type: str, named: Mapping[str, Any], condition: Condition, differs: str = "") -> list[Made]:
    """Entries about one metric: all must hold, or they are joined where one is enough."""
    one_of = [Entry(type, {**named, **words}, differs=differs) for words in alternatives(condition)]
    if one_of:
        return [Joined("any", tuple(one_of), default_id(one_of[0]))]
    return [Entry(type, {**named, **words}, differs=differs) for words in bounds(condition)]


def of_query(query: str, condition: Condition) -> list[Made]:
    """Entries about the number of a query. One that looks back is called after its text: its history is that of its id, which
    another rule before it must not change."""
    if not looks_back(condition):
        return bounded("sql", {"query": query}, condition)
    id = f"sql.{hashlib.sha256(query.encode()).hexdigest()[:8]}"
    made = bounded("sql", {"query": query}, condition, DIFFERS)
    return [
        replace(one, about=id)
        if isinstance(one, Entry)
        else replace(one, about=f"{id}.any", parts=tuple(replace(part, about=id) for part in one.parts))
        for one in made
    ]


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
        raise Lost(f"it names {len(columns)} columns and {len(asked)} of the reference: one for each")
    body = {"columns": columns, "reference": found[1], "reference_columns": asked}
    if looks_back(condition_of(rule)):
        return of_query(_share_found(columns, found[1], asked), condition_of(rule))

    def made(condition: Condition) -> Entry:
        allowed = tolerance(Tag("threshold", condition))
        return Entry("exists_in", body, {"nulls": "fail", **({"tolerance": allowed} if allowed else {})})

    return [share(made, condition_of(rule), default_id(Entry("exists_in", body)))]


def _share_found(columns: list[str], reference: str, asked: list[str]) -> str:
    """The share of rows whose key the reference has, as a query for one number: a share with a history."""
    named = ", ".join(f"{sql.quote(name)} as k{n}" for n, name in enumerate(asked))
    alike = sql.conjunction(f"p.{sql.quote(name)} = q.k{n}" for n, name in enumerate(columns))
    known = f"select distinct {named}, true as known from {reference}"
    return f"select avg(int(q.known is not null)) from primary p left join ({known}) q on {alike}"


def share(made: Callable[[Condition], Entry], condition: Condition, about: str = "") -> Made:
    """A demand on a share of rows; `made` says that it is so great at least, verdicts on that say the rest. Raises Lost."""
    if isinstance(condition, Comparison):
        return _comparedshare(made, condition, about)
    if isinstance(condition, Between) and condition.negated:
        low = Joined("not", (made(Comparison(">", condition.low)),), about)
        return _joined("any", [low, *_from(made, condition.high)], about)
    if isinstance(condition, Between):
        if number(condition.low) >= number(condition.high):
            raise Lost(
                f"no number lies between {number(condition.low)} and {number(condition.high)}: it can never hold"
            )
        high = [Joined("not", (part,), about) for part in _from(made, condition.high)]
        return _joined("all", [made(Comparison(">", condition.low)), *high], about)
    values = [share(made, Comparison("=", value), about) for value in operands(condition)]
    if isinstance(condition, Membership) and condition.negated:
        return Joined("not", tuple(values), about)
    return _joined("any", values, about)


def _comparedshare(made: Callable[[Condition], Entry], condition: Comparison, about: str) -> Made:
    sign, value = condition.sign, condition.operand
    if sign in (">", ">=") or (sign == "=" and number(value) == 1):
        return made(condition)
    if sign in ("<", "<="):
        return Joined("not", (made(Comparison(">=" if sign == "<" else ">", value)),), about)
    # a share that is no greater, and no less
    more = [Joined("not", (made(Comparison(">", value)),), about)] if number(value) < 1 else []
    exact = _joined("all", [made(Comparison(">=", value)), *more], about)
    return exact if sign == "=" else Joined("not", (exact,), about)


def _from(made: Callable[[Condition], Entry], value: Expression) -> list[Entry]:
    """A share from a value on, none where none is so great."""
    return [made(Comparison(">=", value))] if number(value) <= 1 else []


def _joined(word: str, parts: list[Made], about: str) -> Made:
    return parts[0] if len(parts) == 1 else Joined(word, tuple(parts), about)


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
    other_function = _FUNCTIONS.get(second.lower())
    if function is None or other_function is None or place or (reference and function != other_function):
        raise Lost("sums and averages are compared, of the batch and then of a reference, each with its like")
    if reference:
        named = {"column": column, "reference": reference, "function": function, "reference_column": other}
        return _held("aggregate_match", named, rule)
    if function == other_function == "sum":
        return _held("ratio_of_sums", {"numerator": column, "denominator": other}, rule)
    query = f"select {function}({sql.quote(column)}) / {other_function}({sql.quote(other)}) from primary"
    return _held("sql", {"query": query}, rule)
