"""`quality test`: rules against their own examples, without a batch."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from xml.etree import ElementTree as ET

import pytest

from quality import cli
from quality.examples import judge_examples

RULES = """version: 1
dataset: orders
input: {path: "in/{{ batch }}.csv", format: csv, options: {header: true}, timezone: America/New_York}
columns:
  id: {type: integer}
  amount:
    type: {is: "decimal(10,2)", examples: {pass: [{amount: 1.5}, {}], fail: [{amount: abc}, {amount: 1.555}]}}
    above: {value: 0, examples: {pass: [{amount: 0.01}, {}], fail: [{amount: 0}]}}
  at: {type: timestamp}
  price: {type: double}
rules:
  - name: needs a departure
    that: "dep_time is not null or arr_time is null"
    examples:
      pass: [{dep_time: 517, arr_time: 830}, {dep_time: null, arr_time: null}]
      fail: [{arr_time: 830}]
  - name: filtered
    that: "id > 1"
    where: "amount > 1"
    tolerance: 50%
    examples: {pass: [{id: 2, amount: 2}], fail: [{id: 1, amount: 2}], skip: [{id: 1}, {id: 1, amount: 1}]}
  - name: strict
    below: {column: price, value: 5}
    nulls: fail
    nan: pass
    examples: {pass: [{price: .nan}, {price: -.inf}], fail: [{}, {price: 5}]}
  - name: skipping
    below: {column: price, value: 5}
    nulls: skip
    examples: {pass: [{price: 4}], fail: [{price: .nan}], skip: [{}]}
  - unique: [id]
    examples: {pass: [{id: 1}, {id: 2}, {}, {}], fail: [[{id: 1}, {id: 1}, {id: 2}]]}
  - key: [id, amount]
    examples: {pass: [[{id: 1, amount: 1}, {id: 1, amount: 2}]], fail: [[{id: 1}], [{id: 1, amount: 1}, {id: 1, amount: 1}]]}
  - mean: {column: price, between: [1, 2]}
    where: "id > 0"
    examples: {pass: [{id: 1, price: 1}, {id: 1, price: 3}, {price: 50}], fail: [{id: 1, price: 5}], skip: [{price: 1}]}
  - completeness: {column: id, at_least: 0.5}
    examples: {pass: [{id: 1}, {}], fail: [{id: 1}, {}, {}]}
  - uniqueness: {columns: [id, amount], at_least: 0.5}
    examples: {pass: [{id: 1}, {id: 2}], fail: [{id: 1}, {id: 1}]}
  - duplicate_rows: {at_most: 0}
    examples: {pass: [{id: 1}, {id: 2}], fail: [{id: 1}, {id: 1}]}
  - row_count: {at_least: 2}
    examples: {pass: [[{}, {}]], fail: [[{}]]}
  - not_future: {column: at}
    examples: {pass: [{at: 2019-12-31}], fail: [{at: "2020-01-01 00:00:00.000001"}]}
  - required: {columns: [id, amount]}
    name: both
    examples: {pass: [{id: 1, amount: 1}], fail: [{id: 1}, {amount: 1}]}
  - required: {columns: "*_no"}
    name: numbers
    examples: {pass: [{a_no: 1, b_no: 1}], fail: [{a_no: 1, b_no: null}]}
  - any: [{that: "id = 1"}, {equals: {column: amount, value: 2}}]
    name: either
    examples: {pass: [{id: 1, amount: 0}, {id: 0, amount: 2}], fail: [{id: 0, amount: 0}]}
"""
NOW = datetime(2020, 1, 1, 5, tzinfo=timezone.utc)  # midnight in New York
OPPOSITE = {"pass": "fail", "fail": "pass", "skip": "pass"}


@pytest.fixture(scope="module")
def tested(spark, tmp_path_factory):
    """The rules with their examples, and with examples that are the opposite of what they should be."""
    folder = tmp_path_factory.mktemp("examples")
    right, wrong = folder / "right.yml", folder / "wrong.yml"
    right.write_text(RULES, encoding="utf-8")
    turned = RULES
    for word in ("pass", "fail", "skip"):
        turned = turned.replace(f"{word}: [", f"{word}#: [")
    for word, other in OPPOSITE.items():
        turned = turned.replace(f"{word}#: [", f"{other}: [" if word != "skip" else "skip: [")
    wrong.write_text(turned, encoding="utf-8")
    return judge_examples([right, wrong], spark=spark, run_time=NOW)


def test_examples_that_are_right_hold(tested):
    assert [(told.rules[0].id, told.example.rows, told.message) for told in tested[0].told if not told.holds] == []
    assert len(tested[0].told) > 45
    assert tested[0].exit_code == 0


def test_the_opposite_of_each_does_not_hold(tested):
    held = [(told.rules[0].id, told.example) for told in tested[1].told if told.holds]
    assert [example.expected for _, example in held] == ["skip"] * 4
    assert tested[1].exit_code == 1


def test_in_a_typed_format_columns_are_of_the_types_of_their_examples(spark, rule_file):
    text = """version: 1
dataset: orders
input: {path: "in/{{ batch }}.parquet"}
rules:
  - type: {column: id, is: integer}
    examples: {pass: [{id: 1}], fail: [{id: soon}]}
  - that: "flag and n + 1 = 2 and t = 'x'"
    examples: {pass: [{flag: true, n: 1, t: x}], fail: [{flag: false, n: 1, t: x}, {flag: true, n: 1, t: y}]}
  - sum: {column: q, above: 0.5}
    examples: {pass: [{q: 0.25}, {q: 0.5}], fail: [{q: 0.25}]}
  - entropy: {column: q, above: 0.5}
    examples: {pass: [{q: 0.25}, {q: 0.5}], fail: [{q: 0.5}, {q: 0.5}]}
  - monotonic: {column: q, order_by: n}
    examples: {pass: [{n: 1, q: 0.25}, {n: 2, q: 0.5}], fail: [{n: 2, q: 0.25}, {n: 1, q: 0.5}]}
"""
    (outcome,) = judge_examples([rule_file(text)], spark=spark)
    assert [(told.found, told.example.expected) for told in outcome.told if not told.holds] == []


def test_what_cannot_be_told_is_no_example_that_holds_and_takes_no_other_with_it(spark, rule_file):
    text = RULES + '  - {that: "nowhere > 1", name: lost, examples: {fail: [{id: 1}]}}\n'
    (outcome,) = judge_examples([rule_file(text)], spark=spark, run_time=NOW)
    (told,) = [told for told in outcome.told if not told.holds]
    assert (told.found, told.message.partition(";")[0]) == ("error", "column 'nowhere' is not in the data")
    assert outcome.exit_code == 1


def test_all_rows_of_a_file_are_judged_in_one_job_and_all_keys_in_another(spark, rule_file):
    group = "examples-jobs"
    spark.sparkContext.setJobGroup(group, group)
    try:
        judge_examples([rule_file(RULES)], spark=spark, run_time=NOW)
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    assert len(spark.sparkContext.statusTracker().getJobIdsForGroup(group)) == 2


def test_the_rows_of_each_example_have_an_order_of_their_own(spark, rule_file):
    text = """version: 1
dataset: orders
input: {path: "in/{{ batch }}.csv", format: csv}
columns: {id: {type: integer}, price: {type: double}, at: {type: date}}
rules:
  - ordered: {column: price, order_by: id}
    examples: {pass: [{id: 2, price: 5}, {id: 1, price: 4}, {id: 3, price: 5}, {}], fail: [[{id: 1, price: 2}, {id: 2, price: 1}]]}
  - ordered: {column: price, order_by: id, per: [at], strict: true}
    name: strictly
    examples: {pass: [[{id: 1, price: 2}, {id: 2, price: 1, at: 2019-12-31}]], fail: [[{id: 1, price: 2}, {id: 2, price: 2}]]}
"""
    (outcome,) = judge_examples([rule_file(text)], spark=spark, run_time=NOW)
    assert [(told.rules[0].id, told.found, told.message) for told in outcome.told if not told.holds] == []
    assert [told.found for told in outcome.told] == ["pass", "fail"] * 2


def test_the_command_prints_a_diff_and_writes_json_and_junit(spark, rule_file, tmp_path, capsys):
    # by the clock, other than that of the fixture
    text = RULES.replace("2020-01-01 00:00:00.000001", "9999-01-01")
    text += "  - {at_least: {column: id, value: 5}, name: five, examples: {pass: [{id: 4}], fail: [{id: 3}]}}\n"
    path, xml = rule_file(text), tmp_path / "out.xml"
    assert cli.run_command(["test", str(path), "--junit", str(xml)]) == 1
    out = capsys.readouterr().out
    line = text.count("\n")
    shown = f"✗ five\n    {path}:{line}\n    {{id: 4}}\n  - must pass\n  + fails: id: 1 of 1 rows fail; must be >= 5\n"
    assert out.startswith(shown)
    assert "1 rules have" not in out
    root = ET.parse(xml).getroot()
    assert (root.get("failures"), root.get("errors")) == ("1", "0")
    (case,) = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert (case.get("file"), case.get("line")) == (str(path), str(line))
    assert cli.run_command(["test", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["examples"] == found["held"] + 1 == int(str(root.get("tests")))
    assert [told["found"] for told in found["results"] if not told["holds"]] == ["fail"]


def test_without_examples_no_spark_is_needed_and_it_says_so(rule_file, capsys, monkeypatch):
    monkeypatch.setattr("quality.examples.session", lambda *_: pytest.fail("Spark was started"))
    text = RULES[: RULES.index("columns:")] + "rules:\n  - row_count: {above: 0}\n"
    assert cli.run_command(["test", str(rule_file(text))]) == 0
    assert capsys.readouterr().out.endswith("0 of 0 examples hold; 2 rules have none\n")
