"""Expectation suites of Great Expectations (JSON of 0.x and 1.x) as rule files.

Meant is what the expectations do on Spark: a pattern is searched for, not matched from the start; NULL is left out of what
is said about values, also of the share that `mostly` asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import PurePath
from typing import Any

from quality import sql
from quality.errors import Problem, RuleFileError
from quality.rulefile.dqdl.entries import Entry
from quality.rulefile.dqdl.losses import Converted, Lost
from quality.rulefile.dqdl.rules_of_ours import slug
from quality.rulefile.imports import expectations_several as several
from quality.rulefile.imports.counting import filtered
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


def to_yaml(
    tree: Node,
    file: str,
    *,
    dataset: str = "",
    input_path: str = "",
    root: str = "",
    references: Mapping[str, str] | None = None,
) -> Converted:
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
    return writing.whole(input_path, root, references)


def entries(type: str, given: Arguments) -> list[Entry]:
    """The entries that demand together what an expectation does. Raises Lost."""
    if type not in EXPECTATIONS:
        raise Lost(WHY_NOT.get(type, "it has no form yet"))
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
        # a query has its share in it
        beside |= {"tolerance": 1 - share, **({"nulls": "skip"} if about_rows == "values" else {})}
    try:
        made = convert(kwargs)
    except KeyError as error:
        raise Lost(f"its argument {error} is missing") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise error if isinstance(error, Lost) else Lost("its arguments are not of the form they should have") from None
    return [_beside(one, beside) for one in made]


def _beside(entry: Entry, beside: Mapping[str, Any]) -> Entry:
    own, outer = entry.beside.get("where"), beside.get("where")
    both = {"where": f"({outer}) and ({own})"} if own and outer else {}
    more = {**entry.beside, **beside, **both}
    if entry.type == "sql":
        # the share that must comply is a bound of the query
        more = {word: value for word, value in more.items() if word not in ("tolerance", "nulls")}
    return filtered(replace(entry, beside=more))


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


def _type(names: Any) -> Callable[[Arguments], list[Entry]]:
    def convert(kwargs: Arguments) -> list[Entry]:
        asked = kwargs[names] if isinstance(kwargs[names], list) else [kwargs[names]]
        known = {_SPARK_TYPES[name] for name in asked if name in _SPARK_TYPES}
        if len(known) != 1 or len(asked) != 1:
            raise Lost(f"only one type of Spark can be demanded, got {', '.join(map(str, asked))}")
        return [Entry("type", {"column": kwargs["column"], "is": known.pop()})]

    return convert


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
_PAIR = {"column_A", "column_B"}
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
    f"{_MAP}_not_match_regex": (
        {"regex"}, "values", lambda k: [Entry("not", [{"contains_match": {"column": k["column"], "pattern": k["regex"]}}])],
    ),
    f"{_MAP}_match_regex_list": ({"regex_list", "match_on"}, "values", several.patterns("contains_match", "regex_list")),
    f"{_MAP}_not_match_regex_list": ({"regex_list"}, "values", several.patterns("contains_match", "regex_list", negated=True)),
    f"{_MAP}_match_like_pattern_list": ({"like_pattern_list", "match_on"}, "values", several.patterns("like", "like_pattern_list")),
    f"{_MAP}_not_match_like_pattern_list": (
        {"like_pattern_list"}, "values", several.patterns("like", "like_pattern_list", negated=True),
    ),
    f"{_MAP}_be_json_parseable": (set(), "values", several.as_json),
    f"{_MAP}_match_strftime_format": ({"strftime_format"}, "values", several.strftime),
    "expect_column_value_z_scores_to_be_less_than": ({"threshold", "double_sided"}, "values", several.z_scores),
    f"{_MAP}_match_like_pattern": ({"like_pattern"}, "values", _one("like", ("column", "column"), ("pattern", "like_pattern"))),
    f"{_MAP}_not_match_like_pattern": (
        {"like_pattern"}, "values", _one("not_like", ("column", "column"), ("pattern", "like_pattern")),
    ),
    f"{_MAP}_be_of_type": ({"type_"}, "", _type("type_")),
    f"{_MAP}_be_in_type_list": ({"type_list"}, "", _type("type_list")),
    "expect_column_value_lengths_to_be_between": (_RANGE, "values", _bounded("length")),
    "expect_column_value_lengths_to_equal": ({"value"}, "values", _one("length", ("column", "column"), ("equals", "value"))),
    "expect_column_pair_values_a_to_be_greater_than_b": (_PAIR | {"or_equal"}, "", several.pair(several.compare)),
    "expect_column_pair_values_to_be_equal": (_PAIR, "", several.pair(several.equal)),
    "expect_column_pair_values_to_be_in_set": (_PAIR | {"value_pairs_set"}, "", several.pair(several.in_set)),
    "expect_compound_columns_to_be_unique": ({"column_list"}, "", several.compound),
    "expect_select_column_values_to_be_unique_within_record": ({"column_list"}, "rows", several.unlike),
    "expect_multicolumn_sum_to_equal": ({"column_list", "sum_total"}, "rows", several.sum_of_row),
    "expect_column_most_common_value_to_be_in_set": ({"value_set", "ties_okay"}, "", several.most_common),
    "expect_column_distinct_values_to_be_in_set": ({"value_set"}, "", several.distinct_values("in")),
    "expect_column_distinct_values_to_contain_set": ({"value_set"}, "", several.distinct_values("contains")),
    "expect_column_distinct_values_to_equal_set": ({"value_set"}, "", several.distinct_values("equals")),
    "expect_column_kl_divergence_to_be_less_than": (
        {"partition_object", "threshold", "tail_weight_holdout", "internal_weight_holdout"}, "", several.divergence,
    ),
    "unexpected_rows_expectation": ({"unexpected_rows_query"}, "", several.unexpected_rows),
    "expect_table_row_count_to_equal_other_table": ({"other_table_name"}, "", several.as_other),
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
_NO_ORDER = "rows of a batch have no order but by columns: write 'monotonic' with 'order_by'"
#: Why an expectation has no form.
WHY_NOT = {
    f"{_MAP}_be_increasing": _NO_ORDER,
    f"{_MAP}_be_decreasing": _NO_ORDER,
    f"{_MAP}_be_dateutil_parseable": "what dateutil can read has no pattern: write 'date_format' or 'castable'",
    f"{_MAP}_match_json_schema": "values are not held against a JSON Schema",
    "expect_column_pair_cramers_phi_value_to_be_less_than": "Cramer's phi has no rule type; 'mutual_information' measures as much",
    "expect_column_chisquare_test_p_value_to_be_greater_than": "p-values have no rule type; 'drift' compares with earlier batches",
    "expect_column_bootstrapped_ks_test_p_value_to_be_greater_than": "p-values have no rule type; 'drift' compares with earlier batches",
    "expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than":
        "p-values have no rule type; 'drift' compares with earlier batches",
}  # fmt: skip
