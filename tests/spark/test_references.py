"""Rows held against other data sets: which keys exist in a reference, told by sets of plain Python."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality import references

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
def place(tmp_path, spark):
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

    def run(rules, batch="1", **given):
        (tmp_path / "r.yml").write_text(
            f"version: 1\ndataset: left\ninput: {{path: '{tmp_path}/{batch}.parquet'}}\n"
            f"references:\n  typed: {{path: {tmp_path}/typed.parquet}}\n"
            f"  text: {{path: {tmp_path}/text.csv, options: {{header: true, nullValue: NA}}}}\n"
            f"  gone: {{path: {tmp_path}/gone.csv}}\n  ours: {{dataset: left}}\n"
            f"hold: {{quarantined_above: 100%}}\nrules: {json.dumps(rules)}\n"
        )
        return quality.run(tmp_path / "r.yml", batch, root=str(tmp_path / "kept"), spark=spark, **given)

    return SimpleNamespace(run=run, path=tmp_path)


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


@pytest.mark.parametrize("limit", (1_000_000, 0), ids=["broadcast", "joined"])
@pytest.mark.parametrize("size", ("small", "large"))
def test_exactly_the_rows_without_a_match_fail_under_every_null_policy(place, monkeypatch, request, limit, size):
    monkeypatch.setattr(references, "BROADCAST_KEYS", limit)
    if size == "large":
        request.getfixturevalue("large")
    rules, expected = [], {}
    for reference in ("typed", "text"):
        for ours, theirs in CASES:
            columns = list(ours)
            names = [theirs] if isinstance(theirs, str) else list(theirs)
            keys = [tuple(row[["rt", "rn", "rd"].index(name)] for name in names) for row in RIGHT]
            for nulls in ("pass", "fail", "skip"):
                name = f"{reference}-{ours}-{nulls}"
                rules.append(rule(name, columns, reference, names, nulls=nulls))
                found = {r[0]: exists(dict(zip(("id", "t", "n", "d"), r, strict=True)), columns, keys) for r in LEFT}
                failing = {i for i, hit in found.items() if (not hit if nulls == "fail" else hit is False)}
                expected[name] = (sum(nulls != "skip" or hit is not None for hit in found.values()), failing)
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
            rule("fine", ["t"], "typed", ["rt"], severity="warning"),
        ]
    )
    assert "reference 'gone': no file matches" in result.rule("missing")["message"]
    assert "did you mean 'rt'" in result.rule("misspelt")["message"]
    assert [result.rule(name)["status"] for name in ("missing", "misspelt", "fine")] == ["error", "error", "failed"]
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
