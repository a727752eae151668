"""Checks of SodaCL (version 3) as rule files: they lint, and demand the same."""

from __future__ import annotations

import pytest

from quality import cli
from quality.errors import RuleFileError
from quality.rulefile.imports.soda_values import KINDS, VALID_KEYS
from tests.imported import imported, said


@pytest.fixture
def converted(tmp_path):
    """The rules that the checks of a data set become, and what the conversion reports."""

    def run(text, head="checks for orders:\n", **given):
        path = tmp_path / "checks.yml"
        path.write_text(head + text, encoding="utf-8")
        found, report = imported(path, **given)
        return said(found), report

    return run


SAME = {
    "row_count > 0": {"type": "row_count", "bounds": {"above": 0}},
    "row_count between 10 and 20": {"type": "row_count", "bounds": {"at_least": 10, "at_most": 20}},
    "row_count between (10 and 20.5)": {"type": "row_count", "bounds": {"above": 10, "below": 20.5}},
    "row_count != 7": {"type": "row_count", "bounds": {"not_equals": 7}},
    "missing_count(a) = 0": {"type": "required", "column": "a"},
    "missing_count(a) < 3": {"type": "required", "column": "a", "tolerance": {"rows": 2}},
    "missing_percent(a) <= 5%": {"type": "required", "column": "a", "tolerance": {"ratio": 0.05}},
    "missing_count(a) between 0 and 1": {"type": "required", "column": "a", "tolerance": {"rows": 1}},
    'missing_count("a b") = 0': {"type": "required", "column": "a b"},
    "duplicate_count(a) = 0": {"type": "unique", "columns": ["a"]},
    "duplicate_count(a, b) < 1": {"type": "unique", "columns": ["a", "b"]},
    "duplicate_percent(a) = 0": {"type": "unique", "columns": ["a"]},
    "distinct_count(a) >= 3": {"type": "distinct_count", "columns": ["a"], "bounds": {"at_least": 3}},
    "avg(a) > -1.5": {"type": "mean", "column": "a", "bounds": {"above": -1.5}},
    "max_length(a) <= 9": {"type": "max_length", "column": "a", "bounds": {"at_most": 9}},
    "stddev_pop(a) < 2": {"type": "stddev", "column": "a", "bounds": {"below": 2}},
    "percentile(a, 0.95) < 50": {"type": "quantile", "column": "a", "q": 0.95, "bounds": {"below": 50}},
    "invalid_count(a) = 0: {valid values: [x, 1]}": {"type": "in", "column": "a", "values": ["x", 1]},
    "invalid_count(a) = 0: {invalid values: [x]}": {"type": "not_in", "column": "a", "values": ["x"]},
    "invalid_count(a) = 0: {valid regex: '^x'}": {"type": "contains_match", "column": "a", "pattern": "^x"},
    "invalid_count(a) = 0: {valid min: 1}": {"type": "values", "column": "a", "bounds": {"at_least": 1}},
    "invalid_count(a) = 0: {valid max length: 4}": {"type": "length", "column": "a", "bounds": {"at_most": 4}},
    "invalid_count(a) = 0: {valid format: uuid}": {"type": "format", "column": "a", "is": "uuid"},
    "invalid_percent(a) <= 2: {valid length: 4}": {"type": "length", "column": "a", "bounds": {"equals": 4}, "tolerance": {"ratio": 0.02}},
    "missing_count(a) = 0: {missing values: [n/a]}": {"type": "not_in", "column": "a", "values": ["n/a"], "nulls": "fail"},
    "valid_percent(a) >= 99: {valid values: [1]}": {"type": "in", "column": "a", "values": [1], "nulls": "fail", "tolerance": {"ratio": 0.01}},
    "avg(a) > 1: {valid min: 0}": {"type": "mean", "column": "a", "bounds": {"above": 1}, "where": "`a` is not null and `a` >= 0"},
    "sum(a) > 1: {missing values: [-9]}": {"type": "sum", "column": "a", "bounds": {"above": 1}, "where": "not (`a` is null or `a` in (-9))"},
    "row_count: {warn: when < 5}": {"type": "row_count", "bounds": {"at_least": 5}, "severity": "warning", "on_fail": "keep"},
    "avg(a): {fail: when not between 1 and 2}": {"type": "mean", "column": "a", "bounds": {"at_least": 1, "at_most": 2}},
    "row_count > 1: {attributes: {team: [a, b]}}": {"type": "row_count", "bounds": {"above": 1}},
    "failed rows: {fail condition: a > b}": {"type": "that", "expression": "not (a > b)"},
    "failed rows: {fail condition: a > b, fail: when > 3}": {"type": "that", "expression": "not (a > b)", "tolerance": {"rows": 3}},
    "schema: {fail: {when required column missing: [a, b]}}": {"type": "columns_exist", "columns": ["a", "b"]},
    "schema: {warn: {when forbidden column present: [a]}}": {"type": "columns_absent", "columns": ["a"], "severity": "warning", "on_fail": "keep"},
    "avg(a): {fail: when between 1 and 2}": {"type": "not", "parts": [{"mean": {"column": "a", "at_least": 1, "at_most": 2}}]},
    "failed rows: {fail query: 'select o.a from orders o where o.a > b;'}": {"type": "sql_rows", "query": "select o.a from this o where o.a > b"},
    "failed rows: {fail query: 'select a, max(b) from orders group by a', warn: when > 3}": {
        "type": "sql_rows", "query": "select a, max(b) from this group by a", "tolerance": {"rows": 3}, "severity": "warning", "on_fail": "keep",
    },
    "failed rows: {fail query: select a from orders, fail: when < 3}": {
        "type": "sql", "query": "select count(*) from (select a from this)", "bounds": {"at_least": 3},
    },
    "surface > 5: {surface expression: sum(a)}": {"type": "sql", "query": "select sum(a) from this", "bounds": {"above": 5}},
    "area >= 5: {area expression: sum(a), filter: b > 1}": {
        "type": "sql", "query": "select sum(a) from (select * from this where b > 1)", "bounds": {"at_least": 5},
    },
    "stock between 1 and 2: {stock query: select max(orders.a) from orders}": {
        "type": "sql", "query": "select max(orders.a) from this as `orders`", "bounds": {"at_least": 1, "at_most": 2},
    },
    "row_count not between 1 and 2": {"type": "not", "parts": [{"row_count": {"at_least": 1, "at_most": 2}}]},
    "freshness(a, NOW) <= 1d": {"type": "freshness", "column": "a", "at_most": "1 day", "as_of": "2024-01-05 12:00:00"},
    "schema: {fail: {when schema changes: [column delete]}}": {"type": "schema_change", "types": "allow"},
}  # fmt: skip


def test_a_check_becomes_this_rule(converted):
    checks = "".join(f"  - {check}\n" for check in SAME)
    found, report = converted(checks, variables={"NOW": "2024-01-05 12:00:00"})
    becomes = dict(
        zip(SAME, [{word: value for word, value in rule.items() if word != "id"} for rule in found], strict=True)
    )
    assert becomes == SAME
    assert (report.rules, report.total, list(report.losses)) == (len(SAME), len(SAME), [])


DIFFERENT = {
    "stddev(a) < 2": "of a sample",
    "missing_percent(a) < 5": "exactly 5 % passes here",
    "freshness(a) < 1d2h30m": "exactly so old",
    "freshness using a < 1d": "exactly so old",
    "change avg last 7 percent for row_count between -20 and 50": "until there are enough",
    "change for avg(a) < 3": "until there are enough",
    "change same day last week for row_count < 3": "one batch a day is meant",
    "change avg last 7 for row_count between -20% and +20%": "without the word 'percent' its '%' says nothing",
    "anomaly detection for row_count": "a detector of its own",
    "invalid_count(a) = 0: {valid format: email}": "'email' is said by the rule type 'format'",
    "schema: {fail: {when wrong column type: {a: integer}}}": "text formats",
    "schema: {fail: {when wrong column index: {b: 1, a: 0}}}": "others may stand between",
}


def test_what_is_there_with_a_difference_is_said(converted):
    _, report = converted("".join(f"  - {check}\n" for check in DIFFERENT))
    assert [(loss.kept, loss.position.line) for loss in report.losses] == [(True, 2 + n) for n in range(len(DIFFERENT))]
    for loss, why in zip(report.losses, DIFFERENT.values(), strict=True):
        assert why in loss.why
    assert report.rules == len(DIFFERENT)


def test_rows_that_a_condition_means_are_counted_and_that_none_may_be_there_is_said(converted):
    counted = {
        "missing_count(a) between 2 and 4": {"bounds": {"at_least": 2, "at_most": 4}, "where": "`a` is null"},
        "row_count > 1: {filter: b = 'x'}": {"bounds": {"above": 1}, "where": "b = 'x'"},
        "valid_count(a) < 3: {valid values: [1]}": {"bounds": {"below": 3}, "where": "`a` is not null and `a` in (1)"},
    }
    found, report = converted("".join(f"  - {check}\n" for check in counted))
    assert [{"bounds": one["bounds"], "where": one["where"]} for one in found] == list(counted.values())
    assert [(loss.position.line, loss.kept) for loss in report.losses] == [(2, True), (3, True)]


def test_a_change_is_a_formula_of_earlier_batches(converted):
    found, _ = converted(
        "  - change avg last 7 percent for row_count between -20 and 50\n  - change for row_count >= -3\n"
    )
    assert [rule["bounds"] for rule in found] == [
        {"at_least": "0.8 * mean(last 7)", "at_most": "1.5 * mean(last 7)"},
        {"at_least": "last - 3"},
    ]


LOST = {
    "the metric 'nonsense'": "nonsense",
    "has no threshold": "row_count",
    "threshold 'about 5'": "row_count about 5",
    "names no column": "avg > 5",
    "what a valid value is": "invalid_count(a) = 0",
    "how old the newest value may be": "freshness(a): {fail: when between 1d and 2d}",
    "its variable 'NOW' has no time": "freshness(a, NOW) < 1d",
    "of last month is not known": "change same day last month for row_count < 3",
    "against a file of a distribution": "distribution_difference(a) > 0.05: {method: ks}",
    "none of the form": "group by: {query: select a from t, fields: [a], checks: [a > 1]}",
    "no metric of a column": "group by: {query: 'select g, mode(a) as m from t group by g', fields: [g], checks: [m > 1]}",
    "no check of a number": "group by: {query: 'select g, max(a) as m from t group by g', fields: [g], checks: [n > 1]}",
    "not those that its query": "group by: {query: 'select g, max(a) as m from t group by g', fields: [h], checks: [m > 1]}",
    "without keys and filters": "anomaly detection for avg(a): {filter: b > 1}",
    "anomalies of 'duplicate_count'": "anomaly detection for duplicate_count(a)",
    "variable": "row_count > ${least}",
    "'valid colour' has no form": "invalid_count(a) = 0: {valid colour: red}",
    "filter cannot be used": "row_count > 0: {filter: 'a; drop'}",
    "fail condition cannot": "failed rows: {fail condition: 'a > (select 1)'}",
    "its query cannot be used": "failed rows: {fail query: drop table orders}",
    "does not reach into a query": "failed rows: {filter: a > 1, fail query: select a from orders}",
    "it has no threshold": "surface: {surface query: select 1}",
    "another data source": "row_count same as other in warehouse",
    "the format 'date iso 8601'": "invalid_count(a) = 0: {valid format: date iso 8601}",
    "a query begins": "surface > 5: {surface query: sum(a)}",
    "'when columns dance'": "schema: {fail: {when columns dance: [a]}}",
    "none of Spark's": "schema: {fail: {when wrong column type: {a: geometry}}}",
}  # fmt: skip


def test_what_has_no_equal_is_listed_with_its_reason_and_line(converted):
    found, report = converted("".join(f"  - {check}\n" for check in LOST.values()) + "  - row_count = 1\n")
    assert [rule["type"] for rule in found] == ["row_count"]
    assert [(loss.kept, loss.position.line) for loss in report.losses] == [(False, 2 + n) for n in range(len(LOST))]
    for loss, why in zip(report.losses, LOST, strict=True):
        assert why in loss.why
        assert f"# because {loss.why}" in report.text
    assert (report.rules, report.total) == (1, len(LOST) + 1)


GROUPS = """\
  - group by:
      group_limit: 50
      query: |
        SELECT g, "h", COUNT(*) as rows, AVG(size) AS average, count(distinct kind) kinds
        FROM orders WHERE day = '2024-01-01'
        GROUP BY g, "h"
      fields: [g, h]
      checks:
        - rows > 2: {name: enough}
        - average: {name: sized, warn: when > 5, fail: when not between 0 and 9}
        - kinds = 1
"""


def test_a_check_of_groups_is_a_rule_in_groups(converted):
    found, report = converted(GROUPS)
    scope = {"where": "day = '2024-01-01'", "group_by": ["g", "h"]}
    assert [{word: value for word, value in rule.items() if word not in ("id", "on_fail")} for rule in found] == [
        {"type": "row_count", "bounds": {"above": 2}, **scope},
        {"type": "mean", "column": "size", "bounds": {"at_least": 0, "at_most": 9}, **scope},
        {"type": "mean", "column": "size", "bounds": {"at_most": 5}, "severity": "warning", **scope},
        {"type": "distinct_count", "columns": ["kind"], "bounds": {"equals": 1}, **scope},
    ]
    assert report.rules == 1


def test_what_anomalies_are_looked_for_in_is_measured_and_watched(tmp_path):
    path = tmp_path / "checks.yml"
    checks = ("row_count", "avg(a) < default", "missing_percent(b)", "distinct_count(c)")
    path.write_text("checks for t:\n" + "".join(f"  - anomaly score for {one}\n" for one in checks), encoding="utf-8")
    found, _ = imported(path)
    assert [(rule.check.type, rule.severity) for rule in found.rules] == [
        (type, "info") for type in ("row_count", "mean", "completeness", "distinct_count")
    ]
    assert found.anomalies.metrics == ("Size", "Mean(a)", "Completeness(b)", "CountDistinct(c)")


def test_shares_and_duplicates_that_no_rule_counts_are_queries(converted):
    found, _ = converted("  - missing_percent(a) > 5: {filter: b > 1}\n  - duplicate_count(a, b) between 1 and 5\n")
    assert [(rule["type"], rule.get("where"), rule["bounds"]) for rule in found] == [
        ("sql", None, {"above": 5}), ("sql", None, {"at_least": 1, "at_most": 5}),
    ]  # fmt: skip
    assert "(select * from this where b > 1)" in found[0]["query"]


def test_a_reference_is_declared_where_a_check_asks_it(converted):
    found, report = converted(
        "  - values in (a, b) must exist in dim (x, b)\n  - values in a must not exist in dim a\n"
    )
    own, of_dim = {"columns": ["a", "b"], "reference_columns": ["x", "b"]}, {"reference": "dim"}
    assert found == [
        {"type": "exists_in", **own, **of_dim},
        {"type": "not", "parts": [{"exists_in": {"columns": ["a"], **of_dim}}]},
    ]
    assert [(loss.what, loss.kept) for loss in report.losses] == [("reference 'dim'", True)]
    found, _ = converted("  - row_count same as raw_orders\n")
    assert found == [{"type": "row_count_match", "reference": "raw_orders"}]


def test_every_key_of_validity_has_a_meaning():
    assert {key.partition(" ")[2] for key in VALID_KEYS} == KINDS.keys()


def test_several_keys_are_one_verdict_in_which_what_is_missing_is_not_invalid(converted):
    config = "{valid min: 1, valid max: 6, missing values: [-1]}"
    found, _ = converted(f"  - invalid_count(a) = 0: {config}\n")
    low, high = ({"values": {"column": "a", word: value}} for word, value in (("at_least", 1), ("at_most", 6)))
    assert found == [
        {"type": "any", "parts": [{"in": {"column": "a", "values": [-1]}}, {"all": {"parts": [low, high]}}]}
    ]


def test_alerts_are_two_rules_of_one_name_with_two_ids(converted):
    found, _ = converted("  - row_count:\n      name: enough rows\n      warn: when < 10\n      fail: when < 5\n")
    assert [(rule["bounds"], rule.get("severity"), rule.get("id")) for rule in found] == [
        ({"at_least": 5}, None, None),
        ({"at_least": 10}, "warning", None),
    ]


def test_what_a_schema_check_demands_stands_or_falls_by_itself(converted):
    text = "  - schema:\n      name: shape\n      warn:\n        when required column missing: [a]\n        when columns dance: [b]\n"
    found, report = converted(f"{text}      fail:\n        when forbidden column present: ['pii_%', c]\n")
    assert [rule["type"] for rule in found] == ["columns_absent", "column_names", "columns_exist"]
    assert [loss.what for loss in report.losses] == ["'schema: shape, when columns dance'"]
    assert (report.rules, report.total) == (2, 3)


def test_an_alert_with_several_conditions_is_a_rule_for_each(converted):
    found, _ = converted("  - row_count:\n      warn:\n        when > 100\n        when < 10\n")
    assert [rule["bounds"] for rule in found] == [{"at_most": 100}, {"at_least": 10}]


WHOLE = """\
variables:
  least: 5
filter orders [daily]:
  where: day = '2024-01-01'
configurations for orders:
  valid min for a: 0
checks for orders [daily]:
  - row_count > ${least}
  - invalid_count(a) = 0
checks for customers:
  - row_count > 1
for each dataset D:
  datasets: [cust%, exclude customers_old]
  checks:
    - missing_count(id) = 0
profile columns:
  columns: [orders.%]
checks:
  - revenue > 0
"""


def test_variables_are_given_by_the_file_or_the_command(converted):
    checks = "  - row_count > ${least}:\n      filter: day >= ${first}\n"
    head = "variables: {least: 5, first: '1'}\nchecks for orders:\n"
    found, _ = converted(checks, head, variables={"first": "date'2024-01-01'"})
    assert found == [{"type": "row_count", "bounds": {"above": 5}, "where": "day >= date'2024-01-01'"}]


def test_a_file_about_several_data_sets_becomes_the_one_that_is_asked_for(converted):
    found, report = converted(WHOLE, "", dataset="orders")
    assert found == [
        {"type": "row_count", "bounds": {"above": 5}, "where": "day = '2024-01-01'"},
        {"type": "values", "column": "a", "bounds": {"at_least": 0}, "where": "day = '2024-01-01'"},
    ]
    lost = [loss for loss in report.losses if not loss.kept]
    assert [(loss.position.line, loss.demand) for loss in lost] == [(10, False), (16, False), (19, True)]
    found, _ = converted(WHOLE, "", dataset="customers")
    assert [rule["type"] for rule in found] == ["row_count", "required"]
    found, _ = converted(WHOLE, "", dataset="cust_new")
    assert [rule["type"] for rule in found] == ["required"]


@pytest.mark.parametrize(
    ("text", "given", "message"),
    (
        (WHOLE, {}, "here are orders, customers; choose by --dataset"),
        (WHOLE, {"dataset": "order"}, "it has no checks for 'order'; did you mean 'orders'"),
        ("checks for a [b]:\n  - row_count > 0\n", {}, "there is no filter 'b' for 'a'"),
        ("filter a [b]:\n  when: c\nchecks for a:\n  - row_count > 0\n", {}, "has no 'where'"),
        ("configurations for a:\n  c: d\nchecks for a:\n  - row_count > 0\n", {}, "no key such as"),
    ),
)
def test_what_cannot_be_read_at_all_is_one_message(converted, text, given, message):
    with pytest.raises(RuleFileError, match=message.replace("(", r"\(")):
        converted(text, "", **given)


def test_the_command_tells_checks_by_their_content_and_is_told(tmp_path, capsys):
    for name, words in {"a.yml": [], "a.txt": ["--from", "soda"]}.items():
        (tmp_path / name).write_text("checks for a:\n  - row_count > 0\n", encoding="utf-8")
        assert cli.run_command(["convert", str(tmp_path / name), *words]) == 0
        assert "  - row_count: {above: 0}" in capsys.readouterr().out


def test_other_tables_of_a_query_are_references(converted):
    found, report = converted("  - failed rows: {fail query: 'select o.a from orders o join shop.b using (a)'}\n")
    assert found[0]["query"] == "select o.a from this o join shop_b using (a)"
    assert [loss.what for loss in report.losses] == ["reference 'shop_b'"]
    assert "shop_b: {path: data/shop_b.parquet}" in report.text
