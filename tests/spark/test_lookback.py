"""Runs whose bounds come from the runs before them: cold start, verdicts, Deequ's checks, another run of a batch."""

from __future__ import annotations

import pytest

import quality
from quality import history_reader

RULES = """
version: 1
dataset: d
input: {path: "%(root)s/in/{{ batch }}", format: parquet, batch_time: "{{ batch }}"}
rules:
- name: volume
  row_count: {within: {ratio: 40%%, of: median(last 3)}}
  min_history: 2
- name: level
  mean: {column: price, at_most: 1.1 * max(last 2)}
  severity: warning
- name: dear
  row_count: {at_least: last}
  where: price > 5
  severity: info
- schema_change: {added: fail}
outputs: {root: %(root)s/out}
"""


@pytest.fixture
def day(spark, tmp_path):
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES % {"root": tmp_path})

    def run(n, rows, price, *more):
        frame = spark.range(rows).selectExpr(f"cast({price} as double) as price", *more)
        frame.coalesce(1).write.mode("overwrite").parquet(str(tmp_path / "in" / f"2024-01-0{n}"))
        return quality.run(rules, f"2024-01-0{n}", spark=spark)

    return run


def test_a_batch_is_judged_by_those_before_it(day, monkeypatch):
    first = day(1, 100, 10)
    assert [rule["status"] for rule in first.data["rules"]] == ["not_applicable"] * 4
    assert (first.status, first.decision) == ("passed", "published")
    # what is not judged yet is measured all the same
    assert first.rule("level")["metric"]["value"] == 10
    second = day(2, 130, 10)
    assert [rule["status"] for rule in second.data["rules"]] == ["not_applicable", "not_applicable", "passed", "passed"]
    # without pyarrow Spark reads the history
    with monkeypatch.context() as patch:
        patch.setattr(history_reader, "_has_pyarrow", lambda: False)
        third = day(3, 70, 11.5)
    volume, level, dear = (third.rule(id) for id in ("volume", "level", "dear"))
    assert (third.status, third.decision) == ("warning", "published")
    assert volume["status"] == "passed"
    assert volume["expected"] == "between 69 and 161 (median(last 3) = 115, of 2024-01-01, 2024-01-02)"
    assert (level["status"], dear["status"]) == ("failed", "failed")
    assert level["message"] == "Mean of 'price' is 11.5, must be <= 11 (max(last 2) = 10, of 2024-01-01, 2024-01-02)"
    assert dear["message"] == "Size is 70, must be >= 130 (last = 130, of 2024-01-02)"
    # Deequ holds its metrics against the same numbers
    said = {found.rule: found.passed for check in third.checks for found in check.constraints}
    assert said == {"volume": True, "level": False, "dear": False}


def test_held_batches_and_later_ones_are_no_past(day):
    for n, rows in ((1, 100), (2, 130), (3, 70)):
        day(n, rows, 10)
    fourth = day(4, 50, 10)
    assert (fourth.decision, fourth.exit_code) == ("held", 4)
    assert "must be between 60 and 140 (median(last 3) = 100, of 2024-01-01, " in fourth.rule("volume")["message"]
    fifth = day(5, 61, 10)
    assert (fifth.status, fifth.rule("volume")["expected"]) == ("passed", fourth.rule("volume")["expected"])
    sixth = day(6, 100, 10, "1 as surprise")
    assert (sixth.decision, sixth.rule("schema_change")["message"]) == ("held", "column 'surprise' is new")
    assert sixth.rule("schema_change")["expected"].endswith("(2024-01-05)")
    # of the second there is still one batch before it, whatever came since
    again = day(2, 10, 10)
    assert again.rule("volume")["status"] == "not_applicable"
    assert again.rule("volume")["message"].endswith("at least 2 published batches before this one, there is 1")
