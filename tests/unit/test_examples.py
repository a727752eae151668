"""`examples:` of rules, as lint sees them."""

from __future__ import annotations

import pytest

from quality.casts import fits
from quality.rule_types.rules import EXPECTED
from quality.rulefile import load
from quality.rulefile.lint import lint

HEAD = """version: 1
dataset: orders
input: {path: "in/{{ batch }}.csv", format: csv, options: {header: true}}
columns:
  id: {type: integer}
  amount: {type: "decimal(10,2)"}
  paid: {type: boolean}
  day: {type: date}
rules:
"""


def found(rule_file, text):
    report = lint(str(rule_file(HEAD + text)))
    return [f"{problem.line - HEAD.count(chr(10))}: {problem.message}" for problem in report.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    (
        (
            "- that: dep_time > 1 or amount > 1\n  examples:\n    fail:\n      - {amont: 1}\n      - {dep_time: 1, amount: abc}",
            [
                "4: example of 'that': nothing here speaks of a column 'amont'; did you mean 'amount'? columns: id, amount, paid, day",
                "5: example of 'that': 'abc' is no decimal(10,2), which column 'amount' is declared to be",
            ],
        ),
        (
            "- that: id > 1\n  examples: {fails: [{id: 1}]}",
            ["2: 'fails' is not a kind of example; did you mean 'fail'? allowed: pass, fail, skip"],
        ),
        (
            "- that: id > 1\n  examples: {pass: [{id: 2}, 5]}",
            ["2: an example of 'that' is a row: a mapping of column names to values, got 5"],
        ),
        (
            "- that: id > 1\n  examples: {pass: {id: 2}}",
            ["2: 'pass' of 'examples' must be a list of rows such as [{amount: 5}], got a mapping"],
        ),
        (
            "- that: id > 1\n  examples: []",
            ["2: 'examples' must be a mapping of pass, fail, skip to rows, got an empty one"],
        ),
        (
            "- unique: [id]\n  examples: {pass: [{id: 1}, [{id: 2}]]}",
            [
                "2: an example of 'unique' is a batch: a list of rows, each a mapping of column names to values, got a list"
            ],
        ),
        (
            "- mean: {column: id, above: 0}\n  examples: {fail: [[]]}",
            [
                "2: an example of 'mean' is a batch: a list of rows, each a mapping of column names to values, got an empty one"
            ],
        ),
        (
            "- schema: {extra: fail}\n  examples: {pass: [{id: 1}]}",
            ["2: 'schema' takes no examples: rows do not tell what it judges"],
        ),
        (
            "- that: id > 1\n  examples: {pass: [{id: [1]}]}",
            ["2: example of 'that': the value of column 'id' must be a text, number, boolean or null, got a list"],
        ),
    ),
)
def test_a_mistake_in_an_example_is_told_at_its_place_with_what_would_be_right(rule_file, text, expected):
    assert found(rule_file, text) == expected


def test_a_mistake_in_the_examples_of_a_rule_for_many_columns_is_told_once(rule_file):
    (problem,) = found(rule_file, "- required: {columns: [id, amount]}\n  examples: {fail: [{amuont: 1}]}")
    assert "did you mean 'amount'?" in problem


def test_an_example_of_a_rule_about_types_may_be_of_another_type(rule_file):
    text = "- type: {column: day, is: date}\n  id: day\n  examples: {fail: [{day: soon}]}"
    assert found(rule_file, text) == []


def test_rows_of_a_row_rule_are_examples_each_and_rows_of_a_batch_rule_are_one(rule_file):
    rows = "[{id: 1}, {id: 2}]"
    text = "".join(
        f"- {rule}\n  examples: {{pass: {examples}}}\n"
        for rule, examples in (("that: id > 0", rows), ("unique: [id]", rows), ("row_count: {above: 0}", f"[{rows}, {rows}]"))
    )  # fmt: skip
    rules = [rule for rule in load(rule_file(HEAD + text)).rules if rule.examples]
    assert [[len(example.rows) for example in rule.examples] for rule in rules] == [[1, 1], [2], [2, 2]]
    assert {example.expected for rule in rules for example in rule.examples} <= set(EXPECTED)


def test_examples_are_no_part_of_what_is_demanded(rule_file):
    plain = load(rule_file(f"{HEAD}- that: id > 0\n"))
    shown = load(rule_file(f"{HEAD}- that: id > 0\n  examples: {{pass: [{{id: 1}}]}}\n"))
    assert plain.fingerprint == shown.fingerprint


@pytest.mark.parametrize(
    ("value", "kind", "is_one"),
    (
        (1, "int", True), ("7", "int", True), (2**31, "int", False), (2**31, "bigint", True), (True, "int", False),
        (1.5, "bigint", False), (1.5, "double", True), ("NaN", "double", True), ("NaN", "decimal(3,1)", False),
        ("1e3", "decimal(9,1)", True), (True, "boolean", True), ("yes", "boolean", False), (1, "string", True),
        ("2024-01-01", "date", True), ("01.02.2024", "date", False), ("2024-01-01T10:00Z", "timestamp", True),
    ),
)  # fmt: skip
def test_slips_of_type_are_found(value, kind, is_one):
    assert fits(value, kind) is is_one
