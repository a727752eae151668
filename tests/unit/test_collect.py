"""What is removed, and above all what is not."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from quality.cli import run_command
from quality.errors import InputError, StorageError, UsageError
from quality.storage import collect, commit, layout, readers
from quality.storage.collect import DEAD, SUPERSEDED, UNFINISHED, Garbage, find
from quality.storage.commit import CommitRecord, collected_at
from quality.storage.leases import GRACE, Lease
from quality.storage.store import LOCK, TEMPORARY, LocalStore
from tests.kept import DAY, NOW, Kept

KEEP = 30 * DAY
ALL = {"passed", "quarantine", "runs", "history"}


@pytest.fixture
def kept(tmp_path):
    return Kept(LocalStore(str(tmp_path / "root")), random.Random(1))


def garbage(kept: Kept, at: timedelta = timedelta(0), keep: timedelta = KEEP, versions: int = 1) -> dict[str, str]:
    """Run or key of what is garbage so long after now, with its kind."""
    found = find(kept.store, keep=keep, keep_versions=versions, moment=NOW + at)
    return {item.run or item.keys[0]: item.kind for item in found}


def test_nothing_there_is_nothing_to_remove(kept):
    assert find(kept.store) == []
    assert collect.collect(kept.store, []) == []


def test_a_live_run_is_never_garbage_however_old(kept):
    kept.published(NOW - 9000 * DAY)
    assert garbage(kept, 9000 * DAY, timedelta(0), 0) == {}


def test_a_superseded_run_is_garbage_when_its_time_is_over_and_enough_versions_are_newer(kept):
    runs = [kept.published(NOW + number * DAY) for number in range(4)]
    # the second was superseded by the third, on the second day
    assert garbage(kept, 31 * DAY) == {runs[0]: SUPERSEDED}
    assert garbage(kept, 31.5 * DAY) == {runs[0]: SUPERSEDED}
    assert garbage(kept, 32 * DAY) == {runs[0]: SUPERSEDED, runs[1]: SUPERSEDED}
    assert garbage(kept, 999 * DAY) == {runs[0]: SUPERSEDED, runs[1]: SUPERSEDED}
    assert garbage(kept, 999 * DAY, versions=2) == {runs[0]: SUPERSEDED}
    assert garbage(kept, 999 * DAY, versions=0) == dict.fromkeys(runs[:3], SUPERSEDED)
    assert garbage(kept, 999 * DAY, versions=9) == {}


def test_only_rows_of_a_superseded_run_go(kept):
    old, before, live = (kept.published(NOW + number * DAY) for number in range(3))
    found = find(kept.store, moment=NOW + 99 * DAY)
    assert [(item.run, item.files, item.bytes) for item in found] == [(old, 2, 8)]
    assert collect.collect(kept.store, found) == found
    assert kept.of(old) == {"runs", "history"}
    assert [kept.of(run) for run in (before, live)] == [ALL, ALL]
    assert [record.run for record in commit.records(kept.store, "d", "b")] == [old, before, live]
    assert garbage(kept, 99 * DAY) == {}
    assert kept.readable()


def test_what_was_collected_is_told_apart_from_what_is_lost(kept):
    old, before, live = (kept.published(NOW + number * DAY) for number in range(3))
    collect.collect(kept.store, find(kept.store, moment=NOW + 99 * DAY))
    records = {record.run: record for record in commit.records(kept.store, "d", "b")}
    at = collected_at(kept.store, records[old])
    assert at is not None
    assert abs(at - NOW) < DAY
    assert [collected_at(kept.store, records[run]) for run in (before, live)] == [None, None]
    with pytest.raises(InputError, match=rf"the rows of run {old} were collected on \d{{4}}-\d\d-\d\d: a later run"):
        readers.paths(kept.store, "d", "b", run=old)
    kept.store.put(layout.collected_key("d", "b", live), b"half")
    with pytest.raises(StorageError, match=r"collected.json: is not what a collector writes"):
        collected_at(kept.store, records[live])


def test_a_version_that_was_rolled_back_to_is_live_and_the_one_it_replaced_is_kept(kept):
    first, second, third = (kept.published(NOW + number * DAY) for number in range(3))
    kept.reinstate(first, NOW + 3 * DAY)
    assert garbage(kept, 999 * DAY) == {second: SUPERSEDED}
    assert garbage(kept, 32 * DAY, versions=0) == {second: SUPERSEDED}
    # the third was superseded by the rollback, on the third day
    assert garbage(kept, 33 * DAY, versions=0) == {second: SUPERSEDED, third: SUPERSEDED}


def test_a_held_run_waits_for_its_decision_and_is_garbage_when_another_came(kept):
    live, held = kept.published(NOW), kept.held(NOW + DAY)
    assert garbage(kept, 999 * DAY, versions=0) == {}
    later = kept.published(NOW + 2 * DAY)
    assert garbage(kept, 999 * DAY) == {held: SUPERSEDED}
    assert garbage(kept, 31 * DAY) == {}
    assert garbage(kept, 999 * DAY, versions=0) == {held: SUPERSEDED, live: SUPERSEDED}
    kept.reinstate(held, NOW + 3 * DAY)
    assert garbage(kept, 999 * DAY) == {live: SUPERSEDED}
    assert garbage(kept, 999 * DAY, versions=0) == {live: SUPERSEDED, later: SUPERSEDED}


def test_of_a_batch_that_was_only_held_the_last_run_is_kept(kept):
    first, second = kept.held(NOW), kept.held(NOW + DAY)
    assert garbage(kept, 999 * DAY) == {first: SUPERSEDED}
    assert second


def test_everything_of_a_dead_run_goes(kept):
    live, dead = kept.published(NOW), kept.run(NOW)
    kept.store.put(f"runs/d/b/{dead}/_history/runs/_temporary/0/part", b"x")
    kept.store.put(f"passed/d/_runs/b/{dead}/_temporary/0/x/part-1.parquet", b"x")
    assert garbage(kept, 29.9 * DAY) == {}
    assert garbage(kept, 30.1 * DAY) == {dead: DEAD}
    collect.collect(kept.store, find(kept.store, moment=NOW + 30.1 * DAY))
    assert kept.of(dead) == set()
    assert kept.of(live) == ALL
    # as a bucket would: no empty folder is left of it
    assert not [path for path in Path(kept.store.root).rglob("*") if dead in str(path)]


def test_history_that_a_dead_run_left_alone_goes_and_that_of_a_collected_run_stays(kept):
    old = kept.published(NOW)
    kept.published(NOW + DAY)
    kept.published(NOW + 2 * DAY)
    dead = kept.run(NOW)
    for folder in (layout.passed_dir, layout.quarantine_dir):
        kept.store.delete_folder(folder("d", "b", dead))
    kept.store.delete_folder(f"runs/d/b/{dead}")
    collect.collect(kept.store, find(kept.store, moment=NOW + 99 * DAY))
    assert kept.of(dead) == set()
    assert kept.of(old) == {"runs", "history"}


@pytest.mark.parametrize("keep", (timedelta(0), timedelta(hours=1)))
def test_no_run_is_garbage_within_a_day_whatever_is_asked(kept, keep):
    dead, first, second = kept.run(NOW), kept.published(NOW), kept.published(NOW + timedelta(minutes=1))
    assert garbage(kept, timedelta(hours=23), keep, 0) == {}
    assert garbage(kept, timedelta(hours=25), keep, 0) == {dead: DEAD, first: SUPERSEDED}
    assert second


def test_a_run_with_a_live_lease_is_alive(kept):
    run = kept.run(NOW - 99 * DAY)
    lease = Lease(kept.store, "d", "b", run, clock=lambda: NOW + 39.5 * DAY)
    assert garbage(kept, 40 * DAY, timedelta(0)) == {run: DEAD}
    lease.renew()
    assert garbage(kept, 40 * DAY, timedelta(0)) == {}
    assert garbage(kept, 40.6 * DAY, timedelta(0)) == {run: DEAD}


def test_a_run_that_wrote_a_file_lately_is_alive_whatever_its_id_says(kept):
    run = kept.run(NOW - 9000 * DAY)
    assert garbage(kept, timedelta(hours=23), timedelta(0)) == {}
    # a copied root has new files: the id decides then, and the later of the two
    young = kept.run(NOW + 9 * DAY)
    assert garbage(kept, 9.5 * DAY, timedelta(0)) == {run: DEAD}
    assert garbage(kept, 10.5 * DAY, timedelta(0)) == {run: DEAD, young: DEAD}


def test_what_is_no_run_of_ours_is_left_alone(kept):
    kept.published(NOW)
    foreign = [
        "passed/d/_runs/b/my-copy/part-0.parquet", "passed/d/notes.txt", "history/runs/dataset=d/compacted-1.parquet",
        "quarantine/d/_ledger/2020.json", "commits/d/b/notes.json", "elsewhere/x", "runs/d/b/notes",
    ]  # fmt: skip
    for key in foreign:
        kept.store.put(key, b"")
    assert garbage(kept, 999 * DAY, timedelta(0), 0) == {}


def test_unfinished_writes_go_after_a_day_and_a_lock_stays(kept):
    kept.published(NOW)
    keys = [
        f"commits/d/b/{TEMPORARY}1",
        f"passed/d/_symlink_format_manifest/batch=b/{TEMPORARY}2",
        f"{TEMPORARY}probe-3",
    ]
    for key in [*keys, f"commits/d/b/{LOCK}"]:
        kept.store.put(key, b"half")
    assert garbage(kept, timedelta(hours=23)) == {}
    assert garbage(kept, timedelta(hours=25)) == dict.fromkeys(keys, UNFINISHED)
    collect.collect(kept.store, find(kept.store, moment=NOW + 2 * DAY))
    assert [key for key in kept.names() if TEMPORARY in key] == [f"commits/d/b/{LOCK}"]


def test_files_that_the_live_record_lists_stay_whoever_wrote_them(kept):
    first = kept.published(NOW)
    kept.published(NOW + DAY)
    last = kept.run(NOW + 2 * DAY)
    record = kept.commit(last)
    old = commit.records(kept.store, "d", "b")[0]
    commit.commit(kept.store, replace(record, seq=4, passed=(*record.passed, *old.passed)))
    (found,) = find(kept.store, moment=NOW + 99 * DAY)
    assert (found.run, found.folders) == (first, (layout.quarantine_dir("d", "b", first),))
    collect.collect(kept.store, [found])
    assert kept.store.exists(old.passed[0].path)


def test_one_data_set_of_several(kept):
    kept.run(NOW)
    other = kept.run(NOW, batch="c")
    kept.store.put(f"passed/other/_runs/b/{other}/part", b"")
    found = find(kept.store, "other", moment=NOW + 99 * DAY)
    assert [(item.dataset, item.run, item.files) for item in found] == [("other", other, 1)]
    with pytest.raises(UsageError, match="has no data set 'othr'; did you mean 'other'"):
        find(kept.store, "othr")


def test_a_record_that_cannot_be_read_keeps_everything(kept):
    kept.run(NOW)
    kept.published(NOW)
    kept.store.put(layout.commit_key("d", "b", 2), b"{")
    with pytest.raises(StorageError, match=r"2.json: is not a commit record"):
        find(kept.store, moment=NOW + 99 * DAY)


def test_a_manifest_that_lagged_behind_does_not_keep_what_is_gone(kept):
    old = kept.published(NOW)
    lagging = kept.store.read(layout.manifest_key("d", "b"))
    kept.published(NOW + DAY)
    kept.store.put(layout.manifest_key("d", "b"), lagging)
    collect.collect(kept.store, find(kept.store, keep_versions=0, moment=NOW + 99 * DAY))
    assert kept.of(old) == {"runs", "history"}
    assert kept.store.read(layout.manifest_key("d", "b")).decode().split() == readers.paths(kept.store, "d", "b")


# at the same time


def test_a_rollback_that_comes_between_finding_and_removing_keeps_the_run(kept):
    runs = [kept.published(NOW + number * DAY) for number in range(3)]
    found = find(kept.store, moment=NOW + 99 * DAY)
    kept.reinstate(runs[0], NOW)
    assert collect.collect(kept.store, found) == []
    assert kept.readable()
    assert collected_at(kept.store, commit.records(kept.store, "d", "b")[0]) is None


def test_a_run_that_commits_between_listing_and_removing_stays(kept):
    run = kept.run(NOW)
    found = find(kept.store, moment=NOW + 99 * DAY)
    assert [item.run for item in found] == [run]
    kept.commit(run)
    assert collect.collect(kept.store, found) == []
    assert kept.readable()


def test_a_run_that_commits_while_the_collector_lists_stays(kept, monkeypatch):
    run = kept.run(NOW)
    seen: list[CommitRecord] = []
    read = commit.records

    def committing(*arguments):
        if not seen:
            seen.append(kept.commit(run, "b"))
        return read(*arguments)

    kept.published(NOW, batch="b")
    monkeypatch.setattr(commit, "records", committing)
    assert garbage(kept, 99 * DAY, timedelta(0)) == {}
    assert seen


class Killed(BaseException):
    """The end of a collector."""


@pytest.mark.parametrize("after", range(1, 12))
def test_a_collector_that_is_killed_anywhere_leaves_readers_whole_and_the_rest_to_the_next(kept, monkeypatch, after):
    old, dead = kept.published(NOW), kept.run(NOW)
    for number in range(1, 4):
        kept.published(NOW + number * DAY)
    changes = [0]

    def mortal(name: str) -> None:
        method = getattr(LocalStore, name)

        def counted(*arguments: object) -> None:
            changes[0] += 1
            if changes[0] == after:
                raise Killed
            method(*arguments)

        monkeypatch.setattr(LocalStore, name, counted)

    with monkeypatch.context() as patched:
        monkeypatch = patched
        for name in ("put", "delete", "delete_folder"):
            mortal(name)
        try:
            collect.collect(kept.store, find(kept.store, moment=NOW + 99 * DAY))
        except Killed:
            assert kept.readable()
    collect.collect(kept.store, find(kept.store, moment=NOW + 99 * DAY))
    assert kept.readable()
    assert (kept.of(old), kept.of(dead)) == ({"runs", "history"}, set())
    assert garbage(kept, 99 * DAY) == {}


def test_two_collectors_at_once_do_what_one_does(kept):
    for number in range(6):
        for batch in ("a", "b", "c"):
            kept.published(NOW + number * DAY, batch)
            kept.run(NOW + number * DAY, batch)
    start = threading.Barrier(4)

    def work(_: int) -> list[Garbage]:
        found = find(kept.store, moment=NOW + 999 * DAY)
        start.wait()
        return collect.collect(kept.store, found)

    with ThreadPoolExecutor(4) as pool:
        removed = list(pool.map(work, range(4)))
    assert {len(items) for items in removed} == {3 * 4 + 3 * 6}
    assert garbage(kept, 999 * DAY) == {}
    assert all(kept.readable(batch) for batch in ("a", "b", "c"))
    sides = [key for key in kept.names() if key.startswith(("passed/d/_runs", "quarantine"))]
    assert len(sides) == 3 * 2 * 2


# the command


def backdate(root: str, paths: Iterable[Path], days: int) -> None:
    for path in paths:
        moment = (NOW - days * DAY).timestamp()
        os.utime(path, (moment, moment))


@pytest.fixture
def old(kept):
    """Three versions and a dead run, forty days old."""
    runs = [kept.published(NOW - (50 - number) * DAY) for number in range(3)]
    dead = kept.run(NOW - 45 * DAY)
    backdate(kept.store.root, (path for path in Path(kept.store.root).rglob("*") if path.is_file()), 40)
    return runs, dead


def test_a_dry_run_tells_what_would_go_and_removes_nothing(kept, old, capsys):
    before = kept.names()
    assert run_command(["gc", "--root", kept.store.root, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"superseded run    d b  {old[0][0]}  2 files  8 bytes",
        f"dead run          d b  {old[1]}  6 files  22 bytes",
        "1 superseded run: 2 files, 8 bytes",
        "1 dead run: 6 files, 22 bytes",
        "0 unfinished writes: 0 files, 0 bytes",
        "would be removed; nothing was",
    ]
    assert kept.names() == before


def test_the_command_removes_and_then_has_nothing_to_do(kept, old, capsys):
    assert run_command(["gc", "--root", kept.store.root, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["schema"], shown["dry_run"]) == ("quality.gc/1", False)
    assert shown["kinds"]["dead run"] == {"count": 1, "files": 6, "bytes": 22}
    assert {item["run"] for item in shown["items"]} == {old[0][0], old[1]}
    assert run_command(["gc", "--root", kept.store.root]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"


@pytest.mark.parametrize(
    ("words", "gone"),
    (
        (["--keep", "60d"], 0),
        (["--keep", "0h", "--keep-versions", "0"], 3),
        (["--keep", "1w", "--keep-versions", "5"], 1),
    ),
)
def test_what_is_kept_is_said_by_two_options(kept, old, capsys, words, gone):
    assert run_command(["gc", "--root", kept.store.root, "--json", *words]) == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == gone


@pytest.mark.parametrize(
    ("words", "message"),
    (
        (["--keep", "30"], "--keep takes a number and d, h or w, such as 30d, got '30'"),
        (["--keep-versions=-1"], "--keep-versions must be 0 or more"),
        (["--dataset", "D"], "data set id 'D' is not allowed"),
        (["--dataset", "dd"], "has no data set 'dd'; did you mean 'd'?"),
    ),
)
def test_what_is_asked_wrongly_is_said_and_nothing_is_removed(kept, old, capsys, words, message):
    before = kept.names()
    assert run_command(["gc", "--root", kept.store.root, *words]) == 2
    assert message in capsys.readouterr().err
    assert kept.names() == before


def test_a_place_that_cannot_be_listed_is_exit_code_3(tmp_path, capsys, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise StorageError("cannot list: permission denied")

    monkeypatch.setattr(LocalStore, "list", refuse)
    assert run_command(["gc", "--root", str(tmp_path)]) == 3
    assert "permission denied" in capsys.readouterr().err


def test_the_grace_is_a_day():
    assert timedelta(hours=24) == GRACE
