"""The commit record decides which run of a batch is live."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from quality.errors import LostRaceError, StorageError
from quality.model import BatchStatus, Column, Decision
from quality.storage import commit
from quality.storage.commit import CommitRecord, DataFile, parse_utc, utc_text
from quality.storage.store import LocalStore

TIMED = "2013-01-01T05:00:00+02:00"
NOON = datetime(2013, 1, 1, 12, tzinfo=timezone.utc)
FULL = CommitRecord(
    dataset="flights",
    batch=TIMED,
    batch_time=NOON,
    seq=1,
    run="run-1",
    run_time=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc),
    status=BatchStatus.PASSED,
    decision=Decision.PUBLISHED,
    exit_code=0,
    rule_set="sha256:1",
    fingerprints={"vars": {"z": 1, "a": [2]}, "input": "x"},
    rows={"input": 3, "passed": 2, "quarantined": 1, "flagged": 0},
    columns=(Column("dep time", "timestamp"), Column("ü`", "decimal(10,2)")),
    passed=(DataFile("passed/flights/_runs/b/run-1/part-0.parquet", 2, 100),),
    quarantine=(DataFile("quarantine/flights/_runs/b/run-1/part-0.parquet", 1, 90),),
    history=("history/runs/dataset=flights/run-1.parquet",),
    result="runs/flights/b/run-1/result.json",
)
GOLDEN = {
    "schema": "quality.commit/1",
    "dataset": "flights",
    "batch": TIMED,
    "batch_time": "2013-01-01T12:00:00.000000Z",
    "seq": 1,
    "run": "run-1",
    "run_time": "2026-01-02T03:04:05.000678Z",
    "status": "passed",
    "decision": "published",
    "exit_code": 0,
    "rule_set": "sha256:1",
    "fingerprints": {"input": "x", "vars": {"a": [2], "z": 1}},
    "rows": {"input": 3, "passed": 2, "quarantined": 1, "flagged": 0},
    "columns": [{"name": "dep time", "type": "timestamp"}, {"name": "ü`", "type": "decimal(10,2)"}],
    "passed": [{"path": "passed/flights/_runs/b/run-1/part-0.parquet", "rows": 2, "size": 100}],
    "quarantine": [{"path": "quarantine/flights/_runs/b/run-1/part-0.parquet", "rows": 1, "size": 90}],
    "flags": [],
    "history": ["history/runs/dataset=flights/run-1.parquet"],
    "result": "runs/flights/b/run-1/result.json",
}


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path))


def record(batch="b", seq=1, **changes):
    return dataclasses.replace(FULL, **{"batch": batch, "seq": seq, "run": f"{batch}-{seq}", **changes})


def live(store, batch="b"):
    found = commit.live(store, "flights", batch)
    assert found is not None
    return found


def held(batch="b", seq=1):
    return record(batch, seq, decision=Decision.HELD, status=BatchStatus.FAILED, exit_code=4)


def test_the_stored_text_is_fixed_in_content_and_order():
    assert list(json.loads(FULL.to_json()).items()) == list(GOLDEN.items())
    assert list(json.loads(FULL.to_json())["fingerprints"]) == ["input", "vars"]


def test_a_record_round_trips():
    assert CommitRecord.from_json(FULL.to_json()) == FULL
    assert CommitRecord.from_json(FULL.to_json()).to_json() == FULL.to_json()


def test_unknown_keys_are_ignored():
    text = json.dumps({**GOLDEN, "later": 1, "schema": "quality.commit/1"})
    assert CommitRecord.from_json(text) == FULL


def test_a_later_schema_is_refused_clearly():
    with pytest.raises(StorageError, match=r"k: was written by a later version \('quality.commit/2', .*upgrade"):
        CommitRecord.from_json(json.dumps({**GOLDEN, "schema": "quality.commit/2"}), "k")


@pytest.mark.parametrize(
    "text",
    (
        b"",
        b"\xff\xfe",
        FULL.to_json()[:100],
        b"[]",
        b"{}",
        b"null",
        json.dumps({**GOLDEN, "schema": "quality.result/1"}),
        json.dumps({**GOLDEN, "schema": None}),
        json.dumps({**GOLDEN, "seq": "1"}),
        json.dumps({**GOLDEN, "seq": True}),
        json.dumps({**GOLDEN, "decision": "maybe"}),
        json.dumps({**GOLDEN, "batch_time": "2013-01-01T12:00:00"}),
        json.dumps({**GOLDEN, "passed": [{"path": 1, "rows": 1, "size": 1}]}),
        json.dumps({**GOLDEN, "passed": ["x"]}),
        json.dumps({name: value for name, value in GOLDEN.items() if name != "passed"}),
    ),
)
def test_a_damaged_record_is_a_storage_error_naming_its_key(store, text):
    store.put("commits/flights/b/1.json", text if isinstance(text, bytes) else text.encode())
    with pytest.raises(StorageError, match=r"commits/flights/b/1\.json: is not a commit record"):
        commit.live(store, "flights", "b")


def test_nothing_is_live_before_the_first_commit(store):
    assert commit.records(store, "flights", "b") == []
    assert commit.latest(store, "flights", "b") is None
    assert commit.live(store, "flights", "b") is None
    assert commit.live_records(store, "flights") == []
    assert (commit.batches(store, "flights"), commit.datasets(store)) == ([], [])


def test_a_published_run_supersedes_and_a_held_one_does_not(store):
    for one in [record(seq=1), record(seq=2), held(seq=3)]:
        commit.commit(store, one)
    assert live(store).seq == 2
    assert commit.latest(store, "flights", "b") == held(seq=3)
    assert [one.seq for one in commit.records(store, "flights", "b")] == [1, 2, 3]


def test_records_are_ordered_by_number_not_by_text(store):
    for seq in range(1, 13):
        commit.commit(store, record(seq=seq))
    assert [one.seq for one in commit.records(store, "flights", "b")] == list(range(1, 13))
    assert live(store).seq == 12


def test_the_loser_is_told_who_won(store):
    commit.commit(store, record(run="winner"))
    with pytest.raises(
        LostRaceError, match=r"batch 'b' of 'flights': run winner committed first .*run loser is not vis"
    ):
        commit.commit(store, record(run="loser"))
    assert live(store).run == "winner"


def test_committing_the_same_record_again_is_no_lost_race(store):
    commit.commit(store, FULL)
    commit.commit(store, FULL)
    assert commit.records(store, "flights", TIMED) == [FULL]


def test_of_fifty_committing_runs_one_wins(store):
    def attempt(number):
        try:
            commit.commit(store, record(run=f"run-{number}"))
        except LostRaceError:
            return None
        return f"run-{number}"

    with ThreadPoolExecutor(50) as pool:
        winners = [run for run in pool.map(attempt, range(50)) if run]
    assert [live(store).run] == winners


def test_live_records_are_ordered_by_batch_time_then_batch(store):
    for one in [
        record("z", batch_time=NOON),
        record("a", batch_time=NOON + timedelta(days=1)),
        record(TIMED, batch_time=NOON),
        held("never-published"),
        record("again", 1, batch_time=NOON - timedelta(days=9)),
        record("again", 2, batch_time=NOON - timedelta(days=9)),
    ]:
        commit.commit(store, one)
    found = commit.live_records(store, "flights")
    assert [(one.batch, one.seq) for one in found] == [("again", 2), (TIMED, 1), ("z", 1), ("a", 1)]
    assert commit.batches(store, "flights") == [TIMED, "a", "again", "never-published", "z"]
    assert commit.datasets(store) == ["flights"]


def test_other_files_among_the_commits_are_ignored(store):
    commit.commit(store, record())
    for name in ["1.json.bak", "notes.txt", "01.json"]:
        store.put(f"commits/flights/b/{name}", b"x")
    store.put("commits/flights/empty/README", b"")
    assert commit.batches(store, "flights") == ["b"]
    assert len(commit.records(store, "flights", "b")) == 1


@pytest.mark.parametrize("text", ("2013-01-01T05:00:00+02:00", "2013-01-01T03:00:00Z", "2013-01-01T03:00:00.000000Z"))
def test_times_are_kept_in_utc_with_microseconds(text):
    assert utc_text(parse_utc(text)) == "2013-01-01T03:00:00.000000Z"


def test_times_before_the_year_1000_still_sort_as_text():
    assert utc_text(datetime(987, 6, 5, tzinfo=timezone.utc)) == "0987-06-05T00:00:00.000000Z"


def test_a_time_without_zone_is_not_stored():
    with pytest.raises(ValueError, match="has no time zone"):
        record(batch_time=datetime(2013, 1, 1)).to_json()
