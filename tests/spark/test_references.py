"""Rows held against other data sets: which keys exist in a reference, told by sets of plain Python."""

from __future__ import annotations

import csv
import json
from contextlib import nullcontext
from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality import references
from quality.backends.sizing import extent
from quality.errors import QualityError
from quality.examples import judge_examples
from quality.passes import describe_pass
from quality.redrive import redrive
from quality.rule_types.base import REGISTRY, RuleType
from quality.runs import describe
from tests.oracle import ASKING_REFERENCES, QUERIES
from tests.sizes import as_large, in_size
from tests.written import Place

LEFT = [
    (0, "A", 1, 1.0), (1, "B", 2, 2.0), (2, "a", 1, 2.5), (3, None, 1, 1.0), (4, "C", None, float("nan")),
    (5, "A", 2, -0.0), (6, "", 3, 7.0), (7, "A ", 1, 2.0**53), (8, None, None, None), (9, "A", 1, 1.0),
]  # fmt: skip
#: A doubled key, keys with NULL and NaN, values that no value of the batch can equal.
RIGHT = [
    ("A", 1, 1.0), ("A", 1, 1.0), ("B", None, float("nan")), (None, 1, 0.0), ("C", 2, 2.5), ("B", 2, 2**53 + 0.0), (None, None, None),
]  # fmt: skip


def exists(row, columns, keys):
    """None for a key with a NULL part; NaN equals nothing."""
    key = tuple(row[column] for column in columns)
    if None in key:
        return None
    return any(None not in other and all(a == b for a, b in zip(key, other, strict=True)) for other in keys)


@pytest.fixture
def place(tmp_path, quick):
    ids, texts, wholes, doubles = zip(*LEFT, strict=True)
    left = {"id": ids, "t": texts, "n": pa.array(wholes, pa.int32()), "d": doubles}
    pq.write_table(
        pa.table({k: v if isinstance(v, pa.Array) else list(v) for k, v in left.items()}), tmp_path / "1.parquet"
    )
    t, n, d = (list(column) for column in zip(*RIGHT, strict=True))
    pq.write_table(pa.table({"rt": t, "rn": pa.array(n, pa.int64()), "rd": d}), tmp_path / "typed.parquet")
    with (tmp_path / "text.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["rt", "rn", "rd"], *([v if v is not None else "NA" for v in row] for row in RIGHT)]
        )

    def write(rules, batch="1", more=""):
        file = tmp_path / "r.yml"
        file.write_text(
            f"version: 1\ndataset: left\ninput: {{path: '{tmp_path}/{batch}.parquet'}}\n"
            f"references:\n  typed: {{path: {tmp_path}/typed.parquet}}\n"
            f"  text: {{path: {tmp_path}/text.csv, options: {{header: true, nullValue: NA}}}}\n"
            f"  gone: {{path: {tmp_path}/gone.csv}}\n  ours: {{dataset: left}}\n{more}"
            f"outputs: {{root: '{tmp_path}/kept'}}\nhold: {{quarantined_above: 100%}}\nrules: {json.dumps(rules)}\n"
        )
        return file

    def run(rules, batch="1", more="", **given):
        return quality.run(write(rules, batch, more), batch, spark=quick, **given)

    return SimpleNamespace(run=run, write=write, path=tmp_path, spark=quick)


def rule(name, columns, reference, theirs, **more):
    return {
        "name": name,
        "exists_in": {"columns": columns, "reference": reference, "reference_columns": theirs},
        **more,
    }


CASES = [("t", "rt"), ("n", "rn"), ("d", "rd"), ("tn", ("rt", "rn")), ("nd", ("rn", "rd"))]


def written(place, result, side):
    files = quality.paths(str(place.path / "kept"), "left", batch="1", side=side)
    return [row for file in files for row in pq.ParquetFile(file.removeprefix("file://")).read().to_pylist()]


@pytest.mark.full("small-joined", "large-broadcast", "large-joined")
@pytest.mark.parametrize("limit", (2**26, 0), ids=["broadcast", "joined"])
@pytest.mark.parametrize("size", ("small", "large"))
def test_exactly_the_rows_without_a_match_fail_under_every_null_policy(place, monkeypatch, limit, size):
    monkeypatch.setattr(references, "BROADCAST_BYTES", limit)
    rules, expected = [], {}
    for reference in ("typed", "text"):
        for ours, theirs in CASES:
            columns = list(ours)
            names = [theirs] if isinstance(theirs, str) else list(theirs)
            keys = [tuple(row[["rt", "rn", "rd"].index(name)] for name in names) for row in RIGHT]
            for nulls in ("pass", "fail", "skip") if reference == "typed" else ("skip",):
                name = f"{reference}-{ours}-{nulls}"
                rules.append(rule(name, columns, reference, names, nulls=nulls))
                found = {r[0]: exists(dict(zip(("id", "t", "n", "d"), r, strict=True)), columns, keys) for r in LEFT}
                failing = {i for i, hit in found.items() if (not hit if nulls == "fail" else hit is False)}
                expected[name] = (sum(nulls != "skip" or hit is not None for hit in found.values()), failing)
    with as_large(place.spark) if size == "large" else nullcontext():
        result = place.run(rules)
    quarantined = written(place, result, "quarantine")
    assert len(quarantined) + len(written(place, result, "passed")) == len(LEFT)
    for name, (scope, failing) in expected.items():
        told = result.rule(name)
        reasons = {row["id"] for row in quarantined if name in [f["rule"] for f in row["_quality"]["failures"]]}
        assert (name, told["rows_in_scope"], told["failed_rows"], reasons) == (name, scope, len(failing), failing)
    passes = result.data["passes"]
    assert passes["planned"]["narrow"] == passes["actual"]["narrow"] == 2 * len(CASES)


def test_a_reference_that_cannot_be_asked_makes_its_rules_an_error_alone(place):
    result = place.run(
        [
            rule("missing", ["t"], "gone", ["x"], severity="warning"),
            rule("misspelt", ["t"], "typed", ["rtt"], severity="warning"),
            rule("clock", ["t"], "moving", ["rt"], severity="warning"),
            rule("unpublished", ["t"], "ours", ["t"], severity="warning"),
            rule("fine", ["t"], "typed", ["rt"], severity="warning"),
        ],
        more=f"  moving: {{path: {place.path}/typed.parquet, where: \"timestamp(rt) < 'today'\"}}\n",
    )
    told = "reference 'moving': 'where': 'today' as a date or time depends on the clock; write {{ run_time }} or"
    assert told in result.rule("clock")["message"]
    none = f"reference 'ours': no batch of data set 'left' is published in {place.path}/kept"
    assert none in result.rule("unpublished")["message"]
    assert "reference 'gone': no file matches" in result.rule("missing")["message"]
    assert "did you mean 'rt'" in result.rule("misspelt")["message"]
    statuses = {name: result.rule(name)["status"] for name in ("missing", "misspelt", "clock", "unpublished", "fine")}
    assert statuses == {**dict.fromkeys(statuses, "error"), "fine": "failed"}
    assert result.data["rows"]["passed"] == len(LEFT)


def test_a_changed_reference_is_a_reason_to_run_again(place):
    rules = [rule("known", ["t"], "text", ["rt"], severity="warning")]
    assert not place.run(rules).data["unchanged"]
    assert place.run(rules).data["unchanged"]
    with (place.path / "text.csv").open("a") as file:
        file.write("a,9,9\n")
    again = place.run(rules)
    assert not again.data["unchanged"]
    # 'a' is known now; '' and 'A ' are not
    assert again.rule("known")["failed_rows"] == 2


def test_rows_are_held_against_what_is_live_of_a_data_set_of_ours(place):
    place.run([])
    result = place.run([rule("again", ["t", "n"], "ours", ["t", "n"])])
    assert (result.rule("again")["status"], result.rule("again")["failed_rows"]) == ("passed", 0)


def test_in_a_composition_the_answer_is_a_part_of_the_verdict(place):
    parts = [
        {"equals": {"column": "t", "value": "a"}},
        {"exists_in": {"columns": "t", "reference": "typed", "reference_columns": "rt"}},
    ]
    result = place.run([{"name": "either", "any": parts}])
    assert {row["id"] for row in written(place, result, "quarantine")} == {6, 7}


DECIMALS = ["1.50", "2.00", "0.10", None, "99.99"]
DAYS = [date(2024, 2, 29), date(1582, 10, 4), None, date(2024, 3, 1), date(1970, 1, 1)]


def test_decimals_days_and_moments_compare_as_what_they_say(place):
    moments = [None if day is None else datetime(day.year, day.month, day.day, 12) for day in DAYS]
    money = [None if text is None else Decimal(text) for text in DECIMALS]
    batch = {"id": range(5), "m": pa.array(money, pa.decimal128(10, 2)), "day": DAYS, "at": moments}
    pq.write_table(
        pa.table({k: v if isinstance(v, pa.Array) else list(v) for k, v in batch.items()}), place.path / "2.parquet"
    )
    there = {
        "m": pa.array([Decimal("1.5000"), Decimal("0.1001"), Decimal("99.9900")], pa.decimal128(20, 4)),
        "day": [datetime(2024, 2, 29), datetime(1970, 1, 1, 0, 0, 1), datetime(1999, 9, 9)],
        "at": [datetime(2024, 2, 29, 12), datetime(2024, 3, 1, 12, 0, 0, 1), None],
    }
    pq.write_table(pa.table(there), place.path / "wider.parquet")
    (place.path / "said.csv").write_text(
        "m,day,at\n1.5,2024-02-29,2024-02-29 12:00:00\n0.1001,1582-10-04,2024-03-01\n2e0,x,\n"
    )
    more = f"  wider: {{path: {place.path}/wider.parquet}}\n  said: {{path: {place.path}/said.csv, options: {{header: true}}}}\n"
    names = [(reference, column) for reference in ("wider", "said") for column in ("m", "day", "at")]
    rules = [rule(f"{r}-{c}", [c], r, [c], nulls="skip", severity="warning") for r, c in names]
    result = place.run(rules, "2", more)
    # 0.1001 is no decimal(10,2), and a second past midnight is no day
    found = {
        ("wider", "m"): 2,
        ("wider", "day"): 3,
        ("wider", "at"): 3,
        ("said", "m"): 2,
        ("said", "day"): 2,
        ("said", "at"): 3,
    }
    told = {name: result.rule("-".join(name)) for name in names}
    assert {name: (r["rows_in_scope"], r["failed_rows"]) for name, r in told.items()} == {
        n: (4, f) for n, f in found.items()
    }


def test_a_table_is_a_reference_and_its_condition_says_which_rows(place):
    place.spark.sql("drop table if exists known")
    place.spark.createDataFrame([("A", True), ("B", False)], "t string, good boolean").write.saveAsTable("known")
    try:
        more = "  known: {table: known, where: good}\n  good: {path: WHERE/typed.parquet, where: rn = 1 and rt is not null}\n"
        more = more.replace("WHERE", str(place.path))
        rules = [
            rule(name, ["t"], name, [column], severity="warning") for name, column in (("known", "t"), ("good", "rt"))
        ]
        result = place.run(rules, more=more)
        others = sum(row[1] not in (None, "A") for row in LEFT)
        assert [result.rule(name)["failed_rows"] for name in ("known", "good")] == [others, others]
        assert place.run(rules, more=more).data["unchanged"]
        place.spark.sql("insert into known values ('a', true)")
        again = place.run(rules, more=more)
        assert (again.data["unchanged"], again.rule("known")["failed_rows"]) == (False, others - 1)
    finally:
        place.spark.sql("drop table if exists known")


def test_a_condition_of_a_reference_is_parsed_before_anything_runs(place):
    more = f"  odd: {{path: {place.path}/typed.parquet, where: 'rn ==== 1'}}\n"
    with pytest.raises(QualityError, match=r"r.yml:9: 'where' of reference 'odd': 'rn ==== 1' is not Spark SQL"):
        place.run([rule("known", ["t"], "odd", ["rt"])], more=more)


def test_every_reading_of_a_reference_stands_in_the_plan_and_counts_against_the_budget(place):
    rules = [
        rule("known", ["t"], "typed", ["rt"]),
        rule("again", ["t"], "typed", ["rt"]),
        rule("n", ["n"], "text", ["rn"]),
    ]
    plan = describe(place.write(rules), "1", spark=place.spark)
    lines = [describe_pass(step) for step in plan.steps if step.of]
    assert lines == [
        "narrow: reading keys rt of reference typed, one shuffle (for known, again)",
        "narrow: reading keys rn of reference text, one shuffle (for n)",
    ]
    # others keep what is theirs, and let go of it when they like: Delta the states of its tables
    kept = {*place.spark._jsc.getPersistentRDDs()}
    refused = place.run(rules, max_scans=4)
    assert refused.exit_code == 3
    assert refused.data["message"].splitlines()[:2] == [
        "the plan reads the batch up to 3 times and references 2 times, 4 allowed:",
        f"  {lines[0]}",
    ]
    assert refused.data["passes"]["actual"]["narrow"] == 0
    assert {*place.spark._jsc.getPersistentRDDs()} <= kept
    done = place.run(rules, max_scans=5)
    actual = done.data["passes"]["actual"]
    assert {name: actual[name] for name in ("wide", "narrow", "shuffles")} == plan.passes.to_dict()
    assert {*place.spark._jsc.getPersistentRDDs()} <= kept


def test_a_reference_that_changes_during_a_run_ends_the_run(place):
    def change(words):
        if words == "judging":
            with (place.path / "text.csv").open("a") as file:
                file.write("a,9,9\n")

    result = place.run([rule("known", ["t"], "text", ["rt"])], progress=change)
    assert (result.exit_code, result.data["decision"]) == (3, "none")
    assert result.data["message"] == "reference 'text' changed while it was read; run again"


def test_rows_come_back_when_their_keys_are_known(place):
    rules = [rule("known", ["t"], "text", ["rt"])]
    assert place.run(rules).data["rows"]["quarantined"] == 3
    with (place.path / "text.csv").open("a") as file:
        file.write("a,9,9\n")
    (done,) = redrive(place.write(rules), spark=place.spark, by="ann")
    assert (dict(done.back), dict(done.remaining)) == ({"redriven": 1}, {"known": 2})


def test_examples_are_held_against_the_references_as_they_are(place):
    examples = {"pass": [{"t": "A"}, {"t": None}], "fail": [{"t": "a"}]}
    known = {**rule("known", ["t"], "text", ["rt"]), "examples": examples}
    gone = {**rule("gone", ["t"], "gone", ["x"]), "examples": {"pass": [{"t": "B"}]}}
    (tested,) = judge_examples([place.write([known, gone])], spark=place.spark)
    assert [told.found for told in tested.told] == ["pass", "pass", "fail", "error"]
    assert "reference 'gone': no file matches" in tested.told[-1].message


def test_what_is_sent_to_executors_is_counted_in_bytes_too(quick, tmp_path):
    texts = ["", None, "ä" * 1000, "x" * 50]
    table = {"s": texts, "n": [1, None, 3, 4], "d": [Decimal("1.5")] * 4, "a": [["y" * 300]] * 4, "o.d `d": texts}
    pq.write_table(pa.table(table), tmp_path / "keys.parquet")
    frame = quick.read.parquet(str(tmp_path / "keys.parquet"))
    rows, size = extent(frame)
    least = 2 * sum(len((text or "").encode()) for text in texts) + 4 * 300
    assert (rows, least < size < 2 * least) == (4, True)
    assert extent(frame.limit(0)) == (0, 0)


def test_failing_rows_that_were_shuffled_are_not_said_to_be_of_a_file(place, monkeypatch):
    monkeypatch.setattr(references, "BROADCAST_KEYS", 0)
    (place.path / "many.parquet").mkdir()
    for number in (1, 2):
        rows = 600 if number == 1 else 300
        table = {"t": ["Z" if n % 3 else "A" for n in range(rows)], "n": list(range(rows))}
        pq.write_table(pa.table(table), place.path / f"many.parquet/{number}.parquet")
    with as_large(place.spark):
        result = place.run([rule("known", ["t"], "typed", ["rt"])], "many")
    assert result.rule("known")["failed_rows"] == 600
    assert "file" not in json.dumps(result.rule("known").get("slice", {}))


def test_every_type_that_asks_references_is_tried_here():
    asking = {word for word, kind in REGISTRY.items() if kind.questions is not RuleType.questions}
    # the others in test_matches.py and test_queries.py; the order of rows is asked of the batch itself
    assert asking - {"all", "any", "not", "drift", "ordered", *QUERIES} == ASKING_REFERENCES


@pytest.mark.parametrize("size", ("large", "small"))
def test_a_join_that_makes_more_of_the_rows_publishes_nothing(quick, tmp_path, monkeypatch, size):
    place = Place(tmp_path, quick)
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"id": range(100)}), tmp_path / "in" / "a.parquet")
    pq.write_table(pa.table({"id": range(90)}), tmp_path / "ids.parquet")
    more: Any = {"format": "parquet", "top": f"references: {{ids: {{path: '{tmp_path}/ids.parquet'}}}}"}
    rule = "- exists_in: {columns: [id], reference: ids}"
    keys = references.References._keys

    def twice(self, *asked):
        found = keys(self, *asked)
        return found.union(found)

    with in_size(quick, size):
        monkeypatch.setattr(references.References, "_keys", twice)
        refused = place.run(rule, **more)
        assert (refused.exit_code, refused.data["decision"]) == (3, "none")
        assert "the input's files have 100 rows, 190 were judged; nothing is published" in refused.data["message"]
        assert not list(place.root.glob("commits/**/*.json"))
        monkeypatch.undo()
        result = place.run(rule, **more)
    assert (result.data["rows"]["input"], result.data["rows"]["quarantined"]) == (100, 10)
