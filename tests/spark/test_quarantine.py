"""The quarantine keeps every row that failed, once, as it was read, with every reason."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from tests.written import Place, rows

QUALITY = (
    "struct<row_id:string,batch:string,run:string,rule_set:string,"
    "failures:array<struct<rule:string,severity:string,column:string,message:string,value:string>>>"
)
CSV = "options: {header: true}"


@pytest.fixture
def place(spark, tmp_path):
    return Place(tmp_path, spark)


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def ids(place: Place, batch: str = "b") -> list[str]:
    return [row["_quality"]["row_id"] for row in place.rows("quarantine", batch)]


def test_a_quarantine_file_has_the_columns_as_typed_and_one_more(place):
    place.put({"a.csv": "id,N o,when\n1,x,2013-01-01 05:00:00\n2\n"})
    columns = "columns: {N o: {type: 'decimal(9,2)'}, when: {type: timestamp}}"
    result = place.run("- equals: {column: id, value: '0'}", input=CSV, top=columns)
    (file,) = place.record()["quarantine"]
    schema = place.spark.read.parquet(f"file://{place.root / file['path']}").schema
    assert [(field.name, field.dataType.simpleString()) for field in schema] == [
        ("id", "string"), ("N o", "decimal(9,2)"), ("when", "timestamp"), ("_quality", QUALITY),
    ]  # fmt: skip
    origins = [{**row["_quality"], "failures": [], "row_id": ""} for row in place.rows("quarantine")]
    told = {"batch": "b", "run": result.data["run"], "rule_set": result.data["rule_set"]}
    assert origins == [{**told, "failures": [], "row_id": ""}] * 2


def test_a_row_lists_every_rule_it_fails_in_file_order_with_its_value(place):
    rules = """
- {name: zeta, that: "n <> 1 and n <> 2", description: not one}
- {name: beta, between: {column: n, range: [5, 9]}, severity: warning}
- {name: mid, above: {column: n, value: 1}, on_fail: hold, tolerance: {rows: 5}}
- {name: alpha, matches: {column: t, pattern: '[a-z]+'}, severity: info}"""
    place.put({"a.csv": "n,t\n1,X\n2,y\n3,Z\n6,ok\n"})
    place.run(rules, input=CSV, top="columns: {n: {type: integer}}")
    place.conserves(4)
    assert place.reasons("n") == {1: ["zeta", "beta", "mid", "alpha"], 2: ["zeta", "beta"]}
    # a rule below error keeps its rows
    assert place.passed("n") == [3, 6]
    (first,) = [row["_quality"]["failures"] for row in place.rows("quarantine") if row["n"] == 1]
    assert [(reason["severity"], reason["column"], reason["value"]) for reason in first] == [
        ("error", "", None), ("warning", "n", "1"), ("error", "n", "1"), ("info", "t", "X"),
    ]  # fmt: skip
    assert [reason["message"] for reason in first][1:] == [
        "must be between 5 and 9",
        "must be > 1",
        "must match [a-z]+",
    ]


def test_a_value_is_shown_up_to_256_characters(place):
    long = "é😀" * 150
    place.put({"a.csv": f"t,u\n{long},x\n{long}\n"})
    place.run("- length: {column: t, at_most: 3}", input=CSV)
    shown = {row["t"]: row["_quality"]["failures"][0]["value"] for row in place.rows("quarantine")}
    assert shown == {long: long[:256], None: long[:256]}


def test_a_row_id_is_that_of_the_content_with_an_ordinal_among_equal_rows(place):
    content = "n,t\n1,a\n1,a\n2,b\n3\n3\n"
    place.put({"1.csv": content, "2.csv": "t,n\na,1\nz,9\n", "3.csv": "n,t\n1,\n"})
    rules, typed = "- {name: no, that: 'n > 8'}", "columns: {n: {type: integer}}"
    place.run(rules, input=CSV, top=typed)
    first = ids(place)
    assert all(re.fullmatch(r"[0-9a-f]{32}-\d+", id) for id in first)
    assert len(set(first)) == len(first) == 7
    by_row: dict[Any, list[str]] = {}
    for row in place.rows("quarantine"):
        by_row.setdefault((row["n"], row["t"]), []).append(row["_quality"]["row_id"])
    # three times 1,a; 2,b; 1 and NULL; two lines that say 3
    assert {key: len(found) for key, found in by_row.items()} == {
        (1, "a"): 3,
        (2, "b"): 1,
        (1, None): 1,
        (None, None): 2,
    }
    for found in by_row.values():
        assert len({id.split("-")[0] for id in found}) == 1
        assert sorted(int(id.split("-")[1]) for id in found) == list(range(1, len(found) + 1))
    assert len({id.split("-")[0] for id in first}) == 4
    place.run(rules, input=CSV, top=typed, force=True)
    assert sorted(ids(place)) == sorted(first)
    place.run(rules, input=CSV, top=typed, batch="c")
    assert sorted(ids(place, "c")) == sorted(first)


def test_rows_that_only_look_alike_have_different_ids(place):
    texts = [None, "", "null", "NULL", "1", " 1", '"1"', "{}", "1.0"]
    place.put({"a": parquet(t=texts, d=[0.0, -0.0, math.nan, None, 1.0, 1.0, 1.0, 1.0, 1.0])})
    place.run("- {name: no, that: 'false'}", format="parquet")
    assert len({id.split("-")[0] for id in ids(place)}) == len(texts)


def test_rows_of_any_type_have_ids(place):
    columns = {
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "by int": pa.array([[(1, {"a": 1})], []], pa.map_(pa.int64(), pa.struct([("a", pa.int64())]))),
        "bytes": [b"\xff", b"\xfe"],
        "list": [[{"x": None}], []],
        "void": pa.nulls(2),
        "day": pa.array([-700000, 0], pa.date32()),
        "é`.x": ["a", "a"],
    }
    place.put({"a": parquet(**columns)})
    assert place.run("- {name: no, that: 'false'}", format="parquet").exit_code == 1
    assert len(set(ids(place))) == 2


FLAGS = 'outputs: {{root: "{root}", flags: {on}}}'
KEEPING = """
- {name: small, at_most: {column: n, value: 5}, on_fail: keep}
- {name: even, that: 'n % 2 = 0', severity: warning}
- {name: not seven, not_equals: {column: n, value: 7}}"""


def test_kept_rows_are_passed_and_flagged_with_their_reasons(place):
    place.put({"a.csv": "n\n2\n3\n6\n7\n9\n"})
    top = "columns: {n: {type: integer}}\n" + FLAGS.format(root=place.root, on="true")
    result = place.run(KEEPING, input=CSV, top=top)
    place.conserves(5)
    assert place.passed("n") == [2, 3, 6, 9]
    assert place.reasons("n") == {7: ["small", "even", "not-seven"]}
    assert place.reasons("n", side="flags") == {3: ["even"], 6: ["small"], 9: ["small", "even"]}
    assert result.data["rows"] == {"input": 5, "passed": 4, "quarantined": 1, "flagged": 3}
    # an error that keeps its rows still fails the batch
    assert (result.exit_code, result.data["decision"]) == (1, "published")
    assert {"n"} == set(pq.read_schema(place.root / place.record()["passed"][0]["path"]).names)


def test_without_flags_kept_rows_are_only_counted(place):
    place.put({"a.csv": "n\n2\n3\n6\n7\n9\n"})
    result = place.run(KEEPING, input=CSV, top="columns: {n: {type: integer}}")
    assert (place.passed("n"), place.record()["flags"]) == ([2, 3, 6, 9], [])
    assert not (place.root / "flags").exists()
    assert result.rule("even")["failed_rows"] == 3


# keys

NAN = math.nan
KEYED = {
    "id": list(range(14)),
    "a": [1.5, 1.5, NAN, NAN, 0.0, -0.0, None, None, None, 2.5, 2.5, 3.5, 4.5, 4.5],
    "b": ["x", "x", "x", "x", "x", "x", "x", "x", None, "x", "y", None, None, None],
}


def keys_failed(place: Place, rules: str) -> dict[int, list[str]]:
    place.put({"a": parquet(**KEYED)})
    place.run(rules, format="parquet")
    place.conserves(14)
    return place.reasons("id")


def test_all_rows_of_a_duplicated_key_fail_and_a_null_part_makes_no_duplicate(place):
    failed = keys_failed(place, "- {name: u, unique: [a, b]}\n- {name: k, key: [a, b]}")
    incomplete = {6, 7, 8, 11, 12, 13}
    assert failed == {id: ["u", "k"] for id in range(6)} | {id: ["k"] for id in incomplete}


def test_nan_equals_nan_and_zero_has_no_sign_in_a_key(place):
    assert set(keys_failed(place, "- unique: a")) == {0, 1, 2, 3, 4, 5, 9, 10, 12, 13}


def test_two_keys_are_judged_apart(place):
    failed = keys_failed(place, "- {name: first, unique: a}\n- {name: both, unique: [b, a]}\n- {name: id, unique: id}")
    assert failed == {id: ["first", "both"] if id < 6 else ["first"] for id in (0, 1, 2, 3, 4, 5, 9, 10, 12, 13)}


def test_a_key_with_a_filter_looks_only_at_the_rows_in_it(place):
    # of 2.5 x and 2.5 y only one is in scope, and 4.5 stands beside NULL
    failed = keys_failed(place, """- {name: u, unique: a, where: "b = 'x'"}\n- {name: w, unique: a, where: "id > 8"}""")
    assert failed == {id: ["u"] for id in range(6)} | {id: ["w"] for id in (9, 10, 12, 13)}


def test_the_numbers_of_a_key_rule_are_those_of_the_quarantine(place):
    place.put({"a": parquet(**KEYED)})
    result = place.run("- {name: k, key: [a, b], where: 'id <> 0'}", format="parquet")
    rule = result.rule("k")
    assert (rule["rows_in_scope"], rule["failed_rows"]) == (13, len(place.rows("quarantine"))) == (13, 10)


# many rules, few rows


def test_more_rules_than_a_word_has_bits_each_find_their_rows(place):
    numbers = [1, 2, 97, 60, 720720, 0]
    divisors = range(2, 142)
    place.put({"a.csv": "n\n" + "\n".join(map(str, numbers)) + "\n"})
    rules = "\n".join(f"- {{name: d{d}, that: 'n % {d} <> 0', severity: {('error', 'info')[d % 2]}}}" for d in divisors)
    result = place.run(rules, input=CSV, top="columns: {n: {type: integer}}")
    failed = {n: [d for d in divisors if n % d == 0] for n in numbers}
    # 97 fails a rule that keeps its rows
    assert place.passed("n") == [1, 97]
    assert place.reasons("n") == {n: [f"d{d}" for d in failed[n]] for n in (2, 60, 720720, 0)}
    assert len(failed[0]) == 140
    counted = Counter(d for found in failed.values() for d in found)
    assert {rule["id"]: rule["failed_rows"] for rule in result.data["rules"] if rule["type"] == "that"} == {
        f"d{d}": counted[d] for d in divisors
    }


@pytest.mark.parametrize(
    ("lines", "passed", "quarantined"),
    ((["1", "2"], [], 2), (["6", "7"], [6, 7], 0), ([], [], 0)),
    ids=["all rows fail", "no row fails", "no rows"],
)
def test_a_side_may_be_empty(place, lines, passed, quarantined):
    place.put({"a.csv": "\n".join(["n", *lines]) + "\n"})
    input = "options: {header: true}\nallow_empty: true"
    result = place.run("- above: {column: n, value: 5}", input=input, top="columns: {n: {type: integer}}")
    assert result.data["decision"] == "published"
    place.conserves(len(lines))
    assert (place.passed("n"), len(place.rows("quarantine"))) == (passed, quarantined)
    live = quality.read(place.spark, str(place.root), "d")
    assert (live.columns, sorted(row.n for row in live.collect())) == (["n"], passed)
    bad = quality.read(place.spark, str(place.root), "d", side="quarantine")
    assert (bad.columns, bad.count()) == (["n", "_quality"], quarantined)
    files = quality.paths(str(place.root), "d")
    assert sum(pq.read_metadata(path.removeprefix("file://")).num_rows for path in files) == len(passed)


def test_a_held_batch_keeps_its_split_to_be_looked_at(place):
    place.put({"a.csv": "n\n1\n7\n8\n"})
    result = place.run(
        "- above: {column: n, value: 7}", input=CSV, top="columns: {n: {type: integer}}\nhold: {quarantined_above: 0.5}"
    )
    assert (result.exit_code, result.data["decision"]) == (4, "held")
    place.conserves(3)
    assert [row["n"] for row in rows(place.root, place.record(), "passed")] == [8]
    assert sorted(place.reasons("n")) == [1, 7]
