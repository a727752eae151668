"""Committed runs without running anything: Parquet files written with pyarrow, and their commit records."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from quality.model import BatchStatus, Column, Decision
from quality.storage import commit
from quality.storage.commit import CommitRecord, DataFile, parse_utc
from quality.storage.layout import runs_dir
from quality.storage.store import Store

#: The types of pyarrow that the tests use, as Spark calls them.
_TYPES = {pa.int32(): "int", pa.int64(): "bigint", pa.string(): "string", pa.float64(): "double"}


def committed(
    store: Store,
    run: str,
    values: Sequence[Any] | Mapping[str, Any],
    batch: str = "b",
    time: str = "2024-01-01T00:00:00Z",
    *,
    side: str = "passed",
    files: int = 2,
    **changes: Any,
) -> CommitRecord:
    """A run whose side has the values (of a column `n`, int, or of the columns given) in so many files."""
    table = pa.table({"n": pa.array(values, pa.int32())} if isinstance(values, (list, range)) else values)
    size = -(-table.num_rows // files) or 1
    written = []
    for number in range(files if table.num_rows else 0):
        key = f"{runs_dir(side, 'd', batch)}/{run}/part-{number:05}.parquet"
        part, sink = table.slice(number * size, size), io.BytesIO()
        pq.write_table(part, sink)
        store.put(key, sink.getvalue())
        written.append(DataFile(key, part.num_rows, len(sink.getvalue())))
    last = commit.latest(store, "d", batch)
    words = (batch, parse_utc(time), last.seq + 1 if last else 1, run, parse_utc(time))
    record = CommitRecord(
        "d",
        *words,
        BatchStatus.PASSED,
        Decision.PUBLISHED,
        0,
        "rules",
        columns=tuple(Column(field.name, _TYPES[field.type]) for field in table.schema if field.name != "_quality"),
    )
    sides: dict[str, Any] = {side: tuple(written)}
    record = dataclasses.replace(record, **{**sides, **changes})
    commit.commit(store, record)
    return record


HELD: dict[str, Any] = {"decision": Decision.HELD, "status": BatchStatus.FAILED, "exit_code": 4}
