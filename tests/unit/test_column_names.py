"""Rules about the names of columns, judged without a row; and how old the newest value may be."""

from __future__ import annotations

import pytest

from quality.errors import RuleFileError
from quality.model import Column, RuleStatus
from quality.planner import plan
from quality.rule_types.base import Row
from quality.rule_types.dates import Freshness
from quality.rulefile import load
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
