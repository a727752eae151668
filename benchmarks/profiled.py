"""The days of `daily.py` as the product itself profiles them, in Spark: nothing is measured here that its history would not have.

All batches go through the aggregate of a run (`quality/backends/jvm`), a group each; what earlier batches make possible is told by
`quality.referenced` from the sketches that the history keeps.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from daily import SOURCES, Columns, Daily, load
from faults import SHARES, inject, is_text, rows_of

from quality.anomalies import point_of, series_of
from quality.anomaly.values import Batch, Point, Series
from quality.backends.session import session
from quality.backends.tally import PROFILED, tally
from quality.model import Column
from quality.profiles import metrics, profile
from quality.referenced import Earlier
from quality.sql import quote
from quality.tally import read

_START = datetime(2013, 1, 1, tzinfo=timezone.utc)
#: Batches that go through one aggregate: each takes some megabytes of memory.
_TOGETHER = 200
_SETTINGS = {"spark.driver.memory": "4g", "spark.sql.shuffle.partitions": "4"}
_NUMBER = "the number of the batch"


def daily(name: str, *, every: int = 1, first: int = 7, seed: int = 7) -> Daily:
    """As `daily.daily`, of the same days with the same faults."""
    days, rng = load(name), np.random.default_rng(seed)
    twins, about = [], []
    for t, (_, batch) in enumerate(days):
        if t >= first and t % every == 0:
            for fault, share in product(SOURCES[name].faults, SHARES):
                twin = inject(batch, fault, share, rng)
                if twin is not None:
                    twins.append(twin[0])
                    about.append((t, fault, share, twin[1]))
    batches = _profiled([batch for _, batch in days] + twins)
    earlier, good, bad = Earlier(), [], []
    told = list(zip(about, batches[len(days) :], strict=True))
    for t, batch_ in enumerate(batches[: len(days)]):
        good.append({**batch_.points, **earlier.of(batch_)})
        bad += [{**twin_.points, **earlier.of(twin_)} for (at, *_), twin_ in told if at == t]
        earlier.learn(batch_)
    series = tuple(sorted({one for found in good for one in found}))

    def matrix(rows: list[dict[Series, Point]]) -> np.ndarray:
        nothing = Point(None)
        return np.array([[row.get(one, nothing).value for one in series] for row in rows], float)

    day, fault_, share_, touched = zip(*about, strict=True)
    values = matrix(good)
    return Daily(
        series, tuple(d for d, _ in days), values, values, matrix(bad), np.array(day), np.array(fault_), np.array(share_), touched
    )  # fmt: skip


def _profiled(batches: Sequence[Columns]) -> list[Batch]:
    with tempfile.TemporaryDirectory() as folder, session(extra=_SETTINGS) as own:
        found = []
        for start in range(0, len(batches), _TOGETHER):
            found += _through(own.spark, Path(folder) / f"{start}.parquet", batches[start : start + _TOGETHER])
        return [
            Batch(str(n), _START + timedelta(days=n), rows_of(of), *one)
            for n, (one, of) in enumerate(zip(found, batches, strict=True))
        ]


def _through(
    spark: Any, path: Path, batches: Sequence[Columns]
) -> list[tuple[dict[Series, Point], dict[Series, bytes]]]:
    """The metrics of each batch and the content of their sketches."""
    columns = [Column(name, "string" if is_text(values) else "double") for name, values in batches[0].items()]
    tables = [
        pa.table({_NUMBER: [n] * rows_of(batch), **{c: pa.array(v, from_pandas=True) for c, v in batch.items()}})
        for n, batch in enumerate(batches)
    ]
    pq.write_table(pa.concat_tables(tables, promote_options="permissive"), path)
    aggregate = tally(spark)
    assert aggregate is not None
    made = aggregate.column([(PROFILED, quote(column.name)) for column in columns])
    rows = spark.read.parquet(str(path)).groupBy(_NUMBER).agg(made.alias("tally")).collect()
    found = {}
    for number, content in rows:
        kept = metrics(profile(read(bytes(content), "p" * len(columns), [c.type for c in columns]), columns))
        found[number] = (
            {series_of(one): point_of(one) for one in kept},
            {series_of(one): one.sketch.content for one in kept if one.sketch},
        )
    return [found[n] for n in range(len(batches))]
