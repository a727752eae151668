"""What only Delta tables promise: the number of the record in Delta's own log, names mapped when they must be, tables by
name and by place."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pyarrow as pa
import pytest

from quality.errors import StorageError
from quality.targets.delta import DeltaTable
from tests.tables import Runs


def numbers(*values, kind=None):
    return pa.table({"a": pa.array(values, kind or pa.int32())})


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / "out")


@pytest.fixture
def name():
    return f"d{time.time_ns()}"


def target(spark, runs, name):
    return DeltaTable(spark, runs.store, "d", "passed", name)


def test_a_table_by_name_is_widened_where_delta_can_and_its_property_allows(quick, runs, name):
    runs.put({"a": "smallint"}, numbers(1, kind=pa.int16()), batch="1")
    target(quick, runs, name).follow("1")
    runs.put({"a": "int"}, numbers(2**20), batch="2")
    with pytest.raises(StorageError, match=r"column 'a' is smallint in the table.*int.*delta.enableTypeWidening"):
        target(quick, runs, name).follow("2")
    quick.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")
    target(quick, runs, name).follow("2")
    assert sorted(row.a for row in quick.table(name).collect()) == [1, 2**20]
    newest = quick.sql(f"DESCRIBE HISTORY {name} LIMIT 1").first()
    assert '"batch": "2"' in newest["userMetadata"]
    runs.put({"a": "bigint"}, numbers(2**40, kind=pa.int64()), batch="3")
    with pytest.raises(
        StorageError, match=r"column 'a' is int in the table and would have to become bigint, .* cannot"
    ):
        target(quick, runs, name).follow("3")


def test_a_table_that_is_ahead_of_the_records_is_not_touched(quick, tmp_path, name):
    runs = Runs(tmp_path / "one")
    for value in (1, 2):
        runs.put({"a": "int"}, numbers(value))
    target(quick, runs, name).follow("b")
    other = Runs(tmp_path / "two")
    other.put({"a": "int"}, numbers(9))
    with pytest.raises(StorageError, match="has number 2 of batch 'b', and the records know 1 only"):
        target(quick, other, name).follow("b")
    assert [row.a for row in quick.table(name).collect()] == [2]


def test_names_are_mapped_only_when_they_must_be(quick, runs, tmp_path):
    for column, mapped in (("plain", False), ("with blank", True)):
        place = str(tmp_path / column.replace(" ", ""))
        runs.put({column: "int"}, pa.table({column: pa.array([1], pa.int32())}), batch=column.replace(" ", "-"))
        target(quick, runs, place).follow(column.replace(" ", "-"))
        found = {row["key"] for row in quick.sql(f"SHOW TBLPROPERTIES delta.`{place}`").collect()}
        assert ("delta.columnMapping.mode" in found) is mapped


@pytest.mark.parametrize(("text", "refused"), (("t", True), ("db.t", True), ("/data/t", False), ("lake.db.t", False)))
def test_a_name_that_no_catalog_will_remember_is_refused(runs, text, refused):
    """A Spark of ours is thrown away after the run, and its list of tables with it."""
    conf = {"spark.sql.warehouse.dir": "file:/tmp/quality-x1/warehouse", "spark.sql.catalogImplementation": "in-memory"}
    found = target(SimpleNamespace(conf=conf), runs, text)._forgetful()
    assert ("knows no catalog that outlives it: name the place" in found) is refused
