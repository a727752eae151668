"""The mirror in a bucket: copied by the server."""

from __future__ import annotations

import io

import pyarrow.parquet as pq
import pytest

from quality.storage.store import open_store
from quality.targets.mirror import Mirror
from tests.committed import committed


def test_the_mirror_follows_in_a_bucket(root):
    store = open_store(root)
    committed(store, "one", [1, 2], "a:b")
    Mirror(store, "d").follow("a:b")
    committed(store, "two", [3], "a:b", files=1)
    Mirror(store, "d").follow("a:b")
    (entry,) = store.list("mirror")
    assert entry.key == "mirror/d/batch=a%3Ab/part-two-00000.parquet"
    assert pq.read_table(io.BytesIO(store.read(entry.key)))["n"].to_pylist() == [3]
    with pytest.raises(FileNotFoundError):
        store.copy("none", "other")
