"""A batch held as a whole against another data set: every difference that was planted is found, and nothing else, as plain
dictionaries tell it."""

from __future__ import annotations

import csv
import json
import math
import random
from collections import Counter, defaultdict
from contextlib import nullcontext
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality.distributions import DRIFT_MEASURES
from quality.errors import QualityError
from quality.planner import describe_pass
from quality.runs import describe
from tests.sizes import as_large

NAN = float("nan")
#: id, day part of the key, amount, price, name
LEFT = [
    (1, "a", Decimal("1.00"), 1.0, "x"), (2, "a", Decimal("2.00"), 2.0, None), (3, "a", Decimal("3.00"), NAN, "z"),
    (4, "a", Decimal("4.00"), 0.0, "x"), (5, "a", None, 5.0, "x"), (6, "a", Decimal("6.00"), 6.0, "x"),
    (7, "a", Decimal("7.00"), 7.0, "x"), (8, "a", Decimal("8.00"), 8.0, "x"), (8, "a", Decimal("8.00"), 8.0, "x"),
    (9, "a", Decimal("9.00"), 9.0, "x"), (None, "a", Decimal("1.00"), 1.0, "x"), (10, None, Decimal("1.00"), 1.0, "x"),
    (11, "only here", Decimal("1.00"), 1.0, "x"), (11, "only here", Decimal("1.00"), 1.0, "x"), (12, "a", Decimal("100.00"), 100.0, "x"),
]  # fmt: skip
RIGHT = [
    (1, "a", Decimal("1.000"), 1.0, "x"), (2, "a", Decimal("2.000"), 2.0, None), (3, "a", Decimal("3.000"), NAN, "z"),
    (4, "a", Decimal("4.010"), -0.0, "x"), (5, "a", Decimal("0.000"), 5.0, "x"), (6, "a", Decimal("6.011"), 6.0, "X"),
    (7, "a", Decimal("7.000"), NAN, None), (8, "a", Decimal("8.000"), 8.0, "x"),
    (9, "a", Decimal("9.000"), 9.0, "x"), (9, "a", Decimal("9.000"), 9.0, "x"), (None, "a", Decimal("1.000"), 1.0, "x"),
    (10, None, Decimal("1.000"), 1.0, "x"), (13, "a", Decimal("1.000"), 1.0, "x"), (12, "a", Decimal("101.000"), 99.0, "x"),
]  # fmt: skip
NAMES = ("id", "part", "amount", "price", "name")


def pairs(left, right, key, columns, near=None, *, of_batch=False):
    """What the documentation says, one row after the other."""
    near = near or {}
    sides: dict[Any, Any] = defaultdict(lambda: ([], []))
    for index, rows in enumerate((left, right)):
        for row in rows:
            sides[tuple(row[name] for name in key)][index].append(row)
    found: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    for values, (here, there) in sides.items():
        complete = not any(v is None or v != v for v in values)
        if not complete or not here or not there:
            found["missing_there"] += len(here)
            found["missing_here"] += len(there)
        elif len(here) > 1 or len(there) > 1:
            found["doubled"] += len(here)
        else:
            others = [name for name in columns if not same(here[0][name], there[0][name], near.get(name))]
            found["different" if others else "same"] += 1
            differing.update(others)
    whole = len(left) + (0 if of_batch else found["missing_here"])
    return found, differing, found["same"] / whole if whole else 1.0


def same(a, b, near):
    if a is None or b is None:
        return a is b
    if a == b or (a != a and b != b):
        return True
    if near is None or a != a or b != b:
        return False
    if isinstance(near, str):
        share = Decimal(near.rstrip("%")) / 100
        return abs(Decimal(a) - Decimal(b)) <= share * abs(Decimal(b))
    return abs(a - b) <= (Decimal(str(near)) if isinstance(a, Decimal) else near)


#: Every case beside typed rows; texts and a copy beside those where they matter.
TRIED = [*(("typed", name) for name in ("all", "near", "share", "keys", "floats")), ("text", "near"), ("copy", "all")]


def table(rows, scale, id_type):
    columns = [list(column) for column in zip(*rows, strict=True)]
    types = (id_type, pa.string(), pa.decimal128(12, scale), pa.float64(), pa.string())
    return pa.table({n: pa.array(c, t) for n, c, t in zip(NAMES, columns, types, strict=True)})


@pytest.fixture
def place(tmp_path, quick):
    pq.write_table(table(LEFT, 2, pa.int32()), tmp_path / "left.parquet")
    pq.write_table(
        table(RIGHT, 3, pa.int64()).rename_columns(["nr", "part", "amount", "price", "name"]),
        tmp_path / "renamed.parquet",
    )
    pq.write_table(table(RIGHT, 3, pa.int64()), tmp_path / "typed.parquet")
    pq.write_table(table(LEFT, 2, pa.int32()), tmp_path / "copy.parquet")
    pq.write_table(table(LEFT, 2, pa.int32()).slice(0, 0), tmp_path / "none.parquet")
    with (tmp_path / "text.csv").open("w", newline="") as file:
        rows = [["NA" if v is None else "NaN" if v != v else v for v in row] for row in RIGHT]
        csv.writer(file).writerows([NAMES, *rows])

    def write(rules, path="left.parquet", top=""):
        names = ("typed", "renamed", "copy", "none")
        references = "".join(f"  {name}: {{path: {tmp_path}/{name}.parquet}}\n" for name in names)
        file = tmp_path / "r.yml"
        file.write_text(
            f"version: 1\ndataset: left\ninput: {{path: '{tmp_path}/{path}'}}\n{top}"
            f"references:\n{references}  text: {{path: {tmp_path}/text.csv, options: {{header: true, nullValue: NA}}}}\n"
            f"  gone: {{path: {tmp_path}/gone.csv}}\n"
            f"outputs: {{root: '{tmp_path}/kept'}}\ndefaults: {{severity: warning}}\nrules: {json.dumps(rules)}\n"
        )
        return file

    def run(rules, path="left.parquet", top="", **given):
        return quality.run(write(rules, path, top), "1", spark=quick, force=True, **given)

    return SimpleNamespace(run=run, write=write, path=tmp_path, spark=quick)


def as_rows(rows):
    return [dict(zip(NAMES, row, strict=True)) for row in rows]


KEY, REST = ["id", "part"], ["amount", "price", "name"]
CASES: dict[str, dict[str, Any]] = {
    "all": {"key": KEY},
    "near": {"key": KEY, "near": {"amount": 0.01, "price": "1%"}},
    "share": {"key": KEY, "columns": ["amount", "price"], "near": {"amount": "1%", "price": 1}, "of": "batch"},
    "keys": {"key": ["id"], "columns": ["name"]},
    "floats": {"key": ["price"], "columns": ["id", "name"]},
}


@pytest.mark.full("large")
@pytest.mark.parametrize("size", ("small", "large"))
def test_every_row_is_paired_as_plain_dictionaries_are(place, size):
    rules = [
        {"name": f"{reference}-{name}", "dataset_match": {**case, "reference": reference}}
        for reference, name in TRIED
        for case in (CASES[name],)
    ]
    rules.append({"name": "scoped", "where": "id > 3", "dataset_match": {**CASES["all"], "reference": "typed"}})
    rules.append({"name": "renamed", "dataset_match": {"key": {"id": "nr", "part": "part"}, "reference": "renamed"}})
    with as_large(place.spark) if size == "large" else nullcontext():
        result = place.run(rules)
    for reference, name in TRIED:
        case, right = CASES[name], as_rows(LEFT if reference == "copy" else RIGHT)
        columns = case.get("columns") or [n for n in NAMES if n not in case["key"]]
        near, of_batch = case.get("near"), case.get("of") == "batch"
        told = pairs(as_rows(LEFT), right, case["key"], columns, near, of_batch=of_batch)
        compare(result.rule(f"{reference}-{name}"), *told)
    scoped = [row for row in as_rows(LEFT) if row["id"] is not None and row["id"] > 3]
    compare(result.rule("scoped"), *pairs(scoped, as_rows(RIGHT), KEY, REST))
    compare(result.rule("renamed"), *pairs(as_rows(LEFT), as_rows(RIGHT), KEY, REST))


def compare(told, found, differing, share):
    match = told["match"]
    counts = {kind: match[kind] for kind in ("missing_here", "missing_there", "doubled", "different")}
    assert (told["id"], counts, match["columns"]) == (
        told["id"],
        {kind: found[kind] for kind in counts},
        dict(differing),
    )
    assert (told["metric"]["value"], told["status"]) == (pytest.approx(share), "passed" if share == 1 else "failed")
    shown = Counter(sample["kind"].replace(" ", "_") for sample in match["samples"])
    assert all(min(count, 1) <= shown[kind] for kind, count in counts.items())


def test_the_message_says_what_is_missing_on_which_side_and_where_pairs_differ(place):
    rows = [(i, "a", Decimal(i), float(i), "x") for i in range(1, 9)]
    other = [row for row in rows if row[0] != 2] + [(20, "a", Decimal(1), 1.0, "x")]
    other[3] = (*other[3][:3], 5.5, "y")
    pq.write_table(table(rows, 2, pa.int32()), place.path / "b.parquet")
    pq.write_table(table(other, 2, pa.int32()), place.path / "typed.parquet")
    rules = [{"name": "same", "dataset_match": {"key": "id", "reference": "typed"}}]
    told = place.run(rules, "b.parquet").rule("same")
    assert told["message"] == (
        "DatasetMatch is 0.666667, must be = 1 (6 of 9): 1 missing here (id=20), "
        "1 missing there (id=2), 1 different (in price 1, name 1; id=5)"
    )
    (different,) = [sample for sample in told["match"]["samples"] if sample["kind"] == "different"]
    assert different["columns"] == {"price": {"here": "5.0", "there": "5.5"}, "name": {"here": "x", "there": "y"}}
    hidden = place.run(rules, "b.parquet", "columns: {price: {sensitive: mask}, id: {sensitive: mask}}\n").rule("same")
    assert "id=20" not in json.dumps(hidden)
    assert "5.5" not in json.dumps(hidden)
    assert hidden["match"]["columns"] == {"price": 1, "name": 1}


def test_counts_sums_and_columns_are_held_against_those_of_the_reference(place):
    totals: dict[str, Any] = {
        "sum": sum, "min": min, "max": max, "count": len, "mean": lambda v: sum(map(float, v)) / len(v),
    }  # fmt: skip
    rules = [{"name": "rows", "row_count_match": {"reference": "typed", "at_least": 0.95}}]
    rules += [{"name": "few", "where": "id = 1", "row_count_match": {"reference": "typed"}}]
    rules += [{"name": "empty", "row_count_match": "none"}, {"name": "gone", "row_count_match": "gone"}]
    for reference in ("typed", "text", "copy"):
        for function in totals:
            match = {"column": "amount", "function": function, "reference": reference}
            rules.append({"name": f"{reference}-{function}", "aggregate_match": match})
    rules += [{"name": "nan", "aggregate_match": {"column": "price", "reference": "typed"}}]
    rules += [
        {"name": "texts", "aggregate_match": {"column": "amount", "reference": "typed", "reference_column": "name"}}
    ]
    rules += [
        {"name": "letters", "aggregate_match": {"column": "amount", "reference": "text", "reference_column": "name"}}
    ]
    rules += [{"name": f"shape-{r}", "schema_match": {"reference": r}} for r in ("typed", "text", "copy", "renamed")]
    rules += [{"name": "names", "schema_match": {"reference": "typed", "types": "allow"}}]
    result = place.run(rules)

    def value(name):
        return result.rule(name)["metric"]["value"]

    assert value("rows") == len(LEFT) / len(RIGHT)
    assert (value("few"), result.rule("few")["message"]) == (
        1 / len(RIGHT),
        "RowCountMatch is 0.0714286, must be = 1 (1 of 14): 1 rows here, 14 there",
    )
    assert result.rule("empty")["message"] == "could not tell: reference 'none' has no rows"
    assert "reference 'gone': no file matches" in result.rule("gone")["message"]
    for reference in ("typed", "text", "copy"):
        for function, how in totals.items():
            ours = how([row[2] for row in LEFT if row[2] is not None])
            theirs = how([row[2] for row in (LEFT if reference == "copy" else RIGHT) if row[2] is not None])
            name = f"{reference}-{function}"
            if theirs:
                assert value(name) == pytest.approx(float(ours) / float(theirs), rel=1e-12)
                assert (value(name) == 1.0) == (ours == theirs) == (result.rule(name)["status"] == "passed")
            else:
                assert result.rule(name)["status"] == "error"
    assert (
        "reference 'text': 12 texts of column 'name' are no numbers; the option 'nullValue'"
        in result.rule("letters")["message"]
    )
    assert (result.rule("nan")["status"], result.rule("texts")["status"]) == ("error", "error")
    assert "12 texts of column 'name' are no numbers" in result.rule("texts")["message"]
    shapes = {"shape-typed": 3 / 5, "shape-text": 1, "shape-copy": 1, "shape-renamed": 3 / 6, "names": 1}
    assert {name: value(name) for name in shapes} == pytest.approx(shapes)
    assert result.rule("shape-typed")["message"].endswith(
        "column 'id' is int here, bigint there; column 'amount' is decimal(12,2) here, decimal(12,3) there"
    )


def test_every_pass_of_a_comparison_stands_in_the_plan(place):
    rules = [
        {"name": "same", "dataset_match": {"key": KEY, "reference": "typed"}},
        {"name": "rows", "row_count_match": "typed"},
        {"name": "sum", "aggregate_match": {"column": "amount", "reference": "typed"}},
        {"name": "shape", "schema_match": "typed"},
    ]
    with as_large(place.spark):
        plan = describe(place.write(rules), "1", spark=place.spark)
        # others keep what is theirs, and let go of it when they like: Delta the states of its tables
        kept = {*place.spark._jsc.getPersistentRDDs()}
        result = place.run(rules)
    assert [describe_pass(step) for step in plan.steps][:3] == [
        "narrow: pairing rows by id, part with reference typed, one shuffle (for same)",
        "narrow: reading id, part and what is compared of reference typed (for same)",
        "narrow: counting rows and measuring metrics of reference typed (for rows, sum)",
    ]
    actual = result.data["passes"]["actual"]
    assert {name: actual[name] for name in ("wide", "narrow", "shuffles")} == plan.passes.to_dict()
    assert {*place.spark._jsc.getPersistentRDDs()} <= kept


def test_columns_that_cannot_be_compared_make_the_rule_an_error_alone(place):
    rules = [
        {"name": "misspelt", "dataset_match": {"key": "idd", "reference": "typed"}},
        {"name": "theirs", "dataset_match": {"key": {"id": "idd"}, "reference": "typed"}},
        {"name": "near", "dataset_match": {"key": "id", "reference": "typed", "near": {"name": 1}}},
        {"name": "filter", "where": "nothing > 1", "dataset_match": {"key": "id", "reference": "typed"}},
        {"name": "fine", "dataset_match": {"key": KEY, "reference": "copy", "at_least": 0.5}},
    ]
    result = place.run(rules)
    assert "column 'idd' is not in the data; did you mean 'id'" in result.rule("misspelt")["message"]
    assert "column 'idd' is not in the data; did you mean 'id'" in result.rule("theirs")["message"]
    assert "'near' is about numbers, column 'name' is string" in result.rule("near")["message"]
    assert "column 'nothing' is not in the data" in result.rule("filter")["message"]
    assert [result.rule(rule["name"])["status"] for rule in rules] == [*["error"] * 4, "passed"]


def test_mistakes_are_told_before_anything_runs(place):
    def told(rule):
        with pytest.raises(QualityError) as error:
            place.run([rule])
        return str(error.value)

    assert "'key' of 'dataset_match' names column 'a' of the reference twice" in told(
        {"dataset_match": {"key": {"id": "a", "part": "a"}, "reference": "typed"}}
    )
    assert "'near' names 'b', which is not among its columns" in told(
        {"dataset_match": {"key": "id", "columns": ["a"], "near": {"b": 1}, "reference": "typed"}}
    )
    assert "of column 'a' must be at least 0, got -1" in told(
        {"dataset_match": {"key": "id", "near": {"a": -1}, "reference": "typed"}}
    )
    assert "reference 'typd' is not declared; did you mean 'typed'" in told({"row_count_match": "typd"})
    assert "values of another data set are those of 'exists_in'" in told({"in": {"column": "id", "reference": "typed"}})


@pytest.mark.full
def test_random_tables_are_paired_as_plain_dictionaries_are(place):
    chance = random.Random(5)
    for _ in range(4):
        sides = []
        for _side in range(2):
            sides.append([
                (chance.choice([None, *range(6)]), chance.choice("ab"), chance.choice([None, Decimal(1), Decimal(2)]),
                 chance.choice([None, 0.0, -0.0, NAN, math.inf, 1.5]), chance.choice([None, "x", ""]))
                for _row in range(chance.randrange(0, 14))
            ])  # fmt: skip
        pq.write_table(
            table(sides[0], 2, pa.int32()) if sides[0] else table(LEFT, 2, pa.int32()).slice(0, 0),
            place.path / "b.parquet",
        )
        pq.write_table(
            table(sides[1], 2, pa.int32()) if sides[1] else table(LEFT, 2, pa.int32()).slice(0, 0),
            place.path / "typed.parquet",
        )
        rules = [
            {"name": n, "dataset_match": {**c, "reference": "typed"}}
            for n, c in CASES.items()
            if n in ("all", "keys", "floats")
        ]
        result = place.run(rules, "b.parquet")
        for rule in rules:
            case = CASES[str(rule["name"])]
            columns = case.get("columns") or [n for n in NAMES if n not in case["key"]]
            compare(result.rule(rule["name"]), *pairs(as_rows(sides[0]), as_rows(sides[1]), case["key"], columns))


# drift

SIZES = [n % 10 if n % 3 else n % 4 for n in range(400)]
OTHER_SIZES = [n % 10 for n in range(1000)]


def shares_of(values):
    counts = Counter(v for v in values if v is not None)
    whole = sum(counts.values())
    return counts, {value: count / whole for value, count in counts.items()}


def distances(left, right):
    """Each measure over single values, written out."""
    (here, a), (there, b) = shares_of(left), shares_of(right)
    every = sorted({*a, *b})
    least = {v: (max(a.get(v, 0), 1e-4), max(b.get(v, 0), 1e-4)) for v in every}
    middle = {v: (a.get(v, 0) + b.get(v, 0)) / 2 for v in every}
    bits = sum(side[v] * math.log2(side[v] / middle[v]) / 2 for side in (a, b) for v in side)
    m, n = sum(here.values()), sum(there.values())
    table = [(here[v], there[v], (here[v] + there[v]) / (m + n)) for v in every]
    pearson = sum((h - e * m) ** 2 / (e * m) + (t - e * n) ** 2 / (e * n) for h, t, e in table)
    return {
        "psi": sum((p - q) * math.log(p / q) for p, q in least.values()),
        "js": bits,
        "linf": max(abs(a.get(v, 0) - b.get(v, 0)) for v in every),
        "ks": max(abs(sum(a.get(w, 0) - b.get(w, 0) for w in every if w <= v)) for v in every),
        "chi_square": pearson / (len(every) - 1),
    }


@pytest.fixture
def drifted(place):
    """A batch and two references, of numbers that are a bin each, of numbers that are not, of texts and booleans."""
    draw = random.Random(5)
    prices = ([draw.lognormvariate(3, 1) for _ in range(400)], [draw.lognormvariate(3.3, 1) for _ in range(1000)])
    kinds = (["a", "b", "b", None, "c"] * 80, ["a", "b", "d", "c", None] * 200)
    flags = ([True, False, True, None] * 100, [True, None, False, False] * 250)
    here = {"kind": kinds[0], "size": pa.array(SIZES, pa.int32()), "price": prices[0], "flag": flags[0]}
    there = {"sort": kinds[1], "size": pa.array(OTHER_SIZES, pa.int64()), "price": prices[1], "flag": flags[1]}
    there |= {"nothing": pa.nulls(1000, pa.int32()), "list": [[1]] * 1000}
    pq.write_table(pa.table(here), place.path / "left.parquet")
    pq.write_table(pa.table(there), place.path / "typed.parquet")
    with (place.path / "text.csv").open("w", newline="") as file:
        texts = zip(OTHER_SIZES, flags[1], kinds[1], ["1"] * 999 + ["one"], strict=True)
        rows = [["NA" if v is None else str(v).lower() for v in row] for row in texts]
        csv.writer(file).writerows([["size", "flag", "sort", "price"], *rows])
    return SimpleNamespace(kind=kinds, size=(SIZES, OTHER_SIZES), flag=flags, price=prices)


def named(rule):
    return rule["name"].lower().replace("_", "-")


def apart(column, method, reference, **more):
    name = f"{column}-{method}-{reference}"
    given = {"column": column, "method": method, "reference": reference, "at_most": 0.05, **more}
    return {"name": name, "drift": given}


@pytest.mark.full("small")
@pytest.mark.parametrize("size", ("small", "large"))
def test_a_column_is_as_far_from_that_of_a_reference_as_its_values_are(place, drifted, size):
    rules = [apart("size", method, reference) for method in DRIFT_MEASURES for reference in ("typed", "text")]
    discrete = [method for method in DRIFT_MEASURES if method != "ks"]
    rules += [apart("KIND", method, ref, reference_column="sort") for method in discrete for ref in ("typed", "text")]
    rules += [apart("flag", method, reference) for method in discrete for reference in ("typed", "text")]
    rules += [apart("price", "ks", "typed"), {"name": "rows", "row_count_match": {"reference": "typed", "at_least": 0}}]
    with as_large(place.spark) if size == "large" else nullcontext():
        result = place.run(rules)
    for rule in rules[:-2]:
        asked = rule["drift"]
        value = distances(*getattr(drifted, asked["column"].lower()))[asked["method"]]
        told = result.rule(named(rule))
        assert told["metric"]["value"] == pytest.approx(value), rule
        assert told["status"] == ("passed" if value <= 0.05 else "failed")
    assert {result.rule(named(r))["status"] for r in rules[:-2]} == {"passed", "failed"}
    # numbers that lie anywhere are told apart to 1 %
    here, there = (np.sort(side) for side in drifted.price)
    every = np.concatenate([here, there])
    steps = (np.searchsorted(side, every, side="right") / len(side) for side in (here, there))
    exact = np.abs(np.subtract(*steps)).max()
    assert result.rule("price-ks-typed")["metric"]["value"] == pytest.approx(exact, abs=0.01)
    # each reference is read once, for totals too
    actual = result.data["passes"]["actual"]
    assert (actual["narrow"], actual["shuffles"]) == (2, 0)
    planned = result.data["passes"]["planned"]
    assert planned["narrow"] == 2
    (metric,) = [
        row for row in quality.History(str(place.path / "kept"), "left").metrics().to_pylist()
        if row["name"] == "Drift" and row["instance"] == "flag" and "text" in row["parameters"] and "psi" in row["parameters"]
    ]  # fmt: skip
    assert json.loads(metric["parameters"]) == {"against": "text.flag", "measure": "psi"}


LEAVE_OUT = (
    "the option 'nullValue' of a reference in CSV names a text that stands for NULL, any other is to be mended there"
)


def test_what_a_reference_cannot_tell_is_no_distance(place, drifted, monkeypatch):
    rules = [
        apart("price", "psi", "text"), apart("size", "psi", "typed", reference_column="nothing"), apart("size", "ks", "gone"),
        apart("size", "js", "typed", reference_column="list"), apart("size", "linf", "typed", reference_column="sise"),
        apart("kind", "ks", "typed", reference_column="sort"), apart("flag", "psi", "typed", reference_column="list"),
        apart("flag", "js", "text", reference_column="sort"), apart("size", "chi_square", "typed"),
    ]  # fmt: skip
    result = place.run(rules)
    assert [rule["status"] for rule in result.data["rules"]] == ["error"] * 8 + ["failed"]
    said = [rule["message"].removeprefix("could not tell: ") for rule in result.data["rules"]]
    assert said[0] == f"reference 'text': 1 texts of column 'price' are no numbers; {LEAVE_OUT}"
    assert said[1] == "Drift of 'size' does not exist: typed.nothing holds no values"
    assert said[2].startswith("reference 'gone': ")
    assert said[3] == "reference 'typed': column 'list' is array<bigint>, which cannot be compared with int"
    assert said[4].startswith("reference 'typed': column 'sise' is not in the data; did you mean 'size'?")
    assert said[5] == "'ks' is of numbers, 'kind' is string; use psi, js, linf or chi_square"
    assert said[6] == "reference 'typed': column 'list' is array<bigint>, which cannot be compared with boolean"
    assert said[7] == f"reference 'text': 800 texts of column 'sort' are no booleans; {LEAVE_OUT}"
    assert said[8].endswith("must be <= 0.05 (chi_square against typed.size)")
    # hashed on both sides, values are told apart as they are
    monkeypatch.setenv("QUALITY_SENSITIVE_KEY", "a key")
    hidden = place.run(
        [apart("kind", "linf", "typed", reference_column="sort"), apart("size", "psi", "typed")],
        top="columns: {kind: {sensitive: hash}, size: {sensitive: hash}}\n",
    )
    far = distances(*drifted.kind)["linf"]
    assert hidden.rule("kind-linf-typed")["metric"]["value"] == pytest.approx(far)
    assert "no sketch of them is kept" in hidden.rule("size-psi-typed")["message"]
    text = describe(place.write([apart("size", "ks", "typed")]), "1", spark=place.spark)
    assert [describe_pass(step) for step in text.steps if step.of] == [
        "narrow: profiling size of reference typed (for size-ks-typed)"
    ]
