"""DQDL to rule files and back, by what the rules demand: which rows comply, which bounds a metric has."""

from __future__ import annotations

import re
import sqlite3
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quality import cli
from quality.errors import RuleFileError, UsageError
from quality.model import Bounds, Column, Nulls, Severity, Tolerance
from quality.planner import row_check
from quality.rule_types import REGISTRY, completeness, names, statistics, uniqueness, values
from quality.rule_types.base import Row, RowRule
from quality.rulefile import load
from quality.rulefile.dqdl import parse
from quality.rulefile.dqdl.convert import convert_file
from quality.rulefile.dqdl.printer import format_rule
from quality.rulefile.dqdl.rules_of_ours import CONVERTERS, MISSING
from quality.rulefile.dqdl.signatures import TYPES
from quality.rulefile.dqdl.to_dqdl import to_dqdl
from quality.rulefile.dqdl.to_yaml import to_yaml
from quality.rulefile.dqdl.tree import Between, Comparison, Composite, Constant, Matches, Membership, Number, Rule, Text
from quality.rulefile.lint import lint

HEAD = "version: 1\ndataset: orders\ninput: {path: orders.parquet}\nreferences: {airports: {path: b.csv}}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rules")


@pytest.fixture(scope="module")
def ours(folder):
    """Loads the YAML that DQDL becomes: its rules, and the losses but that of the input."""

    def converted(text, **given):
        found = to_yaml(parse(text if "Rules" in text else f"Rules = [ {text} ]"), "orders.dqdl", **given)
        path = folder / "converted.yml"
        path.write_text(found.text, encoding="utf-8")
        report = lint(str(path))
        assert (report.problems, report.warnings) == ((), ())
        return load(path).rules, [loss for loss in found.losses if loss.what != "'input'"]

    return converted


@pytest.fixture(scope="module")
def theirs(folder):
    """Parses the DQDL that rules of ours become, and the losses but that of the input."""

    def converted(body, head=HEAD, **given):
        path = folder / "ours.yml"
        path.write_text(head + body, encoding="utf-8")
        found = to_dqdl(load(path, **given))
        document = parse(found.text)
        return document.rules or (), [loss for loss in found.losses if loss.what != "'input'"]

    return converted


def bounds(**words):
    return Bounds(tuple(words.items()))


# from DQDL, rule by rule

FAIL: dict[str, Any] = {"nulls": Nulls.FAIL}
PASS: dict[str, Any] = {}
SAME = {
    "RowCount > 100": (statistics.RowCount(bounds(above=100)), PASS),
    "RowCount between 1 and 10": (statistics.RowCount(bounds(above=1, below=10)), PASS),
    'RowCount >= 1 where "a > 1"': (statistics.RowCount(bounds(at_least=1)), {"where": "a > 1"}),
    "RowCount != 5": (statistics.RowCount(bounds(not_equals=5)), PASS),
    "RowCount in [5]": (statistics.RowCount(bounds(equals=5)), PASS),
    "RowCount < 2 * (3 + 4) / 4": (statistics.RowCount(bounds(below=3.5)), PASS),
    'Completeness "c" > 0.95': (completeness.CompletenessBounds("c", bounds(above=0.95)), PASS),
    'Completeness of "c" <= 1.0': (completeness.CompletenessBounds("c", bounds(at_most=1)), PASS),
    'Mean "c" between -1.5 and 20': (statistics.Mean("c", bounds(above=-1.5, below=20)), PASS),
    'Sum "c" = 12345678901234567.89': (statistics.Sum("c", bounds(equals=Decimal("12345678901234567.89"))), PASS),
    'StandardDeviation "c" <= 1 / 3': (statistics.StandardDeviation("c", bounds(at_most=1 / 3)), PASS),
    'ColumnCorrelation "a" "b" > 0.4': (statistics.Correlation(("a", "b"), bounds(above=0.4)), PASS),
    'Uniqueness "a" "b" >= 0.99': (uniqueness.UniquenessBounds(("a", "b"), bounds(at_least=0.99)), PASS),
    'UniqueValueRatio "c" < 0.5': (uniqueness.UniqueValueRatioBounds(("c",), bounds(below=0.5)), PASS),
    'DistinctValuesCount "c" = 5': (uniqueness.DistinctCount(("c",), bounds(equals=5)), PASS),
    'IsComplete "c d"': (completeness.Required("c d"), PASS),
    'IsUnique "c"': (uniqueness.Unique(("c",)), PASS),
    'IsPrimaryKey "a" b where "c = 1"': (uniqueness.Key(("a", "b")), {"where": "c = 1"}),
    'ColumnExists "c"': (names.ColumnsExist(("c",)), {"id": "c.exists"}),
    "ColumnCount >= 5": (names.ColumnCount(bounds(at_least=5)), {}),
    'ColumnNamesMatchPattern "[a-z]+"': (names.ColumnNames("[a-z]+"), {}),
    'Variance "c" < 25': (statistics.Variance("c", bounds(below=25)), {}),
    'Skewness "c" between -1 and 1': (statistics.Skewness("c", bounds(above=-1, below=1)), {}),
    'Kurtosis "c" < 3': (statistics.Kurtosis("c", bounds(below=3)), {}),
    'Range "c" < 3': (statistics.ValueRange("c", bounds(below=3)), {}),
    'InterquartileRange "c" < 3': (statistics.InterquartileRange("c", bounds(below=3)), {}),
    'ZerosCount "c" = 0': (statistics.ZerosCount("c", bounds(equals=0)), {}),
    "DuplicateRowCount = 0": (uniqueness.DuplicateRows(bounds(equals=0)), {}),
    'DuplicateRowCount "a" "b" = 0': (uniqueness.DuplicateRows(bounds(equals=0), ("a", "b")), {}),
    'ColumnDataType "c" = "Integer"': (values.Type("c", "int"), FAIL),
    'ColumnDataType "c" in ["Long"]': (values.Type("c", "bigint"), FAIL),
    'ColumnDataType "c" = "DECIMAL(10,2)"': (values.Type("c", "decimal(10,2)"), FAIL),
    'ColumnDataType "c" = "Date" with threshold >= 0.9': (
        values.Type("c", "date"), {**FAIL, "tolerance": Tolerance(0.1)},
    ),
    # NULL is a text of length 0
    'ColumnLength "c" > 4': (values.Length("c", bounds(above=4)), FAIL),
    'ColumnLength "c" < 6': (values.Length("c", bounds(below=6)), PASS),
    'ColumnLength "c" = 0': (values.Length("c", bounds(equals=0)), PASS),
    'ColumnLength "c" != 0': (values.Length("c", bounds(not_equals=0)), FAIL),
    'ColumnLength "c" between 1 and 5': (values.Length("c", bounds(above=1, below=5)), FAIL),
    # NULL fails but for != and not in
    'ColumnValues "c" > 0': (values.Above("c", 0), FAIL),
    'ColumnValues "c" >= 0.5': (values.AtLeast("c", 0.5), FAIL),
    'ColumnValues "c" < -1': (values.Below("c", -1), FAIL),
    'ColumnValues "c" <= "2022-01-01"': (values.AtMost("c", "2022-01-01"), FAIL),
    'ColumnValues "c" between 18 and 65': (values.Values("c", bounds(above=18, below=65)), FAIL),
    'ColumnValues "c" = "x"': (values.Equals("c", "x"), FAIL),
    'ColumnValues "c" = EMPTY': (values.Equals("c", ""), FAIL),
    'ColumnValues "c" != "x"': (values.NotEquals("c", "x"), PASS),
    'ColumnValues "c" != NULL': (completeness.Required("c"), PASS),
    'ColumnValues "c" in ["a", "b"]': (values.In("c", ("a", "b")), FAIL),
    'ColumnValues "c" in ["a", NULL, EMPTY]': (values.In("c", ("a", "")), PASS),
    'ColumnValues "c" not in [1, 2]': (values.NotIn("c", (1, 2)), PASS),
    'ColumnValues "c" not in [1, 2, NULL]': (values.NotIn("c", (1, 2)), FAIL),
    'ColumnValues "c" matches "\\d{2}"': (values.Matches("c", "\\d{2}"), FAIL),
    'ColumnValues "c" matches "a{{x"': (values.Matches("c", "a{{x"), FAIL),
    'ColumnValues "c" matches "us" with ignoreCase = "true"': (values.Matches("c", "(?i)us"), FAIL),
    'ColumnValues "c" in ["a", "b"] with ignoreCase = "false"': (values.In("c", ("a", "b")), FAIL),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SAME.items(), ids=SAME)
def test_a_rule_of_dqdl_becomes_this_rule(ours, text, expected):
    (rule,), losses = ours(text)
    check, modifiers = expected
    found = {word: getattr(rule, word) for word in ("nulls", "where", "tolerance")}
    wanted = {"nulls": Nulls.PASS, "where": "", "tolerance": Tolerance(), **modifiers}
    assert (rule.check, losses) == (check, [])
    assert found == {word: wanted[word] for word in found}
    assert rule.id == modifiers.get("id", rule.id)
    assert (rule.severity, rule.nan_passes) == (Severity.ERROR, False)


MOMENTS = {
    'ColumnValues "d" > (now() - 3 days)': "`d` > timestamp'{{ run_time }}' - interval 3 days",
    'ColumnValues "d" not between (now() - 1 day) and now()': (
        "`d` <= timestamp'{{ run_time }}' - interval 1 day or `d` >= timestamp'{{ run_time }}'"
    ),
    'DataFreshness "d" <= 24 hours': "`d` >= timestamp'{{ run_time }}' - interval 24 hours",
    'DataFreshness "d" > 1.5 days': "`d` < timestamp'{{ run_time }}' - interval 129600 seconds",
    'DataFreshness "d" between 2 days and 4 days': (
        "`d` < timestamp'{{ run_time }}' - interval 2 days and `d` > timestamp'{{ run_time }}' - interval 4 days"
    ),
    'DataFreshness "d" != 5 minutes': "`d` <> timestamp'{{ run_time }}' - interval 5 minutes",
}


@pytest.mark.parametrize(("text", "template"), MOMENTS.items())
def test_the_clock_of_a_rule_is_the_time_of_the_run(ours, text, template):
    (rule,), losses = ours(text)
    assert rule.canonical["expression"]["template"] == template
    assert (rule.nulls, losses) == (Nulls.FAIL, [])
    assert "run_time" not in rule.check.expression


def test_several_bounds_and_conjunctions_become_several_rules(ours):
    rules, losses = ours('(RowCount not in [1, 2]) and ((IsComplete "a") and (Mean "a" > 1)) labels=["k"="v"]')
    assert [type(rule.check) for rule in rules] == [
        statistics.RowCount, statistics.RowCount, completeness.Required, statistics.Mean,
    ]  # fmt: skip
    assert [rule.check.bounds for rule in rules[:2]] == [bounds(not_equals=1), bounds(not_equals=2)]
    assert {tuple(rule.metadata["labels"].items()) for rule in rules} == {(("k", "v"),)}
    assert losses == []


def test_rules_of_one_kind_get_ids_of_their_own(ours):
    rules, _ = ours('RowCount > 1, RowCount < 9, ColumnValues "c" = NULL, ColumnValues "c" > 1, ColumnValues "c" > 0')
    assert [rule.id for rule in rules] == ["row_count", "row_count.2", "c.values", "c.above", "c.above.2"]


def test_labels_variables_and_metadata_carry_over(ours, folder):
    rules, losses = ours(
        'Metadata = { "Description": "Orders: all", "Owner": "me", "Team": "x" }\n'
        'DataSources = { "Primary": "orders" }\nstates = ["SE", "NO"]\nsql = "a = \'{{ b\'"\n'
        'DefaultLabels = ["team"="dq", "k"="default"]\n'
        'Rules = [ ColumnValues "s" in $states where $sql labels=["k"="own"] ]'
    )
    assert rules[0].check == values.In("s", ("SE", "NO"))
    assert rules[0].where == "a = '{{ b'"
    assert rules[0].metadata == {"labels": {"team": "dq", "k": "own"}}
    rule_set = load(folder / "converted.yml")
    assert (rule_set.dataset, rule_set.description, rule_set.owner) == ("orders", "Orders: all", "me")
    assert [str(loss) for loss in losses] == [
        "orders.dqdl:1: Metadata Team did not carry over: a rule file has 'description' and 'owner' only",
        "orders.dqdl:2: DataSources Primary did not carry over: 'input' says where batches come from",
    ]


@pytest.mark.parametrize(("threshold", "share", "allowed"), (
    (">= 0.98", 0.02, 2), ("> 0.98", 0.02, 1), ("> 0.5", 0.5, 49), (">= 1.0", 0, 0), ("= 1", 0, 0), (">= 0", 1, 100),
    ("> 0", 1, 99), ("between 0.9 and 1.1", 0.1, 9), ("> -1", 1, 100), (">= 0.999", 0.001, 0),
))  # fmt: skip
def test_a_threshold_allows_exactly_as_many_rows(ours, threshold, share, allowed):
    (rule,), losses = ours(f'ColumnValues "c" > 0 with threshold {threshold}')
    assert [failed for failed in range(101) if rule.tolerance.allows(failed, 100)] == list(range(allowed + 1))
    many = 10**9
    edge = int(Decimal(str(share)) * many)
    assert rule.tolerance.allows(edge, many) == (not threshold.startswith((">  ", "> 0", "between")))
    assert edge == 0 or rule.tolerance.allows(edge - 1, many)
    assert losses == []


LOST = {
    'ColumnDataType "c" = "Integer" with format = "MM/dd/yyyy"': "a format goes with dates and timestamps",
    "RowCount between 5 and 5": "no number lies between 5 and 5: it can never hold",
    "FileSize < 1 MB with threshold > avg(last(5))": "a threshold from earlier batches goes with rules that a row answers by itself, and not with rules about files",
    'CustomSql "select a from primary group by a" with threshold > avg(last(5))': "a threshold from earlier batches goes with rules that a row answers by itself, and not with rules about files",
    'ColumnValues "a" > 1 with threshold in [last(), -1]': "no share of rows is equal to -1: it can never hold",
    "RowCount = NULL": "a number is never NULL",
    "RowCount > 1 / 0": "it divides by zero",
    'ColumnCorrelation "a" "a" > 0': "it names one column twice",
    'ColumnValues "c" between 5 and 1': "no value lies between 5 and 1: it can never hold",
    'ColumnValues "c" > 1 with threshold > 1': "no share of rows is that high: it can never hold",
    'IsComplete "c" where "a in (select 1)"': "its filter cannot be used: 'select' makes a query of it: an expression over one row is expected",
    'AggregateMatch "sum(a)" "avg(ref.a)" > 0.9': "sums and averages are compared, of the batch and then of a reference, each with its like",
    'ReferentialIntegrity "a,b" "ref.x" = 1': "it names 2 columns and 1 of the reference: one for each",
}  # fmt: skip


@pytest.mark.parametrize(("text", "why"), LOST.items())
def test_what_has_no_equal_is_left_out_and_told(ours, text, why):
    rules, losses = ours(f"Rules = [ RowCount > 7,\n {text} ]")
    assert [rule.check for rule in rules] == [statistics.RowCount(bounds(above=7))]
    assert [(loss.position.line, loss.why, loss.kept) for loss in losses] == [(2, why, False)]


def test_a_file_that_names_other_data_sets_lints_and_says_that_their_places_are_made_up(tmp_path):
    path, out = tmp_path / "orders.dqdl", tmp_path / "orders.yml"
    query = "select count(*) from primary join regions on primary.r = regions.id"
    path.write_text(f'Rules = [\n  CustomSql "{query}" > 3,\n  ReferentialIntegrity "c" "customers.id" = 1\n]\n')
    found = convert_file(path, input_path="a.parquet")
    out.write_text(found.text, encoding="utf-8")
    assert [str(one.input.path[0]) for one in load(out).references] == [
        "data/regions.parquet",
        "data/customers.parquet",
    ]
    assert [(loss.what, loss.position.line, loss.kept) for loss in found.losses] == [
        ("reference 'regions'", 2, True),
        ("reference 'customers'", 3, True),
    ]
    assert "'data/regions.parquet' stands there until you write it" in found.losses[0].why
    # a file of rules alone leaves them to the one that takes it
    assert "references" not in to_yaml(parse(path.read_text()), "a.dqdl", input_path="a.parquet").text


def test_what_is_lost_stands_as_a_comment_in_its_place(ours, folder):
    ours("RowCount > 7, RowCount = NULL, RowCount < 9")
    lines = (folder / "converted.yml").read_text(encoding="utf-8").splitlines()
    assert lines[6:8] == [
        "  # not carried over: RowCount = NULL",
        "  # because a number is never NULL",
    ]


def test_a_key_of_several_columns_carries_over_with_a_difference(ours):
    (rule,), (loss,) = ours('IsUnique "a" "b"')
    assert rule.check == uniqueness.Unique(("a", "b"))
    assert loss.kept
    assert str(loss) == (
        'orders.dqdl:1: \'IsUnique "a" "b"\' carried over, but a key with a NULL part is no duplicate here; '
        "DQDL takes NULL for a value there"
    )


def test_analyzers_are_told(ours):
    rules, losses = ours('Rules = []\nAnalyzers = [ RowCount, Distribution "c" with bins = 5, rebin = true ]')
    (rule,) = rules
    assert (rule.check, rule.severity) == (statistics.RowCount(Bounds(recorded=True)), Severity.INFO)
    (loss,) = losses
    assert (loss.what, loss.kept) == ('analyzer Distribution "c" with bins = 5, rebin = true', True)
    assert "finer bins" in loss.why


def test_every_rule_type_converts_or_says_why_not():
    assert CONVERTERS.keys() | MISSING.keys() == TYPES.keys()
    assert not CONVERTERS.keys() & MISSING.keys()


AWKWARD = (
    "NO",
    "12:30",
    "1e3",
    "~",
    "a: b",
    "x #y",
    "it's",
    '"',
    "a\nb",
    " ",
    "é",
    "- x",
    "{{ batch }}",
    "{%",
    "{#\n",
    "\x7f",
    "null",
    "{{{%",
)


@pytest.mark.parametrize("text", [text for text in AWKWARD if "\\" not in text])
def test_any_text_comes_through_yaml_as_it_is(ours, text):
    quoted = '"' + text.replace('"', '\\"') + '"'
    (rule, of_column), losses = ours(
        f'ColumnValues "c" in [{quoted}, "other"] labels=[{quoted}={quoted}], ColumnValues {quoted} > 1'
    )
    assert rule.check == values.In("c", (text, "other"))
    assert rule.metadata["labels"] == {text: text}
    assert of_column.check == values.Above(text, 1)
    assert losses == []


# to DQDL, rule by rule

BACK = {
    "row_count: {at_least: 1}": "RowCount >= 1",
    "row_count: {above: 1, below: 9}": "RowCount between 1 and 9",
    "row_count: {between: [1, 9]}": "(RowCount >= 1) and (RowCount <= 9)",
    "completeness: {column: c, above: 0.000001}": 'Completeness "c" > 0.000001',
    "mean: {column: c, at_most: -2.5}": 'Mean "c" <= -2.5',
    "sum: {column: c, not_equals: 0}": 'Sum "c" != 0',
    "stddev: {column: c, below: 5}": 'StandardDeviation "c" < 5',
    "correlation: {columns: [a, b], above: 0.5}": 'ColumnCorrelation "a" "b" > 0.5',
    "uniqueness: {columns: [a, b], at_least: 0.9}": 'Uniqueness "a" "b" >= 0.9',
    "unique_value_ratio: {columns: c, at_least: 0.9}": 'UniqueValueRatio "c" >= 0.9',
    "distinct_count: {column: c, at_least: 9}": 'DistinctValuesCount "c" >= 9',
    "max_length: {column: c, at_most: 9}": 'CustomSql "select max(char_length(`c`)) from primary" <= 9',
    "required: {column: c}": 'IsComplete "c"',
    "unique: {column: c}": 'IsUnique "c"',
    "unique: {columns: [a, b]}": 'IsUnique "a" "b" where "(`a` is not null) and (`b` is not null)"',
    "key: {columns: [a, b]}": 'IsPrimaryKey "a" "b"',
    "type: {column: c, is: long}": 'ColumnDataType "c" = "Long" where "`c` is not null"',
    "columns_exist: {columns: [a, b]}": '(ColumnExists "a") and (ColumnExists "b")',
    "column_count: {above: 3, below: 9}": "ColumnCount between 3 and 9",
    "column_names: '[a-z]+'": 'ColumnNamesMatchPattern "[a-z]+"',
    "variance: {column: a, below: 2}": 'Variance "a" < 2',
    "duplicate_rows: {equals: 0}": "DuplicateRowCount = 0",
    "median: {column: a, below: 2}": 'CustomSql "select percentile(double(`a`), 0.5D) from primary" < 2',
    "schema: {declared: {a: int, b: int}, types: allow, extra: fail}": '(ColumnExists "a") and (ColumnExists "b") and (ColumnCount = 2)',
    "matches: {column: c, pattern: '[A-Z]'}": 'ColumnValues "c" matches "[A-Z]" where "`c` is not null"',
    "contains_match: {column: c, pattern: 'x|y'}": 'ColumnValues "c" matches "(?s:.*)(?:x|y)(?s:.*)" where "`c` is not null"',
    "length: {column: c, at_most: 5}": 'ColumnLength "c" <= 5',
    "length: {column: c, at_least: 5}": 'ColumnLength "c" >= 5 where "`c` is not null"',
    "above: {column: c, value: 0}": 'ColumnValues "c" > 0 where "`c` is not null"',
    "at_most: {column: c, value: '2024-01-02'}": 'ColumnValues "c" <= "2024-01-02" where "`c` is not null"',
    "equals: {column: c, value: x}": 'ColumnValues "c" in ["x", NULL]',
    "equals: {column: c, value: true}": 'ColumnValues "c" in ["true", NULL]',
    "not_equals: {column: c, value: ''}": 'ColumnValues "c" != EMPTY',
    "in: {column: c, values: [1, 2]}": 'ColumnValues "c" in [1, 2, NULL]',
    "in: {column: c, values: [1, a]}": 'ColumnValues "c" in ["1", "a", NULL]',
    "not_in: {column: c, values: [a, b]}": 'ColumnValues "c" not in ["a", "b"]',
    "matches_any: {column: c, patterns: ['a', 'b.']}": 'ColumnValues "c" matches "(?:a)|(?:b.)" where "`c` is not null"',
    "like: {column: c, pattern: 'a%'}": "CustomSql \"select * from primary where coalesce((`c` like 'a%'), true)\"",
    "exactly_one_of: {columns: [a, b]}": 'CustomSql "select * from primary where coalesce((int(`a` is not null) + int(`b` is not null) = 1), true)"',
    "columns_absent: {columns: [a, 'b.c']}": 'ColumnNamesMatchPattern "(?i)(?!(?:a|b\\.c)$).*"',
    "sql: {query: 'select count(*) from {{ this }} where a', at_most: 2}": 'CustomSql "select count(*) from primary where a" <= 2',
    "compliance: {that: a > b or a = 0, above: 10%, below: 0.5}": 'CustomSql "select avg(int(coalesce((a > b or a = 0), false))) from primary" between 0.1 and 0.5',
    "top_value_ratio: {column: c, at_most: 0.9}":
        'CustomSql "select max(n) / sum(n) from (select count(*) as n from primary where `c` is not null group by `c`)" <= 0.9',
    "distinct_values: {column: c, in: [1, 2]}": 'CustomSql "select count(*) from primary where `c` not in (1, 2)" = 0',
    "distinctness: {columns: c, above: 0.5}": 'CustomSql "select count(distinct `c`) / count(`c`) from primary" > 0.5',
    "any: [{row_count: {at_least: 3}}, {all: [{mean: {column: c, above: 1}}, {completeness: {column: c, equals: 1}}]}]":
        '(RowCount >= 3) or ((Mean "c" > 1) and (Completeness "c" = 1))',
    "any: [{required: {column: c}}, {not_in: {column: c, values: [x]}}]":
        "CustomSql \"select * from primary where (`c` is null) or coalesce((((`c` is not null) or (`c` not in ('x')))), false)\"",
    "matches_none: {column: c, patterns: ['x']}":
        "CustomSql \"select * from primary where (`c` is null) or coalesce((not cast(`c` as string) rlike '\\\\A(?:x)\\\\z'), false)\"",
    "that: a > b": 'CustomSql "select * from primary where coalesce((a > b), true)"',
    "sql: {query: 'select count(*) from this where this.a > (select max(b) from airports)', above: 1, below: 9}": 'CustomSql "select count(*) from primary as `this` where this.a > (select max(b) from airports)" between 1 and 9',
    "sql_rows: 'select c from this t where t.a > b'": 'CustomSql "select * from primary where not coalesce((a > b), false)"',
    "sql_rows: {query: 'select c from this where a > b', returns: passing}": 'CustomSql "select * from primary where coalesce((a > b), false)"',
    "sql_rows: {query: 'select c from this left semi join airports using (c)', key: c, returns: passing}": 'CustomSql "select c from primary left semi join airports using (c)"',
    "sql_rows: {query: 'select c, d from this left semi join airports using (c)', key: [c, d]}": 'CustomSql "select p.* from primary p left anti join (select c, d from primary left semi join airports using (c)) q on (p.`c` <=> q.`c`) and (p.`d` <=> q.`d`)"',
}  # fmt: skip


@pytest.mark.parametrize(("body", "text"), BACK.items(), ids=BACK)
def test_a_rule_of_ours_becomes_this_rule_of_dqdl(theirs, body, text):
    rules, losses = theirs(f"rules: [{body}]")
    assert (rules, losses) == (parse(f"Rules = [ {text} ]").rules, [])


MODIFIED = {
    "above: {column: c, value: 0}, nulls: fail": 'ColumnValues "c" > 0',
    "above: {column: c, value: 0}, nulls: skip, where: b = 1": 'ColumnValues "c" > 0 where "(b = 1) and (`c` is not null)"',
    "above: {column: c, value: 0}, nulls: fail, tolerance: 1%": 'ColumnValues "c" > 0 with threshold >= 0.99',
    "in: {column: c, values: [a]}, nulls: fail": 'ColumnValues "c" = "a"',
    "in: {column: c, values: [a, b]}, nulls: skip": 'ColumnValues "c" in ["a", "b"] where "`c` is not null"',
    "in: {column: c, values: [a, b]}, tolerance: 0.5%": 'ColumnValues "c" in ["a", "b", NULL] with threshold >= 0.995',
    "not_equals: {column: c, value: a}, nulls: fail": 'ColumnValues "c" not in ["a", NULL]',
    "required: {column: c}, tolerance: 5%": 'Completeness "c" >= 0.95',
    "that: a > b, nulls: fail, tolerance: 10%": 'CustomSql "select * from primary where coalesce((a > b), false)" with threshold >= 0.9',
    "sql_rows: 'select c from this where a > b', where: c, tolerance: 0": 'CustomSql "select * from primary where not coalesce((c), false) or not coalesce((a > b), false)"',
    "sql_rows: {query: 'select c from this group by c', key: c, returns: passing}, tolerance: 10%": 'CustomSql "select c from primary group by c" with threshold >= 0.9',
    "that: a > b, where: c": 'CustomSql "select * from primary where not coalesce((c), false) or coalesce((a > b), true)"',
    "row_count: {above: 1}, where: a > 1, labels: {team: dq}": 'RowCount > 1 where "a > 1" labels=["team"="dq"]',
    "compliance: {that: a > b, equals: 1}, where: c": 'CustomSql "select avg(int(coalesce((a > b), false))) from primary where c" = 1',
    "min: {column: c, above: 0}, where: a = 1": 'CustomSql "select min(`c`) from primary where a = 1" > 0',
}  # fmt: skip


@pytest.mark.parametrize(("body", "text"), MODIFIED.items(), ids=MODIFIED)
def test_modifiers_decide_the_form(theirs, body, text):
    rules, losses = theirs(f"rules: [{{{body}}}]")
    assert (rules, losses) == (parse(f"Rules = [ {text} ]").rules, [])


GO_AND_RETURN = (
    'ReferentialIntegrity "a,b" "ref.{x,y}" >= 0.9', 'ReferentialIntegrity "a" "ref.x" = 1', 'RowCountMatch "ref" between 0.8 and 1.2',
    'SchemaMatch "ref" >= 0.5', 'AggregateMatch "avg(a)" "avg(ref.b)" > 0.95', 'DatasetMatch "ref" "a->x,b" "c->z" >= 0.99',
    'DatasetMatch "ref" "a" = 1', 'FileSize "s3://b/p" between 2 B and 9 B with threshold >= 0.7', "FileSize not between 2 B and 9 B",
    "FileSize in [2 B, 9 B]", "FileSize not in [2 B, 9 B] with recentFiles = 2", "FileFreshness > (now() - 24 hours)",
    'FileFreshness between "09:30" and "22:15" with timeZone = "UTC"', 'FileUniqueness > 0.5 with hashAlgorithm = "MD5"',
    'FileMatch "s3://a" "s3://b" with matchFileName = "true"', 'FileMatch in ["aa", "bb"] with uriRegex = "csv$"',
    'CustomSql "select count(*) from primary" > 2',
)  # fmt: skip


@pytest.mark.parametrize("text", GO_AND_RETURN)
def test_a_rule_of_dqdl_comes_back_as_it_was(folder, text):
    path = folder / "there.yml"
    there = to_yaml(parse(f"Rules = [ {text} ]"), "a.dqdl", input_path="a.parquet").text
    path.write_text(there + "references: {ref: {path: b.parquet}}\n", encoding="utf-8")
    back = to_dqdl(load(path))
    assert parse(back.text).rules == parse(f"Rules = [ {text} ]").rules


NOT_BACK = {
    "sql_rows: 'select c from this group by c'": "rows are told by a key in DQDL, and it has none",
    "sql_rows: {query: 'select c from this group by c', key: c}, where: c": "DQDL has no filter beside a query",
    "sql_rows: 'select c from this where c', where: c, tolerance: 1%": "the rows in its scope are not all rows, of which DQDL takes the share",
    "above: {column: c, value: x}": "DQDL compares numbers and dates (yyyy-MM-dd), not 'x'",
    "above: {column: c, value: '2024-01-02 10:00:00'}": "DQDL compares numbers and dates (yyyy-MM-dd), not '2024-01-02 10:00:00'",
    "above: {column: c, value: 0}, tolerance: 1%": "its tolerance counts rows with NULL, which a filter has to leave out in DQDL",
    "above: {column: c, value: 0}, nulls: fail, tolerance: 5 rows": "a tolerance in rows has no threshold",
    "key: {columns: [a]}, tolerance: 1%": "its rule type has no threshold in DQDL, and ours has a tolerance",
    "length: {column: c, at_most: 5}, nulls: fail": "NULL has the length 0 in DQDL, which the bounds allow",
    "values: {column: c, at_least: 1, below: 5}, nulls: fail, tolerance: 1%": "its tolerance is about several conditions together",
    "type: {column: c, is: smallint}": "DQDL has no type 'smallint'",
    "schema: {declared: {a: int}}": "DQDL asks which columns there are and how many, not for their order or their types",
    "schema_change: true": "DQDL does not compare with the batch before",
    "distinctness: {columns: [a, b], above: 0.5}": "DQDL counts distinct keys of one column",
    "file_count: {equals: 3}": "DQDL does not count files",
    "coverage: {column: c, every: day}": "DQDL has no periods that must have rows",
    "gaps: {column: c, at_most: 1 day}": "DQDL has no distance between values that follow each other",
    "any: [{above: {column: c, value: 1}}, {at_most: {column: d, value: 2}}]": "what 'any' asks depends on the types of its columns, which 'columns:' does not say",
    "not_future: {column: c}": "it depends on the time of the run",
    "not_blank: {column: c}, nulls: skip, tolerance: 1%": "the rows in its scope are not all rows, of which DQDL takes the share",
    "ordered: {column: c, order_by: d}": "DQDL has nothing like 'ordered'",
    "not: [{row_count: {above: 5}}]": "a composite of DQDL denies nothing",
    "file_freshness: {at_least: now - 2 weeks}": "DQDL has dates and times of day, not 'now - 2 weeks'",
    "distinct_count: {column: c, above: 5, approximate: true}": "DQDL counts distinct values exactly",
    "distinctness: {columns: c, above: 0.5, approximate: true}": "DQDL counts distinct values exactly",
    "max: {column: c, at_most: '2024-01-01'}": "a query is compared with a number, not with a date",
    "matches: {column: c, pattern: 'a\\\"b'}": 'DQDL cannot write a backslash before a quote or at the end of a text: a\\"b',
    "that: \"d = '{{ batch }}'\"": "it depends on the batch, and DQDL has no templates: d = '{{ batch }}'",
    "that: \"d < timestamp'{{ run_time }}'\"": "it depends on the time of the run",
    "mean: {column: 'c[].p', above: 0}": "'c[].p' is about the elements of a column, and DQDL has rules about whole columns",
    "iqr: {column: 'c[values]', above: 0}": "'c[values]' is about the elements of a column, and DQDL has rules about whole columns",
    "above: {column: 'c[]', value: 0}": "'c[]' is about the elements of a column, and DQDL has rules about whole columns",
    "that: a > b, where: c, tolerance: 1%": "the rows in its scope are not all rows, of which DQDL takes the share",
}  # fmt: skip


@pytest.mark.parametrize(("body", "why"), NOT_BACK.items(), ids=NOT_BACK)
def test_what_dqdl_cannot_say_is_left_out_and_told(theirs, body, why):
    rules, losses = theirs(f"rules: [{{{body}}}]")
    assert (rules, [(loss.position.line, loss.why, loss.kept) for loss in losses]) == ((), [(5, why, False)])


def test_what_dqdl_has_no_place_for_is_told(theirs):
    body = "rules: [{name: n, that: a, severity: warning, on_fail: hold, owner: me, tags: [x], labels: {k: v}}]"
    (rule,), (loss,) = theirs(body)
    assert isinstance(rule, Rule)
    assert [label.key for label in rule.labels] == ["k"]
    assert loss.kept
    assert loss.why == "DQDL has no place for: name, severity warning, on_fail hold, owner, tags"


def test_a_text_format_has_types_of_values_and_lines_that_cannot_be_read(theirs):
    head = HEAD.replace("parquet", "csv")
    rules, losses = theirs("columns: {a: {type: integer}}\nrules: [schema: {missing: fail}]", head)
    assert rules == parse('Rules = [ ColumnDataType "a" = "Integer" where "`a` is not null", ColumnExists "a" ]').rules
    assert [(loss.what, loss.why) for loss in losses] == [("rule 'malformed'", "DQDL sees a line only once it is read")]


def test_a_batch_renders_templates(theirs):
    rules, (loss,) = theirs("rules: [that: \"d = '{{ batch }}'\"]", batch="2024-01-02")
    query = "select * from primary where coalesce((d = '2024-01-02'), true)"
    assert rules == parse(f'Rules = [ CustomSql "{query}" ]').rules
    assert loss.why == "DQDL has no place for: templates, which stand there as they rendered now"


def test_labels_beyond_what_dqdl_takes_are_told(theirs):
    many = ", ".join(f"k{n}: v" for n in range(12))
    (rule,), losses = theirs(f"rules: [{{that: a, labels: {{{many}, long: {'x' * 300}}}}}]")
    assert isinstance(rule, Rule)
    assert len(rule.labels) == 10
    assert [loss.what for loss in losses] == [f"label '{key}' of rule 'that'" for key in ("k10", "k11", "long")]


# the meaning, row by row


def sqlite(rows):
    """A table `batch` with these values in `c`, and the functions of Spark that predicates use."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table batch (c)")
    connection.executemany("insert into batch values (?)", [(row,) for row in rows])

    def regexp(pattern, value):
        return None if value is None else re.search(pattern.replace("\\z", "\\Z"), value, re.ASCII) is not None

    connection.create_function("regexp", 2, regexp)
    return connection


def counted(rows, condition):
    """How many rows a Spark SQL condition holds for."""
    (found,) = sqlglot.transpile(f"select count(*) from batch where {condition}", read="spark", write="sqlite")
    (count,) = sqlite(rows).execute(found).fetchone()
    return int(count)


def our_verdict(rule, rows, kind):
    """Whether a row rule of ours passes, by the SQL that the engine would run."""
    assert isinstance(rule.check, RowRule)
    check = row_check(rule, rule.check, Row((Column("c", kind),)))
    scope = counted(rows, check.scope)
    return rule.tolerance.allows(scope - counted(rows, f"({check.scope}) and ({check.complies})"), scope)


def their_verdict(rule, rows):
    """Whether a rule of DQDL passes, as AWS describes it: written down a second time, value by value."""
    if isinstance(rule, Composite):
        return all(their_verdict(part, rows) for part in rule.rules)
    if rule.where is not None:
        assert rule.where == Text("`c` is not null")
        rows = [row for row in rows if row is not None]
    if rule.type == "ColumnLength":
        rows = [len(row or "") for row in rows]
    if rule.type == "IsComplete":
        return None not in rows
    passed = [row for row in rows if holds(rule.condition, row)]
    thresholds = [tag.condition for tag in rule.tags]
    if not thresholds:
        return len(passed) == len(rows)
    return not rows or holds(thresholds[0], Decimal(len(passed)) / Decimal(len(rows)))


def holds(condition: Any, value):
    if isinstance(condition, Matches):
        assert isinstance(condition.pattern, Text)
        return value is not None and (re.fullmatch(condition.pattern.value, value) is None) == condition.negated
    if isinstance(condition, Between):
        low, high = operand(condition.low), operand(condition.high)
        return value is not None and (value <= low or value >= high if condition.negated else low < value < high)
    if isinstance(condition, Membership):
        assert isinstance(condition.values, tuple)
        return any(same(entry, value) for entry in condition.values) != condition.negated
    if condition.sign in ("=", "!="):
        return same(condition.operand, value) == (condition.sign == "=")
    bound = operand(condition.operand)
    signs = {
        ">": lambda: value > bound,
        ">=": lambda: value >= bound,
        "<": lambda: value < bound,
        "<=": lambda: value <= bound,
    }
    return value is not None and signs[condition.sign]()


def same(entry, value):
    if isinstance(entry, Constant):
        if entry.name == "NULL":
            return value is None
        return value == "" if entry.name == "EMPTY" else value is not None and value != "" and not value.strip()
    return value == operand(entry)


def operand(value):
    return value.value


TEXTS = st.sampled_from((None, "", " ", "\t \n", "a", "A", "b", "ab", "it's", "\\"))
WHOLE = st.sampled_from((None, -2, 0, 1, 2, 3, 10))
TEXT_OPERANDS = st.sampled_from(("a", "b", "it's", "\\\\", "c")).map(Text) | st.sampled_from(
    ("NULL", "EMPTY", "WHITESPACES_ONLY")
).map(Constant)
NUMBER_OPERANDS = st.sampled_from(("-2", "0", "1", "1.5", "2", "3.0", "10")).map(Number)
SIGNS = st.sampled_from(("=", "!=", ">", ">=", "<", "<="))


def lists(entries):
    return st.builds(Membership, st.lists(entries, min_size=1, max_size=4).map(tuple), st.booleans())


NUMERIC = st.one_of(
    st.builds(Comparison, SIGNS, NUMBER_OPERANDS),
    st.builds(Between, NUMBER_OPERANDS, NUMBER_OPERANDS, st.booleans()),
    lists(NUMBER_OPERANDS),
)
TEXTUAL = st.one_of(
    st.builds(Comparison, st.sampled_from(("=", "!=")), TEXT_OPERANDS),
    lists(TEXT_OPERANDS),
    st.builds(Matches, st.sampled_from(("a|b", "[a-z]*", ".", "\\s+")).map(Text), st.booleans()),
)
THRESHOLDS = st.sampled_from(("", " with threshold > 0.5", " with threshold >= 0.75", " with threshold > 0.9"))


def shown(condition):
    from quality.rulefile.dqdl.printer import format_condition

    return format_condition(condition)


@settings(max_examples=60, deadline=None)
@given(TEXTUAL, st.lists(TEXTS, min_size=1, max_size=5), THRESHOLDS)
def test_rules_about_texts_mean_the_same(ours, condition, rows, threshold):
    text = f'ColumnValues "c" {shown(condition)}{threshold}'
    found, losses = ours(text)
    assert losses == []
    (rule,) = parse(f"Rules = [ {text} ]").rules or ()
    # of a required value there is no share in DQDL, and none is asked of it here
    assert all(our_verdict(part, rows, "string") for part in found) == their_verdict(rule, rows)


@settings(max_examples=60, deadline=None)
@given(
    NUMERIC | lists(NUMBER_OPERANDS | st.just(Constant("NULL"))), st.lists(WHOLE, min_size=1, max_size=5), THRESHOLDS
)
def test_rules_about_numbers_mean_the_same(ours, condition, rows, threshold):
    text = f'ColumnValues "c" {shown(condition)}{threshold}'
    found, losses = ours(text)
    assume(not losses)  # an empty range
    (rule,) = parse(f"Rules = [ {text} ]").rules or ()
    assert all(our_verdict(part, rows, "int") for part in found) == their_verdict(rule, rows)


@settings(max_examples=60, deadline=None)
@given(NUMERIC, st.lists(TEXTS, min_size=1, max_size=5))
def test_rules_about_lengths_mean_the_same(ours, condition, rows):
    text = f'ColumnLength "c" {shown(condition)}'
    found, losses = ours(text)
    assume(not losses)
    (rule,) = parse(f"Rules = [ {text} ]").rules or ()
    assert all(our_verdict(part, rows, "string") for part in found) == their_verdict(rule, rows)


OUR_NUMBERS = st.sampled_from((
    "above: {column: c, value: 1}", "at_most: {column: c, value: 1.5}", "between: {column: c, range: [0, 2]}",
    "values: {column: c, above: 0, at_most: 3}", "values: {column: c, above: -2, below: 3}", "values: {column: c, not_equals: 1}",
    "in: {column: c, values: [0, 1]}", "not_in: {column: c, values: [0, 1]}", "equals: {column: c, value: 1}",
    "not_equals: {column: c, value: 1}",
))  # fmt: skip
OUR_TEXTS = st.sampled_from((
    "in: {column: c, values: [a, b]}", "in: {column: c, values: ['']}", "not_in: {column: c, values: ['', a]}",
    "equals: {column: c, value: a}", "not_equals: {column: c, value: a}", "matches: {column: c, pattern: 'a|b'}",
    "contains_match: {column: c, pattern: b}", "length: {column: c, between: [1, 2]}", "length: {column: c, at_most: 1}",
    "length: {column: c, not_equals: 1}",
))  # fmt: skip
NULLS = st.sampled_from(("", ", nulls: fail", ", nulls: skip"))
TOLERANCES = st.sampled_from(("", "", ", tolerance: 25%", ", tolerance: 0.5"))


def backward(theirs, folder, body, rows, kind):
    found, losses = theirs(f"rules: [{{{body}}}]")
    assume(not losses)
    (rule,) = load(folder / "ours.yml").rules
    assert all(their_verdict(part, rows) for part in found) == our_verdict(rule, rows, kind)


@settings(max_examples=60, deadline=None)
@given(OUR_NUMBERS, NULLS, TOLERANCES, st.lists(WHOLE, min_size=1, max_size=5))
def test_rules_of_ours_about_numbers_mean_the_same_in_dqdl(theirs, folder, body, nulls, tolerance, rows):
    backward(theirs, folder, body + nulls + tolerance, rows, "int")


@settings(max_examples=60, deadline=None)
@given(OUR_TEXTS, NULLS, TOLERANCES, st.lists(TEXTS, min_size=1, max_size=5))
def test_rules_of_ours_about_texts_mean_the_same_in_dqdl(theirs, folder, body, nulls, tolerance, rows):
    backward(theirs, folder, body + nulls + tolerance, rows, "string")


@pytest.mark.parametrize("text", [text for text in SAME if "ColumnDataType" not in text and "Sum" not in text])
def test_there_and_back_again_it_demands_the_same(ours, theirs, folder, text):
    first, _ = ours(text)
    there = to_dqdl(load(folder / "converted.yml"))
    assert [loss for loss in there.losses if loss.what != "'input'"] == []
    second, _ = ours(there.text)
    assert [(rule.check, rule.where, rule.nulls, rule.tolerance) for rule in second] == [
        (rule.check, rule.where, rule.nulls, rule.tolerance) for rule in first
    ]


# the command


@pytest.fixture
def quality(capsys):
    def run(*arguments):
        code = cli.run_command([str(word) for word in arguments])
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


def test_the_command_prints_the_file_and_tells_what_it_lacks(quality, rule_file):
    path = rule_file('Rules = [\n  IsComplete "id",\n  RowCount = NULL\n]\n', "Orders 2.dqdl")
    code, out, err = quality("convert", path, "--input", "in/{{ batch }}.csv", "--root", "out")
    assert code == 0
    rule_set = load(rule_file(out))
    assert [rule.id for rule in rule_set.rules] == ["malformed", "id.required"]
    assert (rule_set.dataset, rule_set.input.path, rule_set.outputs.root) == (
        "orders-2",
        ("in/{{ batch }}.csv",),
        "out",
    )
    assert err == (
        f"{path}:3: 'RowCount = NULL' did not carry over: a number is never NULL\n1 of 2 rules carried over\n"
    )


def test_the_command_writes_a_file_and_goes_both_ways(quality, rule_file, tmp_path):
    path = rule_file(
        "version: 1\ndataset: a\ninput: {path: a.parquet}\nvars: {n: 5}\nrules: [row_count: {above: '{{ n }}'}]\n"
    )
    out = tmp_path / "a.dqdl"
    code, printed, err = quality("convert", path, "--var", "n=7", "-o", out)
    assert (code, printed) == (0, "")
    assert "1 of 1 rules carried over" in err
    assert out.read_text(encoding="utf-8") == "Rules = [\n    RowCount > 7\n]\n"
    code, printed, _ = quality("convert", out)
    assert code == 0
    assert load(rule_file(printed)).rules[0].check == statistics.RowCount(bounds(above=7))


def test_mistakes_end_with_2_and_write_nothing(quality, rule_file, tmp_path):
    path = rule_file("Rules = [\n IsCompleet,\n RowCount ]", "a.dqdl")
    code, out, err = quality("convert", path, "-o", tmp_path / "b.yml")
    assert (code, out) == (2, "")
    assert [line.rpartition("/")[2][:9] for line in err.splitlines()] == [
        "a.dqdl:2:",
        "a.dqdl:3:",
        "2 mistak",
    ] or err.endswith("2 mistakes\n")
    assert not (tmp_path / "b.yml").exists()


USAGE = {
    ("FILE.txt",): "the name does not tell the language (.yml, .yaml or .dqdl); say --to yaml or --to dqdl",
    ("FILE.dqdl", "--to", "dqdl"): "is dqdl already",
    ("FILE.yml", "--to", "yaml"): "is yaml already",
    ("nowhere.dqdl",): "nowhere.dqdl: there is no such rule file",
    ("FILE.dqdl", "-o", "/nowhere/x.yml"): "-o /nowhere/x.yml: cannot be written: No such file or directory",
}


@pytest.mark.parametrize(("words", "message"), USAGE.items())
def test_a_mistake_in_the_arguments_is_one_message(quality, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    for name in ("FILE.txt", "FILE.dqdl", "FILE.yml"):
        (tmp_path / name).write_text(f"{HEAD}rules: []" if name.endswith("yml") else "Rules = []", encoding="utf-8")
    code, _, err = quality("convert", *words)
    assert code == 2
    assert message in err


def test_a_file_of_another_name_is_converted_when_its_language_is_told(rule_file):
    path = rule_file("Rules = [ RowCount > 1 ]", "rules.txt")
    assert "row_count: {above: 1}" in convert_file(path, "yaml").text


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    path = tmp_path / "a.dqdl"
    path.write_bytes(b"Rules = [ \xff ]")
    with pytest.raises(UsageError, match="a rule file is UTF-8 text; byte 10 is not"):
        convert_file(path)
    (tmp_path / "b.dqdl").mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        convert_file(tmp_path / "b.dqdl")


def test_a_yaml_file_with_mistakes_is_told(rule_file):
    with pytest.raises(RuleFileError, match="'ruls' is not a section"):
        convert_file(rule_file(f"{HEAD}ruls: []"))


@pytest.mark.parametrize(("text", "bounds"), (
    ("RowCount > avg(last(5)) * 0.8", ["> mean(last 5) * 0.8"]), ("ColumnCount >= min(last(3))", [">= min(last 3)"]),
    ("RowCount between (0.9 * avg(last(10))) and (1.1 * avg(last(10)))", ["> 0.9 * mean(last 10) and < 1.1 * mean(last 10)"]),
    ('Mean "c" = index(last(3), 0)', ["= index(last 3, 0)"]), ('Sum "c" < percentile(last(10), 0.9)', ["< percentile(last 10, 90%)"]),
    ("RowCount != abs(std(last(4)) - 2 / 3)", ["!= abs(std(last 4) - 2 / 3)"]),
))  # fmt: skip
def test_functions_of_the_history_carry_over_with_a_difference(ours, theirs, folder, text, bounds):
    rules, losses = ours(text)
    assert [str(rule.check.bounds) for rule in rules] == bounds
    assert ["Glue takes 0" in loss.why for loss in losses] == [True] * len(rules)
    again, _ = theirs("rules:\n" + "".join((folder / "converted.yml").read_text().partition("rules:")[2]))
    back, _ = ours("Rules = [ " + ", ".join(map(format_rule, again)) + " ]")
    assert [rule.check for rule in back] == [rule.check for rule in rules]


def test_nearness_to_the_history_becomes_two_rules_of_one(theirs):
    found, losses = theirs("rules: [{row_count: {within: 10% of median(last 7)}}]")
    assert ([format_rule(rule) for rule in found], [loss.kept for loss in losses]) == (
        [
            "(RowCount >= median(last(7)) - 0.1 * abs(median(last(7)))) and (RowCount <= median(last(7)) + 0.1 * abs(median(last(7))))"
        ],
        [True],
    )


def test_rows_that_a_query_returns_pass_by_its_condition_or_by_what_it_selects(folder):
    path = folder / "rows.dqdl"
    path.write_text(
        'Rules = [ CustomSql "select id from primary where age < 100" with threshold > 0.5,\n'
        ' CustomSql "select p.id, p.`a b` from primary p join other o on p.id = o.id",\n'
        ' CustomSql "select * from primary where id in (select id from other)", DetectAnomalies "CustomSQL" "select 1" ]'
    )
    found = to_yaml(parse(path.read_text()), str(path))
    document = yaml.safe_load(found.text)
    *rules, recorded = document["rules"]
    assert rules == [
        {"that": "age < 100", "nulls": "fail", "tolerance": rules[0]["tolerance"]},
        {"sql_rows": {"query": "select p.id, p.`a b` from primary p join other o on p.id = o.id", "key": ["id", "a b"], "returns": "passing"}},
        {"sql_rows": {"query": "select * from primary where id in (select id from other)", "returns": "passing"}},
    ]  # fmt: skip
    assert recorded["sql"] == {"query": "select 1", "record": True}
    assert document["anomalies"]["metrics"] == [f"CustomSQL({recorded['id']})"]
    assert [loss.why for loss in found.losses if loss.kept and loss.what != "'input'"] == [
        "rows that share what is selected share a verdict, where AWS refuses them"
    ]


EXAMPLES = {name: kind.example for name, kind in REGISTRY.items() if name not in ("malformed", "verdict")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_rule_of_every_type_is_written_or_named(theirs, name):
    rules, losses = theirs(f"rules: [{{{EXAMPLES[name].removesuffix(' ')}}}]")
    lost = [loss for loss in losses if not loss.kept]
    assert (len(rules), len(lost)) in ((1, 0), (0, 1))
    assert [loss.what.startswith("rule '") and bool(loss.why) for loss in lost] == [True] * len(lost)


DENIED = {
    'ColumnValues "c" > 30 with threshold < 0.5': 'ColumnValues "c" > 30 with threshold < 0.5',
    'ColumnValues "c" > 30 with threshold != 1': 'ColumnValues "c" > 30 with threshold < 1',
    'ColumnValues "c" > 30 with threshold between 0.25 and 0.75':
        '(ColumnValues "c" > 30 with threshold >= 0.250000000000001) and (ColumnValues "c" > 30 with threshold < 0.75)',
    'ReferentialIntegrity "c" "airports.x" != 0.5':
        '(ReferentialIntegrity "c" "airports.x" < 0.5) or (ReferentialIntegrity "c" "airports.x" >= 0.500000000000001)',
    'ReferentialIntegrity "c" "airports.x" < 1': 'ReferentialIntegrity "c" "airports.x" < 1',
    "FileSize < 5 B with threshold < 0.3": "FileSize < 5 B with threshold < 0.3",
    'ColumnDataType "c" in ["Integer", "Date"]': 'ColumnDataType "c" in ["Integer", "Date"]',
    'ColumnDataType "c" not in ["Integer", "Date"]': 'ColumnDataType "c" not in ["Integer", "Date"]',
    'ColumnDataType "c" != "Long" where "a > 1" with threshold >= 0.5': 'ColumnDataType "c" != "Long" where "a > 1" with threshold >= 0.5',
    'ColumnDataType "c" = "Date" with format = "MM/dd/yyyy" with threshold >= 0.5': 'ColumnDataType "c" = "Date" with format = "MM/dd/yyyy" with threshold >= 0.5',
}  # fmt: skip


@pytest.mark.parametrize(("text", "again"), DENIED.items())
def test_shares_and_types_come_back_with_the_same_bounds(folder, text, again):
    path = folder / "shares.yml"
    there = to_yaml(parse(f"Rules = [ {text} ]"), "a.dqdl", input_path="a.parquet").text
    path.write_text(there + "references: {airports: {path: b.parquet}}\n", encoding="utf-8")
    back = to_dqdl(load(path))
    assert [loss.what for loss in back.losses if not loss.kept] == ["'input'"]
    assert format_rule((parse(back.text).rules or ())[0]) == again


def test_a_denied_metric_that_may_have_no_value_is_named(theirs):
    head = (
        "rules: [{mean: {column: c, above: 1}, id: m, severity: info}, {row_count: {above: 1}, id: n, severity: info}, "
    )
    rules, losses = theirs(head + "{verdict: {not: [m]}, id: v}]")
    assert ([*map(format_rule, rules)], [loss.what for loss in losses if not loss.kept]) == (
        ["RowCount > 1"],
        ["rule 'v'"],
    )
    rules, _ = theirs(head + "{verdict: {not: [{any: [n, {not: n}]}]}, id: v}]")
    assert format_rule(rules[-1]) == "(RowCount <= 1) and (RowCount > 1)"


def test_what_waits_for_its_history_is_told_unless_nothing_waits(theirs):
    body = "rules: [{row_count: {above: mean(last 5)}%s}]"
    for words, waits in (("", True), (", min_history: 3", True), (", min_history: 0", False)):
        rules, losses = theirs(body % words)
        assert [format_rule(rule) for rule in rules] == ["RowCount > avg(last(5))"]
        assert [(loss.kept, "Glue takes 0" in loss.why) for loss in losses] == [(True, True)] * waits


SECTIONS: dict[str, tuple[list[str], list[str]]] = {
    "anomalies: {metrics: [Size, MinLength(c), Completeness(c), CustomSQL(q)], severity: error}": (
        ['DetectAnomalies "RowCount"', 'DetectAnomalies "ColumnLength" "c"', 'DetectAnomalies "Completeness" "c"',
         'DetectAnomalies "CustomSQL" "select max(a) from primary"'], [],
    ),
    "anomalies: {metrics: [Completeness, Kurtosis(c), CustomSQL(z)], season: weekly}": (
        [], ["DetectAnomalies of Completeness names its columns", "DetectAnomalies does not know the metric Kurtosis", "'z' is no query of this file",
             "DQDL has no place for: season, severity warning"],
    ),
    "anomalies: {severity: error}": ([], ["DQDL names each metric of which an anomaly fails the batch"]),
    "anomalies: {severity: info}": ([], []),
    "hold: {quarantined_above: 0.1}": ([], ["DQDL has no place for it"]),
    "columns: {c: {sensitive: hash}}": ([], ["DQDL has no place for it"]),
}  # fmt: skip


@pytest.mark.parametrize(("section", "found"), SECTIONS.items())
def test_sections_beside_the_rules_are_written_or_named(theirs, folder, section, found):
    rules, losses = theirs(f"{section}\nrules: [{{sql: {{query: select max(a) from this, below: 9}}, id: q}}]")
    assert [format_rule(rule) for rule in rules[1:]] == found[0]
    assert [loss.why for loss in losses] == found[1]


@pytest.mark.parametrize("text", (
    'Rules = [ DetectAnomalies "RowCount", DetectAnomalies "ColumnLength" "c", DetectAnomalies "CustomSQL" "select max(a) from primary" ]',
    'Metadata = { "observations.scope": "ALL" }\nRules = [ RowCount > 1 ]', 'Rules = [ RowCount > 1 ]\nAnalyzers = [ Distribution "c", Mean "c" ]',
))  # fmt: skip
def test_anomalies_and_profiles_come_back(folder, text):
    path = folder / "sections.yml"
    first = to_yaml(parse(text), "a.dqdl", dataset="a", input_path="a.parquet").text
    path.write_text(first, encoding="utf-8")
    again = to_yaml(parse(to_dqdl(load(path)).text), "a.dqdl", dataset="a", input_path="a.parquet").text
    parts = [yaml.safe_load(one) for one in (first, again)]
    assert parts[0].get("anomalies") == parts[1].get("anomalies")
    assert parts[0].get("profile") == parts[1].get("profile")
