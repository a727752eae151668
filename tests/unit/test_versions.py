"""Which run of a batch is live, when a person chooses: by records alone, without Spark."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from quality import cli, versions
from quality.errors import LostRaceError, RuleFileError, StorageError, UsageError
from quality.model import BatchStatus, Decision
from quality.storage import commit, readers
from quality.storage.commit import CommitRecord, DataFile, parse_utc
from quality.storage.layout import collected_key, encode_batch, manifest_key, result_key, runs_dir
from quality.storage.store import LocalStore

HELD: dict[str, Any] = {"decision": Decision.HELD, "status": BatchStatus.FAILED, "exit_code": 4}
MONDAY = "2024-01-01T00:00:00Z"


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path / "out"))


def add(store, run, batch="b", time=MONDAY, **changes):
    """A committed run with a file of each side, as large as its name is long."""
    sides: dict[str, Any] = {}
    for side in ("passed", "quarantine"):
        key = f"{runs_dir(side, 'd', batch)}/{run}/part-0.parquet"
        store.put(key, run.encode())
        sides[side] = (DataFile(key, 2, len(run)),)
    last = commit.latest(store, "d", batch)
    words = (batch, parse_utc(time), last.seq + 1 if last else 1, run, parse_utc(time))
    record = CommitRecord("d", *words, BatchStatus.PASSED, Decision.PUBLISHED, 0, "rules", **sides)
    record = dataclasses.replace(record, result=result_key("d", batch, run), fingerprints={"input": run}, **changes)
    commit.commit(store, record)
    return record


def live(store, batch="b"):
    """The run readers get, and proof that the record and the files agree."""
    record = commit.live(store, "d", batch)
    assert record is not None
    paths = readers.paths(store, "d", batch)
    assert paths == [store.uri(file.path) for file in record.passed]
    assert store.read(manifest_key("d", batch)).decode().split() == paths
    return record.run


def rollback(store, batch="b", **how):
    return versions.rollback("d", batch, root=store.root, by="ann", **how)


def publish(store, batch: str | None = "b", **how):
    return versions.publish("d", batch, root=store.root, by="ann", **how)


def keys(store):
    return [entry.key for entry in store.list()]


# rollback


def test_a_rollback_makes_the_run_before_live_and_says_who_and_why(store):
    first, _ = add(store, "one"), add(store, "two")
    change = rollback(store, reason="cents, not euros")
    assert (change.changed, change.exit_code, live(store)) == (True, 0, "one")
    record = commit.latest(store, "d", "b")
    assert record is not None
    assert (record.seq, record.action, record.of_seq, record.by) == (3, "rollback", 1, "ann")
    assert (record.reason, record.decision, record.exit_code) == ("cents, not euros", Decision.PUBLISHED, 0)
    back = dataclasses.replace(record, seq=1, action="run", of_seq=0, by="", at=None, reason="")
    assert back == first
    stored = json.loads(store.read(record.key))
    assert [stored[key] for key in ("action", "of_seq", "by", "reason")] == ["rollback", 1, "ann", "cents, not euros"]
    assert CommitRecord.from_json(record.to_json()) == record
    assert (
        change.message
        == "batch 'b' of 'd': run one is live instead of run two (number 3, rollback of 1; 2 rows passed)"
    )


def test_the_record_of_a_run_has_no_trace_of_an_action(store):
    stored = json.loads(add(store, "one").to_json())
    assert not {"action", "of_seq", "by", "at", "reason"} & set(stored)


def test_a_record_is_one_line_as_readers_of_json_tables_need_it(store):
    assert add(store, "one").to_json().count(b"\n") == 1


def test_a_second_rollback_goes_one_further_back(store):
    for run in ("one", "two", "three"):
        add(store, run)
    rollback(store)
    assert live(store) == "two"
    rollback(store)
    assert live(store) == "one"
    with pytest.raises(UsageError) as error:
        rollback(store)
    assert (
        str(error.value) == "batch 'b' of 'd' has nothing before run one, which is live: no run was published earlier"
    )


@pytest.mark.parametrize("to", ("one", "1", "4"))
def test_a_rollback_goes_to_a_run_or_a_number(store, to):
    for run in ("one", "two", "three"):
        add(store, run)
    rollback(store, to="one")
    add(store, "five")
    change = rollback(store, to=to)
    assert live(store) == "one"
    assert change.record.of_seq == 1


def test_a_held_run_is_no_version_to_go_back_to(store):
    add(store, "one")
    add(store, "held", **HELD)
    add(store, "two")
    with pytest.raises(UsageError) as error:
        rollback(store, to="held")
    assert str(error.value) == (
        "batch 'b' of 'd': run held was held and never published; quality publish d --batch b --run held makes it live"
    )
    rollback(store)
    assert live(store) == "one"


def test_a_batch_that_was_only_held_cannot_be_rolled_back(store):
    add(store, "held", **HELD)
    with pytest.raises(UsageError) as error:
        rollback(store)
    assert str(error.value) == "batch 'b' of 'd' was never published; quality publish makes its held run held live"


@pytest.mark.parametrize(
    ("what", "batch", "to", "message"),
    (
        ("x", "b", None, "ROOT has no data set 'x'; data sets: d"),
        ("d", "c", None, "data set 'd' has no batch 'c'; batches: b"),
        ("d", "a/b", None, "batch id 'a/b' is not allowed; it is 1 to 128 letters, digits, '.', '_', ':', '+', '-', and not dots alone"),
        ("D", "b", None, "data set id 'D' is not allowed; it is lower-case letters, digits, '_', '.', '-', and not dots alone"),
        ("d", "b", "9", "batch 'b' of 'd' has no run or number '9'; published runs: two, one"),
        ("d", "b", "tow", "batch 'b' of 'd' has no run or number 'tow'; did you mean 'two'? published runs: two, one"),
    ),
)  # fmt: skip
def test_what_does_not_exist_is_answered_with_what_does(store, what, batch, to, message):
    add(store, "one")
    add(store, "two")
    with pytest.raises(UsageError) as error:
        versions.rollback(what, batch, root=store.root, to=to)
    assert str(error.value) == message.replace("ROOT", store.root)
    assert [record.seq for record in commit.records(store, "d", "b")] == [1, 2]


def test_going_to_what_is_live_writes_no_record_and_makes_whole_what_was_killed(store):
    add(store, "one")
    change = rollback(store, to="one")
    assert change.message == "batch 'b' of 'd': run one is live already (number 1); nothing was changed"
    assert (change.changed, change.exit_code) == (False, 0)
    # the manifest was missing: as after a kill between record and manifest
    assert live(store) == "one"
    before = keys(store)
    rollback(store, to="one")
    assert keys(store) == before


@pytest.mark.parametrize("side", ("passed", "quarantine"))
def test_files_that_are_gone_or_changed_stop_it_before_anything_is_written(store, side):
    first = add(store, "one")
    add(store, "two")
    (file,) = first.files(side)
    store.put(file.path, b"longer than it was")
    with pytest.raises(StorageError) as error:
        rollback(store)
    assert str(error.value) == (
        f"{store.uri(file.path)}: has 18 bytes, was committed with 3; run one cannot be made live again"
    )
    store.delete([file.path])
    with pytest.raises(StorageError) as error:
        rollback(store)
    assert str(error.value) == f"{store.uri(file.path)}: is gone, so run one cannot be made live again"
    assert [record.seq for record in commit.records(store, "d", "b")] == [1, 2]


def test_who_is_second_in_a_race_changes_nothing_and_is_told_who_was_first(store, monkeypatch):
    add(store, "one")
    add(store, "two")
    records = commit.records(store, "d", "b")
    add(store, "three")
    monkeypatch.setattr(readers, "records", lambda *_: records)
    with pytest.raises(LostRaceError) as error:
        rollback(store)
    assert error.value.exit_code == 3
    assert str(error.value) == (
        "batch 'b' of 'd': number 3 was taken meanwhile by run three, published; nothing was changed; "
        "look at it with quality versions d --batch b"
    )


def test_a_rollback_to_what_is_being_collected_is_taken_back(store, monkeypatch):
    one, two = add(store, "one"), add(store, "two")
    committed = commit.commit

    def while_a_collector_works(place, record):
        if record.action == "rollback" and record.run == "one":
            # it marks the run first and reads the records then: this record comes in between
            mark = {"schema": "quality.collected/1", "run": "one", "collected": MONDAY, "files": 2, "bytes": 6}
            place.put(collected_key("d", "b", "one"), json.dumps(mark).encode())
        committed(place, record)

    monkeypatch.setattr(commit, "commit", while_a_collector_works)
    with pytest.raises(StorageError, match="the rows of run one are being collected just now; run two stays live"):
        rollback(store)
    records = commit.records(store, "d", "b")
    assert [(record.seq, record.run, record.action, record.of_seq) for record in records[2:]] == [
        (3, "one", "rollback", one.seq),
        (4, "two", "rollback", two.seq),
    ]
    assert readers.paths(store, "d", "b") == [store.uri(file.path) for file in two.passed]


def test_a_run_that_loses_to_a_rollback_is_told_so(store):
    one, two = add(store, "one"), add(store, "two")
    rollback(store, reason="wrong file")
    with pytest.raises(LostRaceError) as error:
        commit.commit(store, dataclasses.replace(two, seq=3, run="late"))
    assert re.sub(r"at \S+:", "at T:", str(error.value)) == (
        f"batch 'b' of 'd': run {one.run} was made live again by ann at T: wrong file while this run worked (number 3); "
        "run late is not visible; run again if it shall take that one's place"
    )


# publish


def test_a_held_run_is_published_after_someone_looked_at_it(store):
    add(store, "one")
    held = add(store, "held", **HELD)
    change = publish(store, reason="a holiday")
    assert (change.changed, live(store)) == (True, "held")
    record = commit.latest(store, "d", "b")
    assert record is not None
    assert (record.action, record.of_seq, record.decision, record.status) == ("publish", 2, "published", "failed")
    # what a run that failed and was published ends with
    assert record.exit_code == 1
    assert record.passed == held.passed
    rollback(store)
    assert live(store) == "one"


def test_of_several_held_runs_the_last_is_published_unless_one_is_named(store):
    add(store, "h1", **HELD)
    add(store, "h2", status=BatchStatus.WARNING, decision=Decision.HELD, exit_code=4)
    change = publish(store)
    assert live(store) == "h2"
    assert change.record.exit_code == 0
    publish(store, run="h1")
    assert live(store) == "h1"


def test_there_must_be_something_held(store):
    add(store, "one")
    with pytest.raises(UsageError) as error:
        publish(store)
    assert str(error.value) == "batch 'b' of 'd' has nothing held: its last run one is live (number 1)"
    add(store, "held", **HELD)
    add(store, "two")
    with pytest.raises(UsageError) as error:
        publish(store)
    assert str(error.value) == (
        "batch 'b' of 'd' has nothing held: its last run two is live (number 3); "
        "run held was held before that (number 2): --run names it"
    )
    publish(store, run="held")
    assert live(store) == "held"


def test_publishing_what_is_live_or_was_published_before_is_told(store):
    add(store, "one")
    add(store, "two")
    before = keys(store)
    assert (
        publish(store, run="two").message == "batch 'b' of 'd': run two is live already (number 2); nothing was changed"
    )
    assert set(keys(store)) - set(before) == {manifest_key("d", "b")}
    with pytest.raises(UsageError) as error:
        publish(store, run="one")
    assert str(error.value) == (
        "batch 'b' of 'd': run one was published before (number 1); quality rollback d --batch b --to one makes it live again"
    )
    with pytest.raises(UsageError) as error:
        publish(store, run="tow")
    assert str(error.value) == "batch 'b' of 'd' has no run 'tow'; did you mean 'two'? runs: two, one"


def test_run_needs_a_batch(store):
    with pytest.raises(UsageError) as error:
        publish(store, None, run="one")
    assert str(error.value) == "--run goes with --batch and without --sync: it names the held run of one batch"


def test_a_target_that_cannot_follow_is_exit_code_3_and_the_record_stands(store, monkeypatch):
    add(store, "one")
    add(store, "two")

    def refuse(*_arguments):
        raise StorageError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(readers, "write_manifest", refuse)
        change = rollback(store)
    assert (change.changed, change.exit_code) == (True, 3)
    assert change.behind == ("the symlink manifest lags behind the commit: no room",)
    assert publish(store, None).exit_code == 0
    assert live(store) == "one"


# sync


def test_sync_brings_every_batch_in_line_and_writes_no_record(store):
    for batch in ("b", "2024-01-01T05:00:00+02:00"):
        add(store, "one", batch)
    store.put(manifest_key("d", "b"), b"what a killed run left")
    change = publish(store, None)
    assert change.message == "'d', 2 batches: the symlink manifest is in line with the records"
    assert (live(store), live(store, "2024-01-01T05:00:00+02:00")) == ("one", "one")
    before = {entry.key: entry.modified for entry in store.list()}
    publish(store, None)
    assert {entry.key: entry.modified for entry in store.list()} == before


def test_sync_of_one_batch_leaves_the_others(store):
    add(store, "one", "b")
    add(store, "one", "c")
    assert publish(store, "c", sync=True).batches == ("c",)
    assert [key for key in keys(store) if "manifest" in key] == [manifest_key("d", "c")]
    with pytest.raises(UsageError) as error:
        publish(store, "x", sync=True)
    assert str(error.value) == "data set 'd' has no batch 'x'; batches: b, c"


# dry run


def test_a_dry_run_tells_the_record_and_the_files_and_changes_nothing(store):
    one, two = add(store, "one"), add(store, "two")
    before = keys(store)
    change = rollback(store, dry_run=True)
    assert keys(store) == before
    assert (change.changed, change.dry_run) == (False, True)
    assert change.message.startswith(
        "batch 'b' of 'd': run one would be live instead of run two (number 3, rollback of 1;"
    )
    assert list(change.planned) == [
        f"write {store.uri('commits/d/b/3.json')}",
        f"- {store.uri(two.passed[0].path)}",
        f"+ {store.uri(one.passed[0].path)}",
        f"- {store.uri(two.quarantine[0].path)}",
        f"+ {store.uri(one.quarantine[0].path)}",
        "the symlink manifest would follow",
    ]


# rule files


def test_a_rule_file_says_where_and_what(store, rule_file):
    file = rule_file(f"version: 1\ndataset: d\ninput: {{path: a.csv}}\noutputs: {{root: {store.root}, mirror: true}}\n")
    add(store, "one")
    add(store, "two")
    assert versions.rollback(str(file), "b").changed
    assert live(store) == "one"
    assert [key for key in keys(store) if key.startswith("mirror/")] == ["mirror/d/batch=b/part-one-00000.parquet"]
    # the mirror is known from then on
    add(store, "three")
    publish(store, None)
    assert [key for key in keys(store) if key.startswith("mirror/")] == ["mirror/d/batch=b/part-three-00000.parquet"]
    with pytest.raises(RuleFileError):
        versions.rollback(rule_file("version: 1\n", "wrong.yml"), "b")


# the commands


@pytest.fixture
def quality(capsys, store):
    def run(*arguments):
        code = cli.run_command([*arguments, "--root", store.root])
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


def test_the_commands_say_what_is_live(store, quality):
    add(store, "one", rows={"passed": 1234, "quarantined": 2})
    assert quality("rollback", "d", "--batch", "b")[::2] == (
        2, "quality: batch 'b' of 'd' has nothing before run one, which is live: no run was published earlier\n",
    )  # fmt: skip
    add(store, "held", **HELD)
    code, out, _ = quality("publish", "d", "--batch", "b", "--by", "ann", "--reason", "a holiday")
    assert (code, out.splitlines()) == (0, [
        "batch 'b' of 'd': run held is live instead of run one (number 3, publish of 2; 2 rows passed)",
        "tables and views, if there are any, follow with the next run, or with: quality publish RULES --batch BATCH --sync",
    ])  # fmt: skip
    assert (
        quality("rollback", "d", "--batch", "b", "--dry-run")[1].splitlines()[-1] == "nothing was changed (--dry-run)"
    )
    code, out, _ = quality("versions", "d", "--batch", "b")
    marks = [line[:8].split() + line[8:].split()[:1] for line in out.splitlines()[1:4]]
    assert (code, marks) == (0, [["1", "one"], ["2", "held"], ["*", "3", "held"]])
    assert "1,234" in out
    assert out.splitlines()[3].endswith("publish of 2 by ann: a holiday")
    assert out.splitlines()[-1] == "* live"


def test_json_is_all_that_is_printed(store, quality):
    add(store, "one")
    add(store, "two")
    change = json.loads(quality("rollback", "d", "--batch", "b", "--json")[1])
    assert change["schema"] == "quality.change/1"
    assert (change["live"]["run"], change["before"]["run"], change["changed"]) == ("one", "two", True)
    listed = json.loads(quality("versions", "d", "--batch", "b", "--json")[1])
    assert [(one["seq"], one["action"], one["live"]) for one in listed] == [
        (1, "run", False), (2, "run", False), (3, "rollback", True),
    ]  # fmt: skip


def test_a_batch_without_a_live_run_is_told(store, quality):
    add(store, "held", **HELD)
    assert quality("versions", "d", "--batch", "b")[1].splitlines()[-1] == "none is live: the batch was never published"


def test_the_manifest_of_an_odd_batch_is_where_it_is_looked_for(store):
    batch = "2024-01-01T05:00:00+02:00"
    add(store, "one", batch)
    add(store, "two", batch)
    rollback(store, batch)
    assert live(store, batch) == "one"
    assert encode_batch(batch) in manifest_key("d", batch)
