"""Storage as Spark sees it: Hadoop's file systems as a store, and live rows as a frame."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from quality.backends.schemas import columns_of
from quality.errors import EngineError, StorageError
from quality.model import BatchStatus, Column, Decision
from quality.storage import commit, readers
from quality.storage.commit import CommitRecord, DataFile
from quality.storage.hadoop import HadoopStore
from quality.storage.layout import passed_dir, quarantine_dir
from quality.storage.store import LocalStore, prove_put_if_absent

TIMED = "2013-01-01T05:00:00+02:00"
ODD = ["plain", "with blank", "100%", "a%3Ab", "a+b", "ünï", "q?x", "ha#sh", "bra[1]", "{a,b}"]


@pytest.fixture(scope="module")
def session(request):
    try:
        return request.getfixturevalue("spark")
    except pytest.FixtureLookupError:
        return own_session()


def own_session():
    from pyspark.sql import SparkSession

    settings: dict[str, Any] = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
    }
    return SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()


@pytest.fixture(params=["root", "ro ot%20{a,b}", "[x]*?", "a:b"])
def place(tmp_path, request):
    return str(tmp_path / request.param)


@pytest.fixture
def store(session, tmp_path):
    return HadoopStore(f"file://{tmp_path}/ro ot%20", session)


def test_what_is_put_is_read_and_replaced(store):
    store.put("a/b", b"\x00\xff\x80")
    assert store.read("a/b") == b"\x00\xff\x80"
    store.put("a/b", b"")
    assert store.read("a/b") == b""


def test_put_if_absent_leaves_the_first_and_no_trace(store):
    assert store.put_if_absent("c/1.json", b"first")
    assert not store.put_if_absent("c/1.json", b"second")
    assert store.read("c/1.json") == b"first"
    assert [entry.key for entry in store.list()] == ["c/1.json"]
    prove_put_if_absent(store)


def test_threads_may_share_a_store(store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.put(f"d/{number}", b"%d" % number), range(40)))
        assert list(pool.map(lambda number: store.read(f"d/{number}"), range(40))) == [b"%d" % n for n in range(40)]


def test_what_is_absent_is_absent(store):
    store.put("a/b", b"")
    for key in ("x", "a", "x/y"):
        with pytest.raises(FileNotFoundError):
            store.read(key)
        assert not store.exists(key)
    assert (store.list("nowhere"), store.children("nowhere"), store.children("a/b")) == ([], [], [])


@pytest.mark.parametrize("name", ODD)
def test_odd_names_round_trip(store, name):
    store.put(f"d {name}/{name}", b"x")
    assert store.read(f"d {name}/{name}") == b"x"
    assert [entry.key for entry in store.list()] == [f"d {name}/{name}"]
    assert store.children(f"d {name}") == [name]
    assert Path(store.uri(f"d {name}/{name}").removeprefix("file://")).exists()


def test_listing_moving_and_deleting(store):
    for key in ["b/2", "b/10", "a"]:
        store.put(key, key.encode())
    store.move("a", "b/c/d")
    with pytest.raises(FileNotFoundError):
        store.move("a", "b/c/d")
    entries = store.list("b")
    assert [(entry.key, entry.size) for entry in entries] == [("b/10", 4), ("b/2", 3), ("b/c/d", 1)]
    assert all(abs(entry.modified - datetime.now(timezone.utc)) < timedelta(minutes=1) for entry in entries)
    store.delete(["b/2", "b/10", "absent"])
    assert store.children("b") == ["c"]


def test_hadoop_errors_are_storage_errors(session, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file/x/a: cannot write: "):
        HadoopStore(f"file://{tmp_path}/file/x", session).put("a", b"")
    with pytest.raises(StorageError, match='No FileSystem for scheme "nosuch"'):
        HadoopStore("nosuch://host/x", session).read("a")


def test_a_session_without_a_jvm_is_refused():
    with pytest.raises(EngineError, match="Spark Connect"):
        HadoopStore("hdfs://host/x", object())


def test_commits_work_over_hadoop(store):
    record = written_record(batch=TIMED)
    commit.commit(store, record)
    assert commit.live_records(store, "flights") == [record]


def written_record(batch, day=1, seq=1, **sides):
    moment = datetime(2013, 1, day, tzinfo=timezone.utc)
    words = ("flights", batch, moment, seq, f"run{seq}", moment, BatchStatus.PASSED, Decision.PUBLISHED, 0, "r")
    return CommitRecord(*words, **sides)


def publish(session, place, batch, query, day=1, seq=1, side="passed"):
    """A run as the engine leaves it: Spark writes the files, the record lists them."""
    store = LocalStore(place)
    folder = {"passed": passed_dir, "quarantine": quarantine_dir}[side]("flights", batch, f"run{seq}")
    frame = session.sql(query)
    frame.write.parquet(store.uri(folder))
    files = [DataFile(entry.key, 0, entry.size) for entry in store.list(folder) if entry.key.endswith(".parquet")]
    columns = columns_of(frame.drop("_quality").schema)
    commit.commit(store, written_record(batch, day, seq, **{side: tuple(files), "columns": columns}))


def rows(frame):
    return sorted(map(tuple, frame.collect()), key=str)


def test_live_rows_are_read_whatever_the_place_is_called(session, place):
    publish(session, place, TIMED, "select 1 as id, 'old' as name")
    publish(session, place, TIMED, "select 2 as id, 'new' as name", seq=2)
    publish(session, place, "b", "select 3 as id, 'other' as name")
    assert rows(readers.read(session, place, "flights")) == [(2, "new"), (3, "other")]
    assert rows(readers.read(session, f"file://{place}", "flights", TIMED)) == [(2, "new")]


def test_the_paths_are_what_spark_reads(session, tmp_path):
    publish(session, str(tmp_path), TIMED, "select 1 as id")
    assert session.read.parquet(*readers.paths(str(tmp_path), "flights")).count() == 1


def test_batches_of_different_schema_are_joined_by_name(session, tmp_path):
    root = str(tmp_path)
    publish(session, root, "a", "select 1 as id, date'2013-01-01' as `dro``p ped`, 1.5bd as price", day=1)
    publish(session, root, "b", "select 9007199254740993 as ID, 'x' as added, 22.25bd as price", day=2)
    frame = readers.read(session, root, "flights")
    assert frame.dtypes == [("ID", "bigint"), ("added", "string"), ("price", "decimal(4,2)"), ("dro`p ped", "date")]
    assert [tuple(map(str, row)) for row in rows(frame)] == [
        ("1", "None", "1.50", "2013-01-01"),
        ("9007199254740993", "x", "22.25", "None"),
    ]


def test_types_that_have_nothing_in_common_are_an_error(session, tmp_path):
    publish(session, str(tmp_path), "a", "select 1 as id", day=1)
    publish(session, str(tmp_path), "b", "select 'x' as id", day=2)
    with pytest.raises(StorageError, match="data set 'flights': column 'id' is string in one batch and int in another"):
        readers.read(session, str(tmp_path), "flights")


def test_no_files_give_an_empty_frame_of_the_recorded_schema(session, tmp_path):
    publish(session, str(tmp_path), "a", "select 1 as `i d`, array(struct(1 as `x.y`)) as s where false")
    record = commit.live(LocalStore(str(tmp_path)), "flights", "a")
    assert record is not None
    assert all(file.size for file in record.passed)
    frame: Any = readers.read(session, str(tmp_path), "flights", side="quarantine")
    assert frame.count() == 0
    assert frame.columns == ["i d", "s", "_quality"]
    assert frame.schema["_quality"].dataType["failures"].dataType.elementType.names == [
        "rule",
        "severity",
        "column",
        "message",
        "value",
    ]


def test_the_quarantine_side_has_its_reasons(session, tmp_path):
    reasons = (
        "named_struct('row_id', 'r-0', 'batch', 'a', 'run', 'run1', 'rule_set', 'f', 'failures', "
        "array(named_struct('rule', 'x', 'severity', 'error', 'column', 'id', 'message', 'm', 'value', '1')))"
    )
    publish(session, str(tmp_path), "a", f"select 1 as id, {reasons} as _quality", side="quarantine")
    (row,) = readers.read(session, str(tmp_path), "flights", side="quarantine").collect()
    assert (row.id, row._quality.failures[0].rule) == (1, "x")


def test_recorded_types_are_read_back_as_they_were(session):
    query = (
        "select 1 as `a,b`, array(named_struct('x.y', 1, 'x`y', map('k', 1.5bd), 'plain', null)) as s, "
        "current_date() as d, timestamp_ntz'2013-01-01' as n, interval '1' day as i, x'00' as b, "
        "named_struct('ü', 1, 'select', 2, '1', 3) as u"
    )
    schema = session.sql(query).schema
    columns = columns_of(schema)
    assert session.createDataFrame([], readers._ddl(columns)).schema.simpleString() == schema.simpleString()
    assert Column("d", "date") in columns


def test_reading_starts_no_job_before_an_action(session, tmp_path):
    publish(session, str(tmp_path), "a", "select 1 as id")
    session.sparkContext.setJobGroup("reading", "reading")
    readers.read(session, str(tmp_path), "flights")
    assert list(session.sparkContext.statusTracker().getJobIdsForGroup("reading")) == []
    session.sparkContext.setLocalProperty("spark.jobGroup.id", None)
