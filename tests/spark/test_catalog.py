"""A Parquet table whose partitions are the folders of live runs: in Spark's own catalog, and in a real Hive metastore."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from quality import versions
from quality.backends.session import session
from quality.errors import StorageError
from quality.rule_types.rules import Outputs
from quality.storage import commit
from quality.storage.store import LocalStore
from quality.targets import targets
from quality.targets.catalog import CatalogTable
from tests.committed import HELD, committed
from tests.written import Place

ROOT = Path(__file__).parents[2]
TIMED = "2024-01-01T05:00:00+02:00"


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path / "ro ot"))


@pytest.fixture
def mart(spark, tmp_path):
    """A database that is gone afterwards."""
    spark.sql(f"CREATE DATABASE mart LOCATION '{tmp_path}/mart'")
    yield "mart"
    spark.sql("DROP DATABASE mart CASCADE")


@pytest.fixture
def table(spark, store, mart):
    return CatalogTable(spark, store, "d", "mart.t")


def shown(spark, batch=None, table="mart.t"):
    where = f" WHERE batch = '{batch}'" if batch else ""
    return sorted(row.n for row in spark.sql(f"SELECT n FROM {table}{where}").collect())


def lifecycle(spark, store):
    """What a table must do in any catalog."""
    table = CatalogTable(spark, store, "d", "spark_catalog.mart.t")
    committed(store, "one", [1, 2, 3], TIMED)
    committed(store, "other", [100], "b")
    for batch in (TIMED, "b"):
        table.follow(batch)
    assert (shown(spark), shown(spark, TIMED)) == ([1, 2, 3, 100], [1, 2, 3])
    committed(store, "held", [9], TIMED, **HELD)
    table.follow(TIMED)
    assert shown(spark, TIMED) == [1, 2, 3]
    committed(store, "two", {"n": pa.array([4, 5], pa.int32()), "New Name": ["x", "y"]}, TIMED)
    table.follow(TIMED)
    assert shown(spark) == [4, 5, 100]
    assert sorted(row[0] or "" for row in spark.sql("SELECT `New Name` FROM mart.t").collect()) == ["", "x", "y"]
    versions.rollback("d", TIMED, root=store.root)
    table.follow(TIMED)
    assert shown(spark, TIMED) == [1, 2, 3]
    committed(store, "empty", [], TIMED)
    table.follow(TIMED)
    assert shown(spark) == [100]
    assert [row[0] for row in spark.sql("SHOW PARTITIONS mart.t").collect()] == ["batch=b"]
    # dropping a partition left the files, which a rollback needs
    versions.rollback("d", TIMED, to="two", root=store.root)
    table.follow(TIMED)
    assert shown(spark) == [4, 5, 100]


def polled(spark, store, switches):
    """Every count a reader got while the partition was switched between two runs of 10 and 1,000 rows."""
    committed(store, "small", range(10), "p")
    committed(store, "large", range(1000), "p", files=5)
    table = CatalogTable(spark, store, "d", "mart.t")
    table.follow("p")
    reader, done = spark.newSession(), threading.Event()
    counts: list[int] = []

    def poll():
        while not done.is_set() or len(counts) < 3:
            counts.append(reader.sql("SELECT count(*) FROM mart.t WHERE batch = 'p'").collect()[0][0])

    thread = threading.Thread(target=poll)
    thread.start()
    for number in range(switches):
        versions.rollback("d", "p", to=("small", "large")[number % 2], root=store.root)
        table.follow("p")
        # a reader that began after the switch has answered: one slow query may span several switches
        seen = len(counts)
        while thread.is_alive() and len(counts) < seen + 2:
            time.sleep(0.01)
    done.set()
    thread.join()
    return counts


def test_partitions_follow_the_records(spark, store, mart):
    lifecycle(spark, store)


def test_a_reader_sees_one_run_or_the_other_while_partitions_switch(spark, store, mart):
    counts = polled(spark, store, 8)
    assert set(counts) == {10, 1000}


def test_a_second_call_changes_nothing(spark, store, table, monkeypatch):
    committed(store, "one", [1])
    table.follow("b")
    ran = []
    sql = table._catalog.sql

    def note(text, where):
        ran.append(text)
        return sql(text, where)

    monkeypatch.setattr(table._catalog, "sql", note)
    table.follow("b")
    assert {text.split()[0] for text in ran} == {"SHOW", "DESCRIBE"}


def test_a_run_writes_both_tables_of_its_rule_file(spark, mart, tmp_path):
    place = Place(tmp_path, spark)
    place.put({"a.csv": "n\n1\n7\n8\n"})
    top = f"""\
columns: {{n: {{type: integer}}}}
outputs: {{root: "{place.root}", table: mart.t, quarantine_table: mart.q}}"""
    result = place.run("- above: {column: n, value: 5}", input="options: {header: true}", top=top)
    assert result.exit_code == 1
    assert shown(spark) == [7, 8]
    (row,) = spark.table("mart.q").collect()
    assert (row.n, row.batch, row._quality.run) == (1, "b", result.data["run"])
    assert [failure.rule for failure in row._quality.failures] == ["n.above"]


def test_what_would_be_done_is_foretold(spark, store, table):
    committed(store, "one", [1])
    record = committed(store, "two", [2])
    assert table.foretell(record) == [
        f"ALTER TABLE mart.t ADD IF NOT EXISTS PARTITION (batch='b') LOCATION 'file:{store.root}/passed/d/_runs/b/two'"
    ]
    table.follow("b")
    change = versions.rollback("d", "b", root=store.root, dry_run=True)
    assert table.foretell(change.record) == [
        f"ALTER TABLE mart.t PARTITION (batch='b') SET LOCATION 'file:{store.root}/passed/d/_runs/b/one'"
    ]
    assert shown(spark) == [2]


def test_a_folder_with_other_files_is_refused_and_the_table_stays(spark, store, table):
    committed(store, "one", [1])
    table.follow("b")
    record = committed(store, "two", [2])
    folder = record.passed[0].path.rpartition("/")[0]
    store.put(f"{folder}/part-x.parquet", b"of a stranger")
    with pytest.raises(StorageError) as error:
        table.follow("b")
    assert str(error.value) == (
        f"{store.uri(folder)}/part-x.parquet: a folder that is read whole must hold the files that were committed and no "
        "others; this one is not of the commit"
    )
    store.delete([f"{folder}/part-x.parquet", record.passed[0].path])
    with pytest.raises(StorageError) as error:
        table.follow("b")
    assert str(error.value).endswith("part-00000.parquet: a folder that is read whole must hold the files that were "
                                     "committed and no others; this one is gone or changed")  # fmt: skip
    assert shown(spark) == [1]


def test_files_in_several_folders_are_refused(store, table):
    one, two = committed(store, "one", [1], files=1), committed(store, "two", [2], files=1)
    committed(store, "both", [], passed=one.passed + two.passed)
    with pytest.raises(StorageError) as error:
        table.follow("b")
    assert str(error.value) == (
        "batch 'b' of 'd' has files in 2 folders, and a partition or view reads one; read it by the manifest, or use format "
        "iceberg or delta for the table"
    )


def test_a_column_of_another_type_is_refused(store, table):
    committed(store, "one", [1])
    table.follow("b")
    committed(store, "two", {"N": pa.array([2], pa.int64())})
    with pytest.raises(StorageError) as error:
        table.follow("b")
    assert str(error.value) == (
        "table mart.t: column 'N' is int in the table and bigint in run two of batch 'b'; a partition cannot change a type: "
        "declare the column's type in the rule file, or name a new table"
    )


def test_a_column_with_the_name_of_the_partition_is_refused(store, table):
    committed(store, "one", {"Batch": pa.array([2], pa.int64())})
    with pytest.raises(StorageError) as error:
        table.follow("b")
    assert str(error.value) == (
        "table mart.t: column 'Batch' of the data has the name of the partition; rename it in the input, or use format "
        "iceberg or delta for the table"
    )


@pytest.mark.parametrize(
    ("made", "message"),
    (
        ("CREATE TABLE mart.t (n int, batch string) USING parquet PARTITIONED BY (batch)",
         "is a managed table, and with a partition of it the files of a run would be deleted; make it an external one (with a LOCATION), or let it be made here"),
        ("CREATE TABLE mart.t (n int, batch string) USING csv PARTITIONED BY (batch) LOCATION 'PLACE'",
         "is a table of format csv, must be parquet"),
        ("CREATE TABLE mart.t (n int, batch string) USING parquet LOCATION 'PLACE'",
         "is partitioned not at all, must be by batch (string) alone"),
        ("CREATE TABLE mart.t (n int, day string) USING parquet PARTITIONED BY (day) LOCATION 'PLACE'",
         "is partitioned by day, must be by batch (string) alone"),
        ("CREATE VIEW mart.t AS SELECT 1 AS n", "is a view; name another table in 'outputs'"),
    ),
)  # fmt: skip
def test_a_table_that_is_not_ours_to_switch_is_refused(spark, store, table, tmp_path, made, message):
    spark.sql(made.replace("PLACE", str(tmp_path / "t")))
    committed(store, "one", [1])
    with pytest.raises(StorageError) as error:
        table.follow("b")
    assert str(error.value) == f"table mart.t: {message}"


def test_a_database_that_is_not_there_is_told(spark, store):
    committed(store, "one", [1])
    with pytest.raises(
        StorageError, match=r"^table nowhere\.t: SCHEMA_NOT_FOUND: The schema `nowhere` cannot be found"
    ):
        CatalogTable(spark, store, "d", "nowhere.t").follow("b")


def test_another_commit_while_a_partition_is_switched_is_followed_too(spark, store, table, monkeypatch):
    committed(store, "one", [1])
    switch = table._switch
    late: list[object] = []

    def switch_and_commit(batch, folder):
        switch(batch, folder)
        if not late:
            late.append(committed(store, "two", [2]))

    monkeypatch.setattr(table, "_switch", switch_and_commit)
    table.follow("b")
    assert shown(spark) == [2]


def test_targets_have_the_tables_that_are_named(spark, store):
    outputs = Outputs(table="mart.t", quarantine_table="mart.q", mirror=True)
    names = [target.name for target in targets(outputs, store, "d", spark)]
    assert names == ["the symlink manifest", f"the mirror {store.uri('mirror/d')}", "table mart.t", "table mart.q"]
    assert len(targets(Outputs(), store, "d", spark)) == 1


# a real metastore


def in_hive(directory):
    """The same, in a Hive metastore on Derby in this process."""
    extra = {
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": f"{directory}/warehouse",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:memory:{Path(directory).name};create=true",
        "spark.hadoop.datanucleus.schema.autoCreateAll": "true",
        "spark.hadoop.hive.metastore.schema.verification": "false",
        # a metastore is many classes used once
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={directory} -XX:TieredStopAtLevel=1",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "1",
    }
    with session(master="local[2]", extra=extra) as own:
        own.spark.sql("CREATE DATABASE mart")
        lifecycle(own.spark, LocalStore(f"{directory}/ro ot"))
        assert set(polled(own.spark, LocalStore(f"{directory}/ro ot"), 3)) == {10, 1000}
        kept = own.spark.sql("SHOW CREATE TABLE mart.t").collect()[0][0]
        assert "PARTITIONED BY (batch)" in kept
        assert own.spark.conf.get("spark.sql.catalogImplementation") == "hive"
    sys.stdout.write("as promised\n")


@pytest.mark.slow
def test_partitions_follow_the_records_in_a_hive_metastore(tmp_path):
    words = [sys.executable, "-c", f"from tests.spark.test_catalog import in_hive; in_hive({str(tmp_path)!r})"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
    assert done.stdout.endswith("as promised\n"), done.stderr[-3000:]
    assert commit.live(LocalStore(str(tmp_path / "ro ot")), "d", "p") is not None
