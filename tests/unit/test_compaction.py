"""The history in few files: whoever reads sees every run once, whatever is done to the files meanwhile."""

from __future__ import annotations

import io
import json
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality import cli, compaction, history_reader
from quality.compaction import compact
from quality.errors import StorageError, UsageError
from quality.storage import collect, commit, layout
from quality.storage.leases import GRACE, now
from quality.storage.packs import is_pack, packs
from quality.storage.store import LocalStore
from tests.past import add

NONE = timedelta(0)


@pytest.fixture
def root(tmp_path):
    store = LocalStore(str(tmp_path / "root"))
    for n in range(12):
        add(store, n, float(n))
    return store


def read(store):
    """What a reader sees, in the order of batch times."""
    return quality.History(store.root, "d").metrics().select(["batch", "run", "name", "value"]).to_pylist()


def files(store):
    return [entry.key for entry in store.list(layout.history_dir("metrics", "d"))]


def by_view(store):
    """What the live view shows to who lists the folder: a run's rows in the file whose name is last, if its record is live."""
    found = [(key, row) for key in files(store) for row in pq.read_table(io.BytesIO(store.read(key))).to_pylist()]
    last: dict[str, str] = {}
    for key, row in found:
        last[row["run"]] = max(key, last.get(row["run"], ""))
    live = {record.run for record in commit.live_records(store, "d")}
    return Counter((row["run"], row["name"]) for key, row in found if key == last[row["run"]] and row["run"] in live)


def test_many_files_become_one_and_readers_see_the_same(root):
    before = read(root)
    (done,) = compact(root, "d")
    assert [len(pack.files) for pack in done.made] == [12]
    assert (len(files(root)), done.removed, done.waiting) == (13, (), 12)
    assert read(root) == before
    (done,) = compact(root, "d", moment=now() + GRACE)
    assert (done.made, len(done.removed), done.waiting) == ((), 12, 0)
    assert [is_pack(key) for key in files(root)] == [True]
    assert read(root) == before
    assert compact(root, "d", moment=now() + 9 * GRACE) == [compaction.Compacted("d")]


def test_who_lists_the_folder_takes_each_run_from_one_file(root):
    add(root, 3, 99.0)  # another run of a batch
    before = by_view(root)
    assert set(before.values()) == {1}
    compact(root)
    assert by_view(root) == before
    compact(root, keep=NONE)
    assert by_view(root) == before


def test_runs_without_a_record_are_left_alone(root):
    dead = layout.history_file("metrics", "d", layout.new_run_id())
    root.put(dead, b"half written")
    compact(root)
    compact(root, keep=NONE)
    assert dead in files(root)
    assert dead not in packs(root, "d")[0].files


def test_superseded_and_held_runs_are_packed_and_can_come_back(root):
    (old,) = commit.records(root, "d", "2024-01-04")
    add(root, 3, 99.0)
    compact(root)
    compact(root, keep=NONE)
    assert [row["value"] for row in read(root) if row["batch"] == "2024-01-04" and row["name"] == "Mean"] == [99.0]
    (table,) = history_reader.tables_of(root, history_reader.keys_of([old], "metrics"), ("value",))
    assert table.column("value").to_pylist()[0] == 3.0


def test_small_packs_become_a_large_one(root):
    compact(root)
    for n in range(12, 12 + 2 * 8, 2):
        add(root, n, float(n))
        add(root, n + 1, float(n + 1))
        compact(root, keep=NONE)
    before = read(root)
    for _ in range(3):
        compact(root, keep=NONE)
    assert len(files(root)) < 5
    assert len(packs(root, "d")) == len(files(root))
    assert read(root) == before
    assert len(before) == 2 * 28


def test_files_of_several_versions_go_together_and_an_empty_one_too(root):
    for run, table in (
        ("a", pa.table({"run": ["a"], "new": [1]})),
        ("b", pa.table({"run": pa.array([], pa.string())})),
    ):
        sink = io.BytesIO()
        pq.write_table(table, sink)
        key = layout.history_file("metrics", "d", run)
        root.put(key, sink.getvalue())
        add(root, 50 + ord(run), 1.0, history=(key,))
    before = quality.History(root.root, "d").metrics()
    compact(root)
    compact(root, keep=NONE)
    assert len(files(root)) == 1 + 2  # those that `add` wrote and no record names
    after = quality.History(root.root, "d").metrics()
    assert after.select(before.column_names).to_pylist() == before.to_pylist()


def test_packs_are_of_bounded_size(root, monkeypatch):
    monkeypatch.setattr(compaction, "SIZE", 4 * max(len(root.read(key)) for key in files(root)) + 9)
    (done,) = compact(root)
    assert [len(pack.files) for pack in done.made] == [4, 4, 4]


# what goes wrong


class Killed(Exception):
    """The process ends here."""


class Dying(LocalStore):
    """A store whose n-th change is never made, nor any later one; `delete` may have removed a part."""

    def __init__(self, root, left):
        super().__init__(root)
        self.left = left

    def _live(self):
        self.left -= 1
        if self.left < 0:
            raise Killed

    def put_if_absent(self, key, data):
        self._live()
        return super().put_if_absent(key, data)

    def delete(self, keys):
        for key in keys:
            self._live()
            super().delete([key])


def test_a_compactor_killed_anywhere_loses_and_doubles_nothing(tmp_path):
    store = LocalStore(str(tmp_path))
    for n in range(3):
        add(store, n, float(n))
    kills = 0
    for left in range(14):
        add(store, 3 + 2 * left, 1.0)
        add(store, 4 + 2 * left, 2.0)
        before = read(store)
        try:
            compact(Dying(store.root, left % 7), keep=NONE)
        except Killed:
            kills += 1
            assert read(store) == before
            assert set(by_view(store).values()) == {1}
    assert kills > 4
    for _ in range(3):
        compact(store, keep=NONE, moment=now() + 2 * GRACE)
    assert len(packs(store, "d")) == len(files(store)) < 10
    assert read(store) == before
    assert set(by_view(store).values()) == {1}


def test_readers_writers_and_compactors_at_once(root):
    """Two compactors that remove at once, a writer, and readers: nobody sees a run twice, or misses one that was there."""
    stop, draw = threading.Event(), random.Random(1)

    def written():
        for n in range(12, 40):
            add(root, n, float(n))
        stop.set()

    def compacted(_):
        while not stop.is_set():
            compact(root, keep=timedelta(microseconds=draw.randrange(3)))

    def looked(_):
        seen = 0
        while not stop.is_set():
            there = len(commit.live_records(root, "d"))
            rows = Counter((row["run"], row["name"]) for row in read(root))
            assert set(rows.values()) == {1}
            assert len(rows) >= 2 * there
            seen += 1
        return seen

    with ThreadPoolExecutor(5) as pool:
        work = [pool.submit(written), *(pool.submit(compacted, n) for n in range(2))]
        looks = [pool.submit(looked, n) for n in range(2)]
        [one.result() for one in work]
        assert all(look.result() for look in looks)
    assert len(read(root)) == 2 * 40


def test_a_damaged_pack_keeps_the_files_it_was_made_of(root):
    compact(root)
    (pack,) = packs(root, "d")
    root.put(pack.key, root.read(pack.key)[:-1] + b"x")
    with pytest.raises(StorageError, match="is not what its note tells; nothing that it has was removed"):
        compact(root, keep=NONE)
    assert len(files(root)) == 13


def test_a_pack_that_is_gone_while_its_files_are_there_is_made_again(root):
    before = read(root)
    compact(root)
    (pack,) = packs(root, "d")
    root.delete([pack.key])
    assert read(root) == before
    compact(root, keep=NONE)
    assert len(files(root)) == 13
    compact(root, keep=NONE)
    assert [is_pack(key) for key in files(root)] == [True]
    assert read(root) == before


def test_a_pack_without_a_note_is_taken_up_or_removed(root):
    root.put(f"{layout.history_dir('metrics', 'd')}/pack-of-nobody.parquet", b"x")
    compact(root)
    assert "history/metrics/dataset=d/pack-of-nobody.parquet" in files(root)
    compact(root, moment=now() + 2 * GRACE)
    assert [is_pack(key) for key in files(root)] == [True]


def test_the_collector_of_garbage_leaves_packs_alone(root):
    compact(root)
    compact(root, keep=NONE)
    assert collect.find(root, moment=now() + timedelta(days=999)) == []


def test_a_note_that_is_none_is_named(root):
    root.put(layout.pack_note_key("d", "metrics", "x"), b"{}")
    with pytest.raises(StorageError, match=r"metrics-x.json: is no note of a pack"):
        read(root)


# the command


def test_the_command_tells_what_was_done(root, capsys):
    def told(*words):
        assert cli.run_command(["history", "compact", *words, "--root", root.root]) == 0
        return capsys.readouterr().out

    assert told("d", "--dry-run").splitlines()[0].startswith("d: 12 files put into 1; 0 removed")
    assert len(files(root)) == 12
    assert json.loads(told("--json"))["datasets"][0]["packs"][0]["files"] == 12
    assert told("d", "--keep", "0h").startswith("d: 0 files put into 0; 12 removed that lie in a larger one, ")


def test_an_unknown_data_set_is_told(root):
    with pytest.raises(UsageError, match="has no data set 'e'; data sets: d"):
        compact(root, "e")
