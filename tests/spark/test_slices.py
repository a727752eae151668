"""What failing rows have in common is found, and a batch that is held says what is likely to blame."""

from __future__ import annotations

import random
from datetime import datetime

import pytest

import quality
from quality import slices
from quality.model import Column
from quality.report import html, terminal
from quality.sensitive import Sensitive
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


def test_few_rows_are_counted_on_the_driver_as_many_are_by_spark(quick):
    draw = random.Random(3)
    columns = [Column("shop", "string"), Column("n", "int"), Column("at", "timestamp"), Column("secret", "string")]
    failures = "array<struct<rule string>>"
    rows = [
        (
            draw.choice(["a", "b", None, "x" * 130]),
            draw.choice([1, 2, None]),
            datetime(2024, 1, 2, draw.choice([3, 4]), 30),
            "s",
            ([(rule,) for rule in "pq" if draw.random() < 0.7],),
        )
        for _ in range(60)
    ]
    frame = quick.createDataFrame(
        rows, f"shop string, n int, at timestamp, secret string, _quality struct<failures {failures}>"
    )
    chosen = slices.dimensions(columns, Sensitive.of({"secret": "mask"}), by_file=False)
    assert [one.column for one in chosen] == ["shop", "n", "at"]
    failing = {rule: sum((rule,) in row[-1][0] for row in rows) for rule in "pq"}
    by_spark = slices.count(frame, slices.written_marks("pq"), chosen, failing, small=True)
    texts = frame.selectExpr(f"{slices.texts_of(chosen)} as texts").collect()
    here = [
        slices.FailingRow(frozenset(rule for (rule,) in row[-1][0]), tuple(text["texts"]))
        for row, text in zip(rows, texts, strict=True)
    ]
    assert slices.count_here(here, {"p": {"p"}, "q": {"q"}}, chosen) == by_spark
    assert by_spark.failing == tuple(failing.values())
    # rows of either rule, as of a quarantine
    (either,) = slices.count_here(here, {"": {"p", "q"}}, chosen).failing
    assert either == sum(bool(row[-1][0]) for row in rows)


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
