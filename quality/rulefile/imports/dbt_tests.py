"""The generic tests of dbt, dbt_utils and dbt_expectations as entries of a rule file.

Meant is what their SQL does on Spark. A test says what rows it returns; whether those are the failing rows, so that a
threshold of failures is a tolerance, stands with each test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from quality import sql
from quality.rule_types import REGISTRY
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.rules_of_ours import Entry
from quality.rulefile.imports import dbt_other, dbt_sequences
from quality.rulefile.imports.counting import Query
from quality.rulefile.imports.dbt_other import usable
from quality.rulefile.imports.dbt_sequences import listed
from quality.rulefile.imports.expectations import EXPECTATIONS
from quality.rulefile.imports.soda_schema import TYPES

Arguments = dict[str, Any]
_UNITS = {"second", "minute", "hour", "day", "week"}
#: How a test of dbt_expectations is written, and nothing that it demands.
_UNHEARD = {"quote_values", "quote_columns", "is_raw", "quote", "quote_column"}
_NULL_IN_KEY = "a key with a NULL part is no duplicate here"
_AT_MOST_NOW = "values in the future are looked at here"


@dataclass(frozen=True)
class Test:
    """A conversion. `arguments` are all that the test takes. `counts` says what its failures are, so that some may be allowed:
    `rows`, or the number that stands as this argument of the rule; empty where they are neither. `grouped`: the conversion
    takes the columns of groups itself."""

    arguments: str
    convert: Callable[[Arguments], list[Entry]]
    counts: str = ""
    grouped: bool = False


def convert(name: str, given: Mapping[str, Any]) -> tuple[list[Entry], str]:
    """The entries that demand together what a test does, and what its failures are. Raises Lost."""
    package, _, short = name.rpartition(".")
    kwargs = {word: value for word, value in given.items() if value is not None and word not in _UNHEARD}
    groups = listed(kwargs.pop("group_by_columns", None) or kwargs.pop("group_by", None))
    if name in WHY_NOT or short in WHY_NOT:
        raise Lost(WHY_NOT.get(name) or WHY_NOT[short])
    test = TESTS.get(name) or (_expectation(short) if package == "dbt_expectations" else None)
    if test is None:
        raise Lost("it has no form yet")
    beside: Arguments = {}
    if "row_condition" in kwargs and "row_condition" not in test.arguments.split():
        beside["where"] = usable(kwargs.pop("row_condition"), "its row_condition")
    if groups and test.grouped:
        kwargs["group_by"] = groups
    unknown = sorted(
        set(kwargs) - set(test.arguments.split()) - {"column_name", *(["group_by"] if test.grouped else [])}
    )
    if unknown:
        raise Lost(f"its argument '{unknown[0]}' has no form yet")
    try:
        made = test.convert(kwargs)
    except KeyError as error:
        raise Lost(f"its argument {error} is missing") from None
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise error if isinstance(error, Lost) else Lost("its arguments are not of the form they should have") from None
    if groups and not test.grouped:
        beside["group_by"] = _groups(made, groups, test)
    return [replace(entry, beside={**entry.beside, **beside}) for entry in made], test.counts


def _groups(made: list[Entry], groups: list[str], test: Test) -> list[str]:
    """The columns of groups that a rule is judged in. Raises Lost."""
    for entry in made:
        if isinstance(entry.body, dict) and isinstance(entry.body.get("query"), Query):
            raise Lost("a query of its own has no groups")
        why = REGISTRY[entry.type].ungrouped
        if why:
            raise Lost(f"it is not judged in groups here: {why}")
    if test.counts == "rows":
        raise Lost("groups go with a number, and this test is about rows")
    return groups


def _range(kwargs: Arguments) -> list[Entry]:
    name, words = kwargs["column_name"], _bounds(kwargs, strict=not kwargs.get("inclusive", True))
    if all(isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) for value in words.values()):
        return [Entry("values", {"column": name, **words})]
    return [_that(_compared(sql.quote(name), words), f"{name}.range")]


def _bounds(kwargs: Arguments, *, strict: bool) -> dict[str, Any]:
    found = {}
    if "min_value" in kwargs:
        found["above" if strict else "at_least"] = kwargs["min_value"]
    if "max_value" in kwargs:
        found["below" if strict else "at_most"] = kwargs["max_value"]
    if not found:
        raise Lost("it has no bounds")
    return found


_SIGNS = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}


def _compared(left: str, words: Mapping[str, Any]) -> str:
    """Bounds that are SQL."""
    return usable(" and ".join(f"{left} {_SIGNS[word]} {value}" for word, value in words.items()), "its bound")


def _that(test: str, about: str = "") -> Entry:
    return Entry("that", test, about=about)


def _expression(kwargs: Arguments) -> list[Entry]:
    test = usable(kwargs["expression"], "its expression")
    name = kwargs.get("column_name")
    # an older argument of dbt_utils, which filters rows
    beside = {"where": usable(kwargs["condition"], "its condition")} if "condition" in kwargs else {}
    about = f"{name}.expression" if name else "expression"
    return [Entry("that", f"{sql.quote(name)} {test}" if name else test, beside, about)]


def _expression_between(kwargs: Arguments) -> list[Entry]:
    words = _bounds(kwargs, strict=bool(kwargs.get("strictly")))
    return [_that(_compared(f"({usable(kwargs['expression'], 'its expression')})", words), "expression")]


def _not_empty(kwargs: Arguments) -> list[Entry]:
    name = kwargs["column_name"]
    if not kwargs.get("trim_whitespace", True):
        return [Entry("not_equals", {"column": name, "value": ""})]
    return [_that(f"trim({sql.quote(name)}) <> ''", f"{name}.not_empty")]


def _recent(column: str) -> Callable[[Arguments], list[Entry]]:
    def made(kwargs: Arguments) -> list[Entry]:
        unit, count = str(kwargs["datepart"]).lower(), kwargs["interval"]
        if kwargs.get("ignore_time_component"):
            raise Lost("a time is held against a time here, not its day against a day")
        if unit not in _UNITS or isinstance(count, bool) or not isinstance(count, int):
            raise Lost(f"its interval is none from seconds to weeks: {count} {unit}")
        differs = _AT_MOST_NOW if column == "column_name" else ""
        return [
            Entry(
                "freshness",
                {"column": kwargs[column], "at_most": f"{count} {unit}{'s' * (count != 1)}"},
                differs=differs,
            )
        ]

    return made


def _proportion(kwargs: Arguments) -> list[Entry]:
    most = {"at_most": kwargs["at_most"]} if kwargs.get("at_most", 1) != 1 else {}
    return [Entry("completeness", {"column": kwargs["column_name"], "at_least": kwargs["at_least"], **most})]


def _combination(kwargs: Arguments) -> list[Entry]:
    names = kwargs["combination_of_columns"]
    return [Entry("unique", {"columns": names}, differs=_NULL_IN_KEY)]


def _compound(kwargs: Arguments) -> list[Entry]:
    ignored = kwargs.get("ignore_row_if", "all_values_are_missing")
    if ignored not in ("all_values_are_missing", "any_value_is_missing", "never"):
        raise Lost(f"'ignore_row_if: {ignored}' is not known")
    differs = "" if ignored == "any_value_is_missing" else _NULL_IN_KEY
    return [Entry("unique", {"columns": kwargs["column_list"]}, differs=differs)]


def _in(negated: bool, nulls: Mapping[str, Any], key: str = "values") -> Callable[[Arguments], list[Entry]]:
    type = "not_in" if negated else "in"
    return lambda kwargs: [Entry(type, {"column": kwargs["column_name"], "values": list(kwargs[key])}, nulls)]


def _count(word: str) -> Callable[[Arguments], list[Entry]]:
    return lambda kwargs: [Entry("distinct_count", {"columns": [kwargs["column_name"]], word: kwargs["value"]})]


def _quantile(kwargs: Arguments) -> list[Entry]:
    words = _bounds(kwargs, strict=bool(kwargs.get("strictly")))
    return [Entry("quantile", {"column": kwargs["column_name"], "q": kwargs["quantile"], **words, "exact": True})]


def _no_match(kwargs: Arguments) -> list[Entry]:
    """`any`: one of the patterns does not match; `all`: none of them does."""
    key, type, word = ("regex_list", "contains_match", "pattern")
    if "like_pattern_list" in kwargs:
        key, type = "like_pattern_list", "like"
    parts = [{type: {"column": kwargs["column_name"], word: one}} for one in flagged(kwargs, kwargs[key])]
    if kwargs.get("match_on", "any") == "all":
        return [Entry("not", parts, about=f"{kwargs['column_name']}.not")]
    return [Entry("any", [{"not": [part]} for part in parts], about=f"{kwargs['column_name']}.any")]


def _likes(kwargs: Arguments) -> list[Entry]:
    parts = [{"like": {"column": kwargs["column_name"], "pattern": one}} for one in kwargs["like_pattern_list"]]
    word = "all" if kwargs.get("match_on", "any") == "all" else "any"
    return [Entry(word, parts, about=f"{kwargs['column_name']}.like")]


def flagged(kwargs: Mapping[str, Any], patterns: list[str]) -> list[str]:
    """Regular expressions with the flags that stand beside them. Raises Lost."""
    flags = kwargs.get("flags", "")
    if set(flags) - set("ims"):
        raise Lost(f"the flags '{flags}' of a regular expression have no form")
    return [f"(?{flags}){pattern}" if flags else pattern for pattern in patterns]


def _columns(type: str) -> Callable[[Arguments], list[Entry]]:
    return lambda kwargs: [Entry(type, {"columns": kwargs["column_list"]})]


def _expectation(short: str) -> Test | None:
    """A test that has the name and the meaning of an expectation of Great Expectations."""
    known = short.replace("_A_", "_a_").replace("_B", "_b")
    if known not in EXPECTATIONS:
        return None
    words, about_rows, made = EXPECTATIONS[known]
    renamed = {"column_list": "column_set", "column_type": "type_", "column_type_list": "type_list"}

    def made_of_ours(given: Arguments) -> list[Entry]:
        theirs = {("column" if word == "column_name" else word): value for word, value in given.items()}
        for word, other in renamed.items():
            if word in theirs and other in words:
                theirs[other] = theirs.pop(word)
        if "pair" in known:
            # their SQL takes a NULL for no failure
            theirs["ignore_row_if"] = "either_value_is_missing"
        if given.get("strictly"):
            theirs |= {"strict_min": True, "strict_max": True}
        if "regex" in theirs:
            (theirs["regex"],) = flagged(given, [theirs["regex"]])
        if "regex_list" in theirs:
            theirs["regex_list"] = flagged(given, theirs["regex_list"])
        if given.get("transform", "upper") not in ("upper", "lower"):
            raise Lost("names of columns compare without case here")
        return made(theirs)

    allowed = {*words, *(word for word, other in renamed.items() if other in words), "strictly", "flags", "transform"}
    return Test(" ".join(allowed), made_of_ours, "rows" if about_rows or "pair" in known else "")


def _type(key: str) -> Callable[[Arguments], list[Entry]]:
    def made(kwargs: Arguments) -> list[Entry]:
        asked = kwargs[key] if isinstance(kwargs[key], list) else [kwargs[key]]
        if len(asked) != 1:
            raise Lost("only one type can be demanded")
        known = str(asked[0]).lower()
        return [Entry("type", {"column": kwargs["column_name"], "is": TYPES.get(known, known)})]

    return made


def _pairs_in_set(kwargs: Arguments) -> list[Entry]:
    """Pairs of values, each as SQL."""
    pairs = [
        " and ".join(
            f"{sql.quote(kwargs[name])} = {value}" for name, value in zip(("column_A", "column_B"), pair, strict=True)
        )
        for pair in kwargs["value_pairs_set"]
    ]
    test = usable(" or ".join(f"({pair})" for pair in pairs), "its value_pairs_set")
    return [_that(test, f"{kwargs['column_A']}.pairs")]


def _most_common(kwargs: Arguments) -> list[Entry]:
    if kwargs["top_n"] != 1:
        raise Lost("only the most common value can be asked for, not the second or a later one")
    body = {"column": kwargs["column_name"], "in": list(kwargs["value_set"])}
    return [Entry("most_common_value", body, differs=_MOST_COMMON)]


def _distinct_values(word: str) -> Callable[[Arguments], list[Entry]]:
    return lambda kwargs: [Entry("distinct_values", {"column": kwargs["column_name"], word: list(kwargs["value_set"])})]


_MOST_COMMON = "NULL is no value here, and where several are as common each must be one of the set"
_COMPARED_ROWS = "compare_model row_condition compare_row_condition"
_EXPECT = "dbt_expectations.expect"
_FAIL = {"nulls": "fail"}
TESTS: dict[str, Test] = {
    "unique": Test("", lambda k: [Entry("unique", {"columns": [k["column_name"]]})]),
    "not_null": Test("", lambda k: [Entry("required", {"column": k["column_name"]})], counts="rows"),
    "accepted_values": Test("values", _in(False, {})),
    "dbt_utils.equal_rowcount": Test("compare_model", dbt_other.row_count({})),
    "dbt_utils.fewer_rows_than": Test("compare_model", dbt_other.row_count({"below": 1})),
    "relationships": Test("to field", dbt_other.relationship, counts="rows"),
    "dbt_utils.relationships_where": Test("to field from_condition to_condition", dbt_other.relationship, counts="rows"),
    f"{_EXPECT}_table_row_count_to_equal_other_table": Test(f"factor {_COMPARED_ROWS}", dbt_other.row_count({})),
    f"{_EXPECT}_table_row_count_to_equal_other_table_times_factor": Test(f"factor {_COMPARED_ROWS}", dbt_other.row_count({})),
    f"{_EXPECT}_table_aggregation_to_equal_other_table": Test(
        f"expression compare_expression tolerance tolerance_percent {_COMPARED_ROWS}", dbt_other.aggregate,
    ),
    "dbt_utils.sequential_values": Test("interval datepart", dbt_sequences.sequential, counts="at_most", grouped=True),
    "dbt_utils.mutually_exclusive_ranges": Test(
        "lower_bound_column upper_bound_column partition_by gaps zero_length_range_allowed", dbt_sequences.exclusive_ranges,
        counts="at_most",
    ),
    f"{_EXPECT}_column_values_to_be_increasing": Test(
        "sort_column strictly step", dbt_sequences.in_order("increasing"), counts="violations", grouped=True,
    ),
    f"{_EXPECT}_column_values_to_be_decreasing": Test(
        "sort_column strictly step", dbt_sequences.in_order("decreasing"), counts="violations", grouped=True,
    ),
    f"{_EXPECT}_row_values_to_have_data_for_every_n_datepart": Test(
        "date_col date_part interval test_start_date test_end_date", dbt_sequences.covered, counts="missing",
    ),
    f"{_EXPECT}_column_values_to_be_within_n_stdevs": Test(
        "sigma_threshold", dbt_sequences.within_deviations, grouped=True,
    ),
    f"{_EXPECT}_column_values_to_have_consistent_casing": Test("display_inconsistent_columns", dbt_sequences.one_casing),
    f"{_EXPECT}_multicolumn_sum_to_equal": Test("column_list sum_total", dbt_sequences.sum_of_columns, grouped=True),
    f"{_EXPECT}_select_column_values_to_be_unique_within_record": Test(
        "column_list ignore_row_if", dbt_sequences.unique_within_row, counts="rows",
    ),
    f"{_EXPECT}_column_pair_values_to_be_in_set": Test("column_A column_B value_pairs_set", _pairs_in_set, counts="rows"),
    f"{_EXPECT}_column_most_common_value_to_be_in_set": Test("value_set top_n data_type", _most_common),
    f"{_EXPECT}_column_distinct_values_to_contain_set": Test("value_set", _distinct_values("contains")),
    f"{_EXPECT}_column_distinct_values_to_equal_set": Test("value_set", _distinct_values("equals")),
    f"{_EXPECT}_grouped_row_values_to_have_recent_data": Test("timestamp_column datepart interval", _recent("timestamp_column")),
    "dbt_utils.accepted_range": Test("min_value max_value inclusive", _range, counts="rows"),
    "dbt_utils.at_least_one": Test("", lambda k: [Entry("completeness", {"column": k["column_name"], "above": 0})]),
    "dbt_utils.not_constant": Test("", lambda k: [Entry("distinct_count", {"columns": [k["column_name"]], "not_equals": 1})]),
    "dbt_utils.not_empty_string": Test("trim_whitespace", _not_empty, counts="rows"),
    "dbt_utils.not_accepted_values": Test("values", _in(True, {})),
    "dbt_utils.not_null_proportion": Test("at_least at_most", _proportion),
    "dbt_utils.unique_combination_of_columns": Test("combination_of_columns", _combination),
    "dbt_utils.expression_is_true": Test("expression condition", _expression, counts="rows"),
    "dbt_utils.recency": Test("field datepart interval ignore_time_component", _recent("field")),
    "dbt_expectations.expression_is_true": Test("expression", _expression, counts="rows"),
    "dbt_expectations.expression_between": Test("expression min_value max_value strictly", _expression_between, counts="rows"),
    f"{_EXPECT}_column_values_to_be_in_set": Test("value_set", _in(False, _FAIL, "value_set"), counts="rows"),
    f"{_EXPECT}_column_distinct_values_to_be_in_set": Test("value_set", _in(False, _FAIL, "value_set")),
    f"{_EXPECT}_column_values_to_be_of_type": Test("column_type", _type("column_type")),
    f"{_EXPECT}_column_values_to_be_in_type_list": Test("column_type_list", _type("column_type_list")),
    f"{_EXPECT}_column_distinct_count_to_equal": Test("value", _count("equals")),
    f"{_EXPECT}_column_distinct_count_to_be_greater_than": Test("value", _count("above")),
    f"{_EXPECT}_column_distinct_count_to_be_less_than": Test("value", _count("below")),
    f"{_EXPECT}_column_quantile_values_to_be_between": Test("quantile min_value max_value strictly", _quantile),
    f"{_EXPECT}_row_values_to_have_recent_data": Test("datepart interval", _recent("column_name")),
    f"{_EXPECT}_compound_columns_to_be_unique": Test("column_list ignore_row_if", _compound),
    f"{_EXPECT}_column_values_to_not_match_regex_list": Test("regex_list match_on flags", _no_match, counts="rows"),
    f"{_EXPECT}_column_values_to_match_like_pattern_list": Test("like_pattern_list match_on", _likes, counts="rows"),
    f"{_EXPECT}_column_values_to_not_match_like_pattern_list": Test("like_pattern_list match_on", _no_match, counts="rows"),
    f"{_EXPECT}_table_columns_to_contain_set": Test("column_list transform", _columns("columns_exist")),
    f"{_EXPECT}_table_columns_to_not_contain_set": Test("column_list transform", _columns("columns_absent")),
}  # fmt: skip
#: Why a test has no form.
WHY_NOT = {
    "dbt_utils.equality": "rows are paired by a key here (dataset_match), and the test names none",
    "dbt_utils.cardinality_equality": "how often each value occurs is not held against another data set",
    f"{_EXPECT}_column_distinct_count_to_equal_other_table": "distinct values of another data set are not counted",
    f"{_EXPECT}_table_column_count_to_equal_other_table": "columns are held against another data set's by their names (schema_match)",
    f"{_EXPECT}_column_values_to_be_within_n_moving_stdevs": "a deviation within a moving window has no rule type",
}  # fmt: skip
