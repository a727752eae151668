"""Rules that come from other systems mean here what those systems document: converted, and judged in one run, against plain
Python over the same rows. Every form is tried with rows that comply and with rows that do not."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import quality
from quality.rulefile.dqdl.convert import convert_file

DAY = datetime(2024, 1, 1)
ROWS: list[dict[str, Any]] = [
    {
        "id": n,
        "g": "x" if n < 6 else "y",
        "v": [1, 2, 3, 5, 5, 6, 2, 3, 4, 5, 6, 90][n],
        "w": [1, 2, 4, 5, 6, 7, 1, 3, 5, 7, 9, None][n],
        "c": ["a", "a", "A", "b", "b", "b", None, "a", "a", "b", "a", "c"][n],
        "d": ["k", "K", "l", "l", "m", "k", "m", "m", "m", "m", "m", "m"][n].lower(),
        "j": ['{"a": 1}', "[]", "1", '"x"', "null", "{}", None, "2", "3", "4", "5", "6"][n],
        "s": ["01.02.2024"] * 11 + ["2024-02-01"],
        "low": 10 * n,
        "high": 10 * n + (10 if n != 4 else 12),
        "day": DAY + timedelta(days=n + (n > 8)),
        "one": 12 - n,
        "tags": [["p", "q"], ["p"], [], None][n % 4],
    }
    for n in range(12)
]
for _n, _row in enumerate(ROWS):
    _row["s"] = _row["s"][_n]
OTHER = [{"id": n, "v": n + 1, "live": n < 10} for n in range(24)]


def column(name, rows=None):
    return [row[name] for row in (ROWS if rows is None else rows)]


def known(name, rows=None):
    return [value for value in column(name, rows) if value is not None]


def groups(name):
    return [[row for row in ROWS if row[name] == key] for key in dict.fromkeys(column(name))]


def pairs_of(name, rows=None, by=None):
    found = column(name, sorted(ROWS if rows is None else rows, key=lambda row: row[by or name]))
    return [(a, b) for a, b in pairwise(found) if None not in (a, b)]


def rising(name, by, strict=True, of=""):
    """How many values are not above the one before them."""
    parts = groups(of) if of else [ROWS]
    return sum(not (a < b or (a == b and not strict)) for part in parts for a, b in pairs_of(name, part, by))


def z_scores(values):
    mean, far = statistics.fmean(values), statistics.stdev(values)
    return [(value - mean) / far for value in values]


def overlaps(sign):
    """How many ranges do not end before the next begins."""
    ends = {"<=": lambda a, b: a <= b, "=": lambda a, b: a == b, "<": lambda a, b: a < b}[sign]
    return sum(not ends(a["high"], b["low"]) for a, b in pairwise(ROWS))


def divergence(name, expected):
    values = known(name)
    if set(values) - set(expected):
        return math.inf
    shares = {value: count / len(values) for value, count in Counter(values).items()}
    return sum(share * math.log(share / expected[value]) for value, share in shares.items())


def mode(name):
    counts = Counter(known(name))
    return {value for value, count in counts.items() if count == max(counts.values())}


U, E = "dbt_utils", "dbt_expectations.expect"
#: Tests of a model, with whether they hold.
DBT: dict[str, bool] = {
    f"{E}_column_values_to_be_increasing: {{column_name: v, sort_column: id}}": rising("v", "id") == 0,
    f"{E}_column_values_to_be_increasing: {{column_name: v, sort_column: id, group_by: [g]}}": rising("v", "id", of="g") == 0,
    f"{E}_column_values_to_be_increasing: {{column_name: v, sort_column: id, group_by: [g], strictly: false}}": rising("v", "id", False, "g") == 0,
    f"{E}_column_values_to_be_increasing: {{column_name: v, sort_column: id, config: {{error_if: '>2', warn_if: '>2'}}}}": rising("v", "id") <= 2,
    f"{E}_column_values_to_be_increasing: {{column_name: low, step: 10}}": all(b - a == 10 for a, b in pairs_of("low")),
    f"{E}_column_values_to_be_increasing: {{column_name: high, step: 10}}": all(b - a == 10 for a, b in pairs_of("high")),
    f"{E}_column_values_to_be_decreasing: {{column_name: one, sort_column: id}}": True,
    f"{E}_column_values_to_be_decreasing: {{column_name: v, sort_column: id}}": False,
    f"{U}.sequential_values: {{column_name: low, interval: 10}}": all(b == a + 10 for a, b in pairs_of("low")),
    f"{U}.sequential_values: {{column_name: v, group_by_columns: [g]}}": all(b == a + 1 for part in groups("g") for a, b in pairs_of("v", part)),
    f"{U}.sequential_values: {{column_name: day, interval: 1, datepart: day}}": all(b - a == timedelta(days=1) for a, b in pairs_of("day")),
    f"{U}.sequential_values: {{column_name: day, datepart: day, config: {{where: id < 9}}}}": True,
    f"{U}.mutually_exclusive_ranges: {{lower_bound_column: low, upper_bound_column: high}}": overlaps("<=") == 0,
    f"{U}.mutually_exclusive_ranges: {{lower_bound_column: low, upper_bound_column: high, config: {{error_if: '>1', warn_if: '>1'}}}}": overlaps("<=") <= 1,
    f"{U}.mutually_exclusive_ranges: {{lower_bound_column: low, upper_bound_column: high, gaps: not_allowed, config: {{where: id > 4}}}}": True,
    f"{U}.mutually_exclusive_ranges: {{lower_bound_column: low, upper_bound_column: high, gaps: required, config: {{error_if: '>10', warn_if: '>10'}}}}": overlaps("<") <= 10,
    f"{E}_row_values_to_have_data_for_every_n_datepart: {{date_col: day}}": False,
    f"{E}_row_values_to_have_data_for_every_n_datepart: {{date_col: day, config: {{error_if: '>1', warn_if: '>1'}}}}": True,
    f"{E}_row_values_to_have_data_for_every_n_datepart: {{date_col: day, test_end_date: '2024-01-10'}}": True,
    f"{E}_row_values_to_have_data_for_every_n_datepart: {{date_col: day, date_part: month, test_start_date: '2023-12-01'}}": False,
    f"{E}_column_values_to_be_within_n_stdevs: {{column_name: v, sigma_threshold: 2}}": max(map(abs, z_scores(column("v")))) <= 2,
    f"{E}_column_values_to_be_within_n_stdevs: {{column_name: v, sigma_threshold: 4}}": max(map(abs, z_scores(column("v")))) <= 4,
    f"{E}_column_values_to_be_within_n_stdevs: {{column_name: v, group_by: [d], sigma_threshold: 1}}":
        max(map(abs, z_scores([sum(column("v", part)) for part in groups("d")]))) <= 1,
    f"{E}_column_values_to_be_within_n_stdevs: {{column_name: v, group_by: [d], sigma_threshold: 1.2}}":
        max(map(abs, z_scores([sum(column("v", part)) for part in groups("d")]))) <= 1.2,
    f"{E}_column_values_to_have_consistent_casing: {{column_name: c}}": len({v.lower() for v in known("c")}) == len(set(known("c"))),
    f"{E}_column_values_to_have_consistent_casing: {{column_name: d}}": True,
    f"{E}_multicolumn_sum_to_equal: {{column_list: [low, id], sum_total: {sum(column('low')) + 66}}}": True,
    f"{E}_multicolumn_sum_to_equal: {{column_list: [low, id], sum_total: high}}": sum(column("low")) + 66 == sum(column("high")),
    f"{E}_multicolumn_sum_to_equal: {{column_list: [id], sum_total: one, group_by: [g]}}": all(sum(column("id", p)) == sum(column("one", p)) for p in groups("g")),
    f"{E}_select_column_values_to_be_unique_within_record: {{column_list: [id, one]}}": all(r["id"] != r["one"] for r in ROWS),
    f"{E}_select_column_values_to_be_unique_within_record: {{column_list: [low, high]}}": True,
    f"{E}_column_pair_values_to_be_in_set: {{column_A: g, column_B: d, value_pairs_set: [['''x''', '''k'''], ['''y''', '''m''']]}}": False,
    f"{E}_column_pair_values_to_be_in_set: {{column_A: g, column_B: c, value_pairs_set: [['''y''', '''a'''], ['''y''', '''b'''], ['''y''', '''c''']], row_condition: id > 5}}": True,
    f"{E}_column_most_common_value_to_be_in_set: {{column_name: c, value_set: [a, z], top_n: 1}}": mode("c") <= {"a", "z"},
    f"{E}_column_most_common_value_to_be_in_set: {{column_name: d, value_set: [k], top_n: 1}}": mode("d") <= {"k"},
    f"{E}_column_distinct_values_to_contain_set: {{column_name: c, value_set: [a, b]}}": set(known("c")) >= {"a", "b"},
    f"{E}_column_distinct_values_to_equal_set: {{column_name: c, value_set: [a, b]}}": set(known("c")) == {"a", "b"},
    f"{E}_column_distinct_values_to_contain_set: {{column_name: c, value_set: [a, z]}}": set(known("c")) >= {"a", "z"},
    f"{E}_column_distinct_values_to_equal_set: {{column_name: d, value_set: [k, l, m]}}": set(known("d")) == {"k", "l", "m"},
    f"{E}_column_mean_to_be_between: {{column_name: v, max_value: 4, group_by: [g]}}": all(statistics.fmean(column("v", p)) <= 4 for p in groups("g")),
    f"{E}_column_mean_to_be_between: {{column_name: v, max_value: 19, group_by: [g]}}": all(statistics.fmean(column("v", p)) <= 19 for p in groups("g")),
    f"{U}.not_constant: {{column_name: g, group_by_columns: [g]}}": False,
    f"{U}.not_constant: {{column_name: d, group_by_columns: [g]}}": all(len(set(column("d", p))) != 1 for p in groups("g")),
    f"{U}.not_constant: {{column_name: v, group_by_columns: [g]}}": all(len(set(column("v", p))) != 1 for p in groups("g")),
    f"{E}_table_row_count_to_equal_other_table_times_factor: {{compare_model: other, factor: 2}}": len(ROWS) == len(OTHER) * 2,
    f"{E}_table_row_count_to_equal_other_table_times_factor: {{compare_model: other, factor: 0.5}}": len(ROWS) == len(OTHER) * 0.5,
    f"{E}_table_row_count_to_equal_other_table: {{compare_model: other}}": len(ROWS) == len(OTHER),
    f"{E}_table_row_count_to_equal_other_table: {{compare_model: other, compare_row_condition: id < 12}}": True,
    f"{E}_table_aggregation_to_equal_other_table: {{expression: sum(v), compare_model: other}}": sum(column("v")) == sum(column("v", OTHER)),
    f"{E}_table_aggregation_to_equal_other_table: {{expression: max(id), compare_model: other, row_condition: id < 9}}": True,
    f"{E}_table_aggregation_to_equal_other_table: {{expression: avg(v), compare_expression: avg(id), compare_model: other, tolerance_percent: 0.06}}":
        abs(statistics.fmean(column("v")) - statistics.fmean(column("id", OTHER))) / statistics.fmean(column("v")) <= 0.06,
    f"{U}.relationships_where: {{column_name: id, to: other, field: id, to_condition: live}}": {*column("id")} <= {r["id"] for r in OTHER if r["live"]},
    f"{U}.relationships_where: {{column_name: id, to: other, field: id, from_condition: id < 10, to_condition: live}}": True,
}  # fmt: skip

M = "expect_column_values_to"
PARTITION: dict[str, Any] = {"values": ["k", "l", "m"], "weights": [0.25, 0.25, 0.5]}
EXPECTED = dict(zip(PARTITION["values"], PARTITION["weights"], strict=True))
#: Expectations with whether they hold.
GX: list[tuple[str, dict[str, Any], bool]] = [
    ("expect_column_value_z_scores_to_be_less_than", {"column": "v", "threshold": 2, "double_sided": True}, max(map(abs, z_scores(column("v")))) < 2),
    ("expect_column_value_z_scores_to_be_less_than", {"column": "v", "threshold": 2, "double_sided": True, "mostly": 0.9}, sum(abs(z) < 2 for z in z_scores(column("v"))) / 12 >= 0.9),
    ("expect_column_value_z_scores_to_be_less_than", {"column": "w", "threshold": 1.5, "double_sided": False}, max(z_scores(known("w"))) < 1.5),
    ("expect_column_value_z_scores_to_be_less_than", {"column": "w", "threshold": 1.7, "double_sided": False}, max(z_scores(known("w"))) < 1.7),
    ("expect_column_value_z_scores_to_be_less_than", {"column": "w", "threshold": 1.5, "double_sided": False, "mostly": 0.9}, sum(z < 1.5 for z in z_scores(known("w"))) / 11 >= 0.9),
    ("expect_column_pair_values_to_be_in_set", {"column_A": "g", "column_B": "d", "value_pairs_set": [["x", "k"], ["x", "l"], ["x", "m"], ["y", "m"]]}, True),
    ("expect_column_pair_values_to_be_in_set", {"column_A": "g", "column_B": "d", "value_pairs_set": [["x", "k"], ["y", "m"]]}, False),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "high", "column_B": "low", "ignore_row_if": "either_value_is_missing"}, True),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "v", "column_B": "w", "or_equal": True}, all(r["w"] is None or r["v"] >= r["w"] for r in ROWS)),
    ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["v", "w"]}, all(r["v"] != r["w"] for r in ROWS)),
    ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["v", "w"], "mostly": 0.5}, sum(r["v"] != r["w"] for r in ROWS) / 12 >= 0.5),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["id", "one"], "sum_total": 12}, all(r["id"] + r["one"] == 12 for r in ROWS)),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["id", "low"], "sum_total": 11}, False),
    ("expect_column_most_common_value_to_be_in_set", {"column": "c", "value_set": ["a"]}, mode("c") <= {"a"}),
    ("expect_column_most_common_value_to_be_in_set", {"column": "v", "value_set": [2]}, mode("v") <= {2}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "c", "value_set": ["a", "A", "b", "c", "d"]}, True),
    ("expect_column_distinct_values_to_be_in_set", {"column": "c", "value_set": ["a", "b"]}, set(known("c")) <= {"a", "b"}),
    ("expect_column_distinct_values_to_contain_set", {"column": "c", "value_set": ["a", "z"]}, set(known("c")) >= {"a", "z"}),
    ("expect_column_distinct_values_to_equal_set", {"column": "d", "value_set": ["k", "l", "m"]}, True),
    ("expect_column_kl_divergence_to_be_less_than", {"column": "d", "partition_object": PARTITION, "threshold": 0.05}, divergence("d", EXPECTED) <= 0.05),
    ("expect_column_kl_divergence_to_be_less_than", {"column": "d", "partition_object": PARTITION, "threshold": 0.03}, divergence("d", EXPECTED) <= 0.03),
    ("expect_column_kl_divergence_to_be_less_than", {"column": "c", "partition_object": PARTITION, "threshold": 99}, False),
    ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT * FROM {batch} WHERE v > 80"}, not any(r["v"] > 80 for r in ROWS)),
    ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT * FROM {batch} WHERE v > 90"}, not any(r["v"] > 90 for r in ROWS)),
    ("expect_table_row_count_to_equal_other_table", {"other_table_name": "other"}, False),
    ("expect_table_row_count_to_equal_other_table", {"other_table_name": "same"}, True),
    (f"{M}_be_json_parseable", {"column": "j"}, True),
    (f"{M}_be_json_parseable", {"column": "c"}, False),
    (f"{M}_match_strftime_format", {"column": "s", "strftime_format": "%d.%m.%Y"}, False),
    (f"{M}_match_strftime_format", {"column": "s", "strftime_format": "%d.%m.%Y", "mostly": 0.9}, True),
    (f"{M}_match_like_pattern_list", {"column": "s", "like_pattern_list": ["01.%", "%-01"]}, True),
    (f"{M}_match_like_pattern_list", {"column": "s", "like_pattern_list": ["01.%", "%2024"], "match_on": "all"}, False),
    (f"{M}_not_match_like_pattern_list", {"column": "s", "like_pattern_list": ["x%", "2024%"]}, False),
    (f"{M}_not_match_like_pattern_list", {"column": "s", "like_pattern_list": ["x%", "%4x"]}, True),
    (f"{M}_not_match_regex_list", {"column": "s", "regex_list": ["x", "y"]}, True),
    ("expect_column_distinct_values_to_equal_set", {"column": "d", "value_set": ["k", "l"]}, False),
    ("expect_column_distinct_values_to_contain_set", {"column": "d", "value_set": ["k", "l"]}, True),
    (f"{M}_not_match_regex_list", {"column": "s", "regex_list": ["x", "^2024"]}, False),
]  # fmt: skip


def percent(part, whole=12):
    return round(100 * part / whole, 2)


def doubled(*names):
    """How many keys occur more than once."""
    keys = [tuple(row[name] for name in names) for row in ROWS]
    return sum(count > 1 and None not in key for key, count in Counter(keys).items())


MEAN = statistics.fmean(column("v"))
LENGTHS = statistics.fmean(len(value) for value in known("c"))
BY_G = "SELECT g, COUNT(*) as n, AVG(v) as mean, count(distinct d) kinds FROM t WHERE id > 1 GROUP BY g"
SOME = [[row for row in part if row["id"] > 1] for part in groups("g")]
#: Checks of Soda with whether they hold.
SODA: list[tuple[str, str, bool]] = [
    (f"duplicate_count(v) = {doubled('v')}", "", True),
    ("duplicate_count(c, d) between 1 and 2", "", 1 <= doubled("c", "d") <= 2),
    ("duplicate_count(c) = 2", "filter: id > 5", False),
    ("duplicate_percent(v) > 40", "", percent(doubled("v")) > 40),
    ("duplicate_percent(v) between 33 and 34", "", 33 <= percent(doubled("v")) <= 34),
    ("missing_percent(c) > 8.32", "", percent(1) > 8.32),
    ("missing_percent(c) > 5", "filter: id > 6", percent(0, 5) > 5),
    ("missing_percent(c) = 20", "missing values: [c], filter: id > 6", percent(1, 5) == 20),
    ("invalid_percent(c) >= 25", "valid values: [a, b]", percent(sum(v not in ("a", "b") for v in known("c"))) >= 25),
    ("valid_percent(c) < 75", "valid values: [a, b]", percent(sum(v in ("a", "b") for v in known("c"))) < 75),
    ("valid_percent(c) between 70 and 80", "valid values: [a, b]", 70 <= percent(sum(v in ("a", "b") for v in known("c"))) <= 80),
    ("avg_length(c) = 1", "", LENGTHS == 1),
    ("avg_length(c) > 1", "", LENGTHS > 1),
    ("avg(v)", "fail: when between 10 and 12", not 10 <= MEAN <= 12),
    ("avg(v)", "fail: when between 12 and 13", not 12 <= MEAN <= 13),
    ("missing_count(c) not between 1 and 2", "", False),
    ("missing_percent(c) not between 1 and 2", "", True),
    ("freshness(day, NOW) < 36h", "", True),
    ("freshness(day, NOW) < 23h", "", False),
    ("values in (id) must not exist in other (id)", "filter: id > 5", False),
]  # fmt: skip
#: Checks of what BY_G gives.
GROUPS: dict[str, bool] = {
    "n >= 4": all(len(part) >= 4 for part in SOME),
    "n > 4": all(len(part) > 4 for part in SOME),
    "mean < 19": all(statistics.fmean(column("v", part)) < 19 for part in SOME),
    "mean between 2 and 5": all(2 <= statistics.fmean(column("v", part)) <= 5 for part in SOME),
    "kinds < 3": all(len(set(column("d", part))) < 3 for part in SOME),
}
#: Singular tests of dbt: queries for failing rows.
SINGULAR: dict[str, bool] = {
    "select id from {{ ref('t') }} where v > 90": not any(v > 90 for v in column("v")),
    "select id, v from {{ ref('t') }} where v >= 90;": not any(v >= 90 for v in column("v")),
    "{{ config(error_if='>1', warn_if='>1') }} select id from {{ ref('t') }} where v >= 90": sum(
        v >= 90 for v in column("v")
    )
    <= 1,
    "with t as (select g, count(*) as n from {{ ref('t') }} group by g)\nselect * from t where n <> 6": {
        len(part) for part in groups("g")
    }
    == {6},
    "with d as (select d, count(*) as n from {{ ref('t') }} group by 1)\n-- once\nselect * from d where n = 1": not any(
        len(part) == 1 for part in groups("d")
    ),
    "select t.* from {{ ref('t') }} t left join {{ source('raw', 'other') }} o on t.id = o.id where o.id is null": True,
    "select t.* from {{ ref('t') }} t join {{ ref('other') }} o on t.id = o.id where o.v <> t.v": False,
}
TAGS = [tag for row in ROWS for tag in row["tags"] or []]
#: Rules of contracts of ODCS: the property ('' for the object), the rule, whether it holds.
ODCS: list[tuple[str, str, bool]] = [
    ("c", "metric: nullValues, mustBeGreaterThan: 0", True),
    ("c", "metric: nullValues, mustBeGreaterThan: 9, unit: percent", percent(1) > 9),
    ("c", "metric: nullValues, mustBeLessOrEqualTo: 9, unit: percent", percent(1) <= 9),
    ("c", "metric: invalidValues, arguments: {validValues: [a, b]}, mustNotBeBetween: [1, 5]", False),
    ("c", "metric: invalidValues, arguments: {validValues: [a, b]}, mustNotBeBetween: [3, 5], unit: percent", True),
    ("v", f"metric: duplicateValues, mustBe: {doubled('v')}", True),
    ("v", f"metric: duplicateValues, mustBeLessThan: {doubled('v')}", False),
    ("v", f"metric: duplicateValues, mustBeLessThan: {percent(doubled('v')) + 1}, unit: percent", True),
    ("tags[]", "metric: invalidValues, arguments: {validValues: [p, q]}, mustBe: 0", set(TAGS) <= {"p", "q"}),
    ("tags[]", "metric: invalidValues, arguments: {validValues: [p]}, mustBe: 0", set(TAGS) <= {"p"}),
    ("", "metric: rowCount, mustBeBetween: [11, 13]", True),
    ("", "metric: rowCount, mustNotBeBetween: [11, 13]", False),
]  # fmt: skip


def sources():
    """The files, each with what its rules are called and whether they hold."""
    dbt = "".join(f'      - {{name: "dbt {n}", {_inside(test)}}}\n' for n, test in enumerate(DBT))
    yield (
        "schema.yml",
        f"models:\n  - name: t\n    data_tests:\n{dbt}",
        {
            f"{kind} {n}": case
            for kind, cases in (("dbt", DBT), ("singular", SINGULAR))
            for n, case in enumerate(cases.items())
        },
    )
    suite = [{"type": type, "kwargs": kwargs} for type, kwargs, _ in GX]
    yield (
        "suite.json",
        json.dumps({"name": "t", "expectations": suite}),
        {f"gx {n}": (f"{type} {kwargs}", holds) for n, (type, kwargs, holds) in enumerate(GX)},
    )

    soda = "".join(
        f'  - {check}: {{name: "soda {n}"{more and ", " + more}}}\n' for n, (check, more, _) in enumerate(SODA)
    )
    grouped = "".join(f'      - {check}: {{name: "groups {n}"}}\n' for n, check in enumerate(GROUPS))
    soda += f"  - group by:\n      query: {BY_G}\n      fields: [g]\n      checks:\n{grouped.replace('      -', '        -')}"
    cases = {f"soda {n}": (f"{check} {more}", holds) for n, (check, more, holds) in enumerate(SODA)}
    cases |= {f"groups {n}": (check, holds) for n, (check, holds) in enumerate(GROUPS.items())}
    yield "checks.yml", f"variables: {{NOW: '2024-01-14 12:00:00'}}\nchecks for t:\n{soda}", cases
    rules: dict[str, list[str]] = {}
    for n, (name, rule, _) in enumerate(ODCS):
        rules.setdefault(name, []).append(f'{{name: "odcs {n}", {rule}}}')
    properties = "".join(
        f"      - {{name: {name[:-2]}, items: {{quality: [{', '.join(own)}]}}}}\n" if "[]" in name else f"      - {{name: {name}, quality: [{', '.join(own)}]}}\n"
        for name, own in rules.items() if name
    )  # fmt: skip
    head = "apiVersion: v3.1.0\nkind: DataContract\nid: t\nschema:\n  - name: t\n    properties:\n"
    quality_of_all = f"    quality: [{', '.join(rules[''])}]\n"
    yield (
        "t.odcs.yaml",
        head + properties + quality_of_all,
        {f"odcs {n}": (f"{name} {rule}", holds) for n, (name, rule, holds) in enumerate(ODCS)},
    )


def _inside(test):
    name, _, arguments = test.partition(": ")
    return f'"{name}": {arguments}'


#: What takes a pass of its own: without --full one rule that holds and one that does not are run of each.
OWN_PASS = ("sql", "monotonic", "coverage", "most_common_value", "distinct_values", "no_outliers")


@pytest.fixture(scope="module")
def judged(quick, tmp_path_factory, request):
    """What was said of each rule: (the original, whether it should hold, the verdict)."""
    folder = tmp_path_factory.mktemp("imported")
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "in.parquet")
    pq.write_table(pa.Table.from_pylist(OTHER), folder / "other.parquet")
    whole: dict[str, Any] = {
        "version": 1,
        "dataset": "t",
        "input": {"path": str(folder / "in.parquet")},
        "references": {},
    }
    whole |= {"outputs": {"root": str(folder / "out")}, "rules": [], "hold": {"quarantined_above": 1}}
    asked, tried = {}, set()
    (folder / "tests").mkdir()
    (folder / "dbt_project.yml").write_text("name: t\n")
    for n, (query, _) in enumerate(SINGULAR.items()):
        (folder / "tests" / f"singular {n}.sql").write_text(query, encoding="utf-8")
    for file, text, cases in sources():
        path = folder / file
        path.write_text(text, encoding="utf-8")
        made = convert_file(path, input_path="in.parquet")
        assert made.rules == made.total, [str(loss) for loss in made.losses if not loss.kept]
        found = yaml.safe_load(made.text)
        assert len(found["rules"]) == len(cases)
        # a query names a reference in its text
        whole["references"] |= {name: {"path": str(folder / "other.parquet")} for name in found.get("references") or {}}
        renamed = {}
        for name, body in (found.get("references") or {}).items():
            renamed[name] = f"{path.stem}_{name}"
            place = "in.parquet" if name == "same" else "other.parquet"
            whole["references"][renamed[name]] = {**body, "path": str(folder / place)}
        for (name, case), rule in zip(cases.items(), found["rules"], strict=True):
            (type,) = (word for word in rule if word in quality.rule_types.REGISTRY)
            if isinstance(rule[type], dict) and "reference" in rule[type]:
                rule[type]["reference"] = renamed[rule[type]["reference"]]
            elif type == "not" and "exists_in" in rule[type][0]:
                rule[type][0]["exists_in"]["reference"] = renamed[rule[type][0]["exists_in"]["reference"]]
            once = (type, case[1])
            if type in OWN_PASS and once in tried and not request.config.getoption("--full"):
                continue
            tried.add(once)
            whole["rules"].append({**rule, "id": name.replace(" ", "."), "name": name})
            asked[name] = case
    (folder / "t.yml").write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    result = quality.run(folder / "t.yml", "b", spark=quick, engine="spark")
    said = {rule["name"]: (rule["status"], rule["message"]) for rule in result.data["rules"] if rule["name"]}
    return {name: (*case, *said[name]) for name, case in asked.items()}


def test_every_rule_holds_when_the_other_system_would_say_so(judged):
    wrong = {
        name: (original, holds, status, message)
        for name, (original, holds, status, message) in judged.items()
        if status != ("passed" if holds else "failed")
    }
    assert wrong == {}


def test_every_form_is_tried_both_ways():
    forms: dict[str, set[bool]] = {}
    for test, holds in DBT.items():
        forms.setdefault(test.partition(":")[0], set()).add(holds)
    for type, _, holds in GX:
        forms.setdefault(type, set()).add(holds)
    one_way = {form for form, tried in forms.items() if len(tried) < 2}
    assert one_way == set()
