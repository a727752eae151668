"""The mirror on a Hadoop file system, through Hadoop's own copy."""

from __future__ import annotations

import pytest

from quality.storage.hadoop import HadoopStore
from quality.storage.store import TEMPORARY
from quality.targets.mirror import Mirror
from tests.committed import committed


def test_the_mirror_follows_on_a_hadoop_file_system(spark, tmp_path):
    store = HadoopStore(f"file:{tmp_path}/ro ot", spark)
    committed(store, "one", [1, 2], "a:b")
    committed(store, "two", [3], "a:b", files=1)
    Mirror(store, "d").follow("a:b")
    folder = f"{tmp_path}/ro ot/mirror/d"
    (row,) = spark.read.parquet(folder).collect()
    assert (row.n, row.batch) == (3, "a:b")
    assert [entry.key for entry in store.list("mirror")] == ["mirror/d/batch=a%3Ab/part-two-00000.parquet"]
    assert not list(tmp_path.rglob(f"{TEMPORARY}*"))
    with pytest.raises(FileNotFoundError):
        store.copy("none", "other")
