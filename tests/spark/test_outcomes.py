"""The outcome table, from a CSV file to what readers see: status, decision, exit code, commit, history, result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import quality
from quality import runs, verification
from quality.errors import InputError, RuleFileError, UsageError
from quality.model import gravest_exit
from quality.storage import commit
from quality.storage.store import open_store

#: Ten rows, of which two have a negative amount and one has none.
ROWS = "id,amount,name\n" + "".join(f"{n},{n * 10 - 15},n{n}\n" for n in range(9)) + "9,,n9\n"
HEAD = """\
version: 1
dataset: orders
input: {path: PLACE/orders-{{ batch }}.csv, options: {header: true}}
columns: {id: {type: integer, required: true}, amount: {type: integer}, name: }
"""


@pytest.fixture
def place(tmp_path, spark):
    """A directory with a rule file, batches and results."""

    def run(rules="", rows=ROWS, batch="1", **given):
        (tmp_path / f"orders-{batch}.csv").write_text(rows)
        return again(rules, batch, **given)

    def again(rules="", batch="1", **given):
        head = HEAD.replace("path: PLACE/orders-{{ batch }}.csv", f'path: "{tmp_path}/orders-{{{{ batch }}}}.csv"')
        (tmp_path / "orders.yml").write_text(head + rules)
        return quality.run(tmp_path / "orders.yml", batch, root=root, spark=spark, **given)

    root = str(tmp_path / "kept")
    return SimpleNamespace(run=run, again=again, root=root, path=tmp_path)


def stored(place, result):
    """The result as it was stored, and the records of its batch."""
    batch, run = result.data["batch"], result.data["run"]
    file = Path(place.root) / "runs" / "orders" / batch / run / "result.json"
    return json.loads(file.read_text()), commit.records(open_store(place.root), "orders", batch)


def history(place, table):
    return pd.read_parquet(Path(place.root) / "history" / table)


def live(place, batch="1"):
    """How many rows readers see; None when they see no batch."""
    try:
        files = quality.paths(place.root, "orders", batch)
    except InputError:
        return None
    return sum(len(pd.read_parquet(file.removeprefix("file://"))) for file in files)


NEGATIVE = "{that: amount >= 0"
MISSING = "{above: {column: nope, value: 0}"

#: Rules; status, decision, exit code; rows that would pass, rows in quarantine, rows that readers see.
OUTCOMES = {
    "an error rule could not be judged": (
        f"rules: [{MISSING}}}, {NEGATIVE}, on_fail: hold}}]", ("error", "held", 4), 8, 2, None,
    ),
    "a rule that holds failed": (f"rules: [{NEGATIVE}, on_fail: hold}}]", ("failed", "held", 4), 8, 2, None),
    "a warning that holds failed": (
        f"rules: [{NEGATIVE}, severity: warning, on_fail: hold}}]", ("failed", "held", 4), 8, 2, None,
    ),
    "a rule about the batch failed": ("rules: [row_count: {at_least: 11}]", ("failed", "held", 4), 10, 0, None),
    "too much in quarantine": (
        f"rules: [{NEGATIVE}}}]\nhold: {{quarantined_above: 19%}}", ("failed", "held", 4), 8, 2, None,
    ),
    "an error rule failed": (
        f"rules: [{NEGATIVE}}}]\nhold: {{quarantined_above: 20%}}", ("failed", "published", 1), 8, 2, 8,
    ),
    "an error rule that keeps failed": (f"rules: [{NEGATIVE}, on_fail: keep}}]", ("failed", "published", 1), 10, 0, 10),
    "a warning failed": (f"rules: [{NEGATIVE}, severity: warning}}]", ("warning", "published", 0), 10, 0, 10),
    "a warning that quarantines failed": (
        f"rules: [{NEGATIVE}, severity: warning, on_fail: quarantine}}]", ("warning", "published", 0), 8, 2, 8,
    ),
    "a warning could not be judged": (f"rules: [{MISSING}, severity: warning}}]", ("warning", "published", 0), 10, 0, 10),
    "an information failed": (f"rules: [{NEGATIVE}, severity: info}}]", ("passed", "published", 0), 10, 0, 10),
    "within tolerance": (f"rules: [{NEGATIVE}, tolerance: 20%}}]", ("passed", "published", 0), 8, 2, 8),
    "all is well": ("rules: [row_count: {equals: 10}]", ("passed", "published", 0), 10, 0, 10),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "expected", "passed", "bad", "seen"), OUTCOMES.values(), ids=OUTCOMES)
def test_a_batch_ends_by_the_outcome_table_and_is_recorded(place, rules, expected, passed, bad, seen):
    result = place.run(rules)
    assert (result.status, result.decision, result.exit_code) == expected
    assert result.data["rows"] == {"input": 10, "passed": passed, "quarantined": bad, "flagged": 0}
    assert live(place) == seen
    data, (record,) = stored(place, result)
    assert data == result.data
    assert (record.status, record.decision, record.exit_code, record.run) == (*expected, result.data["run"])
    for table in ("metrics", "results", "runs"):
        assert set(history(place, table)["run"]) == {result.data["run"]}
    run = history(place, "runs").iloc[0]
    assert (run["status"], run["decision"], run["rows_passed"], run["rows_quarantined"]) == (*expected[:2], passed, bad)


def test_a_held_run_leaves_the_version_before_it_to_readers(place):
    first = place.run("rules: [row_count: {at_least: 1}]")
    second = place.run("rules: [row_count: {at_least: 11}]", rows=ROWS + "10,7,n10\n")
    assert (first.exit_code, second.exit_code) == (0, 0)
    held = place.run("rules: [row_count: {at_least: 12}]", rows=ROWS)
    assert (held.decision, held.exit_code) == ("held", 4)
    assert live(place) == 11
    assert [r.decision for r in stored(place, held)[1]] == ["published", "published", "held"]
    assert quality.paths(place.root, "orders", "1", run=held.data["run"]) != quality.paths(place.root, "orders", "1")
    assert quality.paths(place.root, "orders", "1", run=first.data["run"])


def test_the_split_of_a_held_run_is_kept_for_inspection(place, spark):
    held = place.run(f"rules: [{NEGATIVE}, name: not negative, on_fail: hold}}]")
    (file,) = quality.paths(place.root, "orders", "1", side="quarantine", run=held.data["run"])
    rows = spark.read.parquet(file).selectExpr("id", "_quality.failures.rule as rules").collect()
    assert sorted((row["id"], row["rules"]) for row in rows) == [(0, ["not-negative"]), (1, ["not-negative"])]


def test_a_batch_without_rows_is_held_with_a_warning(place):
    result = place.run("rules: [that: amount >= 0]", rows="id,amount,name\n")
    assert (result.status, result.decision, result.exit_code) == ("warning", "held", 4)
    assert result.rule("that")["status"] == "not_applicable"
    assert live(place) is None
    assert len(stored(place, result)[1]) == 1


def test_a_batch_without_rows_is_published_where_that_is_allowed(place):
    (place.path / "orders-1.csv").write_text("id,amount,name\n")
    rules = HEAD.replace("path: PLACE/orders-{{ batch }}.csv", f"path: {place.path}/orders-1.csv, allow_empty: true")
    (place.path / "empty.yml").write_text(rules)
    result = quality.run(place.path / "empty.yml", "1", root=place.root)
    assert (result.status, result.decision, result.exit_code) == ("passed", "published", 0)
    assert not live(place)


def test_malformed_lines_are_quarantined_and_fail_the_batch(place):
    result = place.run(rows=ROWS + "10,1,n10,too,many\n")
    assert (result.status, result.decision, result.exit_code) == ("failed", "published", 1)
    assert result.rule("malformed")["failed_rows"] == 1
    assert live(place) == 10


def test_a_batch_that_is_not_there_is_an_error_that_leaves_a_result_and_no_record(place):
    result = place.again(batch="2")
    assert (result.status, result.decision, result.exit_code) == ("error", "none", 3)
    assert "orders-2.csv" in result.data["message"]
    data, records = stored(place, result)
    assert (data, records) == (dict(result.data), [])
    assert data["schema"] == "quality.result/1"
    assert not (Path(place.root) / "history").exists()


def test_a_batch_that_moves_under_the_run_is_an_error(place, monkeypatch):
    decide = verification.decide

    def moving(*arguments):
        (place.path / "orders-1.csv").write_text(ROWS + "10,1,n10\n")
        return decide(*arguments)

    monkeypatch.setattr(verification, "decide", moving)
    result = place.run()
    assert (result.status, result.decision, result.exit_code) == ("error", "none", 3)
    assert "changed while it was read" in result.data["message"]
    data, records = stored(place, result)
    assert (data["exit_code"], records, live(place) if records else None) == (3, [], None)


def test_the_loser_of_a_race_is_an_error_and_nothing_of_it_is_visible(place, monkeypatch):
    decide = verification.decide
    others: list[Any] = []

    def slower(*arguments):
        if not others:
            others.append(None)
            others.append(place.again("rules: [row_count: {equals: 10}]"))
        return decide(*arguments)

    monkeypatch.setattr(verification, "decide", slower)
    loser = place.run("rules: [row_count: {at_least: 1}]")
    winner = others[1]
    assert (winner.exit_code, loser.exit_code) == (0, 3)
    assert (loser.status, loser.decision) == ("error", "none")
    assert [record.run for record in stored(place, winner)[1]] == [winner.data["run"]]
    assert stored(place, loser)[0]["exit_code"] == 3
    assert all(winner.data["run"] in file for file in quality.paths(place.root, "orders"))


@pytest.mark.parametrize(
    ("rules", "message"),
    (
        ("rules: [thta: amount > 0]", "did you mean 'that'"),
        ("rules: [that: amount > > 0]", "is not Spark SQL"),
        ("rules: [matches: {column: name, pattern: '(?<a'}]", "is not a regular expression"),
    ),
)
def test_a_wrong_rule_file_raises_and_leaves_nothing(place, rules, message):
    with pytest.raises(RuleFileError, match=message) as caught:
        place.run(rules)
    assert caught.value.exit_code == 2
    assert not Path(place.root).exists()


def test_a_wrong_batch_id_raises_and_leaves_nothing(place):
    with pytest.raises(UsageError, match="batch id 'a/b' is not allowed"):
        place.again(batch="a/b")
    assert not Path(place.root).exists()


def test_what_did_not_change_is_not_done_again(place):
    rules = f"rules: [{NEGATIVE}}}]"
    first = place.run(rules)
    again = place.again(rules)
    assert again.unchanged
    assert {**again.data, "unchanged": False} == first.data
    assert (again.exit_code, len(stored(place, first)[1])) == (1, 1)
    assert not place.again(rules, force=True).unchanged
    assert not place.again(rules.replace(">= 0", "> 0")).unchanged


def test_several_batches_end_with_the_gravest(place, spark):
    place.run("rules: [row_count: {equals: 10}]", batch="1")
    place.run(rows=ROWS + "10,1,n10\n", batch="2")
    place.again("rules: [row_count: {equals: 10}]")
    results = runs.run_batches([place.path / "orders.yml"], ["1", "2", "3"], root=place.root, spark=spark)
    assert [result.exit_code for result in results] == [0, 4, 3]
    assert gravest_exit(result.exit_code for result in results) == 3


def test_a_jvm_that_dies_in_the_middle_is_a_result_and_no_traceback(tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n")
    (tmp_path / "rules.yml").write_text(
        f"version: 1\ndataset: d\ninput: {{path: {tmp_path}/a.csv, options: {{header: true}}}}\nrules: [row_count: {{above: 0}}]\n"
    )
    program = f"""
import os, signal
from pyspark import SparkContext
import quality

def told(words):
    if words == "measuring":
        process = SparkContext._gateway.proc
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

result = quality.run({str(tmp_path / "rules.yml")!r}, "b", root={str(tmp_path / "out")!r}, progress=told)
print(result.exit_code, result.status, result.decision, bool(result.data["message"]))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(quality.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.returncode) == ("3 error none True\n", 0), done.stderr
    assert len(list((tmp_path / "out" / "runs" / "d" / "b").glob("*/result.json"))) == 1
