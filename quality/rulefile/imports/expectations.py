"""Expectation suites of Great Expectations (JSON of 0.x and 1.x) as rule files.

Meant is what the expectations do on Spark: a pattern is searched for, not matched from the start; NULL is left out of what
is said about values, also of the share that `mostly` asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import PurePath
from typing import Any

from quality import sql
from quality.errors import Problem, RuleFileError
from quality.rulefile.dqdl.entries import Entry
from quality.rulefile.dqdl.losses import Converted, Lost
from quality.rulefile.dqdl.rules_of_ours import slug
from quality.rulefile.imports.writing import Writing
from quality.rulefile.nodes import Node

Arguments = Mapping[str, Any]
#: How an expectation is run and shown; nothing that it demands.
_UNHEARD = {"result_format", "include_config", "catch_exceptions", "batch_id", "meta", "notes", "condition_parser"}
#: What every expectation about values takes.
_COMMON = {"mostly", "row_condition", "severity", "description", "column"}
_RANGE = {"min_value", "max_value", "strict_min", "strict_max"}
_SEVERITIES = {"critical": "error", "warning": "warning", "info": "info"}
_SPARK_TYPES = {
    "IntegerType": "int", "LongType": "bigint", "DoubleType": "double", "FloatType": "float", "BooleanType": "boolean",
    "DateType": "date", "TimestampType": "timestamp", "StringType": "string",
}  # fmt: skip


def is_suite(tree: Node) -> bool:
    """Whether a file's content is a suite."""
    return "expectations" in tree.mapping


def to_yaml(tree: Node, file: str, *, dataset: str = "", input_path: str = "", root: str = "") -> Converted:
    """The rule file and what is not in it. Raises RuleFileError when it is no suite."""
    section = tree.mapping.get("expectations")
    if section is None or not isinstance(section.value, list):
        raise RuleFileError([Problem(file, tree.line, "an expectation suite has a list 'expectations'")])
    named = tree.plain().get("name") or tree.plain().get("expectation_suite_name") or PurePath(file).stem
    writing = Writing(file, dataset or slug(str(named)))
    for node in section.items:
        one: Any = node.plain() if node.mapping else {}
        type = str(one.get("type") or one.get("expectation_type") or "an expectation without a type")
        kwargs: dict[str, Any] = dict(one["kwargs"]) if isinstance(one.get("kwargs"), dict) else {}
        if one.get("severity"):
            kwargs["severity"] = one["severity"]
        column = f" of '{kwargs['column']}'" if "column" in kwargs else ""
        writing.add(node.line, f"{type}{column}", partial(entries, type, kwargs))
    return writing.whole(input_path, root)


def entries(type: str, given: Arguments) -> list[Entry]:
    """The entries that demand together what an expectation does. Raises Lost."""
    if type not in EXPECTATIONS:
        raise Lost("it has no form yet")
    words, about_rows, convert = EXPECTATIONS[type]
    kwargs = {word: value for word, value in given.items() if value is not None and word not in _UNHEARD}
    unknown = sorted(kwargs.keys() - words - _COMMON - {"ignore_row_if"})
    if unknown:
        raise Lost(f"its argument '{unknown[0]}' has no form yet")
    if any(isinstance(value, dict) and "$PARAMETER" in value for value in kwargs.values()):
        raise Lost("suite parameters ($PARAMETER) have no form; write the value, or one of 'vars'")
    beside: dict[str, Any] = {}
    if "row_condition" in kwargs:
        if given.get("condition_parser") != "spark" or sql.problems(str(kwargs["row_condition"])):
            raise Lost("its row_condition is not an expression of Spark")
        beside["where"] = kwargs["row_condition"]
    if "severity" in kwargs:
        if kwargs["severity"] not in _SEVERITIES:
            raise Lost(f"its severity '{kwargs['severity']}' is not known")
        beside["severity"] = _SEVERITIES[kwargs["severity"]]
    share = _share(kwargs.get("mostly", 1))
    if share != 1:
        if not about_rows:
            raise Lost("'mostly' of it has no form yet")
        beside |= {"tolerance": 1 - share, **({"nulls": "skip"} if about_rows == "values" else {})}
    try:
        made = convert(kwargs)
    except KeyError as error:
        raise Lost(f"its argument {error} is missing") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise error if isinstance(error, Lost) else Lost("its arguments are not of the form they should have") from None
    return [Entry(one.type, one.body, {**one.beside, **beside}, one.about, one.differs) for one in made]


def _share(value: Any) -> Decimal:
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) and 0 <= value <= 1:
        return Decimal(str(value))
    raise Lost("its 'mostly' is no share from 0 to 1")


def _bounds(kwargs: Arguments) -> dict[str, Any]:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    found = {} if low is None else {"above" if kwargs.get("strict_min") else "at_least": low}
    found |= {} if high is None else {"below" if kwargs.get("strict_max") else "at_most": high}
    if not found:
        raise Lost("it has no bounds")
    return found


def _bounded(type: str, argument: str = "column", differs: str = "") -> Callable[[Arguments], list[Entry]]:
    def convert(kwargs: Arguments) -> list[Entry]:
        name = kwargs.get("column")
        about: dict[str, Any] = {"column": name} if argument == "column" else {}
        about |= {"columns": [name]} if argument == "columns" else {}
        return [Entry(type, {**about, **_bounds(kwargs)}, differs=differs)]

    return convert


def _one(type: str, *words: tuple[str, str]) -> Callable[[Arguments], list[Entry]]:
    """An entry whose arguments are those of the expectation by other names: (ours, theirs)."""
    return lambda kwargs: [Entry(type, {ours: kwargs[theirs] for ours, theirs in words})]


def _found(kwargs: Arguments, pattern: str) -> dict[str, Any]:
    return {"contains_match": {"column": kwargs["column"], "pattern": pattern}}


def _patterns(kwargs: Arguments) -> list[Entry]:
    match_on = kwargs.get("match_on", "any")
    return [Entry("all" if match_on == "all" else "any", [_found(kwargs, one) for one in kwargs["regex_list"]])]


def _type(names: Any) -> Callable[[Arguments], list[Entry]]:
    def convert(kwargs: Arguments) -> list[Entry]:
        asked = kwargs[names] if isinstance(kwargs[names], list) else [kwargs[names]]
        known = {_SPARK_TYPES[name] for name in asked if name in _SPARK_TYPES}
        if len(known) != 1 or len(asked) != 1:
            raise Lost(f"only one type of Spark can be demanded, got {', '.join(map(str, asked))}")
        return [Entry("type", {"column": kwargs["column"], "is": known.pop()})]

    return convert


def _compare(kwargs: Arguments) -> list[Entry]:
    word = "at_least" if kwargs.get("or_equal") else "above"
    return [Entry("compare", {"column": kwargs["column_A"], word: kwargs["column_B"]}, differs=_ONE_NULL)]


def _ordered(kwargs: Arguments) -> list[Entry]:
    names = kwargs["column_list"]
    return [*_set({"column_set": names}), Entry("column_order", {"columns": names})]


def _set(kwargs: Arguments) -> list[Entry]:
    names = list(kwargs["column_set"])
    exact = [Entry("column_count", {"equals": len(names)})] if kwargs.get("exact_match", True) else []
    return [Entry("columns_exist", {"columns": names}), *exact]


def _quantiles(kwargs: Arguments) -> list[Entry]:
    asked = kwargs["quantile_ranges"]
    pairs = zip(asked["quantiles"], asked["value_ranges"], strict=True)
    return [
        Entry("quantile", {"column": kwargs["column"], "q": q, **_bounds({"min_value": low, "max_value": high})})
        for q, (low, high) in pairs
    ]


SAMPLE = "theirs is of a sample (division by n - 1), here it is of the whole (division by n)"
_ONE_NULL = "a row in which one of the columns is NULL passes here"
_MAP = "expect_column_values_to"
#: By name: its own arguments; whether it is about `values` (NULL left out) or all `rows`, or neither; the conversion.
EXPECTATIONS: dict[str, tuple[set[str], str, Callable[[Arguments], list[Entry]]]] = {
    f"{_MAP}_not_be_null": (set(), "rows", _one("required", ("column", "column"))),
    f"{_MAP}_be_null": (set(), "rows", lambda k: [Entry("that", f"{sql.quote(k['column'])} is null", about=f"{k['column']}.null")]),
    f"{_MAP}_be_unique": (set(), "", lambda k: [Entry("unique", {"columns": [k["column"]]})]),
    f"{_MAP}_be_between": (_RANGE, "values", _bounded("values")),
    f"{_MAP}_be_in_set": ({"value_set"}, "values", _one("in", ("column", "column"), ("values", "value_set"))),
    f"{_MAP}_not_be_in_set": ({"value_set"}, "values", _one("not_in", ("column", "column"), ("values", "value_set"))),
    f"{_MAP}_match_regex": ({"regex"}, "values", _one("contains_match", ("column", "column"), ("pattern", "regex"))),
    f"{_MAP}_not_match_regex": ({"regex"}, "values", lambda k: [Entry("not", [_found(k, k["regex"])])]),
    f"{_MAP}_match_regex_list": ({"regex_list", "match_on"}, "values", _patterns),
    f"{_MAP}_match_like_pattern": ({"like_pattern"}, "values", _one("like", ("column", "column"), ("pattern", "like_pattern"))),
    f"{_MAP}_not_match_like_pattern": (
        {"like_pattern"}, "values", _one("not_like", ("column", "column"), ("pattern", "like_pattern")),
    ),
    f"{_MAP}_be_of_type": ({"type_"}, "", _type("type_")),
    f"{_MAP}_be_in_type_list": ({"type_list"}, "", _type("type_list")),
    "expect_column_value_lengths_to_be_between": (_RANGE, "values", _bounded("length")),
    "expect_column_value_lengths_to_equal": ({"value"}, "values", _one("length", ("column", "column"), ("equals", "value"))),
    "expect_column_pair_values_a_to_be_greater_than_b": ({"column_A", "column_B", "or_equal"}, "", _compare),
    "expect_column_pair_values_to_be_equal": (
        {"column_A", "column_B"}, "",
        lambda k: [Entry("equal_columns", {"columns": [k["column_A"], k["column_B"]]}, differs=_ONE_NULL)],
    ),
    "expect_compound_columns_to_be_unique": (
        {"column_list"}, "",
        lambda k: [Entry("unique", {"columns": k["column_list"]}, differs="a key with a NULL part is no duplicate here")],
    ),
    **{
        f"expect_column_{name}_to_be_between": (_RANGE, "", _bounded(type))
        for name, type in {
            "max": "max", "min": "min", "mean": "mean", "median": "median", "sum": "sum",
            "proportion_of_non_null_values": "completeness",
        }.items()
    },
    "expect_column_stdev_to_be_between": (_RANGE, "", _bounded("stddev", differs=SAMPLE)),
    "expect_column_unique_value_count_to_be_between": (_RANGE, "", _bounded("distinct_count", "columns")),
    "expect_column_proportion_of_unique_values_to_be_between": (_RANGE, "", _bounded("distinctness", "columns")),
    "expect_column_quantile_values_to_be_between": ({"quantile_ranges"}, "", _quantiles),
    "expect_column_to_exist": (set(), "", lambda k: [Entry("columns_exist", {"columns": [k["column"]]}, about=f"{k['column']}.exists")]),
    "expect_table_row_count_to_be_between": (_RANGE, "", _bounded("row_count", "")),
    "expect_table_row_count_to_equal": ({"value"}, "", _one("row_count", ("equals", "value"))),
    "expect_table_column_count_to_be_between": (_RANGE, "", _bounded("column_count", "")),
    "expect_table_column_count_to_equal": ({"value"}, "", _one("column_count", ("equals", "value"))),
    "expect_table_columns_to_match_set": ({"column_set", "exact_match"}, "", _set),
    "expect_table_columns_to_match_ordered_list": ({"column_list"}, "", _ordered),
}  # fmt: skip
