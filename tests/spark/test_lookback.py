"""Runs whose bounds come from the runs before them: cold start, verdicts, Deequ's checks, another run of a batch."""

from __future__ import annotations

import math

import pytest

import quality
from quality import history_reader
from tests.sizes import as_large

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


DRIFT = """
version: 1
dataset: d
input: {path: "%(root)s/in/{{ batch }}", format: parquet, batch_time: "{{ batch }}"}
rules:
- {drift: {column: KIND, method: psi, against: last 2, at_most: 0.1}, name: psi, on_fail: keep}
- {drift: {column: kind, method: linf, against: last 2, at_most: 0.1}, name: linf, min_history: 1, severity: info}
- {drift: {column: size, method: ks, against: last 2, at_most: 0.1}, name: ks, severity: info}
- {drift: {column: size, method: chi_square, against: last 2, at_most: 3}, name: chi, severity: info}
- {drift: {column: kind, method: ks, at_most: 0.1}, name: no order, severity: info}
- {drift: {column: nested.f, at_most: 0.1}, name: nested, severity: info}
- {drift: {column: gone, against: last 2, at_most: 0.1}, name: gone, severity: info}
outputs: {root: %(root)s/out}
"""
KINDS = "case when id % 10 < 5 then 'a' when id % 10 < {edge} then 'b' else null end as kind"


def test_drift_is_against_the_sketches_of_earlier_batches_which_it_leaves_itself(spark, tmp_path):
    rules = tmp_path / "rules.yml"
    rules.write_text(DRIFT % {"root": tmp_path})

    def run(n, edge, shift, gone="1"):
        more = (f"cast(id + {shift} as int) as size", f"{gone} as gone", "struct(1 as f) as nested", "id as other")
        frame = spark.range(100).selectExpr(KINDS.format(edge=edge), *more)
        frame.coalesce(1).write.mode("overwrite").parquet(str(tmp_path / "in" / f"2024-01-0{n}"))
        return quality.run(rules, f"2024-01-0{n}", spark=spark)

    first, second = run(1, 7, 0), run(2, 9, 0)
    assert [rule["status"] for rule in first.data["rules"]] == [
        *["not_applicable"] * 4,
        "error",
        "error",
        "not_applicable",
    ]
    assert first.rule("linf")["message"] == "looks back over at least 1 published batch before this one, there are 0"
    assert second.rule("psi")["status"] == "not_applicable"
    # of 70 values and of 90: 5/7 are a, and 5/9
    assert second.rule("linf")["metric"]["value"] == pytest.approx(5 / 7 - 5 / 9)
    assert second.rule("linf")["status"] == "failed"
    # the columns that are compared were profiled, and no other
    metrics = quality.History(str(tmp_path / "out"), "d").metrics().to_pylist()
    assert {row["instance"] for row in metrics if row["sketch"]} == {"kind", "size", "gone", "*"}
    with as_large(spark):
        third = run(3, 10, 50, "cast(null as int)")
    psi, ks, chi = (third.rule(id) for id in ("psi", "ks", "chi"))
    # half and half, against 100 of 160 and 60 of 160; NULL is left out
    shares = ((0.5, 100 / 160), (0.5, 60 / 160))
    assert psi["metric"]["value"] == pytest.approx(sum((a - b) * math.log(a / b) for a, b in shares))
    assert (psi["status"], third.decision) == ("passed", "published")
    assert psi["expected"] == "<= 0.1 (psi against 2024-01-01, 2024-01-02)"
    # 50 to 149 against 0 to 99; bins are within 1 %
    assert ks["metric"]["value"] == pytest.approx(0.5, abs=0.03)
    # five tenths of 20 that are gone, five of 20 beside 10 each, and 50 beyond
    table = [(0, 20)] * 5 + [(10, 20)] * 5 + [(50, 0)]
    expected = sum(
        (a - (a + b) / 3) ** 2 / ((a + b) / 3) + (b - (a + b) * 2 / 3) ** 2 / ((a + b) * 2 / 3) for a, b in table
    )
    assert chi["metric"]["value"] == pytest.approx(expected / 10, rel=0.15)
    assert (ks["status"], chi["status"]) == ("failed", "failed")
    assert "nothing" not in third.rule("gone")["message"]
    assert third.rule("gone")["status"] == "error"
    assert third.rule("no-order")["message"] == (
        "could not tell: 'ks' is of numbers, 'kind' is string; use psi, js, linf or chi_square"
    )
    assert third.rule("nested")["message"].endswith("'nested.f' is a field of a column: drift is of whole columns")
    assert third.data["passes"]["actual"]["narrow"] == third.data["passes"]["planned"]["narrow"]


GROUPS = """
version: 1
dataset: d
input: {path: "%(root)s/in/{{ batch }}", format: parquet, batch_time: "{{ batch }}"}
rules:
- {mean: {column: price, at_most: 1.1 * max(last 2)}, group_by: [shop, day], name: level, severity: warning}
- {row_count: {at_least: 0.5 * last}, group_by: [shop, day], name: volume, severity: warning}
outputs: {root: %(root)s/out}
"""


def test_each_group_is_judged_by_what_earlier_batches_had_of_it(spark, tmp_path):
    rules = tmp_path / "rules.yml"
    rules.write_text(GROUPS % {"root": tmp_path})
    shops = "case when id % 4 = 0 then null when id % 4 = 1 then 'a,b' else 'c' end as shop"

    def run(n, price):
        frame = spark.range(100).selectExpr(shops, "date'2020-02-29' as day", f"double({price}) as price")
        frame.coalesce(1).write.mode("overwrite").parquet(str(tmp_path / "in" / f"2024-01-0{n}"))
        return quality.run(rules, f"2024-01-0{n}", spark=spark)

    first = run(1, "10")
    assert [rule["status"] for rule in first.data["rules"]] == ["not_applicable"] * 2
    assert "3 of 3 groups of shop, day not judged yet; shop=c, day=2020-02-29: " in first.rule("volume")["message"]
    run(2, "20")
    third = run(3, "if(id % 4 = 0, 22.5, 22)")
    level, volume = third.rule("level"), third.rule("volume")
    assert (level["status"], volume["status"], third.status) == ("failed", "passed", "warning")
    assert level["message"] == (
        "1 of 3 groups of shop, day fails; shop=NULL, day=2020-02-29: Mean of 'price' is 22.5, must be <= 22 "
        "(max(last 2) = 20, of 2024-01-01, 2024-01-02)"
    )
