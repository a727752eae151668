"""Publishing and rolling back real runs: what readers, the next run and the history make of it."""

from __future__ import annotations

import json
import logging
import re
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from pyspark.sql import functions as F

import quality
from quality import compaction, history_reader
from quality.history import SCHEMAS
from quality.report.athena import live_commits, live_quarantine, live_view
from quality.storage import commit
from quality.storage.store import LocalStore
from tests.written import Place, records

CSV: Any = {"input": "options: {header: true}"}
FIRST, SECOND = "- above: {column: n, value: 5}", "- above: {column: n, value: 7}"
HOLDS = f"{SECOND}\n- row_count: {{at_least: 9}}"


def top(place):
    return f'columns: {{n: {{type: integer}}}}\noutputs: {{root: "{place.root}", mirror: true}}'


def seen(place):
    """What readers get, and proof that every way to read says the same."""
    root = str(place.root)
    found = sorted(row.n for row in quality.read(place.spark, root, "d", "b").collect())
    files = quality.paths(root, "d", "b")
    manifest = place.root / "passed" / "d" / "_symlink_format_manifest" / "batch=b" / "manifest"
    assert manifest.read_text().split() == files
    mirrored = [pq.read_table(path, partitioning=None) for path in (place.root / "mirror/d/batch=b").glob("part-*")]
    assert sorted(n for table in mirrored for n in table["n"].to_pylist()) == found
    return found


@pytest.fixture(scope="module")
def story(spark, tmp_path_factory):
    """Two runs are published, the first is brought back, and so on; each step with what was to be seen after it."""
    place, told, steps = Place(tmp_path_factory.mktemp("versions"), spark), [], {}
    place.put({"a.csv": "n\n1\n7\n8\n"})
    root = str(place.root)
    log = logging.getLogger("quality")
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)

    def step(name, done):
        steps[name] = SimpleNamespace(done=done, seen=seen(place), told=list(told))
        told.clear()

    def run(text, batch="b"):
        return place.run(text, batch=batch, top=top(place), **CSV)

    try:
        step("first", run(FIRST))
        step("second", run(SECOND))
        step("back", quality.rollback("d", "b", root=root, by="ann", reason="too strict"))
        step("again", run(SECOND))
        step("back again", quality.rollback(place.rules(FIRST, top=top(place), **CSV), "b", to="1", by="ann"))
        step("unchanged", run(FIRST))
        step("held", run(HOLDS))
        step("published", quality.publish("d", "b", root=root, by="ann", reason="a holiday"))
        step("held unchanged", run(HOLDS))
        step("back at last", quality.rollback("d", "b", root=root, to="1"))
        run(HOLDS, batch="only-held")
    finally:
        log.removeHandler(handler)
    return SimpleNamespace(place=place, steps=steps)


def run_of(step):
    return step.done.data["run"]


def test_readers_follow_every_step(story):
    assert {name: step.seen for name, step in story.steps.items()} == {
        "first": [7, 8],
        "second": [8],
        "back": [7, 8],
        "again": [8],
        "back again": [7, 8],
        "unchanged": [7, 8],
        "held": [7, 8],
        "published": [8],
        "held unchanged": [8],
        "back at last": [7, 8],
    }


def test_the_records_tell_the_story(story):
    kept = records(story.place.root, "d", "b")
    first, second, again, held = (run_of(story.steps[name]) for name in ("first", "second", "again", "held"))
    assert [(one["run"], one.get("action", "run"), one.get("of_seq")) for one in kept] == [
        (first, "run", None),
        (second, "run", None),
        (first, "rollback", 1),
        (again, "run", None),
        (first, "rollback", 1),
        (held, "run", None),
        (held, "publish", 6),
        (first, "rollback", 1),
    ]
    assert len({first, second, again, held}) == 4


def test_a_run_behind_a_rollback_judges_again_and_says_whose_choice_it_replaces(story):
    step = story.steps["again"]
    assert step.done.unchanged is False
    (message,) = [text for text in step.told if "takes its place" in text]
    assert re.sub(r"at \S+Z", "at T", message) == (
        f"d b: run {run_of(story.steps['first'])} was made live again by ann at T: too strict; "
        "this run takes its place when it is published"
    )


def test_with_the_rules_and_input_of_the_run_that_was_brought_back_there_is_nothing_to_do(story):
    first, step = story.steps["first"].done, story.steps["unchanged"].done
    assert (step.unchanged, step.exit_code) == (True, first.exit_code)
    message = step.data["message"]
    assert re.fullmatch(r"made live again by ann at \S+Z", message)
    assert step.data == {**first.data, "unchanged": True, "message": message}


def test_a_held_run_that_was_published_is_reported_as_published(story):
    held, step = story.steps["held"].done, story.steps["held unchanged"].done
    assert (held.exit_code, held.decision) == (4, "held")
    assert (step.unchanged, step.exit_code, step.decision, step.status) == (True, 1, "published", "failed")
    assert step.data["run"] == held.data["run"]
    assert re.fullmatch(r"published by ann at \S+Z: a holiday", step.data["message"])


def test_a_run_that_is_overtaken_by_a_rollback_loses(story):
    place, root = story.place, str(story.place.root)
    before = len(records(place.root, "d", "b"))

    def told(words):
        if words.endswith("keeping the results"):
            quality.rollback("d", "b", root=root, to="2", by="ann")

    result = place.run(SECOND, force=True, progress=told, top=top(place), **CSV)
    assert result.exit_code == 3
    assert "was made live again by ann at" in result.data["message"]
    assert len(records(place.root, "d", "b")) == before + 1
    assert seen(place) == [8]
    assert not list(place.root.glob(f"history/*/dataset=d/{result.data['run']}*"))
    quality.rollback("d", "b", root=root, to="1")


# the history as SQL sees it


@pytest.fixture(scope="module")
def history(story):
    """The tables of the printed statements as temporary views over the real files, the packs of most of them, and the
    leftovers of a dead run."""
    place = story.place
    (done,) = compaction.compact(LocalStore(str(place.root)), "d")
    assert sorted(pack.table for pack in done.made) == sorted(SCHEMAS)
    first = run_of(story.steps["first"])
    for table in SCHEMAS:
        left = pq.read_table(place.root / "history" / table / "dataset=d" / f"{first}.parquet", partitioning=None)
        runs = pa.array(["dead"] * left.num_rows)
        dead = left.set_column(left.schema.get_field_index("run"), "run", runs)
        pq.write_table(dead, place.root / "history" / table / "dataset=d" / "dead.parquet")
        frame = place.spark.read.option("basePath", f"{place.root}/history/{table}")
        listed = frame.parquet(f"{place.root}/history/{table}")
        listed.withColumn("$path", F.input_file_name()).createOrReplaceTempView(table)
    lines = place.spark.read.option("recursiveFileLookup", "true").json(f"{place.root}/commits")
    assert "_corrupt_record" not in lines.columns
    lines.createOrReplaceTempView("commits")
    folders = place.spark.read.option("recursiveFileLookup", "true").parquet(f"{place.root}/quarantine/d/_runs")
    folders.createOrReplaceTempView("quarantine_d")
    statements = [live_commits("q"), *(live_view("q", *item) for item in SCHEMAS.items()), live_quarantine("q", "d")]
    for statement in statements:
        tree = sqlglot.parse_one(statement, dialect="athena")
        for named in tree.find_all(sqlglot.exp.Table):
            named.set("db", None)
        query = tree.expression.sql(dialect="spark")
        place.spark.sql(f"CREATE OR REPLACE TEMP VIEW {tree.this.name} AS {query}")
    yield place.spark
    for name in ("commits", "quarantine_d", *SCHEMAS, *(f"live_{n}" for n in ("commits", "quarantine_d", *SCHEMAS))):
        place.spark.catalog.dropTempView(name)


@pytest.mark.parametrize("table", SCHEMAS)
def test_the_live_views_show_the_live_run_alone(story, history, table):
    every = {row.run for row in history.sql(f"SELECT run FROM {table}").collect()}
    assert len(every) == 6  # four of the batch, one that was only held, one that died
    rows = history.sql(f"SELECT * FROM live_{table}").collect()
    first = run_of(story.steps["first"])
    assert {(row.run, row.batch, row.dataset) for row in rows} == {(first, "b", "d")}
    path = story.place.root / "history" / table / "dataset=d" / f"{first}.parquet"
    assert len(rows) == pq.read_metadata(path).num_rows


def test_packs_are_read_without_pyarrow_as_well(story, history, monkeypatch):
    store = LocalStore(str(story.place.root))
    keys = sorted({*history_reader.keys_of(commit.records(store, "d", "b"), "metrics")})
    columns = ("name", "instance", "value", "numerator")
    found = history_reader.rows_of(store, keys, history, columns)
    monkeypatch.setattr(history_reader, "_has_pyarrow", lambda: False)
    by_spark = history_reader.rows_of(store, keys, history, columns)
    assert len({run for run, _ in found}) == 4
    assert sorted((run, row["name"], row["value"]) for run, row in by_spark) == sorted(
        (run, row["name"], row["value"]) for run, row in found
    )


def test_a_live_run_is_told_with_the_number_and_decision_it_has_now(story, history):
    (row,) = history.sql("SELECT * FROM live_runs").collect()
    last = records(story.place.root, "d", "b")[-1]
    assert (row.seq, row.decision, row.rows_passed) == (last["seq"], "published", 2)
    (commit,) = history.sql("SELECT * FROM live_commits").collect()
    assert (commit.action, commit.of_seq, json.loads(json.dumps(commit.rows.asDict()))["passed"]) == ("rollback", 1, 2)


def test_the_live_quarantine_has_the_rows_of_the_live_run(history):
    rows = history.sql("SELECT n, _quality.run AS run FROM live_quarantine_d").collect()
    assert [row.n for row in rows] == [1]
    assert history.sql("SELECT n FROM quarantine_d").count() > 1
