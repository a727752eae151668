"""What failing rows have in common is found, and a batch that is held says what is likely to blame."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality import slices
from quality.file_groups import GROUPS, FileGroups
from quality.model import Column
from quality.report import html, terminal
from quality.sensitive import Sensitive
from tests.sizes import as_large
from tests.spark.test_passes import in_the_books
from tests.written import Place

CSV = "options: {header: true}"
#: (kind, column, value) of twenty planted slices: one file of ten, one value of twenty, one hour of the day.
PLANTED = [
    *(("file", "", f"part-{n}.csv") for n in range(1, 8)),
    *(("value", "shop", f"s{n}") for n in range(2, 9)),
    *(("hour", "at", f"{n:02}") for n in (0, 3, 7, 12, 18, 23)),
]


@pytest.fixture
def place(spark, tmp_path):
    return Place(tmp_path, spark)


def planted(seed: int) -> dict[str, str]:
    """4,000 rows in ten files; a rule fails on four rows of five of its slice, and on one of a hundred elsewhere."""
    draw = random.Random(seed)
    files: dict[str, list[str]] = {}
    for id in range(4000):
        file, shop, hour = f"part-{draw.randrange(10)}.csv", f"s{draw.randrange(20)}", f"{draw.randrange(24):02}"
        own = {"file": file, "value": shop, "hour": hour}
        flags = [int(draw.random() < (0.8 if own[kind] == value else 0.01)) for kind, _, value in PLANTED]
        at = f"2024-01-02 {hour}:{draw.randrange(60):02}:00"
        files.setdefault(file, []).append(",".join([str(id), shop, "EUR", at, *map(str, flags)]))
    head = ",".join(["id", "shop", "currency", "at", *(f"f{n}" for n in range(len(PLANTED)))])
    return {name: "\n".join([head, *rows, ""]) for name, rows in files.items()}


def test_twenty_planted_slices_are_found(place):
    place.put(planted(1))
    rules = "\n".join(
        f"- {{name: r{n}, equals: {{column: f{n}, value: 0}}{', severity: warning' if n % 3 else ''}}}"
        for n in range(len(PLANTED))
    )
    types = ", ".join(f"f{n}: {{type: integer}}" for n in range(len(PLANTED)))
    result = place.run(
        rules, input=CSV, top=f"columns: {{id: {{type: integer}}, at: {{type: timestamp}}, {types}}}\nprofile: true"
    )
    found = [result.rule(f"r{n}").get("slice") or {} for n in range(len(PLANTED))]
    named = [(s.get("kind"), s.get("column"), str(s.get("value")).rpartition("/")[2]) for s in found]
    assert named == PLANTED
    counts = [result.rule(f"r{n}")["failed_rows"] for n in range(len(PLANTED))]
    assert [s["failing"] for s in found] == counts
    # of a value the profile knows how common it is, of an hour nothing does
    lifts = [s["lift"] for s in found]
    assert min(lift for lift, (kind, *_) in zip(lifts, PLANTED, strict=True) if kind != "hour") > 5
    assert {lift for lift, (kind, *_) in zip(lifts, PLANTED, strict=True) if kind == "hour"} == {None}
    # one narrow pass tells all of it, and the plan said so
    passes = result.data["passes"]
    assert passes["actual"]["narrow"] == passes["planned"]["narrow"] == 1
    shown = terminal.render(result.data)
    assert "failing rows are in shop = s2, which has " in shown
    assert "failing rows are in hour 7 of at" in shown
    assert "failing rows are in input file part-1.csv" in html.render(dict(result.data))


def test_slices_of_one_file_are_read_from_what_was_written_and_what_all_rows_share_is_no_slice(place):
    lines = [f"{n},{'se' if n < 40 else 'no'},EUR,{'x' if n < 30 or n == 50 else n}" for n in range(200)]
    place.put({"a.csv": "\n".join(["id,country,currency,n", *lines, ""])})
    result = place.run(input=CSV, top="columns: {n: {type: integer}}")
    slice = result.rule("n.type")["slice"]
    assert (slice["kind"], slice["column"], slice["value"], slice["rows"], slice["failing"]) == (
        "value", "country", "se", 30, 31,
    )  # fmt: skip
    assert result.data["passes"]["actual"]["narrow"] == 0


def failing_rows(spark, count: int):
    """Rows as quarantined, and as plain Python."""
    draw = random.Random(3)
    rows = [
        (
            draw.choice(["a", "a", "a", "b", None, "x" * 130]),
            draw.choice([1, 2, None]),
            datetime(2024, 1, 2, draw.choice([3, 4]), 30),
            "s",
            ([(rule,) for rule in "pq" if draw.random() < (0.9 if rule == "p" else 0.02)],),
        )
        for _ in range(count)
    ]
    failures = "array<struct<rule string>>"
    return rows, spark.createDataFrame(
        rows, f"shop string, n int, at timestamp, secret string, _quality struct<failures {failures}>"
    )


COLUMNS = [Column("shop", "string"), Column("n", "int"), Column("at", "timestamp"), Column("secret", "string")]


def test_slices_of_failing_rows_are_counted(quick):
    rows, frame = failing_rows(quick, 300)
    chosen = slices.dimensions(COLUMNS, Sensitive.of({"secret": "mask"}), by_file=False)
    assert [one.column for one in chosen] == ["shop", "n", "at"]
    failing = {rule: sum((rule,) in row[-1][0] for row in rows) for rule in "pq"}
    looked = slices.rows_to_look_at(frame, slices.written_marks("pq"), chosen, failing)
    counted = slices.count_here(looked, {"p": {"p"}, "q": {"q"}}, chosen)
    assert counted.failing == tuple(failing.values())
    texts = [(row[0] and row[0][:120], row[1] and str(row[1]), f"{row[2].hour:02}") for row in rows]
    naive = {
        (place, value): tuple(
            sum(t[place] == value and (rule,) in row[-1][0] for t, row in zip(texts, rows, strict=True))
            for rule in "pq"
        )
        for place in range(3)
        for value in {t[place] for t in texts}
    }
    told = {
        at: sums for at, sums in naive.items() if any(n >= 0.4 * failing[r] for n, r in zip(sums, "pq", strict=True))
    }
    assert counted.rows == told
    assert len(told) >= 3
    # rows of either rule, as of a quarantine
    (either,) = slices.count_here(looked, {"": {"p", "q"}}, chosen).failing
    assert either == sum(bool(row[-1][0]) for row in rows)


def test_of_a_rule_that_many_rows_fail_a_sample_is_looked_at_and_of_one_that_few_fail_every_row(quick, monkeypatch):
    monkeypatch.setattr(slices, "MOST_ROWS", 1000)
    rows, frame = failing_rows(quick, 5000)
    chosen = slices.dimensions(COLUMNS, Sensitive.of({"secret": "mask"}), by_file=False)
    failing = {rule: sum((rule,) in row[-1][0] for row in rows) for rule in "pq"}
    assert failing["q"] < 500
    assert failing["p"] > 4000
    looked = slices.rows_to_look_at(frame, slices.written_marks("pq"), chosen, failing)
    assert len(looked) < 1000
    counted = slices.count_here(looked, {"p": {"p"}, "q": {"q"}}, chosen)
    # half of a thousand is asked for of each: within five deviations
    assert abs(counted.failing[0] - 500) < 5 * 500**0.5
    assert counted.failing[1] == failing["q"]
    # a look at one rule of them takes no larger share of its rows
    alone = slices.rows_to_look_at(frame, slices.written_marks("p"), chosen, failing)
    assert abs(len(alone) - 500) < 5 * 500**0.5
    share = counted.rows[0, "a"][0] / counted.failing[0]
    assert abs(share - sum(row[0] == "a" and ("p",) in row[-1][0] for row in rows) / failing["p"]) < 0.12


def parquet_files(place: Place, bad: Callable[[int, int], bool]) -> None:
    """Twenty files with odd names of 200 rows each; `bad` says of a row of a file whether n is too small."""
    (place.directory / "in").mkdir(exist_ok=True)
    for file in range(20):
        rows = [{"id": file * 200 + row, "n": -1 if bad(file, row) else 1} for row in range(200)]
        pq.write_table(pa.Table.from_pylist(rows), place.directory / "in" / f"p {file}%20ü+#{file}.parquet")


@pytest.mark.parametrize("on_fail", ("quarantine", "keep"))
def test_the_file_of_failing_rows_is_told_by_reading_only_files_near_it_again(spark, place, on_fail):
    parquet_files(place, lambda file, row: row < 50 if file == 13 else row == 7)
    with as_large(spark):
        result, scans = in_the_books(
            spark, place, lambda: place.run(f"- above: {{column: n, value: 0}}\n  on_fail: {on_fail}", format="parquet")
        )
    slice = result.rule("n.above")["slice"]
    assert (slice["kind"], slice["rows"], slice["failing"]) == ("file", 50, 69)
    assert slice["value"].endswith("/p 13%20ü+#13.parquet")
    actual = result.data["passes"]["actual"]
    assert (actual["wide"], actual["narrow"], len(scans)) == (1, 1, 2)


@pytest.mark.parametrize(
    "other",
    (
        "exists_in: {columns: [id], reference: ids}",
        "ordered: {column: n, order_by: id, direction: decreasing}",
        "sql_rows: {query: 'select t.id from this t left anti join ids i on t.id = i.id', key: id}",
        "any: [{unique: id}, {above: {column: n, value: 0}}]",
    ),
    ids=lambda other: other.partition(":")[0],
)
def test_the_file_is_told_beside_a_rule_for_which_the_batch_is_joined(spark, place, other):
    parquet_files(place, lambda file, row: row < 50 if file == 13 else row == 7)
    pq.write_table(pa.table({"id": range(3990)}), place.directory / "ids.parquet")
    top = f"references: {{ids: {{path: '{place.directory}/ids.parquet'}}}}"
    with as_large(spark):
        result = place.run(f"- above: {{column: n, value: 0}}\n- {other}", format="parquet", top=top)
    rows = result.data["rows"]
    assert (rows["input"], rows["passed"] + rows["quarantined"]) == (4000, 4000)
    slice = result.rule("n.above")["slice"]
    assert (slice["kind"], slice["rows"], slice["failing"]) == ("file", 50, 69)
    assert slice["value"].endswith("/p 13%20ü+#13.parquet")


def test_half_of_the_failing_rows_in_a_value_that_half_of_all_have_is_no_slice(place):
    lines = [f"{n},{'se' if n % 100 < 51 else 'no'},{'x' if n < 100 else n}" for n in range(400)]
    place.put({"a.csv": "\n".join(["id,country,n", *lines, ""])})
    result = place.run(input=CSV, top="columns: {n: {type: integer}}")
    assert result.rule("n.type")["failed_rows"] == 100
    assert "slice" not in result.rule("n.type")


def test_rows_that_fail_in_every_file_are_not_looked_for_again(spark, place):
    parquet_files(place, lambda file, row: row < 5)
    with as_large(spark):
        result, scans = in_the_books(
            spark, place, lambda: place.run("- above: {column: n, value: 0}", format="parquet")
        )
    assert (result.rule("n.above")["failed_rows"], "slice" in result.rule("n.above")) == (100, False)
    assert len(scans) == result.data["passes"]["actual"]["wide"] == 1
    assert result.data["passes"]["actual"]["narrow"] == 0


def test_groups_of_files_hold_each_file_once_and_as_spark_hashes_it(quick):
    files = [f"file:///d/p%20{n}.parquet" for n in range(50)]
    groups = FileGroups.of(files)
    assert sorted(file for members in groups.members.values() for file in members) == sorted(files)
    assert max(map(len, groups.members.values())) <= 12
    assert all(len(members) == 1 for members in FileGroups.of(files[:3]).members.values())
    frame = quick.createDataFrame([(file,) for file in [*files, "", None]], "f string")
    told = {row["f"]: row["g"] for row in frame.selectExpr("f", f"{groups.number('f')} as g").collect()}
    assert told.pop("") == told.pop(None) == GROUPS
    assert told == {file: group for group, members in groups.members.items() for file in members}


def good(n: int) -> str:
    return f"{n},{'UA' if n % 2 else 'AA'},{n}"


def held(place: Place, files: dict[str, str], at_least: int = 0, above: str = "20%") -> quality.RunResult:
    place.put(files)
    top = (
        f"columns: {{id: {{type: integer}}, carrier: {{required: true, in: [AA, UA]}}, n: {{type: integer, at_least: {at_least}}}}}\n"
        f"hold: {{quarantined_above: {above}}}"
    )
    return place.run(input=CSV, top=top)


def test_a_batch_whose_column_went_null_is_held_by_name_and_the_version_before_stays(place):
    head = "id,carrier,n"
    assert held(place, {"a.csv": "\n".join([head, *map(good, range(100)), ""])}).decision == "published"
    before = quality.paths(str(place.root), "d", batch="b")
    rows = [good(n) if n % 2 else f"{n},,{n}" for n in range(100)]
    result = held(place, {"a.csv": "\n".join([head, *rows, ""])})
    assert (result.decision, result.exit_code) == ("held", 4)
    assert result.data["message"] == (
        "50 of 100 rows would be quarantined, more than 20%; likely: column 'carrier' is NULL in 50.0% of the rows, and was in "
        "0.0% in batch 'b'"
    )
    assert [clue["kind"] for clue in result.data["culprits"]] == ["null"]
    assert quality.paths(str(place.root), "d", batch="b") == before
    assert len(place.spark.read.parquet(*before).collect()) == 100
    # a rule that changed: the data is as it was
    result = held(place, {"a.csv": "\n".join([head, *map(good, range(100)), ""])}, at_least=60)
    assert [(clue["kind"], clue["name"]) for clue in result.data["culprits"]] == [("rule_changed", "n.at_least")]
    assert (
        "rule 'n.at_least' has changed since batch 'b': must be >= 60; before: must be >= 0 (60 rows fail it)"
        in (result.data["message"])
    )
    # one file of four
    files = {f"{name}.csv": "\n".join([head, *map(good, range(100)), ""]) for name in "abc"}
    files["d.csv"] = "\n".join([head, *(f"{n},{'XX' if n % 4 else 'YY'},{-n}" for n in range(100)), ""])
    result = held(place, files)
    kinds = [(clue["kind"], clue["name"]) for clue in result.data["culprits"]]
    assert kinds == [("slice", "input file d.csv"), ("rule", "carrier.in")]
