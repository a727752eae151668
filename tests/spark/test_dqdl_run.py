"""A DQDL document run as it is, the rule file it becomes, DQDL strings in a rule file, and rules over many columns: all hold the
same rows against AWS's meaning of the rules, written once more in plain Python."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality.cli import main
from quality.quarantine import listed, opened
from quality.redrive import redrive
from quality.versions import versions
from tests.written import Place

AGES = [18, 19, None, 64, 65, 40, 30, None, 70, 22]
CODES = ["abc", "abcdef", "", None, "x" * 9, "ab", "abcdefg", "c", "d", "e"]
ROWS: list[dict[str, Any]] = [
    {"id": n if n != 9 else 8, "age": AGES[n], "code": CODES[n], "country": "SE" if n % 2 else "NO", "pay": n - 1.5}
    for n in range(10)
]
DOCUMENT = """
Rules = [
    ColumnValues "age" between 18 and 65 with threshold >= 0.5,
    ColumnLength "code" <= 5 where "country = 'SE'",
    IsComplete "id",
    IsUnique "id",
    Completeness "age" > 0.9,
    Mean "pay" between 2 and 4,
    RowCount > 10,
    (IsComplete "country") and (ColumnValues "pay" > -1),
    (RowCount > 10) or ((IsComplete "age") or (Mean "pay" in [2, 3])),
    (RowCount > 10) or (ColumnValues "pay" > 0)
]
Analyzers = [ ColumnCount, Mean "pay", ColumnLength "code" ]
"""
BY_ROW = """
Metadata = { "compositeRuleEvaluation.method": "ROW" }
Rules = [ (ColumnValues "age" > 30) or (ColumnLength "code" < 3) ]
"""
BY_KEY = """
Metadata = { "compositeRuleEvaluation.method": "ROW" }
Rules = [
    (IsUnique "id") or (ColumnValues "age" > 30),
    (IsPrimaryKey "age" "country" where "pay > 0") or (ColumnValues "code" = "abc"),
    ((IsUnique "age") and (IsComplete "code")) or ((IsUnique "pay" where "country = 'NO'") and (ColumnValues "pay" > 5)),
    (IsUnique "country") or (IsPrimaryKey "age")
]
"""
STRINGS = """
- dqdl: 'ColumnValues "age" between 18 and 65 with threshold >= 0.5'
- dqdl: 'ColumnLength "code" <= 5'
- required: {columns: '*'}
- at_least: {columns: {type: numeric}, value: 0}
- length: {columns: {matching: 'co.*'}, at_least: 1}
"""


#: Rules that only a query says in DQDL, by the types that 'columns:' declares.
OURS = """
version: 1
dataset: ours
columns: {id: {type: long}, age: {type: long}, code: {type: string}, country: {type: string}, pay: {type: double}}
rules:
- {any: [{at_most: {column: age, value: 30}}, {equals: {column: code, value: d}}], name: any}
- {any: [{at_most: {column: age, value: 30}}, {equals: {column: code, value: d}}], nulls: fail, name: any fails}
- {all: [{above: {column: pay, value: 0}}, {in: {column: country, values: [SE]}}], where: age > 20, name: all}
- {not: [{in: {column: code, values: [ab, c]}}], nulls: fail, tolerance: 30%, name: not}
- {not: [{above: {column: age, value: 30}}, {below: {column: pay, value: 1}}], nulls: skip, name: neither}
- {compare: {column: pay, at_most: id}, name: compare}
- {compare: {column: age, above: pay}, nulls: fail, where: id > 1, name: compare fails}
- {equal_columns: [code, country], name: equal}
- {format: {column: code, is: integer}, nulls: fail, name: format}
- {json: {column: code}, name: json}
- {matches_all: {column: code, patterns: ['[a-z]*', '.{2,}']}, name: matches all}
- {matches_none: {column: code, patterns: ['a.*', 'x+']}, nulls: skip, name: matches none}
- {no_placeholder: {column: code, values: [c, AB]}, name: placeholder}
- {not_blank: {column: code}, nulls: fail, name: blank}
- {not_empty: {column: code}, tolerance: 10%, name: empty}
- {sum_equals: {column: pay, parts: [id], within: 1.6}, name: sum}
- {castable: {column: age, to: tinyint}, name: castable}
- {castable: {column: pay, to: int}, name: not castable}
"""


@pytest.fixture(scope="module")
def place(spark, tmp_path_factory):
    found = Place(tmp_path_factory.mktemp("dqdl"), spark)
    (found.directory / "in").mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS), found.directory / "in" / "a.parquet")
    (found.directory / "orders.dqdl").write_text(DOCUMENT)
    return found


def failed(rules):
    return {(rule["type"], rule["column"]): (rule["failed_rows"], rule["status"]) for rule in rules}


def of_aws(row: dict[str, Any]) -> dict[tuple[str, str], bool]:
    """The rows that rules about rows fail: between leaves its ends out, NULL fails ColumnValues and has length 0."""
    age, code = row["age"], row["code"] or ""
    return {
        ("values", "age"): age is None or not 18 < age < 65,
        ("length", "code"): row["country"] == "SE" and len(code) > 5,
        ("required", "id"): row["id"] is None,
        ("unique", "id"): sum(other["id"] == row["id"] for other in ROWS) > 1,
    }


def test_a_document_means_what_aws_says(place):
    result = quality.run(
        place.directory / "orders.dqdl",
        "b",
        input=str(place.directory / "in" / "a.parquet"),
        root=str(place.directory / "out"),
        spark=place.spark,
    )
    assert result.data["dataset"] == "orders"
    found = failed(result.data["rules"])
    expected = [of_aws(row) for row in ROWS]
    for key in expected[0]:
        assert found[key][0] == sum(row[key] for row in expected), key
    # 18, 65, 70 and two that are NULL: the half that may be
    assert found["values", "age"] == (5, "passed")
    statuses = {rule["type"]: rule["status"] for rule in result.data["rules"]}
    assert statuses["completeness"] == "failed"
    assert statuses["mean"] == "passed"
    assert statuses["row_count"] == "failed"
    locations = {rule["type"]: rule["location"] for rule in result.data["rules"]}
    assert locations["unique"] == f"{place.directory / 'orders.dqdl'}:6"


def test_composites_join_verdicts_and_analyzers_are_recorded(place):
    found = quality.run(
        place.directory / "orders.dqdl",
        "joined",
        input=str(place.directory / "in" / "a.parquet"),
        root=str(place.directory / "out"),
        spark=place.spark,
    )
    # of the mean, 3 holds; of the second, no part does
    mean = sum(row["pay"] for row in ROWS) / len(ROWS)
    assert (found.rule("composite")["status"], mean in (2, 3)) == ("passed", True)
    assert found.rule("composite.2")["status"] == "failed"
    # rows that only a part of a composite fails stay
    assert found.rule("composite.2.2")["failed_rows"] == sum(row["pay"] <= 0 for row in ROWS)
    lengths = [len(code) for code in CODES if code is not None]
    values = {
        rule["metric"]["name"]: rule["metric"]["value"]
        for rule in found.data["rules"]
        if rule["expected"] == "recorded"
    }
    assert values == {"ColumnCount": 5, "Mean": mean, "MinLength": min(lengths), "MaxLength": max(lengths)}


def of_dqdl(place, name, text):
    """A run of a whole file of DQDL."""
    file = place.directory / f"{name}.dqdl"
    file.write_text(text)
    given: Any = {"input": str(place.directory / "in" / "a.parquet"), "root": str(place.directory / name)}
    return quality.run(file, "b", **given, spark=place.spark)


def test_a_composite_by_row_holds_when_one_part_does(place):
    found = of_dqdl(place, "rows", BY_ROW)
    failing = [row for row in ROWS if not ((row["age"] or 0) > 30 or len(row["code"] or "") < 3)]
    assert found.rule("composite")["failed_rows"] == len(failing) > 0
    assert found.data["rows"]["quarantined"] == len(failing)


def test_a_whole_document_is_taken_wherever_a_rule_file_is(place):
    """Runs as `sales`, then its versions, its quarantine, and its rows judged again by a document that lets them pass."""
    document, root = place.directory / "few.dqdl", str(place.directory / "sales")
    data = str(place.directory / "in" / "a.parquet")
    document.write_text('Rules = [ IsComplete "age" ]')
    given = {"root": root, "dataset": "sales", "spark": place.spark}
    found = quality.run(document, "b", input=data, **given)
    missing = sum(row["age"] is None for row in ROWS)
    assert (found.data["dataset"], found.data["rows"]["quarantined"]) == ("sales", missing)
    (version,) = versions(document, "b", root=root, dataset="sales")
    assert version["rows"]["quarantined"] == missing
    with opened(document, root, place.spark, own_id="sales") as (spark, store, dataset):
        (batch,) = listed(spark, store, dataset)
    assert (dataset, batch["open"]) == ("sales", missing)
    document.write_text('Rules = [ IsComplete "id" ]')
    (done,) = redrive(document, batches=("b",), input=data, **given)
    assert (done.exit_code, done.judged, done.back) == (0, missing, {"redriven": missing})


def test_the_rule_file_it_becomes_gives_the_same(place, capsys):
    document, data = place.directory / "orders.dqdl", str(place.directory / "in" / "a.parquet")
    converted = place.directory / "orders.yml"
    with pytest.raises(SystemExit) as ended:
        main(["convert", str(document), "-o", str(converted), "--input", data])
    assert ended.value.code == 0
    capsys.readouterr()
    results = [
        quality.run(path, "same", input=data, root=str(place.directory / root), spark=place.spark).data
        for path, root in ((document, "one"), (converted, "two"))
    ]
    said = [[(r["id"], r["type"], r["status"], r["failed_rows"], r["expected"]) for r in d["rules"]] for d in results]
    assert said[0] == said[1]
    assert results[0]["rows"] == results[1]["rows"]


def test_strings_of_dqdl_and_rules_over_many_columns_stand_beside_others(place):
    result = place.run(STRINGS, format="parquet", path="a.parquet", batch="strings")
    found = failed(result.data["rules"])
    assert found["values", "age"][0] == sum(of_aws(row)["values", "age"] for row in ROWS)
    for name in ROWS[0]:
        assert found["required", name][0] == sum(row[name] is None for row in ROWS)
    # pay begins at -1.5
    assert [found["at_least", name][0] for name in ("id", "age", "pay")] == [0, 0, 2]
    assert ("at_least", "code") not in found
    # what is written for a column takes the place of what is said of many
    assert found["length", "code"][0] == sum(len(code or "") > 5 for code in CODES)
    assert found["length", "country"][0] == 0


def doubled(row, *names, among=lambda _: True):
    """Whether another of some rows has the row's key; a key with NULL is nobody's."""
    key = [row[name] for name in names]
    same = [other for other in ROWS if among(other) and [other[name] for name in names] == key]
    return None not in key and len(same) > 1


def by_key(row):
    """Whether a row complies with each composite of BY_KEY."""
    age, positive, northern = row["age"], row["pay"] > 0, row["country"] == "NO"
    is_key = age is not None and not doubled(row, "age", "country", among=lambda other: other["pay"] > 0)
    of_north = not northern or not doubled(row, "pay", among=lambda other: other["country"] == "NO")
    return [
        not doubled(row, "id") or (age is not None and age > 30),
        not positive or is_key or row["code"] == "abc",
        (not doubled(row, "age") and row["code"] is not None) or (of_north and row["pay"] > 5),
        not doubled(row, "country") or (age is not None and not doubled(row, "age")),
    ]


def test_keys_are_parts_of_composites_by_row(place):
    result = of_dqdl(place, "keyed", BY_KEY)
    verdicts = [by_key(row) for row in ROWS]
    assert [rule["failed_rows"] for rule in result.data["rules"]] == [
        sum(not held[index] for held in verdicts) for index in range(4)
    ]
    assert result.data["rows"]["quarantined"] == sum(not all(held) for held in verdicts)
    assert {0, len(ROWS)}.isdisjoint(rule["failed_rows"] for rule in result.data["rules"][:1])
    planned, actual = result.data["passes"]["planned"], result.data["passes"]["actual"]
    assert (planned["narrow"], planned["shuffles"]) == (actual["narrow"], actual["shuffles"])


def test_rules_that_dqdl_has_no_type_for_hold_the_same_rows_as_queries(place, capsys):
    ours, theirs = place.directory / "ours.yml", place.directory / "theirs.dqdl"
    ours.write_text(OURS)
    data = str(place.directory / "in" / "a.parquet")
    with pytest.raises(SystemExit) as ended:
        main(["convert", str(ours), "-o", str(theirs), "--input", data])
    assert ended.value.code == 0
    assert "23 of 23 rules carried over" in capsys.readouterr().err
    given: Any = {"input": data, "spark": place.spark}
    roots = ((ours, "three"), (theirs, "four"))
    results = [quality.run(path, "same", root=str(place.directory / root), **given).data for path, root in roots]
    # types that 'columns:' declares are rules too
    counted = [[(rule["failed_rows"], rule["status"]) for rule in found["rules"]] for found in results]
    assert counted[0] == counted[1]
    assert {status for _, status in counted[0]} == {"passed", "failed"}
    assert sum(0 < failing < len(ROWS) for failing, _ in counted[0]) > 12
