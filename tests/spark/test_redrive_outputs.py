"""Rows that come back reach everything that follows the records; what the commands say of it; input with types of its own."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quality import cli
from quality.backends.session import session
from quality.redrive import redrive
from tests.written import Place, rows

AMOUNTS = [5, -3, -8, 7, None, 40, 41]
RULES = "- {name: low, at_most: {column: amount, value: 30}, severity: warning}"


@pytest.fixture
def place(spark, tmp_path):
    return Place(tmp_path, spark)


def rules(place: Place, at_least: int, outputs: str):
    top = f"columns: {{amount: {{required: true, at_least: {at_least}}}}}\noutputs: {{{outputs}}}"
    return place.rules(RULES, format="parquet", top=top)


def put(place: Place) -> None:
    sink = io.BytesIO()
    ids = pa.array(range(len(AMOUNTS)), pa.int64())
    pq.write_table(pa.table({"id": ids, "amount": pa.array(AMOUNTS, pa.int32())}), sink)
    place.put({"a.parquet": sink.getvalue()})


def ids(found) -> list[int]:
    return sorted(row["id"] for row in found)


@pytest.mark.parametrize(("format", "catalog"), (("iceberg", "lake.back"), ("delta", "default")))
def test_tables_have_the_rows_that_came_back_once_and_flags_stay(place, format, catalog):
    put(place)
    names = [f"{catalog}.{word}{time.time_ns()}" for word in ("good", "bad")]
    if format == "delta":
        place.spark.sql("create database if not exists default")
    outputs = f'root: "{place.root}", flags: true, format: {format}, table: {names[0]}, quarantine_table: {names[1]}'
    from quality import run

    run(rules(place, 0, outputs), "b", spark=place.spark)
    assert [ids(place.rows(side)) for side in ("passed", "quarantine", "flags")] == [[0, 3, 5, 6], [1, 2, 4], [5, 6]]
    again = rules(place, -5, outputs)
    (done,) = redrive(again, spark=place.spark)
    assert dict(done.back) == {"redriven": 1}
    expected = [[0, 1, 3, 5, 6], [2, 4], [5, 6]]
    assert [ids(place.rows(side)) for side in ("passed", "quarantine", "flags")] == expected
    assert [ids(place.spark.table(name).collect()) for name in names] == expected[:2]
    amounts = Counter(row["amount"] for row in place.spark.table(names[0]).collect())
    assert amounts == Counter([5, -3, 7, 40, 41])
    (second,) = redrive(again, spark=place.spark)
    assert (dict(second.back), second.decision) == ({}, "none")
    assert [ids(place.spark.table(name).collect()) for name in names] == expected[:2]


def test_what_the_commands_print(place, monkeypatch, capsys):
    alone = partial(session, place.spark)
    for module in ("backends.session", "redrive"):
        monkeypatch.setattr(f"quality.{module}.session", lambda *_given, **_more: alone())
    put(place)
    outputs = f'root: "{place.root}"'
    from quality import run

    run(rules(place, 0, outputs), "b", spark=place.spark)

    def said(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main([*words])
        assert not ended.value.code, capsys.readouterr().err
        return str(capsys.readouterr().out)

    root = ("--root", str(place.root))
    lines = said("quarantine", "list", "d", *root).splitlines()
    assert [word for line in lines for word in line.split()] == [
        "batch", "since", "quarantined", "open", "accepted", "expired", "redriven", "corrected",
        "b", str(place.record()["run_time"])[:10], "3", "3", "0", "0", "0", "0",
    ]  # fmt: skip
    shown = said("quarantine", "show", "d", *root, "--rule", "amount.required")
    assert "amount.required: must not be NULL" in shown
    assert json.loads(shown.splitlines()[-1]) == {"id": 4, "amount": None}
    stats = said("quarantine", "stats", "d", *root)
    assert stats.splitlines()[0] == "d: 3 open rows in quarantine"
    assert "            2  amount.at_least" in stats
    one = json.loads(said("quarantine", "show", "d", *root, "--rule", "amount.required", "--json"))["rows"][0]["row_id"]
    assert (
        said("quarantine", "accept", "d", *root, "--row", one, "--by", "ann")
        == "'d', batch 'b': 1 rows are accepted, by ann\n"
    )
    mild = str(rules(place, -5, outputs))
    dry = said("redrive", mild, "--dry-run")
    assert dry == (
        "batch 'b' of 'd': 1 of 2 quarantined rows would pass; 1 still fail: amount.at_least (1)\n"
        "nothing was changed (--dry-run)\n"
    )
    assert len(rows(place.root, place.record(), "passed")) == 4
    assert said("redrive", mild).startswith("batch 'b' of 'd': 1 of 2 quarantined rows pass and are live; 1 still fail")
    told = json.loads(said("redrive", mild, "--json"))["results"][0]
    assert (told["decision"], told["rows"]) == ("none", {"judged": 1, "redriven": 0, "corrected": 0})
    assert said("quarantine", "list", "d", *root).split()[-6:] == ["2", "1", "1", "0", "1", "0"]
