"""A local store: whole or absent, one winner, and nothing of a crash to be seen."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from quality.errors import StorageError, UsageError
from quality.storage.store import TEMPORARY, LocalStore, open_store, prove_put_if_absent

ODD = [
    "plain",
    "with blank",
    "100%",
    "a%3Ab",
    "a+b",
    "a:b",
    "ünï",
    "emoji-🎈",
    "q?x",
    "ha#sh",
    "bra[1]",
    "{a,b}",
    "back\\s",
]


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path / "root"))


def names_on_disk(store):
    return sorted(name for _, _, names in os.walk(store.root) for name in names)


def test_what_is_put_is_read(store):
    store.put("a/b/c.json", b"\x00\xff")
    assert store.read("a/b/c.json") == b"\x00\xff"


def test_put_replaces(store):
    store.put("a", b"old, and longer")
    store.put("a", b"new")
    assert store.read("a") == b"new"
    assert names_on_disk(store) == ["a"]


@pytest.mark.parametrize("key", ("absent", "a", "a/file/below"))
def test_reading_what_is_no_object_is_file_not_found(store, key):
    store.put("a/file", b"")
    with pytest.raises(FileNotFoundError):
        store.read(key)
    assert not store.exists(key)


def test_put_if_absent_leaves_the_first(store):
    assert store.put_if_absent("a/1.json", b"first")
    assert not store.put_if_absent("a/1.json", b"second")
    assert store.read("a/1.json") == b"first"
    assert names_on_disk(store) == ["1.json"]


def race(claim, count):
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(claim, range(count)))


@pytest.mark.parametrize("links", (True, False), ids=["hard links", "no hard links"])
def test_of_fifty_threads_one_wins_and_its_content_is_whole(store, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    contents = [f"{number:02d}".encode() * 50_000 for number in range(50)]
    won = race(lambda number: store.put_if_absent("c/1.json", contents[number]), 50)
    assert won.count(True) == 1
    assert store.read("c/1.json") == contents[won.index(True)]
    assert [entry.key for entry in store.list()] == ["c/1.json"]


def no_links(source, target):
    raise OSError(errno.EPERM, "Operation not permitted")


RACER = """
import sys
from quality.storage.store import LocalStore
store, number = LocalStore(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for seq in range(20):
    print(int(store.put_if_absent(f"c/{seq}.json", (number + ",").encode() * 10_000)), end="")
"""


def test_of_several_processes_one_wins_each_of_twenty_names(store):
    racers = [python(RACER, store.root, number) for number in range(8)]
    for racer in racers:
        racer.stdout.readline()
    for racer in racers:  # all have started and wait
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [racer.communicate()[0] for racer in racers]
    for seq in range(20):
        winners = [number for number, line in enumerate(won) if line[seq] == "1"]
        assert len(winners) == 1
        assert store.read(f"c/{seq}.json") == f"{winners[0]},".encode() * 10_000


def python(program, *arguments) -> Any:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.Popen(command, text=True, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


KILLED = """
import os, signal, sys
from quality.storage.store import LocalStore
setattr(os, sys.argv[2], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
getattr(LocalStore(sys.argv[1]), sys.argv[3])("c/1.json", b"half")
"""


@pytest.mark.parametrize(("step", "call"), (("link", "put_if_absent"), ("replace", "put"), ("fsync", "put")))
def test_a_kill_before_the_name_is_given_leaves_nothing_visible(store, step, call):
    killed = python(KILLED, store.root, step, call)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert (store.list(), store.children("c"), store.exists("c/1.json")) == ([], [], False)
    assert store.put_if_absent("c/1.json", b"whole")
    assert [entry.key for entry in store.list()] == ["c/1.json"]


def test_a_reader_never_sees_half_of_a_replaced_object(store):
    old, new = b"o" * 300_000, b"n" * 200_000
    store.put("a", old)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [store.put("a", data) for data in [new, old] * 20])
        seen = {store.read("a")}
        while not writing.done():
            seen.add(store.read("a"))
    assert seen <= {old, new}


def test_a_failed_write_leaves_no_temporary_file(store, monkeypatch):
    store.put("a/kept", b"")
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(StorageError, match="a/b: cannot write: No space left on device"):
        store.put("a/b", b"data")
    assert names_on_disk(store) == ["kept"]


def disk_full(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_repeated_nfs_link_counts_as_ours(store, monkeypatch):
    link = os.link

    def answer_lost(source, target):
        link(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", answer_lost)
    assert store.put_if_absent("a", b"ours")
    assert not store.put_if_absent("a", b"ours")


@pytest.mark.parametrize("name", ODD)
def test_odd_names_round_trip(store, name):
    store.put(f"d {name}/{name}", b"x")
    assert store.read(f"d {name}/{name}") == b"x"
    assert [entry.key for entry in store.list()] == [f"d {name}/{name}"]
    assert store.children(f"d {name}") == [name]


def test_listing_is_recursive_sorted_and_dated(store):
    for key in ["b/2", "b/10", "a", "b/c/d"]:
        store.put(key, key.encode())
    entries = store.list("b")
    assert [(entry.key, entry.size) for entry in entries] == [("b/10", 4), ("b/2", 3), ("b/c/d", 5)]
    assert all(abs(entry.modified - datetime.now(timezone.utc)) < timedelta(minutes=1) for entry in entries)


def test_a_prefix_is_a_folder_not_the_beginning_of_a_name(store):
    store.put("batch=1/x", b"")
    store.put("batch=10/x", b"")
    assert [entry.key for entry in store.list("batch=1")] == ["batch=1/x"]
    assert [entry.key for entry in store.list("batch=1/")] == ["batch=1/x"]


def test_children_are_the_names_directly_below(store):
    store.put("a/file", b"")
    store.put("a/folder/file", b"")
    assert (store.children("a"), store.children(), store.children("nowhere"), store.children("a/file")) == (
        ["file", "folder"],
        ["a"],
        [],
        [],
    )


def test_delete_ignores_the_absent_and_takes_empty_folders_along(store):
    store.put("a/b/c", b"")
    store.put("a/d", b"")
    store.delete(["a/b/c", "a/nothing", "nowhere/at/all", "a"])
    assert store.children("a") == ["d"]


def test_writing_into_a_folder_that_is_being_pruned_succeeds(store):
    def put_and_delete(number):
        for _ in range(30):
            store.put(f"a/b/{number}", b"")
            store.delete([f"a/b/{number}"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put_and_delete, range(8)))
    assert store.list() == []


def test_move_renames_and_replaces(store):
    store.put("a/b", b"new")
    store.put("c/d", b"old")
    store.move("a/b", "c/d")
    assert ([entry.key for entry in store.list()], store.read("c/d")) == (["c/d"], b"new")
    with pytest.raises(FileNotFoundError):
        store.move("a/b", "c/d")


@pytest.mark.parametrize("key", ("../x", "a/../../x", "/etc/passwd", "a//b", "", ".", "a/./b", "a\0b"))
def test_no_key_leaves_the_root(store, key):
    for call in (store.uri, store.read, store.exists, lambda key: store.put(key, b"")):
        with pytest.raises(StorageError, match="is not a plain path below the root"):
            call(key)


def test_files_are_readable_as_the_umask_says(store):
    before = os.umask(0o022)
    try:
        store.put("a", b"")
        assert Path(store.root, "a").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


@pytest.mark.parametrize("action", ("put", "put_if_absent"))
def test_the_reason_of_a_refused_write_is_told(tmp_path, action):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/below/a: cannot write: Not a directory"):
        getattr(LocalStore(str(tmp_path / "file" / "below")), action)("a", b"")


@pytest.mark.parametrize("number", (errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO))
def test_every_system_error_becomes_a_storage_error(store, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    store.put("a", b"")
    for name in ("open", "stat", "unlink", "listdir", "scandir", "replace"):
        monkeypatch.setattr(os, name, refuse)
    calls = [
        lambda: store.put("b", b""),
        lambda: store.exists("a"),
        lambda: store.delete(["a"]),
        store.children,
        store.list,
        lambda: store.move("a", "b"),
    ]
    for call in calls:
        with pytest.raises(StorageError, match=os.strerror(number)):
            call()
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("root", "path"),
    (
        ("/data/x", "/data/x"),
        ("/data/x/", "/data/x"),
        ("//data/x", "/data/x"),
        ("file:/data/x", "/data/x"),
        ("file:///data/x y%20", "/data/x y%20"),
        ("file://localhost/data", "/data"),
        ("FILE:///data", "/data"),
        ("/a/../data", "/data"),
    ),
)
def test_paths_and_file_uris_name_a_directory(root, path):
    assert open_store(root).root == path
    assert open_store(root).uri("k/a%3Ab") == f"file://{path}/k/a%3Ab"


@pytest.mark.parametrize("root", ("data", "~", "run:1", "C:/data"))
def test_relative_paths_become_absolute_and_nothing_is_expanded(root):
    assert open_store(root).root == str(Path.cwd() / root)


@pytest.mark.parametrize("root", ("hdfs://nn/x", "viewfs:/x", "abfss://c@a.dfs.core.windows.net/x"))
def test_a_scheme_that_needs_spark_says_so(root):
    with pytest.raises(UsageError, match=r"needs a Spark session.*allowed without: a path, file:, s3://"):
        open_store(root)


@pytest.mark.parametrize("root", ("", "file://host/x", "s3://", "s3:///x"))
def test_a_root_that_names_no_place_is_refused(root):
    with pytest.raises(UsageError):
        open_store(root)


def test_opening_touches_nothing(tmp_path):
    assert open_store(str(tmp_path / "new")).list() == []
    assert not (tmp_path / "new").exists()


def test_put_if_absent_is_proven_without_a_trace(store):
    prove_put_if_absent(store, "doctor")
    assert names_on_disk(store) == []


def test_a_store_that_overwrites_is_found_out(store, monkeypatch):
    monkeypatch.setattr(LocalStore, "put_if_absent", lambda self, key, data: self.put(key, data) or True)
    with pytest.raises(StorageError, match="commits are not safe here"):
        prove_put_if_absent(store)


def test_temporary_files_are_hidden_from_spark_too():
    assert TEMPORARY.startswith(".")
