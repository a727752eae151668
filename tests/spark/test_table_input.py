"""Tables as input: what of them is pinned, when there is nothing to do, and what a table that moves during a run does."""

from __future__ import annotations

import time

import pytest

from quality.backends import tables
from quality.backends.tables import TableName
from quality.errors import UsageError
from tests.written import Place

KINDS = ("iceberg", "delta", "parquet", "view")


@pytest.fixture(params=KINDS)
def source(request, spark, tmp_path):
    return Source(request.param, spark, tmp_path)


class Source:
    """A table of numbers, `a` by `day`."""

    def __init__(self, kind, spark, directory):
        self.kind, self.spark, self.place = kind, spark, Place(directory, spark)
        name = f"s{time.time_ns()}"
        self.name = self.table = f"lake.db.{name}" if kind == "iceberg" else name
        using = "parquet" if kind == "view" else kind
        spark.sql(f"CREATE TABLE {self.table} (a int, day string) USING {using}")
        self.append(1, 2)
        if kind == "view":
            self.name = f"v{name}"
            spark.sql(f"CREATE VIEW {self.name} AS SELECT a, day FROM {self.table}")

    def append(self, *numbers, day="x"):
        rows = ", ".join(f"({number}, '{day}')" for number in numbers)
        self.spark.sql(f"INSERT INTO {self.table} VALUES {rows}")

    def run(self, text="", progress=None, more=""):
        return self.place.run(text, input=f"table: {self.name}{more}", progress=progress)


def test_a_run_knows_whether_the_table_changed(source):
    assert source.run().data["rows"]["passed"] == 2
    assert source.run().data["unchanged"]
    source.append(3)
    again = source.run()
    assert (again.data["unchanged"], again.data["rows"]["passed"]) == (False, 3)


def test_rows_that_come_during_a_run_are_not_half_of_it(source):
    """Iceberg and Delta are read at their snapshot; of other tables the files are not the same any more."""

    def told(words):
        if words == "reading the schema":
            source.append(9, 10)

    result = source.run(progress=told)
    if source.kind in ("iceberg", "delta"):
        assert (result.data["decision"], result.data["rows"]["input"]) == ("published", 2)
        assert source.place.passed("a") == [1, 2]
        # and the next run sees them
        assert source.run().data["rows"]["input"] == 4
    else:
        assert result.exit_code == 3
        assert "the input changed while it was read" in result.data["message"]


@pytest.mark.parametrize("source", ("iceberg", "delta"), indirect=True)
class TestSnapshots:
    def test_a_batch_is_the_rows_of_a_condition_and_pinned_all_the_same(self, source):
        source.append(5, day="y")
        more = "\nwhere: \"day = '{{ batch }}'\""
        assert source.place.run(input=f"table: {source.name}{more}", batch="y").data["rows"]["passed"] == 1
        assert source.place.run(input=f"table: {source.name}{more}", batch="y").data["unchanged"]

    def test_rules_may_ask_for_the_file_of_a_row(self, source):
        result = source.run("- {name: own, that: \"_file like '%.parquet'\"}")
        assert (result.data["rows"]["passed"], result.data["status"]) == (2, "passed")
        assert set(source.place.rows("passed")[0]) == {"a", "day"}


def test_a_view_over_what_cannot_be_pinned_is_judged_each_time(spark, tmp_path):
    name = f"s{time.time_ns()}"
    spark.sql(f"CREATE TABLE lake.db.{name} USING iceberg AS SELECT 1 AS a")
    spark.sql(f"CREATE TABLE {name} USING parquet AS SELECT 1 AS a")
    spark.sql(f"CREATE TEMPORARY VIEW v{name} AS SELECT a FROM {name} JOIN lake.db.{name} USING (a)")
    pinned = tables.pin(spark, f"v{name}")
    assert (pinned.files, pinned.snapshot) == ((), "unknown")


def test_a_catalog_that_is_not_there_is_told_with_its_settings(spark, tmp_path):
    result = Place(tmp_path, spark).run(input="table: nosuch.db.t")
    assert result.exit_code == 3
    assert "there is no catalog 'nosuch' in this Spark: set spark.sql.catalog.nosuch=" in result.data["message"]


def test_a_table_that_is_not_there_is_told_with_the_ones_that_are(spark, tmp_path):
    spark.sql("CREATE TABLE IF NOT EXISTS lake.shop.orders (a int) USING iceberg")
    result = Place(tmp_path, spark).run(input="table: lake.shop.order")
    assert "there is no table lake.shop.order; did you mean 'orders'" in result.data["message"]


@pytest.mark.parametrize(
    ("text", "parts"),
    (
        ("t", ("t",)),
        ("lake.sales.orders", ("lake", "sales", "orders")),
        ("lake.`a.b`.`c``d`", ("lake", "a.b", "c`d")),
        ("s3://bucket/table", ("delta", "s3://bucket/table")),
        ("delta.`/data/t`", ("delta", "/data/t")),
    ),
)
def test_a_name_has_one_to_three_parts(text, parts):
    assert TableName.parse(text).parts == parts


@pytest.mark.parametrize("text", ("", "a.b.c.d", "a..b", "a.", "`a", ".a"))
def test_another_name_is_refused(text):
    with pytest.raises(UsageError, match="is not the name of a table"):
        TableName.parse(text)
