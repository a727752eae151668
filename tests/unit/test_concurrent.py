"""Many at once: writers of one history, drivers that race for one batch, and a reader who looks all the while."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality.errors import InputError, LostRaceError, UsageError
from quality.storage import collect, commit, layout, readers
from quality.storage.commit import CommitRecord, DataFile
from quality.storage.store import LocalStore, Store
from tests.kept import DAY, NOW, Kept, run_id

WRITERS, RACES = 50, 50


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "root")


def parquet(run: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"run": [run] * 3, "value": [1.0, 2.0, 3.0]}), sink)
    return sink.getvalue()


def write_history(store: Store, run: str) -> None:
    """As a run does: under its own scratch first, then to its name."""
    for table in layout.TABLES:
        scratch = f"runs/d/b/{run}/_history/{table}/part-0.zstd.parquet"
        store.put(scratch, parquet(run))
        store.move(scratch, layout.history_file(table, "d", run))


def assert_complete(store: Store, runs: list[str]) -> None:
    for table in layout.TABLES:
        found = Counter[str]()
        for entry in store.list(layout.history_dir(table, "d")):
            found.update(pq.read_table(io.BytesIO(store.read(entry.key))).column("run").to_pylist())
        assert found == dict.fromkeys(runs, 3)
    assert not store.list("runs")


def test_fifty_writers_of_one_history_lose_nothing(root):
    runs = [layout.new_run_id() for _ in range(WRITERS)]
    start = threading.Barrier(WRITERS)

    def write(run: str) -> None:
        store = LocalStore(root)
        start.wait()
        write_history(store, run)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, runs))
    assert_complete(LocalStore(root), runs)


WRITER = """
import sys
from tests.unit.test_concurrent import write_history
from quality.storage.store import LocalStore
for run in sys.argv[2:]:
    write_history(LocalStore(sys.argv[1]), run)
"""


def test_processes_that_write_one_history_lose_nothing(root):
    runs = [layout.new_run_id() for _ in range(WRITERS)]
    place = Path(quality.__file__).parents[1]
    words = [[sys.executable, "-c", WRITER, root, *runs[number::3]] for number in range(3)]
    writers = [subprocess.Popen(one, cwd=place) for one in words]
    assert [writer.wait(300) for writer in writers] == [0] * 3
    assert_complete(LocalStore(root), runs)


def race(stores: list[Store], races: int) -> None:
    """Two drivers at a time commit on top of the same record; all along somebody reads."""
    draw, done = random.Random(5), threading.Event()
    seen: list[str] = []

    def look() -> None:
        store = stores[-1]
        while not done.is_set():
            # every file of a record was there before the record, and is whole
            for file in live_files(store):
                assert store.read(file.path) == file.path.encode().ljust(file.size)
            manifest = read_manifest(store)
            if manifest:
                runs = {line.split("/")[-2] for line in manifest}
                seen.append(*runs)
                assert len(manifest) == 3

    def drive(number: int) -> tuple[str, bool]:
        store, run = stores[number % 2], run_id(NOW, draw)
        last = commit.latest(store, "d", "b")
        start.wait()
        files = []
        for part in range(3):
            name = f"{layout.passed_dir('d', 'b', run)}/part-{part}.parquet"
            store.put(name, name.encode().ljust(200))
            files.append(DataFile(name, 1, 200))
        try:
            commit.commit(store, replace(blank(run), seq=last.seq + 1 if last else 1, passed=tuple(files)))
        except LostRaceError:
            return run, False
        readers.write_manifest(store, "d", "b")
        return run, True

    with ThreadPoolExecutor(3) as pool:
        reader = pool.submit(look)
        winners = []
        for number in range(races):
            start = threading.Barrier(2)
            two = [pool.submit(drive, 2 * number + which) for which in range(2)]
            won = [run for run, first in (one.result() for one in two) if first]
            assert len(won) == 1
            winners += won
            records = commit.records(stores[0], "d", "b")
            assert [record.run for record in records] == winners
            assert read_manifest(stores[0]) == [stores[0].uri(file.path) for file in records[-1].passed]
        done.set()
        reader.result()
    assert set(seen) <= set(winners)


def blank(run: str) -> CommitRecord:
    from quality.model import BatchStatus, Decision

    return CommitRecord("d", "b", NOW, 1, run, NOW, BatchStatus.PASSED, Decision.PUBLISHED, 0, "r")


def live_files(store: Store) -> list[DataFile]:
    try:
        (record,) = readers.select(store, "d", "b")
    except (UsageError, InputError):  # nothing yet
        return []
    assert readers.paths(store, "d", "b", run=record.run) == [store.uri(file.path) for file in record.passed]
    return list(record.passed)


def read_manifest(store: Store) -> list[str]:
    try:
        return store.read(layout.manifest_key("d", "b")).decode().splitlines()
    except FileNotFoundError:
        return []


def test_of_two_drivers_that_race_fifty_times_one_wins_and_no_reader_sees_half(root):
    race([LocalStore(root) for _ in range(3)], RACES)


def test_a_reader_sees_every_batch_whole_while_runs_commit_and_a_collector_works(root):
    kept, done = Kept(LocalStore(root), random.Random(3)), threading.Event()
    kept.published(NOW - 99 * DAY)

    def gather() -> None:
        while not done.is_set():
            found = collect.find(kept.store, keep=timedelta(0), keep_versions=1, moment=NOW)
            collect.collect(kept.store, found)

    def look() -> None:
        while not done.is_set():
            (live,) = readers.select(kept.store, "d", "b")
            if not all(kept.store.exists(file.path) for file in (*live.passed, *live.quarantine)):
                # a reader so slow that two more versions came meanwhile
                newest = commit.latest(kept.store, "d", "b")
                assert newest is not None
                assert newest.seq >= live.seq + 2

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(gather), pool.submit(gather), pool.submit(look)]
        runs = [kept.published(NOW - (60 - number) * DAY) for number in range(25)]
        done.set()
        for worker in workers:
            worker.result()
    collect.collect(kept.store, collect.find(kept.store, keep=timedelta(0), moment=NOW))
    left = {run for run in runs if "passed" in kept.of(run)}
    assert left == {*runs[-2:]}
