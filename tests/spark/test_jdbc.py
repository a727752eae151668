"""References in a database: rows reconciled with it are told apart exactly, and its password stands nowhere."""

from __future__ import annotations

import json
import sqlite3
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality.backends.jdbc import hide
from quality.rule_types.rules import Jdbc

SECRET = "correct-horse"


@pytest.fixture
def place(tmp_path, quick, monkeypatch):
    monkeypatch.setenv("LEDGER_PASSWORD", SECRET)

    def run(rules, reference, path="b.parquet", **given):
        (tmp_path / "r.yml").write_text(
            f"version: 1\ndataset: d\ninput: {{path: '{tmp_path}/{path}'}}\n"
            f"references: {{ledger: {json.dumps(reference)}}}\noutputs: {{root: '{tmp_path}/kept'}}\n"
            f"defaults: {{severity: warning}}\nrules: {json.dumps(rules)}\n"
        )
        allowed = frozenset({"LEDGER_PASSWORD"})
        return quality.run(tmp_path / "r.yml", "1", spark=quick, allow_env=allowed, **given)

    return SimpleNamespace(run=run, path=tmp_path, url=f"jdbc:sqlite:{tmp_path}/ledger.db")


def database(place, rows, columns="id integer primary key, amount real, name text"):
    with sqlite3.connect(place.path / "ledger.db") as connection:
        connection.execute(f"create table ledger ({columns})")
        connection.executemany(f"insert into ledger values ({', '.join('?' * len(rows[0]))})", rows)


def test_two_copies_are_reconciled_to_the_planted_differences(place):
    rows = [(i, i / 4, f"n{i}") for i in range(1, 401)]
    pq.write_table(
        pa.table(dict(zip(("id", "amount", "name"), map(list, zip(*rows, strict=True)), strict=True))),
        place.path / "b.parquet",
    )
    there: dict[int, Any] = {row[0]: row for row in rows}
    del there[17], there[18]
    there[1000] = (1000, 1.0, "extra")
    there[20] = (20, 5.0, "changed")
    there[40] = (40, 10.009, "n40")
    there[44] = (44, 11.02, "n44")
    there[48] = (48, None, "n48")
    database(place, list(there.values()))
    rules = [
        {"name": "same", "dataset_match": {"key": "id", "reference": "ledger", "near": {"amount": 0.01}}},
        {"name": "rows", "row_count_match": "ledger"},
        {"name": "known", "exists_in": {"columns": "id", "reference": "ledger"}},
        {"name": "sum", "aggregate_match": {"column": "amount", "reference": "ledger", "within": "5% of 1"}},
    ]
    reference = {"jdbc": {"url": place.url, "table": "ledger"}}
    result = place.run(rules, reference)
    match = result.rule("same")["match"]
    assert {kind: match[kind] for kind in ("missing_here", "missing_there", "doubled", "different")} == {
        "missing_here": 1, "missing_there": 2, "doubled": 0, "different": 3
    }  # fmt: skip
    assert match["columns"] == {"amount": 2, "name": 1}
    keys = {(sample["kind"], sample["key"]["id"]) for sample in match["samples"]}
    assert keys == {
        ("missing here", "1000"),
        *(("missing there", i) for i in ("17", "18")),
        *(("different", i) for i in ("20", "44", "48")),
    }
    assert (result.rule("rows")["metric"]["value"], result.rule("known")["failed_rows"]) == (400 / 399, 2)
    assert result.rule("sum")["status"] == "passed"
    # of a database nobody knows whether it stands still
    assert not place.run(rules, reference).data["unchanged"]
    few = {"jdbc": {"url": place.url, "query": "select id, name from ledger where id < 10"}, "where": "id > 2"}
    again = place.run([{"name": "rows", "row_count_match": "ledger"}], few)
    assert again.rule("rows")["metric"]["value"] == 400 / 7


def test_the_password_stands_in_no_log_report_history_or_error(place, caplog, capfd):
    pq.write_table(pa.table({"id": [1, 2]}), place.path / "b.parquet")
    database(place, [(1, 1.0, "x")])
    rules = [{"name": "known", "exists_in": {"columns": "id", "reference": "ledger"}}]
    jdbc = {
        "url": place.url,
        "user": "me",
        "password": "{{ env('LEDGER_PASSWORD') }}",
        "options": {"token": "horse-battery"},
    }
    done = place.run(rules, {"jdbc": {**jdbc, "table": "ledger"}})
    assert done.rule("known")["failed_rows"] == 1
    missing = place.run(rules, {"jdbc": {**jdbc, "table": "absent"}})
    assert "no such table: absent" in missing.rule("known")["message"]
    other = place.run(
        rules, {"jdbc": {**jdbc, "url": "jdbc:postgresql://127.0.0.1:1/x?token=horse-battery", "table": "t"}}
    )
    assert other.rule("known")["status"] == "error"
    said = [*capfd.readouterr(), caplog.text, json.dumps([one.data for one in (done, missing, other)])]
    said += [path.read_bytes().decode("latin-1") for path in (place.path / "kept").rglob("*") if path.is_file()]
    assert [text for text in said if SECRET in text or "horse-battery" in text] == []


def test_a_database_without_a_driver_is_said_to_need_one(place):
    pq.write_table(pa.table({"id": [1]}), place.path / "b.parquet")
    for kind in ("mysql", "unheard"):
        told = place.run(
            [{"name": "rows", "row_count_match": "ledger"}], {"jdbc": {"url": f"jdbc:{kind}://h/x", "table": "t"}}
        )
        assert f"Spark has no driver for jdbc:{kind}: give it the driver's jar" in told.rule("rows")["message"]


def test_a_message_is_less_its_secrets():
    source = Jdbc("jdbc:x://h/d?a=1;k=2", password="pw", user="me", options={"fetchsize": "10", "key": "sesame"})
    assert hide(source, "no jdbc:x://h/d?a=1;k=2 for me, pw, sesame, 10") == "no jdbc:x://h/d for me, ***, ***, 10"
