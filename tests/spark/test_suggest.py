"""Files in, a rule file out that lints and runs; the judging in numpy says what the engine says."""

from __future__ import annotations

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality import cli
from quality.errors import EngineError, UsageError
from quality.rule_types.relations import ExistsIn
from quality.rulefile import load
from quality.rulefile.lint import lint
from quality.suggesting.judging import breaks
from quality.suggestion import _batches, plan_files, suggest_files
from tests.spark.test_passes import in_the_books
from tests.written import Place

HEADER = "id,code,zip,state,sent,amount,day,city,land"


def lines(n, size=120):
    land, draw = {"Rome": "IT", "Oslo": "NO", "Bern": "CH"}, random.Random(n)
    for i in range(size):
        state = draw.choice(["new", "paid", "sent"])
        sent = f"2024-01-{n:02d} 10:{i % 60:02d}:00" if state == "sent" else ""
        city = draw.choice(sorted(land))
        yield f"{n * 1000 + i},AB-{draw.randrange(100, 999)},0{draw.randrange(1000, 9999)},{state},{sent},{draw.randrange(1, 90)}.5,2024-01-{n:02d},{city},{land[city]}"


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    place = tmp_path_factory.mktemp("suggest")
    (place / "in").mkdir()
    for n in range(1, 11):
        (place / "in" / f"2024-01-{n:02d}.csv").write_text("\n".join([HEADER, *lines(n)]) + "\n")
    pq.write_table(pa.table({"city": ["Rome", "Oslo", "Bern", "Kyiv"]}), place / "cities.parquet")
    (place / "zips.csv").write_text("\n".join(["plz", *(f"{n:05d}" for n in range(10_000))]) + "\n")
    found = suggest_files(
        f"{place}/in/{{{{ batch }}}}.csv",
        dataset="orders",
        references={"cities": f"{place}/cities.parquet", "zips": f"{place}/zips.csv"},
        spark=spark,
    )
    (place / "rules.yml").write_text(found.text)
    return place, found


@pytest.mark.parametrize("whole", (True, False))
def test_the_input_is_read_as_often_as_was_planned(spark, made, whole, monkeypatch):
    place, _ = made
    if not whole:
        monkeypatch.setattr("quality.suggestion.SAMPLED_ROWS", 100)
    path, asked = f"{place}/in/{{{{ batch }}}}.csv", {"last": 4, "spark": spark}
    planned, none = in_the_books(spark, Place(place, spark), lambda: plan_files(path, **asked))
    assert none == []
    counts = {"types": 1, "profiles": 4, "a look at rows": 4, "the key": 1}
    assert {name: count for name, count in planned.passes if count} == counts
    assert str(planned).startswith("4 batches, 2024-01-07 to 2024-01-10: 10 passes at most\n")

    def suggested():
        return suggest_files(path, dataset="orders", max_scans=10, **asked)

    found, scans = in_the_books(spark, Place(place, spark), suggested)
    # all rows were looked at: the key needs no look of its own
    made_of = {name: count for name, count in counts.items() if not (whole and name == "the key")}
    assert {name: count for name, count in found.passes if count} == made_of
    assert found.planned == planned
    assert len(scans) == sum(count for _, count in found.passes) == planned.most - whole
    assert found.told.startswith("1 for types, 4 for profiles, 4 for a look at rows")


def test_a_plan_over_the_budget_is_refused_before_anything_is_read(spark, made):
    place, found = made
    path, zips = f"{place}/in/{{{{ batch }}}}.csv", {"zips": f"{place}/zips.csv"}

    def refused():
        with pytest.raises(
            EngineError, match=r"(?s)more than 10 times .*--last.*: 4 batches.*: 11 passes at most\n.*look like"
        ) as told:
            suggest_files(path, dataset="o", last=4, references=zips, max_scans=10, spark=spark)
        return str(told.value)

    said, scans = in_the_books(spark, Place(place, spark), refused)
    assert "1  the values of a reference" in said
    assert scans == []
    # the references of the first suggestion were read once each
    assert dict(found.passes)["references"] == 2


def test_a_star_beside_the_batch_stands_for_what_is_there(quick, tmp_path):
    for day in ("2024-01-01", "2024-01-02"):
        (tmp_path / "in" / day).mkdir(parents=True)
        (tmp_path / "in" / day / "part-a1.csv").write_text("n\n1\n2\n")
    options = {"header": "true"}
    for path in ("in/{{ batch }}/*.csv", "*/{{ batch }}/part-*.csv", "in/{{ batch }}"):
        found = _batches(quick, f"{tmp_path}/{path}", [], "csv", options)
        assert [name for name, _ in found] == ["2024-01-01", "2024-01-02"]


def test_the_file_says_types_and_what_was_planted(made):
    place, found = made
    assert "zip: {type: string}" in found.text
    assert "amount: {type: double}" in found.text
    assert "sent: {type: timestamp}" in found.text
    said = {(one.type, one.columns) for one in found.suite.suggestions}
    assert {("key", ("id",)), ("in", ("state",)), ("matches", ("code",)), ("required", ("state", "sent"))} <= said
    assert ("freshness", ("day",)) in said
    # the cities are listed by a rule of their own, the many codes are looked up
    rule_set = load(str(place / "rules.yml"), batch="2024-01-01")
    assert [(one.name, one.input.path) for one in rule_set.references] == [("zips", (f"{place}/zips.csv",))]
    asking = [rule.check for rule in rule_set.rules if rule.check.type == "exists_in"]
    assert asking == [ExistsIn(("zip",), "zips", ("plz",))]
    report = lint(str(made[0] / "rules.yml"))
    assert (report.problems, report.warnings) == ((), ())


def test_it_passes_a_good_batch_and_finds_a_bad_one_as_the_judging_says(made, spark):
    place, found = made
    good = quality.run(place / "rules.yml", "2024-01-10", root=str(place / "root"), spark=spark)
    assert (good.status, good.data["rows"]["quarantined"]) == ("passed", 0)
    rows = list(lines(11))
    bad = [
        row.replace(",paid,", ",PAID,").replace("AB-", "ab-" if i % 3 else "AB-").replace("Oslo,NO", "Oslo,IT")
        for i, row in enumerate(rows)
    ]
    (place / "in" / "2024-01-11.csv").write_text("\n".join([HEADER, *bad, bad[0]]) + "\n")
    run = quality.run(place / "rules.yml", "2024-01-11", root=str(place / "root"), spark=spark)
    failed = {(r["type"], r["column"] or "") for r in run.data["rules"] if r["status"] == "failed"}
    assert not [r for r in run.data["rules"] if r["status"] == "error"]
    path = f"{place}/in/{{{{ batch }}}}.csv"
    (batch,) = suggest_files(path, dataset="o", batches=["2024-01-11"], spark=spark).batches
    told = {
        (one.type, one.columns[0] if one.type in ("in", "matches") else "")
        for one in found.suite.suggestions
        if breaks(one, batch)
    }
    assert {("in", "state"), ("matches", "code"), ("key", "")} <= told
    shown = {(kind, column if kind in ("in", "matches") else "") for kind, column in failed}
    assert shown == told


def test_the_command_writes_and_does_not_overwrite(made, tmp_path, capsys):
    place, _ = made
    out = tmp_path / "r.yml"
    words = ["suggest", f"{place}/in/*.csv", "--batches", "2024-01-01,2024-01-02", "-o", str(out)]
    assert cli.run_command(words) == 0
    assert lint(str(out)).problems == ()
    assert "dataset: in\n" in out.read_text()
    assert cli.run_command(words) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.run_command([*words[:-2], "--plan"]) == 0
    assert "2 batches, 2024-01-01 to 2024-01-02: 6 passes at most" in capsys.readouterr().out
    with pytest.raises(UsageError, match="where the batch's name stands"):
        suggest_files(f"{place}/in/2024-01-01.csv", dataset="o", batches=["x"])


def test_an_odd_frame_gives_rules_that_run(spark, tmp_path):
    table = pa.table(
        {
            "a.b `c": pa.array(["x", "y", None] * 200),
            "nan": pa.array([float("nan"), 1.5, None] * 200),
            "list": pa.array([[1], [], None] * 200, pa.list_(pa.int32())),
            "none": pa.nulls(600, pa.int32()),
            "flag": pa.array([True, False, True] * 200),
        }
    )
    pq.write_table(table, tmp_path / "b.parquet")
    found = suggest_files(f"{tmp_path}/b.parquet", dataset="odd", spark=spark)
    (tmp_path / "rules.yml").write_text(found.text)
    run = quality.run(tmp_path / "rules.yml", "b", root=str(tmp_path / "root"), spark=spark)
    assert not [r for r in run.data["rules"] if r["status"] in ("error", "failed")], json.dumps(run.data["rules"])


def test_profiles_of_the_history_say_the_same_without_reading(made, spark, tmp_path, capsys):
    place, _ = made
    rules = f"""version: 1
dataset: past
input: {{path: "{place}/in/{{{{ batch }}}}.csv", format: csv, options: {{header: "true"}}}}
columns: {{id: {{type: integer}}, amount: {{type: double}}, day: {{type: date}}, sent: {{type: timestamp}}}}
profile: true
rules: [{{row_count: {{at_least: 1}}}}]
outputs: {{root: {tmp_path}/root}}
"""
    (tmp_path / "past.yml").write_text(rules)
    for n in range(1, 4):
        quality.run(tmp_path / "past.yml", f"2024-01-{n:02d}", spark=spark)
    words = [
        "suggest", "in/{{ batch }}.csv", "--history", "past", "--root", f"{tmp_path}/root", "-o", str(tmp_path / "r.yml"),
    ]  # fmt: skip
    assert cli.run_command(words) == 0, capsys.readouterr().err
    report = lint(str(tmp_path / "r.yml"))
    assert report.problems == ()
    assert report.rule_set
    said = {(rule.check.type, getattr(rule.check, "column", "")) for rule in report.rule_set.rules}
    assert {("in", "state"), ("in", "city")} <= said
    assert cli.run_command(["suggest", "in.csv", "--history", "nowhere", "--root", f"{tmp_path}/root"]) == 2
