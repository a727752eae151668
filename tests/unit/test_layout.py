"""Where everything is: CONTRACTS says it, these lines pin it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from quality.errors import UsageError
from quality.storage import layout

TIMED = "2013-01-01T05:00:00+02:00"


@pytest.mark.parametrize(
    ("key", "expected"),
    (
        (layout.passed_dir("flights", "a:b", "R"), "passed/flights/_runs/a%3Ab/R"),
        (layout.quarantine_dir("flights", "a", "R"), "quarantine/flights/_runs/a/R"),
        (layout.flags_dir("flights", "a", "R"), "flags/flights/_runs/a/R"),
        (layout.ledger_dir("flights"), "quarantine/flights/_ledger"),
        (layout.commits_dir("flights"), "commits/flights"),
        (layout.commits_dir("flights", "a+b"), "commits/flights/a%2Bb"),
        (layout.commit_key("flights", "a", 12), "commits/flights/a/12.json"),
        (layout.result_key("flights", "a:b", "R"), "runs/flights/a%3Ab/R/result.json"),
        (layout.history_dir("runs", "flights"), "history/runs/dataset=flights"),
        (layout.history_file("metrics", "flights", "R"), "history/metrics/dataset=flights/R.parquet"),
        (layout.history_file("results", "flights", "R", "jsonl"), "history/results/dataset=flights/R.jsonl"),
        (layout.manifest_key("flights", "a:b"), "passed/flights/_symlink_format_manifest/batch=a%3Ab/manifest"),
    ),
)
def test_keys(key, expected):
    assert key == expected


@pytest.mark.parametrize(
    ("batch", "segment"),
    (
        ("2013-01-01", "2013-01-01"),
        (TIMED, "2013-01-01T05%3A00%3A00%2B02%3A00"),
        ("a%3Ab", "a%253Ab"),
        ("~", "%7E"),
        ("a/b", "a%2Fb"),
        ("ü", "%C3%BC"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("..a", "..a"),
        ("_x", "_x"),
    ),
)
def test_batch_ids_round_trip_as_one_segment(batch, segment):
    assert layout.encode_batch(batch) == segment
    assert layout.decode_batch(segment) == batch
    assert re.fullmatch(r"[A-Za-z0-9._%-]+", segment)


@pytest.mark.parametrize("batch", (TIMED, "a", "A.b_c-d", "1", "+", "_", "x" * 128, "..."[:1] + "a"))
def test_batch_ids_that_are_allowed(batch):
    assert layout.check_batch(batch) == batch


@pytest.mark.parametrize("batch", ("", ".", "..", "...", "a b", "a/b", "a%", "ü", "x" * 129, "a\n", "a=b"))
def test_batch_ids_that_are_not(batch):
    with pytest.raises(UsageError, match=r"is not allowed; it is 1 to 128 letters"):
        layout.check_batch(batch)


@pytest.mark.parametrize("dataset", ("flights", "a.b-c_1", "_x", ".x"))
def test_data_set_ids_that_are_allowed(dataset):
    assert layout.check_dataset(dataset) == dataset


@pytest.mark.parametrize("dataset", ("", ".", "..", "Flights", "a b", "a/b", "a:b", "a\n", "ü"))
def test_data_set_ids_that_are_not(dataset):
    with pytest.raises(UsageError, match="is not allowed; it is lower-case letters"):
        layout.check_dataset(dataset)


@pytest.mark.parametrize(
    ("key", "seq"),
    (
        ("commits/d/b/1.json", 1),
        ("10.json", 10),
        ("01.json", None),
        ("x.json", None),
        ("1.json.bak", None),
        ("1", None),
    ),
)
def test_commit_numbers_are_read_back(key, seq):
    assert layout.commit_seq(key) == seq


def test_an_unknown_side_or_table_names_the_known_ones():
    with pytest.raises(UsageError, match="did you mean 'passed'"):
        layout.runs_dir("pased", "d", "b")
    with pytest.raises(UsageError, match="did you mean 'metrics'"):
        layout.history_dir("metric", "d")


def test_run_ids_are_uuid_version_7_of_now():
    before = time.time()
    run = uuid.UUID(layout.new_run_id())
    assert (run.version, run.variant) == (7, uuid.RFC_4122)
    # to the millisecond; ids made before may have been ahead of the clock
    assert before - 0.001 <= (run.int >> 80) / 1000 <= time.time() + 5


def test_run_ids_sort_as_they_were_made():
    runs = [layout.new_run_id() for _ in range(20_000)]
    assert runs == sorted(set(runs))


def test_run_ids_stay_in_order_when_the_clock_is_set_back(monkeypatch):
    before = layout.new_run_id()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert layout.new_run_id() > before


def test_run_ids_of_many_threads_are_different():
    with ThreadPoolExecutor(16) as pool:
        runs = list(pool.map(lambda _: layout.new_run_id(), range(5_000)))
    assert len(set(runs)) == 5_000


def test_the_layout_needs_neither_spark_nor_boto3():
    program = (
        "import sys, quality.storage.layout, quality.storage.readers; print({'pyspark', 'boto3'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"
