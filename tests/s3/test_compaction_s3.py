"""The history in few files, in a bucket."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

import quality
from quality.compaction import compact
from quality.storage import commit, layout
from quality.storage.packs import is_pack
from quality.storage.s3 import S3Store
from tests.past import add


@pytest.mark.full
def test_readers_writers_and_compactors_of_a_bucket_at_once(root):
    """Nobody sees a run twice, or misses one that was there; in the end there are few files."""
    store, stop = S3Store(root), threading.Event()
    for n in range(6):
        add(store, n, float(n))

    def written():
        for n in range(6, 16):
            add(S3Store(root), n, float(n))
        stop.set()

    def compacted(_):
        while not stop.is_set():
            compact(S3Store(root), keep=timedelta(0))

    def looked():
        seen = 0
        while not stop.is_set():
            there = len(commit.live_records(store, "d"))
            rows = Counter((row["run"], row["name"]) for row in quality.History(root, "d").metrics().to_pylist())
            assert set(rows.values()) == {1}
            assert len(rows) >= 2 * there
            seen += 1
        return seen

    with ThreadPoolExecutor(4) as pool:
        looks = pool.submit(looked)
        work = [pool.submit(written), *(pool.submit(compacted, n) for n in range(2))]
        for one in work:
            one.result()
        assert looks.result()
    for _ in range(3):
        compact(store, keep=timedelta(0))
    files = [entry.key for entry in store.list(layout.history_dir("metrics", "d"))]
    assert len(files) < 8
    assert sum(not is_pack(key) for key in files) <= 1
    assert len(quality.History(root, "d").metrics()) == 2 * 16
