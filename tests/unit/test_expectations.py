"""Suites of Great Expectations as rule files: they lint, and demand the same."""

from __future__ import annotations

import json

import pytest

from quality import cli
from quality.model import Bounds, Nulls, Severity, Tolerance
from quality.rule_types import completeness, custom, names, statistics, uniqueness, values
from quality.rulefile import load
from quality.rulefile.dqdl.convert import convert_file
from quality.rulefile.imports.expectations import EXPECTATIONS
from quality.rulefile.lint import lint


@pytest.fixture
def converted(tmp_path):
    """The rules of a suite of pairs (type, kwargs) by the format of a version, and its losses."""

    def run(*pairs, version=1, **more):
        word = "type" if version == 1 else "expectation_type"
        suite = {
            ("name" if version == 1 else "expectation_suite_name"): "Orders daily",
            "expectations": [{word: type, "kwargs": kwargs, "meta": {}, **more} for type, kwargs in pairs],
            "meta": {"great_expectations_version": "1.3.0"},
        }
        path = tmp_path / "suite.json"
        path.write_text(json.dumps(suite, indent=2), encoding="utf-8")
        found = convert_file(path, input_path="a.parquet")
        out = tmp_path / "out.yml"
        out.write_text(found.text, encoding="utf-8")
        report = lint(str(out))
        assert (report.problems, report.warnings) == ((), ()), found.text
        return load(out), found

    return run


MAP = "expect_column_values_to"
SAME = {
    (f"{MAP}_not_be_null", (("column", "id"),)): completeness.Required("id"),
    (f"{MAP}_be_between", (("column", "a"), ("min_value", 0), ("max_value", 9), ("strict_min", True))): values.Values(
        "a", Bounds((("above", 0), ("at_most", 9)))
    ),
    (f"{MAP}_be_in_set", (("column", "a"), ("value_set", ("x", "NO")))): values.In("a", ("x", "NO")),
    (f"{MAP}_match_regex", (("column", "a"), ("regex", "^\\d+$"))): values.ContainsMatch("a", "^\\d+$"),
    ("expect_column_mean_to_be_between", (("column", "a"), ("max_value", 2.5))): statistics.Mean("a", Bounds((("at_most", 2.5),))),
    ("expect_table_row_count_to_equal", (("value", 7),)): statistics.RowCount(Bounds((("equals", 7),))),
    ("expect_compound_columns_to_be_unique", (("column_list", ("a", "b")),)): uniqueness.Unique(("a", "b")),
    ("unexpected_rows_expectation", (("unexpected_rows_query", "SELECT * FROM {batch} b WHERE b.a < 0;"),)): custom.SqlRows(
        "SELECT * FROM this b WHERE b.a < 0"
    ),
    ("expect_column_to_exist", (("column", "a"),)): names.ColumnsExist(("a",)),
}  # fmt: skip


@pytest.mark.parametrize("version", (0, 1))
@pytest.mark.parametrize(("expectation", "check"), SAME.items(), ids=[name for name, _ in SAME])
def test_an_expectation_becomes_this_rule(converted, expectation, check, version):
    name, kwargs = expectation
    found, _ = converted((name, dict(kwargs)), version=version)
    assert [rule.check for rule in found.rules] == [check]
    assert found.dataset == "orders-daily"


def test_mostly_is_a_share_of_the_values_that_are_there(converted):
    found, _ = converted((f"{MAP}_be_in_set", {"column": "a", "value_set": [1], "mostly": 0.95}), severity="warning")
    (rule,) = found.rules
    assert (rule.tolerance, rule.nulls, rule.severity) == (Tolerance(0.05), Nulls.SKIP, Severity.WARNING)


ANY = {
    "column": "a", "min_value": 1, "max_value": 2, "value_set": [1], "regex": "a", "regex_list": ["a", "b"], "like_pattern": "a%",
    "type_": "IntegerType", "type_list": ["IntegerType"], "value": 3, "column_A": "a", "column_B": "b", "column_list": ["a", "b"],
    "threshold": 2, "strftime_format": "%d.%m.%Y um %H", "like_pattern_list": ["a%"], "sum_total": 3, "other_table_name": "b",
    "value_pairs_set": [[1, "x"], [None, "y"]], "partition_object": {"values": ["x", "y"], "weights": [0.5, 0.5]},
    "unexpected_rows_query": "SELECT * FROM {batch} WHERE a < 0", "column_set": ["a", "b"], "quantile_ranges": {"quantiles": [0.1, 0.5], "value_ranges": [[1, 2], [None, 3]]},
}  # fmt: skip


def test_every_expectation_that_is_known_becomes_rules_that_lint(converted):
    about_columns = [
        name
        for name, (words, _, _) in EXPECTATIONS.items()
        if "table" not in name and not {"column_A", "column_list", "unexpected_rows_query"} & words
    ]
    pairs = [
        (
            name,
            {
                word: value
                for word, value in ANY.items()
                if word in words or (word == "column" and name in about_columns)
            }
            # a share is at most 1
            | ({"max_value": 1} if "proportion" in name else {}),
        )
        for name, (words, _, _) in EXPECTATIONS.items()
    ]
    _, report = converted(*pairs)
    assert (report.rules, report.total) == (len(EXPECTATIONS), len(EXPECTATIONS))


LOST = {
    "it has no form yet": ("expect_the_unexpected", {"column": "a"}),
    "intervals of numbers": (
        "expect_column_kl_divergence_to_be_less_than",
        {"column": "a", "threshold": 0.1, "partition_object": {"bins": [0, 1], "weights": [1]}},
    ),
    "no order but by columns": (f"{MAP}_be_increasing", {"column": "a"}),
    "one of several values that are as common": ("expect_column_most_common_value_to_be_in_set", {"column": "a", "value_set": [1], "ties_okay": True}),
    "'%j' of the format": (f"{MAP}_match_strftime_format", {"column": "a", "strftime_format": "%j"}),
    "'ignore_row_if: sometimes'": ("expect_compound_columns_to_be_unique", {"column_list": ["a", "b"], "ignore_row_if": "sometimes"}),
    "suite parameters": ("expect_column_max_to_be_between", {"column": "a", "max_value": {"$PARAMETER": "top"}}),
    "row_condition is not": (f"{MAP}_not_be_null", {"column": "a", "row_condition": "b == 1", "condition_parser": "pandas"}),
    "'parse_strings_as_datetimes' has no form": (f"{MAP}_be_between", {"column": "a", "min_value": 1, "parse_strings_as_datetimes": True}),
    "'value_set' is missing": (f"{MAP}_be_in_set", {"column": "a"}),
    "not of the form": ("expect_column_quantile_values_to_be_between", {"column": "a", "quantile_ranges": 3}),
    "no share": (f"{MAP}_not_be_null", {"column": "a", "mostly": "most"}),
    "has no bounds": ("expect_column_max_to_be_between", {"column": "a"}),
}  # fmt: skip


@pytest.mark.parametrize(("why", "expectation"), LOST.items(), ids=LOST)
def test_what_has_no_equal_is_listed_with_its_reason_and_line(converted, why, expectation):
    found, report = converted(expectation, ("expect_table_row_count_to_equal", {"value": 1}))
    assert len(found.rules) == 1
    (loss,) = report.losses
    assert why in loss.why
    assert loss.position.line == 4
    assert "# not carried over: " in report.text


def test_the_command_guesses_the_language_and_is_told(tmp_path, capsys):
    text = '{"expectations": [{"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}}]}'
    for name, words in {"a.json": [], "a.txt": ["--from", "expectations"]}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert cli.run_command(["convert", str(tmp_path / name), *words]) == 0
        assert "  - row_count: {equals: 1}" in capsys.readouterr().out
