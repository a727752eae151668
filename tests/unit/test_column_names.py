"""Rules about the names of columns, judged without a row; how old the newest value may be; and rules that one
entry demands of many columns."""

from __future__ import annotations

import pytest

from quality.errors import RuleFileError
from quality.model import Column, RuleStatus
from quality.planner import plan
from quality.rule_types.base import Row
from quality.rule_types.dates import Freshness
from quality.rulefile import load
from quality.rulefile.lint import expanded, lint
from quality.verification import Measured, judge

HEAD = "version: 1\ndataset: a\ninput: {path: a.parquet}\nrules:\n"
COLUMNS = tuple(Column(name, kind) for name, kind in (("id", "int"), ("Amount", "double"), ("booked_at", "timestamp")))


def result(rule_file, text, columns=COLUMNS):
    rule_set = load(rule_file(HEAD + f"- {text}\n"), batch="b")
    (found,) = judge(plan(rule_set, Row(columns), text=False), Measured(rows=1), columns)
    return found


@pytest.mark.parametrize(("text", "told"), (
    ("columns_exist: {columns: [ID, amount]}", ""),
    ("columns_exist: {columns: [id, amout]}", "column 'amout' is missing"),
    ("columns_absent: {columns: [ssn]}", ""),
    ("columns_absent: {columns: [ssn, AMOUNT]}", "column 'AMOUNT' is there"),
    ("column_order: {columns: [id, nowhere, booked_at]}", ""),
    ("column_order: {columns: [booked_at, id]}", "the order is id, booked_at"),
    ("column_count: {equals: 3}", ""),
    ("column_count: {between: [4, 9]}", "the batch has 3 columns, must be between 4 and 9"),
    ("column_names: {pattern: '[A-Za-z_]+'}", ""),
    ("column_names: '[a-z_]+'", "the name 'Amount' does not match [a-z_]+"),
))  # fmt: skip
def test_a_rule_about_names_finds_what_differs(rule_file, text, told):
    found = result(rule_file, text)
    assert (found.status, found.message) == (RuleStatus.FAILED if told else RuleStatus.PASSED, told)


@pytest.mark.parametrize(("text", "told"), (
    ("column_count: {equals: many}", "'column_count': a bound must be a number, got 'many'"),
    ("column_count: 3", "'column_count' needs a comparison word, such as {at_least: 3}"),
    ("column_names: '[a-z'", "'column_names' is not a regular expression"),
    ("column_names: '\\p{Lower}+'", "is a regular expression of Java's alone"),
    ("columns_exist: {columns: []}", "'columns' of 'columns_exist' must be a list of column names, got an empty list"),
    ("freshness: {column: a, at_most: 36}", "must be a length of time such as '36 hours' or '3 days', got 36"),
    ("freshness: {column: a, at_least: 1 day}", "'at_least' is not an argument of 'freshness'"),
))  # fmt: skip
def test_a_mistake_is_told(rule_file, text, told):
    with pytest.raises(RuleFileError) as error:
        load(rule_file(HEAD + f"- {text}\n"), batch="b")
    assert told in str(error.value)


def test_the_end_of_a_day_of_the_batch_is_the_midnight_after_it(rule_file):
    text = "freshness: {column: booked_at, at_most: 36 hours, as_of: 'end of {{ batch }}'}"
    (rule,) = load(rule_file(HEAD + f"- {text}\n"), batch="2013-01-31").rules
    assert isinstance(rule.check, Freshness)
    assert str(rule.check.bounds) == ">= 2013-01-30 12:00:00"


WIDE = tuple(
    Column(name, kind)
    for name, kind in {
        "id": "bigint", "user_id": "string", "Team_ID": "string", "net": "double", "tax": "decimal(5,2)", "ok": "boolean",
        "booked": "date", "sent": "timestamp",
    }.items()
)  # fmt: skip
MANY = {
    "- required: {columns: '*_id'}": ["user_id.required", "Team_ID.required"],
    "- required: {columns: {matching: '(id|net)'}}": ["id.required", "net.required"],
    "- at_least: {columns: {type: numeric}, value: 0}": ["id.at_least", "net.at_least", "tax.at_least"],
    "- mean: {columns: {type: numeric}, above: 0}": ["id.mean", "net.mean", "tax.mean"],
    "- not_future: {columns: {type: temporal}}": ["booked.not_future", "sent.not_future"],
    "- equals: {columns: {type: boolean}, value: true}": ["ok.equals"],
    "- required: {columns: [net, '*_ID']}\n  id: there": ["there.net", "there.user_id", "there.Team_ID"],
    "- required: {columns: [net, tax]}": ["net.required", "tax.required"],
    "- required: {columns: '*_id'}\n- required: {column: user_id}\n  severity: info": [
        "Team_ID.required",
        "user_id.required",
    ],
}


def planned(rule_file, text):
    return plan(load(rule_file(HEAD + text + "\n"), batch="b"), Row(WIDE), text=False)


@pytest.mark.parametrize(("text", "ids"), MANY.items())
def test_a_rule_over_many_columns_is_one_rule_for_each_that_the_batch_has(rule_file, text, ids):
    found = planned(rule_file, text)
    assert [rule.id for rule in found.rules] == ids
    assert found.errors == {}


def test_it_is_judged_as_the_rules_would_be_that_name_the_columns(rule_file):
    many = planned(
        rule_file, "- above: {columns: {type: numeric}, value: 0}\n  where: ok\n  nulls: fail\n  tolerance: 1%"
    )
    each = planned(
        rule_file,
        "".join(
            f"- above: {{column: {name}, value: 0}}\n  where: ok\n  nulls: fail\n  tolerance: 1%\n"
            for name in ("id", "net", "tax")
        ),
    )
    sql = [[(c.rule.id, c.scope, c.complies, c.value, c.rule.tolerance) for c in p.row_checks] for p in (many, each)]
    assert sql[0] == sql[1]


def test_columns_that_are_not_there_are_an_error_of_the_rule_alone(rule_file):
    found = planned(rule_file, "- required: {columns: 'x_*'}\n- required: {columns: {type: timestamp}}")
    assert found.errors == {"x_*.required": "no column of the batch is meant by 'x_*'"}
    assert [check.rule.id for check in found.row_checks] == ["sent.required"]


@pytest.mark.parametrize("text", [text for text in MANY if text.count("- ") == 1])
def test_the_choice_is_in_the_fingerprint_and_expands_to_itself(rule_file, text):
    report = lint(str(rule_file(HEAD + text + "\n")), batch="b")
    assert report.rule_set is not None
    again = load(rule_file(expanded(report), "again.yml"), batch="b")
    assert again.fingerprint == report.rule_set.fingerprint
    other = load(rule_file(HEAD + "- required: {columns: 'other_*'}\n", "other.yml"), batch="b")
    assert other.fingerprint != again.fingerprint


@pytest.mark.parametrize(("text", "told"), (
    ("required: {columns: {type: money}}", "'columns' of 'required' has no type 'money'; types: numeric, string"),
    ("required: {columns: {matching: '('}}", "'columns' of 'required' is not a regular expression"),
    ("required: {columns: {like: a}}", "'columns' of 'required' takes 'matching' (a regular expression) and 'type', got like"),
    ("required: {columns: []}", "'columns' of 'required' must be names, a glob, {matching: regex} or {type: numeric}"),
    ("type: {columns: '*', is: integer}", "'columns' of 'type' must be names: the columns get their types before they are"),
))  # fmt: skip
def test_a_wrong_choice_is_told(rule_file, text, told):
    with pytest.raises(RuleFileError) as error:
        load(rule_file(HEAD + f"- {text}\n"), batch="b")
    assert told in str(error.value)
