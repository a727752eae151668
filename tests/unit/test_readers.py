"""What readers are given: live files only, by the records."""

from __future__ import annotations

import pytest

from quality.errors import InputError, StorageError, UsageError
from quality.model import BatchStatus, Column, Decision
from quality.storage import commit, readers
from quality.storage.commit import CommitRecord, DataFile, parse_utc
from quality.storage.layout import encode_batch, manifest_key, runs_dir
from quality.storage.store import LocalStore

TIMED = "2013-01-01T05:00:00+02:00"


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path / "ro ot"))


def files(side, batch, run, count):
    folder = f"{runs_dir(side, 'flights', batch)}/{run}"
    return tuple(DataFile(f"{folder}/part-{number}.parquet", 1, 10) for number in range(count))


def publish(store, batch, seq=1, time="2013-01-01T00:00:00Z", decision=Decision.PUBLISHED, count=1):
    run = f"{encode_batch(batch)}-run{seq}"
    sides = {side: files(side, batch, run, count) for side in ("passed", "quarantine")}
    moment = parse_utc(time)
    words = ("flights", batch, moment, seq, run, moment, BatchStatus.PASSED, decision, 0, "r")
    commit.commit(store, CommitRecord(*words, **sides))


def names(uris):
    return [uri.split("_runs/")[1] for uri in uris]


def test_paths_are_the_live_files_batches_by_time(store):
    publish(store, "b", time="2013-01-01T00:00:00Z")
    publish(store, "a", time="2013-01-02T00:00:00Z", count=2)
    publish(store, "b", seq=2)
    publish(store, "b", seq=3, decision=Decision.HELD)
    found = readers.paths(store.root, "flights")
    assert names(found) == ["b/b-run2/part-0.parquet", "a/a-run1/part-0.parquet", "a/a-run1/part-1.parquet"]
    assert all(uri.startswith("file:///") and "/ro ot/passed/flights/_runs/" in uri for uri in found)


def test_paths_of_one_batch_and_side(store):
    publish(store, TIMED)
    publish(store, "other")
    found = readers.paths(store, "flights", TIMED, side="quarantine")
    encoded = "2013-01-01T05%3A00%3A00%2B02%3A00"
    assert found == [f"file://{store.root}/quarantine/flights/_runs/{encoded}/{encoded}-run1/part-0.parquet"]


def test_paths_of_a_named_run_show_superseded_and_held_ones(store):
    publish(store, "b", seq=1)
    publish(store, "b", seq=2)
    publish(store, "b", seq=3, decision=Decision.HELD)
    for run in ("b-run1", "b-run3"):
        assert names(readers.paths(store, "flights", run=run)) == [f"b/{run}/part-0.parquet"]
        assert names(readers.paths(store, "flights", "b", run=run)) == [f"b/{run}/part-0.parquet"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    (
        ({"dataset": "flihgts"}, r"has no data set 'flihgts'; did you mean 'flights'\? data sets: flights"),
        ({"batch": "2013-01-2"}, r"no batch '2013-01-2'; did you mean '2013-01-02'\? batches: 2013-01-01, 2013-01-02"),
        ({"side": "quarantined"}, r"side 'quarantined' does not exist; did you mean 'quarantine'\?"),
        ({"run": "2013-01-01-run2"}, r"no committed run '2013-01-01-run2'; did you mean '2013-01-01-run1'\?"),
        ({"run": "2013-01-01-run1", "batch": "2013-01-3"}, r"no batch '2013-01-3'"),
    ),
)
def test_what_does_not_exist_is_answered_with_what_does(store, arguments, message):
    publish(store, "2013-01-01")
    publish(store, "2013-01-02")
    with pytest.raises(UsageError, match=message):
        readers.paths(store, **{"dataset": "flights", **arguments})


def test_an_empty_root_has_no_data_sets(store):
    with pytest.raises(UsageError, match="has no data set 'flights'; data sets: none"):
        readers.paths(store, "flights")


def test_a_batch_that_was_only_held_is_not_an_empty_one(store):
    publish(store, "b", decision=Decision.HELD)
    with pytest.raises(InputError, match="batch 'b' of 'flights' was never published; its last run b-run1 is held"):
        readers.paths(store, "flights", "b")
    with pytest.raises(InputError, match="data set 'flights' has no published batch"):
        readers.paths(store, "flights")


def test_the_manifest_lists_the_live_files(store):
    publish(store, TIMED, count=2)
    readers.write_manifest(store, "flights", TIMED)
    assert store.read(manifest_key("flights", TIMED)).decode().splitlines() == readers.paths(store, "flights", TIMED)
    publish(store, TIMED, seq=2)
    publish(store, TIMED, seq=3, decision=Decision.HELD)
    readers.write_manifest(store, "flights", TIMED)
    assert store.read(manifest_key("flights", TIMED)).decode().splitlines() == readers.paths(store, "flights", TIMED)


def test_an_unchanged_manifest_is_not_written_again(store, monkeypatch):
    publish(store, "b")
    readers.write_manifest(store, "flights", "b")
    monkeypatch.setattr(LocalStore, "put", None)
    readers.write_manifest(store, "flights", "b")


@pytest.mark.parametrize("change", ({"decision": Decision.HELD}, {"count": 0}), ids=["held", "no files"])
def test_without_live_files_there_is_no_manifest(store, change):
    store.put(manifest_key("flights", "b"), b"left over\n")
    publish(store, "b", **change)
    readers.write_manifest(store, "flights", "b")
    assert not store.exists(manifest_key("flights", "b"))


def test_a_manifest_overtaken_by_another_commit_is_written_again(store, monkeypatch):
    publish(store, "b")
    put = LocalStore.put

    def overtaken(self, key, data):
        monkeypatch.setattr(LocalStore, "put", put)
        publish(self, "b", seq=2)
        readers.write_manifest(self, "flights", "b")
        put(self, key, data)

    monkeypatch.setattr(LocalStore, "put", overtaken)
    readers.write_manifest(store, "flights", "b")
    assert b"b-run2" in store.read(manifest_key("flights", "b"))


@pytest.mark.parametrize("scheme", ("s3", "s3a", "s3n"))
def test_a_manifest_speaks_of_s3_whatever_spark_calls_it(scheme):
    assert readers._for_catalogs(f"{scheme}://bucket/s3a://x") == "s3://bucket/s3a://x"


@pytest.mark.parametrize(
    ("left", "right", "common"),
    (
        ("int", "int", "int"),
        ("int", "bigint", "bigint"),
        ("tinyint", "smallint", "smallint"),
        ("float", "double", "double"),
        ("smallint", "float", "float"),
        ("int", "float", "double"),
        ("int", "double", "double"),
        ("bigint", "double", None),
        ("void", "date", "date"),
        ("decimal(10,2)", "decimal(8,4)", "decimal(12,4)"),
        ("decimal(38,0)", "decimal(38,18)", None),
        ("int", "decimal(5,2)", "decimal(12,2)"),
        ("bigint", "decimal(38,18)", "decimal(38,18)"),
        ("bigint", "decimal(38,20)", None),
        ("double", "decimal(5,2)", None),
        ("string", "int", None),
        ("date", "timestamp", None),
        ("timestamp", "timestamp_ntz", None),
        ("array<int>", "array<int>", "array<int>"),
        ("array<int>", "array<bigint>", None),
        ("integer", "int", "int"),
    ),
)
def test_types_are_widened_only_where_no_value_changes(left, right, common):
    assert (readers.wider_type(left, right), readers.wider_type(right, left)) == (common, common)


def test_columns_of_different_batches_are_joined_by_name_without_case():
    new = (Column("id", "bigint"), Column("added", "string"))
    old = (Column("dropped", "date"), Column("ID", "int"))
    expected = (Column("id", "bigint"), Column("added", "string"), Column("dropped", "date"))
    assert readers.common_columns([new, old]) == expected


def test_types_without_a_common_one_are_named():
    with pytest.raises(StorageError, match="x: column 'id' is string in one batch and date in another"):
        readers.common_columns([(Column("id", "string"),), (Column("id", "date"),)], "x")


def test_names_that_differ_by_case_alone_are_never_merged():
    both = (Column("a", "int"), Column("A", "int"))
    assert readers.common_columns([both, both]) == both
    with pytest.raises(StorageError, match="cannot be told apart without case: a, A"):
        readers.common_columns([both, (Column("a", "int"),)])
