"""Generic tests in property files of dbt as rule files: they lint, and demand the same."""

from __future__ import annotations

import pytest

from quality import cli
from quality.errors import RuleFileError
from quality.rulefile.imports.dbt_tests import TESTS, WHY_NOT
from tests.imported import imported, said

U, E = "dbt_utils", "dbt_expectations.expect"


@pytest.fixture
def converted(tmp_path):
    """The rules that tests become, those of a column `a` or of the model, and what the conversion reports."""

    def run(*tests, of="a", **given):
        listed = "".join(f"          - {test}\n" for test in tests)
        of_column = (
            f"    columns:\n      - name: {of}\n        tests:\n{listed}" if of else f"    data_tests:\n{listed}"
        )
        path = tmp_path / "schema.yml"
        path.write_text(f"version: 2\nmodels:\n  - name: orders\n{of_column}", encoding="utf-8")
        found, report = imported(path, **given)
        return [{word: value for word, value in rule.items() if word != "id"} for rule in said(found)], report

    return run


WARNING = {"severity": "warning", "on_fail": "keep"}
OF_COLUMN = {
    "unique": {"type": "unique", "columns": ["a"]},
    "not_null": {"type": "required", "column": "a"},
    "not_null: {severity: warn}": {"type": "required", "column": "a", **WARNING},
    "not_null: {config: {where: b > 1}}": {"type": "required", "column": "a", "where": "b > 1"},
    "not_null: {config: {error_if: '>10', warn_if: '>=11'}}": {"type": "required", "column": "a", "tolerance": {"rows": 10}},
    "{test_name: not_null, name: there}": {"type": "required", "column": "a"},
    "accepted_values: {values: [x, y]}": {"type": "in", "column": "a", "values": ["x", "y"]},
    "accepted_values: {arguments: {values: [x]}, description: d}": {"type": "in", "column": "a", "values": ["x"]},
    f"{U}.accepted_range: {{min_value: 0, max_value: 9, inclusive: false}}": {"type": "values", "column": "a", "bounds": {"above": 0, "below": 9}},
    f"{U}.accepted_range: {{min_value: b}}": {"type": "that", "expression": "`a` >= b"},
    f"{U}.at_least_one": {"type": "completeness", "column": "a", "bounds": {"above": 0}},
    f"{U}.not_constant": {"type": "distinct_count", "columns": ["a"], "bounds": {"not_equals": 1}},
    f"{U}.not_empty_string": {"type": "that", "expression": "trim(`a`) <> ''"},
    f"{U}.not_accepted_values: {{values: [x]}}": {"type": "not_in", "column": "a", "values": ["x"]},
    f"{U}.not_null_proportion: {{at_least: 0.9}}": {"type": "completeness", "column": "a", "bounds": {"at_least": 0.9}},
    f"{U}.expression_is_true: {{expression: '>= 1'}}": {"type": "that", "expression": "`a` >= 1"},
    f"{E}_column_values_to_not_be_null": {"type": "required", "column": "a"},
    f"{E}_column_values_to_be_between: {{min_value: 1, strictly: true}}": {"type": "values", "column": "a", "bounds": {"above": 1}},
    f"{E}_column_values_to_be_in_set: {{value_set: [x]}}": {"type": "in", "column": "a", "values": ["x"], "nulls": "fail"},
    f"{E}_column_values_to_match_regex: {{regex: x, flags: i}}": {"type": "contains_match", "column": "a", "pattern": "(?i)x"},
    f"{E}_column_values_to_be_of_type: {{column_type: integer}}": {"type": "type", "column": "a", "is": "int"},
    f"{E}_column_mean_to_be_between: {{max_value: 2, row_condition: b = 1}}": {"type": "mean", "column": "a", "bounds": {"at_most": 2}, "where": "b = 1"},
    f"{E}_column_distinct_count_to_be_less_than: {{value: 3}}": {"type": "distinct_count", "columns": ["a"], "bounds": {"below": 3}},
    f"{E}_column_quantile_values_to_be_between: {{quantile: 0.9, max_value: 2}}": {"type": "quantile", "column": "a", "q": 0.9, "bounds": {"at_most": 2}, "exact": True},
    f"{E}_column_values_to_not_match_like_pattern_list: {{like_pattern_list: [x%], match_on: all}}": {"type": "not", "parts": [{"like": {"column": "a", "pattern": "x%"}}]},
}  # fmt: skip
OF_MODEL = {
    f"{U}.expression_is_true: {{expression: a > b}}": {"type": "that", "expression": "a > b"},
    f"{U}.expression_is_true: {{expression: a > c, condition: b = 1}}": {"type": "that", "expression": "a > c", "where": "b = 1"},
    "dbt_expectations.expression_between: {expression: a + b, max_value: 3}": {"type": "that", "expression": "(a + b) <= 3"},
    f"{U}.recency: {{field: t, datepart: day, interval: 2}}": {"type": "freshness", "column": "t", "at_most": "2 days"},
    f"{E}_compound_columns_to_be_unique: {{column_list: [a, b], ignore_row_if: any_value_is_missing}}": {"type": "unique", "columns": ["a", "b"]},
    f"{E}_table_row_count_to_equal: {{value: 3}}": {"type": "row_count", "bounds": {"equals": 3}},
    f"{E}_table_columns_to_contain_set: {{column_list: [a]}}": {"type": "columns_exist", "columns": ["a"]},
    "unique: {column_name: c}": {"type": "unique", "columns": ["c"]},
}  # fmt: skip


@pytest.mark.parametrize(("tests", "of"), ((OF_COLUMN, "a"), (OF_MODEL, "")), ids=("column", "model"))
def test_a_test_becomes_this_rule(converted, tests, of):
    found, report = converted(*tests, of=of)
    for rule in found:
        rule.pop("description", None)
    assert dict(zip(tests, found, strict=True)) == tests
    assert (report.rules, report.total, list(report.losses)) == (len(tests), len(tests), [])


def test_a_test_that_warns_early_and_fails_late_is_two_rules(converted):
    found, _ = converted("not_null: {config: {error_if: '>10'}}", "not_null: {severity: warn, warn_if: '> 5'}")
    assert found == [
        {"type": "required", "column": "a", "tolerance": {"rows": 10}},
        {"type": "required", "column": "a", **WARNING},
        {"type": "required", "column": "a", "tolerance": {"rows": 5}, **WARNING},
    ]


@pytest.mark.parametrize(
    ("test", "of", "why"),
    (
        (f"{U}.unique_combination_of_columns: {{combination_of_columns: [a, b]}}", "", "a NULL part"),
        (f"{E}_column_stdev_to_be_between: {{max_value: 1}}", "a", "of a sample"),
        (f"{E}_row_values_to_have_recent_data: {{datepart: hour, interval: 1}}", "a", "in the future"),
    ),
)
def test_what_is_there_with_a_difference_is_said(converted, test, of, why):
    found, report = converted(test, of=of)
    (loss,) = report.losses
    assert (len(found), loss.kept) == (1, True)
    assert why in loss.why


LOST = {
    "no form yet": "own_test",
    "held against another data set": f"{U}.cardinality_equality: {{field: id, to: ref('b')}}",
    "the test names none": f"{U}.equality: {{compare_model: ref('b')}}",
    "no limit of failures": "not_null: {error_if: '=0'}",
    "are not rows": "unique: {warn_if: '>10'}",
    "its severity 'grave'": "not_null: {severity: grave}",
    "templates of dbt": "accepted_values: {values: ['{{ var(1) }}']}",
    "its where cannot": "not_null: {where: a > (select 1)}",
    "fail_calc": "not_null: {config: {fail_calc: max(n)}}",
    "not judged in groups here": f"{U}.equal_rowcount: {{compare_model: ref('b'), group_by_columns: [b]}}",
    "groups go with a number": f"{E}_column_values_to_not_be_null: {{group_by: [b]}}",
    "its day against a day": f"{U}.recency: {{field: a, datepart: day, interval: 1, ignore_time_component: true}}",
    "'values' is missing": "accepted_values",
    "argument 'shape' has no form": "not_null: {shape: round}",
    "has no bounds": f"{U}.accepted_range: {{inclusive: true}}",
    "moving window": f"{E}_column_values_to_be_within_n_moving_stdevs: {{date_column_name: b}}",
    "not every few": f"{E}_row_values_to_have_data_for_every_n_datepart: {{date_col: t, interval: 2}}",
    "not every 'quarter'": f"{E}_row_values_to_have_data_for_every_n_datepart: {{date_col: t, date_part: quarter}}",
    "'gaps: some'": f"{U}.mutually_exclusive_ranges: {{lower_bound_column: b, upper_bound_column: c, gaps: some}}",
    "the second or a later": f"{E}_column_most_common_value_to_be_in_set: {{value_set: [x], top_n: 2}}",
    "not as an amount": f"{E}_table_aggregation_to_equal_other_table: {{expression: sum(a), compare_model: ref('b'), tolerance: 2}}",
    "two different aggregates": f"{E}_table_aggregation_to_equal_other_table: {{expression: sum(a), compare_expression: max(a), compare_model: ref('b')}}",
    "only one type": f"{E}_column_values_to_be_in_type_list: {{column_type_list: [date, int]}}",
    "a rule file refuses it": f"{E}_column_pair_values_to_be_equal: {{column_A: b, column_B: b}}",
}  # fmt: skip


def test_what_has_no_equal_is_listed_with_its_reason_and_line(converted):
    found, report = converted(*LOST.values(), "not_null")
    assert [rule["type"] for rule in found] == ["required"]
    assert [(loss.kept, loss.position.line) for loss in report.losses] == [(False, 7 + n) for n in range(len(LOST))]
    for loss, why in zip(report.losses, LOST, strict=True):
        assert why in loss.why
        assert f"# because {loss.why}" in report.text
    assert (report.rules, report.total) == (1, len(LOST) + 1)


def test_of_a_reference_the_rows_of_a_condition_are_meant(converted):
    found, report = converted(
        f"{U}.relationships_where: {{to: ref('dim'), field: id, from_condition: a > 0, to_condition: alive}}",
        f"{E}_table_row_count_to_equal_other_table: {{compare_model: ref('dim'), row_condition: alive}}",
        "relationships: {to: ref('dim'), field: id}",
    )
    assert [(rule["reference"], rule.get("where")) for rule in found] == [
        ("dim", "a > 0"),
        ("dim", "alive"),
        ("dim_2", None),
    ]
    assert "  dim: {path: data/dim.parquet, where: alive}\n  dim_2: {path: data/dim_2.parquet}\n" in report.text


def test_a_few_failures_are_allowed_where_the_rule_counts_them(converted):
    found, _ = converted(
        f"{E}_column_values_to_be_increasing: {{sort_column: b, config: {{error_if: '>2'}}}}",
        f"{U}.sequential_values: {{config: {{where: b > 1, severity: warn, warn_if: '>1'}}}}",
        f"{E}_row_values_to_have_data_for_every_n_datepart: {{date_col: t, config: {{error_if: '>1', warn_if: '>1'}}}}",
    )
    by_type = [(rule["type"], rule.get("violations"), rule.get("missing"), rule.get("bounds")) for rule in found]
    assert by_type == [
        ("monotonic", 2, None, None), ("monotonic", None, None, None), ("sql", None, None, {"at_most": 1}), ("coverage", None, 1, None),
    ]  # fmt: skip
    assert "from (select * from this where b > 1)" in found[2]["query"]
    assert found[2].get("where") is None


def test_a_test_in_groups_is_a_rule_in_groups(converted):
    found, _ = converted(
        f"{U}.not_constant: {{group_by_columns: [b]}}",
        f"{E}_column_mean_to_be_between: {{max_value: 2, group_by: [b, c]}}",
        f"{E}_column_values_to_be_decreasing: {{sort_column: t, group_by: [b]}}",
    )
    assert [(rule.get("group_by"), rule.get("per")) for rule in found] == [
        (["b"], None),
        (["b", "c"], None),
        (None, ["b"]),
    ]


def test_a_test_that_is_switched_off_is_named_and_not_counted(converted):
    found, report = converted("unique: {enabled: false}", "not_null: {config: {enabled: false}}", "unique")
    assert (len(found), report.total) == (1, 1)
    assert [(loss.demand, "switched off" in loss.why) for loss in report.losses] == [(False, True)] * 2


@pytest.mark.parametrize("to", ("ref('dim')", "source('shop', 'dim')", "dim"))
def test_a_relationship_asks_a_reference_that_is_declared(converted, to):
    found, report = converted(f'relationships: {{to: "{to}", field: id}}')
    assert found == [{"type": "exists_in", "columns": ["a"], "reference": "dim", "reference_columns": ["id"]}]
    assert [(loss.what, loss.kept) for loss in report.losses] == [("reference 'dim'", True)]


def test_numbers_of_rows_are_held_against_those_of_references(converted):
    found, _ = converted(
        f"{U}.equal_rowcount: {{compare_model: ref('dim')}}",
        f"{U}.fewer_rows_than: {{compare_model: ref('dim')}}",
        f"{E}_table_row_count_to_equal_other_table: {{compare_model: ref('dim')}}",
        of="",
    )
    match = {"type": "row_count_match", "reference": "dim"}
    assert [(rule.pop("bounds", {}), rule) for rule in found] == [({}, match), ({"below": 1}, match), ({}, match)]


def test_no_test_has_a_form_and_a_reason_why_it_has_none():
    assert not TESTS.keys() & WHY_NOT.keys()


SEVERAL = """\
version: 2
sources:
  - name: shop
    tables:
      - name: raw_orders
        columns: [{name: id, tests: [unique]}]
models:
  - name: orders
    columns: [{name: id, data_tests: [not_null]}]
  - name: untested
"""


def test_a_file_about_several_models_becomes_the_one_that_is_asked_for(tmp_path, capsys):
    path = tmp_path / "schema.yml"
    path.write_text(SEVERAL, encoding="utf-8")
    with pytest.raises(RuleFileError, match="here are orders, raw_orders; choose by --dataset"):
        imported(path)
    for name, rule in {"raw_orders": "unique: {columns: [id]}", "orders": "required: {column: id}"}.items():
        assert cli.run_command(["convert", str(path), "--dataset", name]) == 0
        told = capsys.readouterr()
        assert f"  - {rule}\n" in told.out
        assert "it is another data set" in told.err
    with pytest.raises(RuleFileError, match="it has no tests for 'oders'"):
        imported(path, dataset="oders")


SINGULAR = {
    "positive": "-- refunds\nselect id from {{ ref('orders') }} where amount < 0;",
    "paid": "{# why #}{{ config(severity = 'warn', error_if = '>10', warn_if = '>2') }}\nwith paid as (select order_id, sum(amount) as s from {{ source('raw', 'payments') }} group by 1)\nselect o.* from {{ ref('shop', 'orders') }} o join paid p on o.id = p.order_id where p.s <> o.amount",
    "other": "select * from {{ ref('customers') }} where id is null",
    "off": "{{ config(enabled=false) }} select * from {{ ref('orders') }}",
    "macro": "select * from {{ ref('orders') }} where {{ old('at') }}",
    "written": "delete from {{ ref('orders') }}",
    "generic/is_even": "{% test is_even(model, column_name) %} select * from {{ ref('orders') }} {% endtest %}",
}  # fmt: skip


@pytest.fixture
def project(tmp_path):
    def made(folder="tests", settings="name: shop\n"):
        (tmp_path / "models").mkdir()
        (tmp_path / "dbt_project.yml").write_text(settings)
        for name, text in SINGULAR.items():
            path = tmp_path / folder / f"{name}.sql"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        path = tmp_path / "models" / "schema.yml"
        path.write_text(
            "models:\n  - name: orders\n    columns: [{name: id, tests: [not_null]}]\n  - name: customers\n"
        )
        return path

    return made


def test_singular_tests_of_the_project_are_queries_for_failing_rows(project):
    found, report = imported(project(), dataset="orders")
    first, paid, positive = found.rules
    assert first.id == "id.required"
    assert positive.check.condition == "amount < 0"
    assert positive.id == "positive"
    assert "from `raw" not in paid.check.query
    assert paid.check.query.startswith("with paid as (select order_id, sum(amount) as s from payments group by 1)")
    assert paid.check.query.endswith("select o.* from this o join paid p on o.id = p.order_id where p.s <> o.amount")
    assert (str(paid.severity), paid.tolerance.rows) == ("warning", 2)
    assert [one.name for one in found.references] == ["payments"]
    told = {loss.what: loss.why for loss in report.losses}
    assert told["'singular test tests/off.sql'"] == "it is switched off (enabled: false)"
    assert "templates of dbt other than ref()" in told["'singular test tests/macro.sql'"]
    assert "a query begins with SELECT or WITH" in told["'singular test tests/written.sql'"]
    assert not any("other.sql" in what or "is_even" in what for what in told)


def test_folders_of_singular_tests_are_those_of_the_project(project):
    found, _ = imported(project("checks", "test-paths: [checks]\n"), dataset="customers")
    (rule,) = found.rules
    assert rule.check.condition == "id is null"


def test_a_property_file_without_a_project_has_generic_tests_only(project, tmp_path):
    path = project()
    (tmp_path / "dbt_project.yml").unlink()
    found, _ = imported(path, dataset="orders")
    assert [rule.id for rule in found.rules] == ["id.required"]
