"""What only Iceberg tables promise: branches that are gone, files that are not written twice, what it can widen."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from quality.errors import StorageError
from quality.targets.iceberg import IcebergTable
from tests.tables import Runs


def numbers(*values, kind=None):
    return pa.table({"a": pa.array(values, kind or pa.int32())})


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / "out")


@pytest.fixture
def name():
    return f"lake.db.i{time.time_ns()}"


def target(spark, runs, name):
    return IcebergTable(spark, runs.store, "d", "passed", name)


def test_a_snapshot_says_whose_rows_it_brought_and_no_branch_is_left(quick, runs, name):
    record = runs.put({"a": "int"}, numbers(1))
    target(quick, runs, name).follow("b")
    newest = quick.sql(f"SELECT summary FROM {name}.snapshots ORDER BY committed_at DESC").first()["summary"]
    told = {key: text for key, text in newest.items() if key.startswith("quality.")}
    assert told == {
        "quality.dataset": "d", "quality.side": "passed", "quality.batch": "b", "quality.run": record.run,
        "quality.seq": "1",
    }  # fmt: skip
    assert [row["name"] for row in quick.sql(f"SELECT name FROM {name}.refs").collect()] == ["main"]


def test_when_main_moved_the_files_that_are_written_are_put_on_it(quick, runs, name):
    runs.put({"a": "int"}, numbers(0), batch="0")
    target(quick, runs, name).follow("0")
    runs.put({"a": "int"}, numbers(1), batch="1")
    follower, written = target(quick, runs, name), []
    audit, write = follower._audit, follower._write

    def counted(*given):
        written.append(given)
        write(*given)

    def moved(branch, record):
        audit(branch, record)
        if quick.table(name).where("a = 7").isEmpty():
            quick.sql(f"INSERT INTO {name} VALUES (7, 'other')")

    follower._write, follower._audit = counted, moved
    follower.follow("1")
    assert sorted(row.a for row in quick.table(name).collect()) == [0, 1, 7]
    assert len(written) == 1
    assert [row["name"] for row in quick.sql(f"SELECT name FROM {name}.refs").collect()] == ["main"]
    # expiring the snapshot of the first attempt takes no file along
    table = follower._java()
    newest = table.currentSnapshot()
    table.expireSnapshots().expireOlderThan(newest.timestampMillis() + 1).retainLast(1).commit()
    quick.sql(f"REFRESH TABLE {name}")
    assert sorted(row.a for row in quick.table(name).collect()) == [0, 1, 7]
    # and with the snapshot its stamp may be gone: the rows are there once all the same
    follower.follow("0")
    assert sorted(row.a for row in quick.table(name).collect()) == [0, 1, 7]


def test_what_iceberg_cannot_widen_is_told_with_both_types(quick, runs, name):
    runs.put({"a": "int"}, numbers(1), batch="1")
    target(quick, runs, name).follow("1")
    runs.put({"a": "bigint"}, numbers(2**40, kind=pa.int64()), batch="2")
    target(quick, runs, name).follow("2")
    assert (quick.table(name).schema["a"].dataType.simpleString(), quick.table(name).count()) == ("bigint", 2)
    runs.put({"a": "decimal(20,2)"}, numbers(1, kind=pa.decimal128(20, 2)), batch="3")
    with pytest.raises(
        StorageError, match=r"column 'a' is bigint in the table and would have to become decimal\(21,2\)"
    ):
        target(quick, runs, name).follow("3")


def test_a_catalog_that_is_not_there_is_told_with_its_settings(quick, runs):
    runs.put({"a": "int"}, numbers(1))
    with pytest.raises(StorageError, match=r"there is no catalog 'nosuch'.*spark\.sql\.catalog\.nosuch\.type"):
        target(quick, runs, "nosuch.db.t").follow("b")


def test_a_name_in_a_catalog_without_iceberg_tables_is_refused(quick, runs):
    runs.put({"a": "int"}, numbers(1))
    with pytest.raises(StorageError, match="Spark's own catalog keeps no Iceberg tables here"):
        target(quick, runs, "t").follow("b")
