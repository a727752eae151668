"""A past without Spark: committed runs with a file of metrics each."""

from __future__ import annotations

import dataclasses
import io
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet

from quality.model import BatchStatus, Decision
from quality.storage import commit, layout
from quality.storage.commit import CommitRecord

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
SCHEMA = pa.schema(
    [
        ("batch", pa.string()), ("batch_time", pa.timestamp("us", tz="UTC")), ("run", pa.string()),
        ("name", pa.string()), ("instance", pa.string()), ("filter", pa.string()),
        ("segment", pa.map_(pa.string(), pa.string())), ("parameters", pa.string()), ("value", pa.float64()),
        ("numerator", pa.int64()), ("denominator", pa.int64()),
        ("sketch", pa.struct([("format", pa.string()), ("version", pa.int32()), ("bytes", pa.binary())])),
    ]
)  # fmt: skip


def add(store, n, mean, nulls=0, dataset="d", columns_then=0, **changes):
    """A committed run of day n with two metrics, and the number of columns where it is given."""
    batch, run, rows = f"{START + timedelta(days=n):%Y-%m-%d}", f"run-{n}-{len(store.list())}", 1000 + n % 7
    common = {"batch": batch, "batch_time": START + timedelta(days=n), "run": run, "filter": "", "segment": None}
    found = [
        {**common, "name": "Mean", "instance": "price", "parameters": "{}", "value": mean},
        {**common, "name": "Completeness", "instance": "price", "parameters": "{}", "value": 1 - nulls / rows,
         "numerator": rows - nulls, "denominator": rows},
    ]  # fmt: skip
    if columns_then:
        found.append({**common, "name": "ColumnCount", "instance": "*", "parameters": "{}", "value": columns_then})
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(found, schema=SCHEMA), sink)
    key = layout.history_file("metrics", dataset, run)
    store.put(key, sink.getvalue())
    last = commit.latest(store, dataset, batch)
    words = (batch, START + timedelta(days=n), last.seq + 1 if last else 1, run, START + timedelta(days=n))
    record = CommitRecord(dataset, *words, BatchStatus.PASSED, Decision.PUBLISHED, 0, "rules", history=(key,))
    commit.commit(store, dataclasses.replace(record, rows={"input": rows, "quarantined": 0}, **changes))
    return batch
