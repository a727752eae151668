"""Rules judged in groups, against pandas: values, verdicts, the order of failing groups, passes, and what stays bounded."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quality import grouping
from tests.sizes import as_large
from tests.written import Place

ROWS = 400
RANDOM = np.random.default_rng(7)
TABLE = pd.DataFrame(
    {
        "origin": RANDOM.choice(np.array(["EWR", "JFK", "LGA", None, "it's"], object), ROWS),
        "half": RANDOM.integers(0, 2, ROWS),
        "delay": np.where(RANDOM.random(ROWS) < 0.15, np.nan, RANDOM.integers(-20, 80, ROWS)),
        "dest": RANDOM.choice(np.array(list("abcdefghijklmnopqrstuvwxyz"), object), ROWS),
    }
)
#: What pandas says of a group, and whether that is within the bounds of the rule.
RULES = {
    "mean": ("mean: {column: delay, at_most: 30}", lambda of: of.delay.mean(), lambda v: v <= 30),
    "rows": ("row_count: {at_least: 35}", len, lambda v: v >= 35),
    "filled": (
        "completeness: {column: delay, at_least: 0.86}",
        lambda of: of.delay.notna().mean(),
        lambda v: v >= 0.86,
    ),
    "median": ("median: {column: delay, between: [23, 33]}", lambda of: of.delay.median(), lambda v: 23 <= v <= 33),
    "many": ("distinct_count: {column: dest, above: 19}", lambda of: of.dest.nunique(), lambda v: v > 19),
    "alone": (
        "uniqueness: {columns: [dest], at_most: 0.2}",
        lambda of: (of.dest.map(of.dest.value_counts()) == 1).mean(),
        lambda v: v <= 0.2,
    ),
    "late": (
        "at_most: {column: delay, value: 70}\n  tolerance: 9%\n  nulls: skip",
        lambda of: (of.delay.dropna() <= 70).mean(),
        lambda v: 1 - v <= 0.09,
    ),
}
BY = {"one": ["origin"], "two": ["origin", "half"]}
TEXT = "\n".join(
    f"- name: {name}-{by}\n  {rule}\n  where: dest <> 'c'\n  group_by: {json.dumps(columns)}"
    for name, (rule, _, _) in RULES.items()
    for by, columns in BY.items()
)


@pytest.fixture(scope="module")
def done(spark, tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("groups"), spark)
    (place.directory / "in").mkdir()
    # NaN of pandas is NULL here
    table = pa.Table.from_pandas(TABLE.astype({"half": "int32"}), preserve_index=False)
    pq.write_table(table, place.directory / "in" / "a.parquet")
    with as_large(spark):
        return place, place.run(TEXT, format="parquet", path="a.parquet")


def expected(name, by):
    _, value, holds = RULES[name]
    rows = TABLE[TABLE.dest != "c"]
    of = {group: value(found) for group, found in rows.groupby(BY[by], dropna=False)}
    texts = {tuple(None if pd.isna(part) else str(part) for part in key): v for key, v in of.items()}
    return texts, {key for key, v in texts.items() if not holds(v)}


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("name", RULES)
def test_every_group_is_judged_as_pandas_judges_it(done, name, by):
    found = done[1].rule(f"{name}-{by}")
    values, failing = expected(name, by)
    told = {tuple(group["group"].values()): group["value"] for group in found["groups"]}
    assert found["group_counts"] == {"all": len(values), "failed": len(failing), "error": 0}
    assert found["status"] == ("failed" if failing else "passed")
    assert told == pytest.approx({key: values[key] for key in failing})
    assert found["group_by"] == BY[by]


def test_some_rules_fail_in_some_groups_and_no_rule_in_all(done):
    counts = [done[1].rule(f"{name}-{by}")["group_counts"] for name in RULES for by in BY]
    assert all(count["failed"] < count["all"] for count in counts)
    assert sum(count["failed"] > 0 for count in counts) >= 10


def test_failing_groups_stand_worst_first(done):
    values = [group["value"] for group in done[1].rule("mean-two")["groups"]]
    assert values == sorted(values, reverse=True)
    shares = [group["value"] for group in done[1].rule("late-two")["groups"]]
    assert shares == sorted(shares)


def test_rows_are_judged_one_by_one_whatever_their_group(done):
    place, _ = done
    rows = TABLE[(TABLE.dest != "c") & (TABLE.delay > 70)]
    assert len(place.rows("quarantine")) == len(rows)
    place.conserves(ROWS)


def test_the_passes_are_those_of_the_plan(done):
    planned, actual = (done[1].data["passes"][which] for which in ("planned", "actual"))
    # for each of the two: the groups, and the key of dest
    assert planned["narrow"] >= 4
    assert {name: actual[name] for name in planned} == planned


def test_the_history_has_the_metric_of_each_group(done):
    place, _ = done
    (file,) = (place.root / "history" / "metrics").rglob("*.parquet")
    found = [row for row in pq.read_table(file, partitioning=None).to_pylist() if row["segment"]]
    means = {row["segment"][0][1]: row["value"] for row in found if row["name"] == "Mean" and len(row["segment"]) == 1}
    assert means == pytest.approx({key[0]: value for key, value in expected("mean", "one")[0].items()})
    assert not [
        row
        for row in pq.read_table(file, partitioning=None).to_pylist()
        if row["name"] == "Mean" and not row["segment"]
    ]


def test_too_many_groups_cannot_be_told_and_keep_no_other_rule_from_it(spark, tmp_path, monkeypatch):
    monkeypatch.setattr("quality.group_scan.MAX_GROUPS", 10)
    monkeypatch.setattr("quality.grouping.MAX_GROUPS", 10)
    place = Place(tmp_path, spark)
    place.put({"a.csv": "n,v\n" + "".join(f"{n},{n % 5}\n" for n in range(11)) + "x,\n,\n3,4,5,6\n"})
    result = place.run(
        "- {name: many, row_count: {at_least: 1}, group_by: [n], severity: warning}\n"
        "- {name: rows, at_most: {column: v, value: 3}, group_by: [n], severity: warning}\n"
        "- {name: few, row_count: {at_most: 0}, where: \"n in ('1', '2')\", group_by: [n], severity: warning}\n"
        "- {name: nothing, row_count: {at_least: 2}, group_by: [v], severity: warning}\n"
        "- {name: none, row_count: {at_least: 2}, where: \"n = 'nowhere'\", group_by: [v]}",
        input="options: {header: true}",
    )
    many, rows, few, null, none = (result.rule(name) for name in ("many", "rows", "few", "nothing", "none"))
    assert (many["status"], rows["status"]) == ("error", "error")
    assert "could not tell: n makes more than 10 groups" in many["message"] == rows["message"]
    assert (rows["failed_rows"], rows["rows_in_scope"]) == (2, 13)
    assert few["group_counts"] == {"all": 2, "failed": 2, "error": 0}
    # the line that could not be read is in no group: those of NULL are two
    assert (null["status"], null["group_counts"]["all"]) == ("passed", 6)
    assert none["status"] == "not_applicable"
    place.conserves(14)
    assert grouping.MAX_GROUPS == 10
