"""Verdicts on rules, joined; rules that only record; parts with a NULL policy of their own; what DQDL's composites and
analyzers become."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import pytest

from quality.errors import RuleFileError
from quality.model import Bounds, Column, Metric, MetricKey, RuleStatus, Severity
from quality.planner import plan, row_check
from quality.rule_types.base import Row
from quality.rule_types.verdicts import Verdict
from quality.rulefile import load
from quality.rulefile.dqdl import parse
from quality.rulefile.dqdl.metric_names import AWS_COMPLIANCE, AWS_NAMES, aws_name
from quality.rulefile.dqdl.printer import format_rule
from quality.rulefile.dqdl.to_dqdl import to_dqdl
from quality.rulefile.dqdl.to_yaml import to_yaml
from quality.verification import Measured, judge

HEAD = "version: 1\ndataset: a\ninput: {path: a.parquet}\nrules:\n"
TRUTH = {True: RuleStatus.PASSED, False: RuleStatus.FAILED, None: RuleStatus.ERROR}
COLUMNS = (Column("a", "int"), Column("b", "int"), Column("name", "string"))


def loaded(rule_file, text):
    return load(rule_file(HEAD + text + "\n"), batch="b")


@pytest.mark.parametrize("held", tuple(itertools.product((True, False, None), repeat=3)))
def test_a_verdict_is_what_kleene_says(held):
    """`a or (b and not c)`, an unsure rule being neither."""
    a, b, c = held
    check = Verdict(any_=("a", ("all", ("b", ("not", ("c",))))))
    found = check.combined({name: TRUTH[value] for name, value in zip("abc", held, strict=True)})
    # unsure is whatever can come out either way
    outcomes = {
        x or (y and not z)
        for x, y, z in itertools.product(*((value,) if value is not None else (True, False) for value in (a, b, c)))
    }
    assert found == TRUTH[outcomes.pop() if len(outcomes) == 1 else None]


def test_a_rule_that_is_not_applicable_is_left_out():
    one, none = {"a": RuleStatus.FAILED, "b": RuleStatus.NOT_APPLICABLE}, RuleStatus.NOT_APPLICABLE
    assert Verdict(any_=("a", "b")).combined(one) == RuleStatus.FAILED
    assert Verdict(not_=("a", "b")).combined(one) == RuleStatus.PASSED
    assert Verdict(all_=("a", "b")).combined({"a": none, "b": none}) == none


@pytest.mark.parametrize(("text", "told"), (
    ("- verdict: {any: [few]}", "'verdict' names 'few', which is the id of no rule before it"),
    ("- {verdict: {any: [later]}, id: first}\n- {verdict: {any: [first]}, id: later}", "'verdict' names 'later', which"),
    ("- verdict: {}", "needs one of all, any, not, got none"),
    ("- verdict: {any: [x], not: [x]}", "needs one of all, any, not, got any and not"),
    ("- verdict: {any: [{or: [x]}]}", "takes ids of rules, and {all: [...]}, {any: [...]}, {not: [...]}, got a mapping"),
    ("- {row_count: {record: true, at_least: 1}}", "'record: true' goes with a metric, and stands alone"),
    ("- {row_count: {record: false}}", "'record: true' goes with a metric, and stands alone"),
    ("- {values: {column: a, record: true}}", "'record: true' goes with a metric"),
    ("- {length: {column: a, record: true}}", "'record: true' goes with a metric: see min_length"),
    ("- any: [{above: {column: a, value: 1}, nulls: skip}]", "whose 'nulls' must be pass or fail, got 'skip'"),
    ("- any: [{required: a, nulls: pass}]", "says itself what NULL means"),
    ("- any: [{that: a > 0, where: 'a in (select 1)'}]", "'where' cannot be used"),
))  # fmt: skip
def test_what_cannot_be_joined_or_recorded_is_told(rule_file, text, told):
    with pytest.raises(RuleFileError) as error:
        loaded(rule_file, text)
    assert told in str(error.value)


def judged(rule_set, rows, **metrics):
    found = plan(rule_set, Row(COLUMNS), text=False)
    values = {
        check.rule.id: Metric(check.analyzer.key, metrics.get(check.rule.check.type, rows))
        for check in found.metric_checks
    }
    scopes = dict.fromkeys(values, rows)
    return {v.id: v for v in judge(found, Measured(rows, 0, {}, values, scopes), COLUMNS)}


def test_a_verdict_is_judged_last_and_says_what_it_rests_on(rule_file):
    text = """
- {row_count: {above: 10}, id: many, severity: info}
- {mean: {column: a, above: 5}, id: high, severity: info}
- {verdict: {any: [many, high]}, id: either}
- {verdict: {not: [either]}, id: neither, severity: warning}"""
    rules = loaded(rule_file, text)
    found = judged(rules, 3, mean=1.0)
    assert [str(v.status) for v in found.values()] == ["failed", "failed", "failed", "passed"]
    assert found["either"].message == "many failed, high failed"
    assert (found["either"].expected, found["neither"].severity) == ("must hold: many or high", Severity.WARNING)
    assert judged(rules, 3, mean=6.0)["either"].status == RuleStatus.PASSED


def test_what_is_recorded_is_never_judged(rule_file):
    rules = loaded(rule_file, "- mean: {column: a, record: true}\n- column_count: {record: true}")
    for value, status in ((7.0, "passed"), (float("nan"), "passed"), (None, "not_applicable")):
        found = judged(rules, 3, mean=value)
        assert (str(found["a.mean"].status), found["a.mean"].expected) == (status, "recorded")
    assert found["column_count"].metric == Metric(MetricKey("Dataset", "ColumnCount", "*"), 3)


def test_what_is_recorded_of_columns_that_are_not_there_is_nothing(rule_file):
    rules = loaded(
        rule_file, "- mean: {columns: {matching: 'x.*', type: numeric}, record: true}\n- row_count: {above: 0}"
    )
    assert [rule.id for rule in plan(rules, Row(COLUMNS), text=False).rules] == ["row_count"]
    both = loaded(rule_file, "- mean: {columns: {matching: '[a-n].*', type: numeric}, record: true}")
    assert [rule.column for rule in plan(both, Row(COLUMNS), text=False).rules] == ["a", "b"]


def complying(check, rows):
    """The rows that a row rule lets pass, by SQLite."""
    base = sqlite3.connect(":memory:")
    base.execute("create table t (a, b, name)")
    base.executemany("insert into t values (?, ?, ?)", rows)
    return base.execute(f"select a, b, name from t where {check.complies}").fetchall()


def test_a_part_with_a_policy_of_its_own_is_sure_of_every_row(rule_file):
    rows = list(itertools.product((None, 1, 9), (None, 1, 9), ("x",)))
    (rule,) = loaded(
        rule_file,
        "- any:\n  - {above: {column: a, value: 5}, nulls: fail}\n"
        "  - {below: {column: b, value: 5}, nulls: fail, where: a = 1}",
    ).rules
    wanted = [(a, b, n) for a, b, n in rows if (a is not None and a > 5) or a != 1 or (b is not None and b < 5)]
    assert complying(row_check(rule, rule.check, Row(COLUMNS)), rows) == wanted
    assert rule.canonical["parts"][1] == {"below": {"column": "b", "value": 5}, "nulls": "fail", "where": "a = 1"}


# DQDL

COMPOSITE = '(IsComplete "a") or ((RowCount > 3) and (Mean "b" in [1, 2]))'


def ours(rule_file, text):
    found = to_yaml(parse(text), "a.dqdl", input_path="a.parquet")
    assert [str(loss) for loss in found.losses] == []
    return load(rule_file(found.text), batch="b")


def test_a_composite_joins_the_verdicts_of_its_rules_and_comes_back(rule_file):
    rules = ours(rule_file, f"Rules = [ {COMPOSITE}, RowCount not between 1 and 5 ]")
    verdicts = [rule for rule in rules.rules if isinstance(rule.check, Verdict)]
    assert [rule.severity for rule in rules.rules] == [
        Severity.ERROR if rule in verdicts else Severity.INFO for rule in rules.rules
    ]
    assert verdicts[0].check.requirement() == (
        "must hold: composite.1 or (composite.2.1 and (composite.2.2.1 or composite.2.2.2))"
    )
    assert verdicts[1].check.requirement() == "must hold: row_count.1 or row_count.2"
    back = to_dqdl(rules)
    assert [format_rule(rule) for rule in parse(back.text).rules or ()] == [
        '(IsComplete "a") or ((RowCount > 3) and ((Mean "b" = 1) or (Mean "b" = 2)))',
        "(RowCount <= 1) or (RowCount >= 5)",
    ]
    assert (back.rules, back.total) == (2, 2)


def test_a_composite_by_row_is_one_rule_about_rows(rule_file):
    text = (
        'Metadata = {"compositeRuleEvaluation.method": "ROW"} Rules = [ (ColumnValues "a" > 5) or '
        '((ColumnValues "b" != 9) and (IsComplete "name")) ]'
    )
    (rule,) = ours(rule_file, text).rules
    rows = list(itertools.product((None, 1, 9), (None, 1, 9), (None, "x")))
    # NULL fails ColumnValues, but for `!=`
    wanted = [(a, b, n) for a, b, n in rows if (a is not None and a > 5) or (b != 9 and n is not None)]
    assert complying(row_check(rule, rule.check, Row(COLUMNS)), rows) == wanted


@pytest.mark.parametrize(("part", "why"), (
    ('Completeness "a" > 0.5', "gives no verdict on a row by itself"),
    ('ColumnValues "a" > 1 with threshold > 0.5', "a threshold is about all rows"),
))  # fmt: skip
def test_what_says_nothing_of_a_row_stands_in_no_composite_by_row(part, why):
    text = f'Metadata = {{"CompositeRuleEvaluation": "row"}} Rules = [ ({part}) or (IsComplete "b") ]'
    (loss,) = to_yaml(parse(text), "a.dqdl", input_path="a.parquet").losses
    assert why in loss.why


def test_a_composite_as_a_string_is_called_as_its_entry_is(rule_file):
    rules = loaded(
        rule_file,
        f"- {{dqdl: '{COMPOSITE}', name: First one, severity: warning}}\n- dqdl: '(RowCount > 1) or (ColumnCount > 2)'",
    ).rules
    assert [(rule.id, str(rule.severity)) for rule in rules] == [
        ("First one.1", "info"), ("First one.2.1", "info"), ("First one.2.2.1", "info"), ("First one.2.2.2", "info"),
        ("first-one", "warning"), ("composite.1", "info"), ("composite.2", "info"), ("composite", "error"),
    ]  # fmt: skip


ANALYZERS = {
    "RowCount": ["row_count"],
    "ColumnCount": ["column_count"],
    'Completeness "a"': ["a.completeness"],
    'Uniqueness "a" "b"': ["uniqueness(a,b)"],
    'Mean "a"': ["a.mean"],
    'Sum "a"': ["a.sum"],
    'StandardDeviation "a"': ["a.stddev"],
    'DistinctValuesCount "a"': ["a.distinct_count"],
    'UniqueValueRatio "a"': ["a.unique_value_ratio"],
    'ColumnLength "name"': ["name.min_length", "name.max_length"],
    'ColumnValues "a"': ["a.min", "a.max"],
    'ColumnCorrelation "a" "b"': ["correlation(a,b)"],
}


@pytest.mark.parametrize(("text", "ids"), ANALYZERS.items())
def test_an_analyzer_records_and_comes_back(rule_file, text, ids):
    rules = ours(rule_file, f"Analyzers = [ {text}, {text} ]")
    assert [(rule.id, rule.severity) for rule in rules.rules] == [(id, Severity.INFO) for id in ids]
    assert all(rule.check.bounds == Bounds(recorded=True) for rule in rules.rules)
    back = parse(to_dqdl(rules).text).analyzers or ()
    if len(ids) == 1:
        assert [format_rule(rule, analyzer=True) for rule in back] == [text]


def test_all_statistics_measures_what_goes_with_the_type(rule_file):
    found = [
        rule.id for rule in plan(ours(rule_file, 'Analyzers = [ AllStatistics "a" ]'), Row(COLUMNS), text=False).rules
    ]
    assert {"row_count", "column_count", "a.completeness", "a.uniqueness", "a.min", "a.mean", "a.sum"} <= set(found)
    assert not [id for id in found if "length" in id]
    every = plan(ours(rule_file, "Analyzers = [ AllStatistics AllColumns ]"), Row(COLUMNS), text=False).rules
    metrics = {(rule.column, rule.check.type) for rule in every}
    assert {("b", "max"), ("name", "max_length"), ("name", "completeness")} <= metrics
    assert ("name", "mean") not in metrics


def test_a_distribution_is_in_the_profile(rule_file):
    assert ours(rule_file, 'Analyzers = [ Distribution "a" ]').profile


def test_the_page_names_metrics_as_aws_does():
    page = (Path(__file__).parents[2] / "docs" / "dqdl.md").read_text(encoding="utf-8")
    said = {*AWS_NAMES.items(), *((f"Compliance of a rule `{kind}`", name) for kind, name in AWS_COMPLIANCE.items())}
    rows = {
        tuple(cell.strip() for cell in line.strip("|").split("|")) for line in page.splitlines() if line[:2] == "| "
    }
    assert rows - {("here", "on AWS")} == {(ours, f"`{theirs.replace('{}', '<column>')}`") for ours, theirs in said}


@pytest.mark.parametrize(("key", "rule", "name"), (
    (MetricKey("Dataset", "Size", "*"), "row_count", "Dataset.*.RowCount"),
    (MetricKey("Column", "CountDistinct", "a.b"), "distinct_count", "Column.a.b.DistinctValuesCount"),
    (MetricKey("Multicolumn", "Uniqueness", "a,b"), "uniqueness", "Multicolumn.a,b.Uniqueness"),
    (MetricKey("Multicolumn", "Correlation", "a,b"), "correlation", "Multicolumn.a,b.ColumnCorrelation"),
    (MetricKey("Column", "Compliance", "some id"), "in", "Column.a.ColumnValues.Compliance"),
    (MetricKey("Column", "Compliance", "some id"), "that", ""),
    (MetricKey("Column", "Kurtosis", "a"), "kurtosis", ""),
    (MetricKey("Dataset", "CustomSQL", "some id"), "sql", "Dataset.*.CustomSQL"),
    (MetricKey("Column", "Compliance", "some id"), "sql_rows", "Dataset.*.CustomSQL.Compliance"),
    (MetricKey("Dataset", "RowCountMatch", "twin"), "row_count_match", "Dataset.twin.RowCountMatch"),
    (MetricKey("Dataset", "DatasetMatch", "twin", "", (("key", "a"), ("of", "batch"))), "dataset_match", "Dataset.twin.DatasetMatch"),
    (MetricKey("Dataset", "DatasetMatch", "twin", "", (("key", "a"), ("of", "either"))), "dataset_match", ""),
))  # fmt: skip
def test_a_metric_has_the_name_of_aws(key, rule, name):
    assert aws_name(key, rule, "a") == name


def test_anomalies_are_looked_for_in_what_is_named(rule_file):
    text = (
        'Rules = [ DetectAnomalies "RowCount", DetectAnomalies "ColumnLength" "name", DetectAnomalies of Mean of "a" ]'
    )
    found = ours(rule_file, text)
    assert found.anomalies.metrics == ("Size", "MinLength(name)", "MaxLength(name)", "Mean(a)")
    assert (found.anomalies.severity, str(found.anomalies.on_fail)) == (Severity.ERROR, "hold")
    assert [rule.id for rule in found.rules] == ["row_count", "name.min_length", "name.max_length", "a.mean"]
    assert all(rule.check.bounds.recorded for rule in found.rules)


def test_anomalies_are_looked_for_in_the_number_of_a_query(rule_file):
    found = ours(
        rule_file,
        'Rules = [ DetectAnomalies "CustomSQL" "select count(*) from primary where a > 1", DetectAnomalies "CustomSQL" "select max(a) from primary" ]',
    )
    ids = [rule.id for rule in found.rules]
    assert len({*ids}) == 2
    # a query has the id of its rule as instance
    assert found.anomalies.metrics == tuple(f"CustomSQL({id})" for id in ids)
    assert [rule.check.query.partition(" ")[2][:6] for rule in found.rules] == ["count(", "max(a)"]
