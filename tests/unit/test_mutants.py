"""Faults as SQL, and what `quality test --mutate` refuses before anything is read."""

from __future__ import annotations

import re
from math import gcd
from typing import Any

import pytest

from quality import cli
from quality.example_batch import rows
from quality.model import Column
from quality.mutants import TABLE, hit, mutants
from quality.rulefile import load


def faults(columns, **given):
    how = {"raw": {}, "keys": (), "different": {}, "rows": 100, "text": False, **given}
    found = mutants(
        [Column(name, kind) for name, kind in columns.items()],
        how["raw"],
        how["keys"],
        how["different"],
        how["rows"],
        text=how["text"],
    )
    return {(one.column, one.fault): one for one in found}


@pytest.mark.parametrize("rows", (1, 2, 3, 10, 97, 100, 2000))
@pytest.mark.parametrize("share", (0.001, 0.05, 1.0))
def test_a_fault_hits_exactly_its_share_of_the_rows_and_each_fault_others(rows, share):
    text = hit("r", "m", rows, share, 5)
    step, seed, far, modulus, count = map(int, re.findall(r"\d+", text))
    assert text == f"pmod(r * {step}L + (m + {seed}) * {far}L, {modulus}) < {count}"
    assert gcd(step, rows) == 1
    of = [{r for r in range(rows) if (r * step + (m + seed) * far) % modulus < count} for m in range(3)]
    assert [len(one) for one in of] == [max(1, round(share * rows))] * 3
    if 0.01 < share < 1 and rows > 50:
        assert of[0] != of[1] != of[2]


def test_a_fault_is_where_it_makes_sense():
    found = faults({"id": "bigint", "n": "double", "s": "string", "d": "date", "a": "array<int>"}, keys={"id"})
    of = {name: {fault for column, fault in found if column == name} for name, _ in found}
    assert not {"x 100", "x 1000", "/ 1000"} & of["id"]
    assert {"x 100", "x 1000", "/ 1000", "sentinel -99"} <= of["n"]
    assert {"blank", "typo", "case"} <= of["s"]
    assert {"a year older in every row", "a year in the future"} <= of["d"]
    assert of["a"] == {"null", "null in every row"}
    assert of[TABLE] == {"duplicates", "truncated"}
    # only a text holds what is not of its type
    assert not any(fault == "not of the type" for _, fault in found)
    assert ("n", "not of the type") in faults({"n": "double"}, raw={"n": "raw_n"}, text=True)


@pytest.mark.parametrize(("different", "there"), ((3, True), (0, False), (21, False)))
def test_a_new_category_comes_to_a_column_of_few_values(different, there):
    assert (("s", "new category") in faults({"s": "string"}, different={"s": different})) is there


def test_neighbours_of_one_kind_change_places():
    found = faults({"a": "int", "s": "string", "b": "double", "t": "string", "d": "date"})
    swapped = {key: one.changes for key, one in found.items() if "changed places" in key[1]}
    assert swapped == {
        ("a", "changed places with b"): {"a": "try_cast(`b` as int)", "b": "try_cast(`a` as double)"},
        ("s", "changed places with t"): {"s": "`t`", "t": "`s`"},
    }


@pytest.mark.parametrize(
    ("words", "message"),
    (
        (["a.yml", "b.yml", "--mutate", "--batch", "1"], "takes one rule file"),
        (["a.yml", "--mutate", "--batch", "1", "--junit", "x.xml"], "writes no JUnit XML"),
        (["a.yml", "--rows", "5"], "--rows goes with --mutate"),
        (["a.yml", "--input", "in.csv"], "--input goes with --mutate"),
    ),
)
def test_what_does_not_go_together_is_said(capsys, words, message):
    assert cli.run_command(["test", *words]) == 2
    assert message in capsys.readouterr().err


FEW = """version: 1
dataset: d
input: {path: x, format: parquet}
rules:
- above: {column: A, value: 0}
  examples: {pass: [{A: 1}, {a: 2, g: x}], fail: [{a: 0}]}
- in: {column: g, values: [x, y]}
  examples: {pass: [{g: x}, {g: y}]}
"""


def test_examples_make_rows_that_hold_one_of_each_rule_as_far_as_they_agree(rule_file, capsys):
    rules = load(rule_file(FEW)).rules
    every: list[dict[str, Any]] = [{"a": 1, "g": "x"}, {"a": 1, "g": "y"}, {"a": 2, "g": "x"}, {"g": "y"}]
    found = rows(rules, 1)
    assert sorted(repr(sorted(row.items())) for row in found) == sorted(repr(sorted(row.items())) for row in every)
    assert rows(rules, 1) == found
    assert rows((), 1) == []
    assert cli.run_command(["test", str(rule_file(FEW)), "--mutate"]) == 2
    said = capsys.readouterr().err
    assert (
        "say which by --batch, or by --input where it lies. The examples that must pass make 4 rows; at least 5" in said
    )
