"""A plain directory of what passed: the live rows once nothing moves, whoever was killed before."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from quality import versions
from quality.errors import StorageError
from quality.storage import commit
from quality.storage.store import TEMPORARY, LocalStore
from quality.targets.mirror import Mirror, mirror_dir
from tests.committed import HELD, committed

ROOT = Path(__file__).parents[2]
TIMED = "2024-01-01T05:00:00+02:00"


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path / "ro ot"))


def mirrored(store, batch="b"):
    """What a tool that only lists finds."""
    folder = Path(store.root) / mirror_dir("d", batch)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] not in "._")
    return sorted(n for path in files for n in pq.read_table(path, partitioning=None)["n"].to_pylist())


@pytest.mark.parametrize("batch", ("b", TIMED))
def test_the_mirror_has_the_live_rows_and_nothing_else(store, batch):
    mirror = Mirror(store, "d")
    committed(store, "one", [1, 2, 3], batch)
    mirror.follow(batch)
    assert mirrored(store, batch) == [1, 2, 3]
    committed(store, "two", [4], batch, files=1)
    mirror.follow(batch)
    assert mirrored(store, batch) == [4]
    committed(store, "held", [5], batch, **HELD)
    mirror.follow(batch)
    assert mirrored(store, batch) == [4]
    versions.rollback("d", batch, root=store.root)
    assert mirrored(store, batch) == [1, 2, 3]
    committed(store, "empty", [], batch)
    mirror.follow(batch)
    assert mirrored(store, batch) == []
    assert store.list(mirror_dir("d")) == []


def test_other_batches_are_left_alone(store):
    for batch in ("a", "b"):
        committed(store, f"one-{batch}", [1], batch)
        Mirror(store, "d").follow(batch)
    committed(store, "two", [2], "b")
    Mirror(store, "d").follow("b")
    assert (mirrored(store, "a"), mirrored(store, "b")) == ([1], [2])


def test_a_second_call_writes_nothing(store):
    committed(store, "one", [1, 2])
    Mirror(store, "d").follow("b")
    before = {entry.key: entry.modified for entry in store.list()}
    Mirror(store, "d").follow("b")
    assert {entry.key: entry.modified for entry in store.list()} == before


def test_new_files_come_before_old_ones_go(store, monkeypatch):
    committed(store, "one", [1, 2])
    mirror = Mirror(store, "d")
    mirror.follow("b")
    committed(store, "two", [3, 4])
    seen = []
    delete = store.delete

    def delete_and_look(keys):
        seen.append(mirrored(store))
        delete(keys)

    monkeypatch.setattr(store, "delete", delete_and_look)
    mirror.follow("b")
    assert seen[0] == [1, 2, 3, 4]
    assert mirrored(store) == [3, 4]


def test_a_file_that_is_not_whole_is_copied_again(store):
    committed(store, "one", [1, 2])
    Mirror(store, "d").follow("b")
    half = store.list(mirror_dir("d"))[0]
    store.put(half.key, store.read(half.key)[:50])
    Mirror(store, "d").follow("b")
    assert mirrored(store) == [1, 2]


def test_a_run_that_commits_while_files_are_copied_is_the_one_that_stays(store, monkeypatch):
    committed(store, "one", [1, 2])
    copy = store.copy
    late: list[object] = []

    def copy_and_commit(source, target):
        copy(source, target)
        if not late:
            late.append(committed(store, "two", [3]))

    monkeypatch.setattr(store, "copy", copy_and_commit)
    Mirror(store, "d").follow("b")
    assert mirrored(store) == [3]


def test_a_committed_file_that_is_gone_is_told(store):
    record = committed(store, "one", [1, 2])
    store.delete([record.passed[0].path])
    with pytest.raises(StorageError) as error:
        Mirror(store, "d").follow("b")
    assert str(error.value) == f"{store.uri(record.passed[0].path)}: is gone, and cannot be mirrored"


def test_what_would_be_copied_is_foretold(store):
    committed(store, "one", [1], files=1)
    two = committed(store, "two", [2], files=1)
    Mirror(store, "d").follow("b")
    change = versions.rollback("d", "b", root=store.root, dry_run=True)
    folder = store.uri(mirror_dir("d", "b"))
    assert list(change.planned)[-2:] == [
        f"copy {store.uri(two.passed[0].path).replace('/two/', '/one/')} to {folder}/part-one-00000.parquet",
        f"delete {folder}/part-two-00000.parquet",
    ]
    assert mirrored(store) == [2]


KILLED = """
import os, signal, sys
from quality import versions
from quality.storage import store

root, moment = sys.argv[1:]
copy, count = store.LocalStore.copy, 0


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def copy_once(self, source, target):
    global count
    count += 1
    if count > 1:
        open(os.path.join(self.root, os.path.dirname(target), store.TEMPORARY + "half"), "wb").write(b"half")
        die()
    copy(self, source, target)


if moment == "before":
    versions.targets.follow = die
if moment == "copy":
    store.LocalStore.copy = copy_once
if moment == "delete":
    store.LocalStore.delete = die
versions.rollback("d", "b", root=root)
"""


@pytest.mark.parametrize("moment", ("before", "copy", "delete"))
def test_a_rollback_that_is_killed_stands_and_the_next_call_makes_it_whole(store, moment, tmp_path):
    committed(store, "one", [1, 2])
    committed(store, "two", [3, 4])
    Mirror(store, "d").follow("b")
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script, store.root, moment], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    live = commit.live(store, "d", "b")
    assert live is not None
    assert (live.run, live.action) == ("one", "rollback")
    assert set(mirrored(store)) >= {3, 4}  # never less than a whole batch
    change = versions.publish("d", root=store.root)
    assert (change.exit_code, change.changed) == (0, False)
    assert mirrored(store) == [1, 2]
    assert len(commit.records(store, "d", "b")) == 3


def test_a_copy_replaces_in_one_step_and_leaves_no_trace(store):
    store.put("a/one", b"x" * 3_000_000)
    store.put("b/two", b"old")
    store.copy("a/one", "b/two")
    assert store.read("b/two") == store.read("a/one") == b"x" * 3_000_000
    with pytest.raises(FileNotFoundError):
        store.copy("a/none", "b/two")
    with pytest.raises(StorageError, match="cannot copy"):
        store.copy("a/one", "b/two/below")
    assert not [name for _, _, names in os.walk(store.root) for name in names if name.startswith(TEMPORARY)]
    assert json.dumps([entry.key for entry in store.list()]) == '["a/one", "b/two"]'
