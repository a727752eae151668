"""Expectations about several columns, about how values are distributed, and about texts, as entries of a rule file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from quality import sql
from quality.rulefile.dqdl.entries import Entry
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.imports.counting import ROWS, measured
from quality.rulefile.imports.user_sql import failing_rows, over_batch
from quality.rulefile.imports.writing import reference_name

Arguments = Mapping[str, Any]
Converter = Callable[[Arguments], list[Entry]]
NULL_IN_KEY = "a key with a NULL part is no duplicate here"
_ONE_NULL = "a row in which one of the columns is NULL passes here"
_DEVIATIONS = (
    "the deviation is that of the whole here (division by n), theirs is of a sample; a value just as far passes"
)
_JSON = "NaN and infinity are no JSON here"
#: Directives of strftime as letters of Spark's patterns.
_DIRECTIVES = {"Y": "yyyy", "m": "MM", "d": "dd", "H": "HH", "I": "hh", "M": "mm", "S": "ss", "y": "yy", "p": "a"}


def _ignoring(kwargs: Arguments, some: str, every: str) -> str:
    """Which rows are left out: `some` where one of the columns is NULL, `every` where all are, `never`. Raises Lost."""
    asked = str(kwargs.get("ignore_row_if") or every)
    if asked not in (some, every, "never", "neither"):
        raise Lost(f"'ignore_row_if: {asked}' is not known")
    return asked


def pair(make: Callable[[Arguments], Entry]) -> Converter:
    """A rule about two columns."""

    def convert(kwargs: Arguments) -> list[Entry]:
        asked = _ignoring(kwargs, "either_value_is_missing", "both_values_are_missing")
        entry = make(kwargs)
        differs = "" if asked == "either_value_is_missing" else _ONE_NULL
        return [Entry(entry.type, entry.body, entry.beside, entry.about, differs)]

    return convert


def compare(kwargs: Arguments) -> Entry:
    """One column is greater than the other."""
    word = "at_least" if kwargs.get("or_equal") else "above"
    return Entry("compare", {"column": kwargs["column_A"], word: kwargs["column_B"]})


def equal(kwargs: Arguments) -> Entry:
    """Both have the same value."""
    return Entry("equal_columns", {"columns": [kwargs["column_A"], kwargs["column_B"]]})


def in_set(kwargs: Arguments) -> Entry:
    """Both values are one of a set of pairs."""
    pairs = [
        " and ".join(_is(kwargs[name], value) for name, value in zip(("column_A", "column_B"), found, strict=True))
        for found in kwargs["value_pairs_set"]
    ]
    if not pairs:
        raise Lost("its value_pairs_set is empty")
    return Entry("that", " or ".join(f"({one})" for one in pairs), about=f"{kwargs['column_A']}.pairs")


def _is(name: str, value: Any) -> str:
    return f"{sql.quote(name)} is null" if value is None else f"{sql.quote(name)} = {sql.literal(value)}"


def compound(kwargs: Arguments) -> list[Entry]:
    """The columns are a key."""
    asked = _ignoring(kwargs, "any_value_is_missing", "all_values_are_missing")
    differs = "" if asked == "any_value_is_missing" else NULL_IN_KEY
    return [Entry("unique", {"columns": kwargs["column_list"]}, differs=differs)]


def unlike(kwargs: Arguments) -> list[Entry]:
    """Several columns differ from each other in every row; NULL is like NULL."""
    names = [str(name) for name in kwargs["column_list"]]
    pairs = [(one, other) for at, one in enumerate(names) for other in names[at + 1 :]]
    test = " and ".join(f"not ({sql.quote(one)} <=> {sql.quote(other)})" for one, other in pairs)
    return [Entry("that", test, _scope(kwargs, names), f"{names[0]}.differs")]


def sum_of_row(kwargs: Arguments) -> list[Entry]:
    """The columns of every row add up to a number."""
    names = [str(name) for name in kwargs["column_list"]]
    test = f"{' + '.join(map(sql.quote, names))} = {sql.literal(kwargs['sum_total'])}"
    return [Entry("that", test, _scope(kwargs, names), f"{names[0]}.sum_of_row")]


def _scope(kwargs: Arguments, names: list[str]) -> dict[str, Any]:
    asked = _ignoring(kwargs, "any_value_is_missing", "all_values_are_missing")
    if asked in ("never", "neither"):
        return {}
    word = " or " if asked == "all_values_are_missing" else " and "
    return {"where": word.join(f"{sql.quote(name)} is not null" for name in names)}


def z_scores(kwargs: Arguments) -> list[Entry]:
    """Values near the mean: on both sides, or not far above it."""
    name, far = kwargs["column"], kwargs["threshold"]
    if kwargs.get("double_sided", True):
        return [Entry("no_outliers", {"column": name, "method": "zscore", "factor": far}, differs=_DEVIATIONS)]
    column = sql.quote(name)
    scores = f"select ({column} - avg({column}) over ()) / stddev_samp({column}) over () as z from {ROWS} where {column} is not null"
    query = f"select avg(double(int(z < {sql.literal(far)}))) from ({scores})"
    return [measured(f"{name}.z_scores", query, {"at_least": kwargs.get("mostly", 1)})]


def divergence(kwargs: Arguments) -> list[Entry]:
    """The relative entropy of the values that occur, by those that are expected. Raises Lost for intervals of numbers."""
    expected = kwargs["partition_object"]
    if "values" not in expected:
        raise Lost("its partition is of intervals of numbers, whose shares have no rule type")
    if kwargs.get("tail_weight_holdout") or kwargs.get("internal_weight_holdout"):
        raise Lost("weights that are held out have no form")
    column = sql.quote(kwargs["column"])
    cases = " ".join(
        f"when {sql.literal(value)} then {sql.literal(float(weight))}"
        for value, weight in zip(expected["values"], expected["weights"], strict=True)
        if weight
    )
    if not cases:
        raise Lost("its partition has no weights")
    # a value that nobody expects is infinitely far
    shares = f"select count(*) / sum(count(*)) over () as p, case {column} {cases} end as q from {ROWS} where {column} is not null group by {column}"
    query = (
        f"select case when count_if(q is null) > 0 then double('Infinity') else sum(p * ln(p / q)) end from ({shares})"
    )
    return [measured(f"{kwargs['column']}.divergence", query, {"at_most": kwargs["threshold"]})]


def most_common(kwargs: Arguments) -> list[Entry]:
    """The most common value, or each of several that are as common, is one of a set."""
    if kwargs.get("ties_okay"):
        raise Lost("'ties_okay: true' asks for one of several values that are as common; here each must be in the set")
    return [Entry("most_common_value", {"column": kwargs["column"], "in": list(kwargs["value_set"])})]


def distinct_values(word: str) -> Converter:
    """The set of values that occur."""
    return lambda kwargs: [Entry("distinct_values", {"column": kwargs["column"], word: list(kwargs["value_set"])})]


def as_other(kwargs: Arguments) -> list[Entry]:
    """As many rows as another table."""
    return [Entry("row_count_match", {"reference": reference_name(str(kwargs["other_table_name"]))})]


def unexpected_rows(kwargs: Arguments) -> list[Entry]:
    """A query that must return no rows; `{batch}` is the batch."""
    query = kwargs.get("unexpected_rows_query")
    if not isinstance(query, str):
        raise Lost("it has no query")
    return [failing_rows(over_batch(query, ""), {}, "unexpected-rows")]


def patterns(type: str, key: str, *, negated: bool = False) -> Converter:
    """Each value is found by one of several patterns (`match_on: all`: by all of them), or by none."""

    def convert(kwargs: Arguments) -> list[Entry]:
        parts = [{type: {"column": kwargs["column"], "pattern": one}} for one in kwargs[key]]
        if negated:
            return [Entry("not", parts)]
        return [Entry("all" if kwargs.get("match_on", "any") == "all" else "any", parts)]

    return convert


def as_json(kwargs: Arguments) -> list[Entry]:
    """Every text is JSON."""
    return [Entry("json", {"column": kwargs["column"]}, differs=_JSON)]


def strftime(kwargs: Arguments) -> list[Entry]:
    """Every text is a date or time in a format. Raises Lost for what Spark's patterns do not say."""
    found, text = "", str(kwargs["strftime_format"])
    for sign in re.findall(r"%.|[A-Za-z']+|.", text):
        letters = _DIRECTIVES.get(sign[1:], "") if sign[0] == "%" else sign
        if not letters:
            raise Lost(f"'{sign}' of the format '{text}' has no letter in a pattern of Spark's")
        is_word = sign[0] != "%" and re.fullmatch(r"[A-Za-z']+", sign)
        found += "'" + sign.replace("'", "''") + "'" if is_word else letters
    return [Entry("date_format", {"column": kwargs["column"], "pattern": found})]
