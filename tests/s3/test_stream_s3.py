"""A stream whose files, checkpoint and results are in a bucket, by the command."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from quality.storage.store import open_store
from tests.s3 import server as weed

ROOT = Path(__file__).resolve().parents[2]
RULES = """\
version: 1
dataset: d
input: {path: "ROOT/in", format: csv, options: {header: true}}
columns: {n: {type: integer, at_least: 0}}
stream: {max_files: 1}
hold: {quarantined_above: 100%}
outputs: {root: "ROOT/out"}
"""


@pytest.mark.full
def test_a_stream_in_a_bucket_goes_on_where_it_ended(root, server, tmp_path):
    owner, prefix = weed.client(server), root.removeprefix(f"s3://{weed.BUCKET}/")
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES.replace("ROOT", root))

    def put(name, *numbers):
        body = "n\n" + "".join(f"{number}\n" for number in numbers)
        owner.put_object(Bucket=weed.BUCKET, Key=f"{prefix}/in/{name}.csv", Body=body.encode())

    def streamed():
        words = [sys.executable, "-m", "quality", "stream", str(rules), "--once", "--json"]
        done = subprocess.run(
            words, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.stderr == ""
        *batches, summary = map(json.loads, done.stdout.splitlines())
        assert len(batches) == summary["batches"]
        return summary

    put("1", 1, -1)
    put("2", 2)
    first = streamed()
    put("3", 3)
    second = streamed()
    assert (first["batches"], second["batches"], second["stream"]) == (2, 1, first["stream"])
    store = open_store(f"{root}/out")
    records = [json.loads(store.read(entry.key)) for entry in store.list("commits/d")]
    assert len(records) == 3
    passed = [pq.read_table(io.BytesIO(store.read(file["path"]))) for record in records for file in record["passed"]]
    assert sorted(number for table in passed for number in table["n"].to_pylist()) == [1, 2, 3]
    assert store.list("streams/d/checkpoint/commits")
