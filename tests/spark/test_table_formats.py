"""What Iceberg and Delta tables promise alike: they follow the commit records, one atomic commit for each batch."""

from __future__ import annotations

import threading
import time
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from quality.errors import StorageError
from quality.model import Decision
from quality.targets.delta import DeltaTable
from quality.targets.formats import fit
from quality.targets.iceberg import IcebergTable
from tests.tables import Runs, at_once
from tests.written import Place

AB = {"a": "int", "b": "string"}


def ab(*numbers, b="x"):
    return pa.table({"a": pa.array(numbers, pa.int32()), "b": pa.array([b] * len(numbers), pa.string())})


@pytest.fixture(params=("iceberg", "delta"))
def lake(request, quick, tmp_path):
    return Lake(request.param, quick, Runs(tmp_path / "out"), tmp_path)


class Lake:
    """One table of a format, and the runs it follows."""

    def __init__(self, kind, spark, runs, directory):
        self.kind, self.spark, self.runs = kind, spark, runs
        name = f"t{time.time_ns()}"
        self.text = f"lake.db.{name}" if kind == "iceberg" else str(directory / "tables" / name)
        self.sql = self.text if kind == "iceberg" else f"delta.`{self.text}`"
        # a table made by hand is easier by name
        self.other = f"lake.db.u{name}" if kind == "iceberg" else f"u{name}"

    def target(self, text="", side="passed", spark=None):
        made = IcebergTable if self.kind == "iceberg" else DeltaTable
        return made(spark or self.spark, self.runs.store, self.runs.dataset, side, text or self.text)

    def rows(self, *columns, batch=None, text=""):
        frame = self.spark.table(text or self.sql)
        frame = frame.where(f"_batch = '{batch}'") if batch else frame
        found = sorted(tuple(row) for row in frame.select(*(columns or ("a", "b", "_batch"))).collect())
        return [row[0] for row in found] if len(columns) == 1 else found

    def versions(self, text=""):
        if self.kind == "iceberg":
            return self.spark.sql(f"SELECT snapshot_id FROM {text or self.sql}.history").count()
        return self.spark.sql(f"DESCRIBE HISTORY {text or self.sql}").count()


def test_the_table_is_made_and_has_what_the_last_record_of_each_batch_says(lake):
    target = lake.target()
    lake.runs.put(AB, ab(1, 2), batch="2024-01-01")
    target.follow("2024-01-01")
    lake.runs.put(AB, ab(3), batch="2024-01-02")
    target.follow("2024-01-02")
    lake.runs.put(AB, ab(4, 5, 6), batch="2024-01-01")
    target.follow("2024-01-01")
    assert lake.rows("a") == [3, 4, 5, 6]
    assert lake.rows("a", batch="2024-01-01") == [4, 5, 6]


def test_following_again_changes_nothing_and_a_run_that_was_killed_in_between_is_made_whole(lake):
    lake.runs.put(AB, ab(1))
    lake.target().follow("b")
    before = lake.versions()
    lake.target().follow("b")
    assert lake.versions() == before
    lake.runs.put(AB, ab(2))  # and killed before the table
    lake.target().follow("b")
    assert lake.rows("a") == [2]


def test_a_held_run_leaves_the_table_and_a_rolled_back_one_is_there_again(lake):
    first = lake.runs.put(AB, ab(1))
    lake.target().follow("b")
    lake.runs.put(AB, ab(9), decision=Decision.HELD)
    before = lake.versions()
    lake.target().follow("b")
    assert (lake.rows("a"), lake.versions()) == ([1], before)
    lake.runs.put(AB, ab(2))
    lake.target().follow("b")
    assert lake.rows("a") == [2]
    lake.runs.again(first)
    lake.target().follow("b")
    assert lake.rows("a") == [1]


def test_a_batch_that_no_row_passed_has_none_in_the_table(lake):
    lake.runs.put(AB, ab(), batch="empty from the first".replace(" ", "-"))
    lake.target().follow("empty-from-the-first")
    lake.runs.put(AB, ab(1))
    lake.target().follow("b")
    lake.runs.put(AB, ab())
    lake.target().follow("b")
    assert lake.rows("a") == []
    before = lake.versions()
    lake.target().follow("b")
    assert lake.versions() == before


def test_columns_come_go_and_widen_where_no_value_can_change(lake):
    lake.runs.put({"a": "int", "b": "string"}, ab(1), batch="1")
    lake.target().follow("1")
    wide = pa.table({"a": pa.array([2], pa.int32()), "C": pa.array([0.5])})
    lake.runs.put({"a": "int", "C": "double"}, wide, batch="2")
    lake.target().follow("2")
    assert lake.rows("a", "b", "c") == [(1, "x", None), (2, None, 0.5)]
    narrow = pa.table({"a": pa.array([3], pa.int16()), "c": pa.array([1.5], pa.float32())})
    lake.runs.put({"a": "smallint", "c": "float"}, narrow, batch="3")
    lake.target().follow("3")
    assert lake.rows("a", "c", batch="3") == [(3, 1.5)]


def test_a_type_that_does_not_fit_is_told_and_nothing_is_written(lake):
    lake.runs.put(AB, ab(1), batch="1")
    lake.target().follow("1")
    before = lake.versions()
    text = pa.table({"a": pa.array(["one"]), "n": pa.array([1], pa.int32())})
    lake.runs.put({"a": "string", "n": "int"}, text, batch="2")
    with pytest.raises(StorageError, match="column 'a' is int in the table and string in the batch"):
        lake.target().follow("2")
    assert (lake.versions(), lake.spark.table(lake.sql).columns) == (before, ["a", "b", "_batch"])


@pytest.mark.full("delta")
def test_odd_names_nested_types_times_and_decimals_come_back_as_they_were(lake):
    moment = datetime(1500, 1, 2, 3, 4, 5, 678901, timezone.utc)
    table = pa.table({
        "a.b c": pa.array([1], pa.int64()),
        "Größe": pa.array([Decimal("12345678901234567890.123456789")], pa.decimal128(38, 9)),
        "at": pa.array([moment], pa.timestamp("us", "UTC")),
        "day": pa.array([date(1500, 1, 2)]),
        "tree": pa.array([{"x y": [{"k": 1}], "t": "é"}], pa.struct([("x y", pa.list_(pa.struct([("k", pa.int32())]))), ("t", pa.string())])),
        "small": pa.array([[7]], pa.list_(pa.int16())),
        "`back": pa.array([b"\x00\xff"]),
    })  # fmt: skip
    types = {
        "a.b c": "bigint", "Größe": "decimal(38,9)", "at": "timestamp", "day": "date",
        "tree": "struct<`x y`:array<struct<k:int>>,t:string>", "small": "array<smallint>", "`back": "binary",
    }  # fmt: skip
    lake.runs.put(types, table, batch="a+b:c_1")
    lake.target().follow("a+b:c_1")
    row = lake.spark.table(lake.sql).selectExpr("*", "unix_micros(at) as micros").collect()[0].asDict(recursive=True)
    assert row["micros"] == (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // (moment.resolution)
    told = (row["a.b c"], row["Größe"], row["day"], row["tree"], row["small"], bytes(row["`back"]), row["_batch"])
    expected = table.to_pylist()[0]
    assert told == (
        1, expected["Größe"], expected["day"], {"x y": [{"k": 1}], "t": "é"}, [7], b"\x00\xff", "a+b:c_1",
    )  # fmt: skip
    lake.runs.put(types, table, batch="a+b:c_1")
    lake.target().follow("a+b:c_1")
    assert lake.spark.table(lake.sql).count() == 1


def test_the_quarantine_has_a_table_too(lake):
    lake.runs.put(AB, ab(1), quarantined=[{"a": None, "b": "bad"}])
    lake.target(side="quarantine").follow("b")
    assert lake.rows("b", "_quality.failures.rule", "_batch") == [("bad", ["a.required"], "b")]


@pytest.mark.full("delta")
def test_batches_published_at_once_all_land(lake):
    names = ["1", "2", "3"]
    for index, name in enumerate(names):
        lake.runs.put(AB, ab(index), batch=name)
    at_once(*(lambda name=name: lake.target(spark=_own(lake.spark)).follow(name) for name in names))
    assert lake.rows("a") == [0, 1, 2]


@pytest.mark.full("delta")
def test_of_two_publications_of_a_batch_at_once_the_last_record_stays(lake):
    lake.runs.put(AB, ab(0), batch="0")
    lake.target().follow("0")
    lake.runs.put(AB, ab(1))
    slow, fast = (lake.target(spark=_own(lake.spark)) for _ in range(2))
    meanwhile = threading.Event()
    write = slow.frame

    def late(record, changes):
        # the older one has read its record, and now a newer one is published
        if not meanwhile.is_set():
            meanwhile.set()
            lake.runs.put(AB, ab(2, 3))
            fast.follow("b")
        return write(record, changes)

    slow.frame = late
    slow.follow("b")
    assert meanwhile.is_set()
    assert lake.rows("a", batch="b") == [2, 3]


@pytest.mark.full("delta")
def test_a_reader_sees_the_rows_before_or_the_rows_after(lake):
    lake.runs.put(AB, ab(*range(100)))
    lake.target().follow("b")
    lake.runs.put(AB, ab(*range(250)))
    seen, done = [], threading.Event()

    def look():
        reader = _own(lake.spark)
        while not done.is_set():
            if lake.kind == "iceberg":
                reader.sql(f"REFRESH TABLE {lake.sql}")
            seen.append(reader.table(lake.sql).count())

    def publish():
        try:
            lake.target().follow("b")
        finally:
            done.set()

    at_once(look, publish)
    assert set(seen) <= {100, 250}
    assert len(lake.rows("a")) == 250


def test_rows_that_are_not_those_of_the_commit_are_not_left_in_the_table(lake):
    lake.runs.put(AB, ab(1), batch="1")
    lake.target().follow("1")
    lake.runs.put(AB, ab(2, 3), batch="2")
    lake.target().follow("2")
    lake.runs.put(AB, ab(4, 5), batch="2", told=7)
    with pytest.raises(StorageError, match=r"2 rows of batch '2' (are|were) in the table.*7 in the commit"):
        lake.target().follow("2")
    assert lake.rows("a") == [1, 2, 3]
    with pytest.raises(StorageError, match="batch '2'"):
        lake.target().follow("2")
    lake.runs.put(AB, ab(6), batch="2")
    lake.target().follow("2")
    assert lake.rows("a") == [1, 6]


@pytest.mark.full("delta")
def test_a_table_of_the_users_keeps_its_partitions_columns_and_other_rows(lake):
    lake.spark.sql(
        f"CREATE TABLE {lake.other} (b string, a bigint, extra string, _batch string) USING {lake.kind} PARTITIONED BY (b)"
    )
    lake.spark.sql(f"INSERT INTO {lake.other} VALUES ('x', 7, 'mine', 'older')")
    lake.runs.put(AB, ab(1, 2))
    lake.target(lake.other).follow("b")
    lake.runs.put(AB, ab(3))
    lake.target(lake.other).follow("b")
    assert lake.rows("a", "b", "_batch", text=lake.other) == [(3, "x", "b"), (7, "x", "older")]
    assert lake.rows("extra", batch="older", text=lake.other) == ["mine"]


@pytest.mark.full("delta")
def test_a_table_of_another_data_set_or_without_the_column_is_not_touched(lake):
    lake.runs.put(AB, ab(1))
    lake.target().follow("b")
    lake.runs.dataset = "other"
    lake.runs.put(AB, ab(2))
    with pytest.raises(StorageError, match="belongs to data set 'd', not to 'other'"):
        lake.target().follow("b")
    lake.spark.sql(f"CREATE TABLE {lake.other} (a int, b string) USING {lake.kind}")
    with pytest.raises(StorageError, match="has no column '_batch'"):
        lake.target(lake.other).follow("b")


def test_a_column_of_the_input_may_not_have_the_name_of_ours(lake):
    lake.runs.put({"_Batch": "int"}, pa.table({"_Batch": pa.array([1], pa.int32())}))
    with pytest.raises(StorageError, match=r"the input has a column '_Batch'.*rename it"):
        lake.target().follow("b")


class TestRuns:
    """From a rule file to both tables, and what a run says when a table does not follow."""

    @pytest.mark.parametrize("kind", ("iceberg", pytest.param("delta", marks=pytest.mark.full)))
    def test_a_run_fills_both_tables_and_a_table_that_cannot_follow_does_not_fail_it(
        self, spark, tmp_path, kind, caplog
    ):
        place = Place(tmp_path, spark)
        name = f"r{time.time_ns()}"
        tables = (
            [f"lake.db.{name}", f"lake.db.{name}_q"]
            if kind == "iceberg"
            else [str(tmp_path / "t"), str(tmp_path / "q")]
        )
        sql = tables if kind == "iceberg" else [f"delta.`{table}`" for table in tables]
        top = f"columns: {{a: {{type: integer, required: true}}}}\noutputs: {{root: '{place.root}', format: {kind}, table: '{tables[0]}', quarantine_table: '{tables[1]}'}}"
        place.put({"x.csv": 'a\n1\n2\n""\n'})
        options: Any = {"input": "options: {header: true}", "top": top}
        assert place.run(**options).data["decision"] == "published"
        assert sorted(row.a for row in spark.table(sql[0]).collect()) == [1, 2]
        assert [row["_quality"]["failures"][0]["rule"] for row in spark.table(sql[1]).collect()] == ["a.required"]
        assert place.run(**options).data["unchanged"]
        spark.sql(f"ALTER TABLE {sql[0]} ADD COLUMNS (n int)")
        place.put({"x.csv": "a,n\n1,one\n"})
        with caplog.at_level("WARNING", "quality"):
            result = place.run(**options)
        assert (result.exit_code, result.data["decision"]) == (0, "published")
        assert "lags behind the commit" in caplog.text
        assert "column 'n' is int in the table and string in the batch" in caplog.text


def _own(spark: SparkSession) -> SparkSession:
    """Another session, which remembers no table of this one."""
    own = spark.newSession()
    for key in ("spark.sql.codegen.wholeStage", "spark.sql.codegen.factoryMode"):
        own.conf.set(key, str(spark.conf.get(key)))
    return own


def test_a_column_that_must_not_be_null_and_is_missing_is_named():
    from quality.model import Column

    with pytest.raises(StorageError, match="column 'n' must not be NULL in the table and is not in the batch"):
        fit("t", [Column("n", "int"), Column("_batch", "string")], [Column("a", "int")], ["n"])
