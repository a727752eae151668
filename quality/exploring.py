"""What a notebook asks of the history, answered without Spark: which values were missing when, how far two windows of batches
are apart, which rows are in quarantine and why. Tables are pandas data frames (extra `history`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from quality.anomaly.drift import MEASURES, merged
from quality.errors import UsageError, did_you_mean
from quality.history_reader import History
from quality.profiles import read_counts
from quality.rule_types.base import QUALITY_COLUMN
from quality.storage import readers
from quality.storage.store import open_store

#: Metrics whose sketch counts the values of a column, the best first.
_COUNTING = ("Histogram", "ApproxQuantiles", "Lengths")


def runs(history: History) -> Any:
    """One row per live batch, by batch time: rows in, passed, quarantined, status, seconds."""
    return history.frame("runs").sort_values(["batch_time", "batch"]).set_index("batch")


def trend(history: History, metric: str, instance: str = "*") -> Any:
    """A metric through time, as a series by batch. UsageError, with what is near, when no batch has it."""
    found = history.frame("metrics")
    of_name = found[(found["name"] == metric) & (found["filter"].fillna("") == "")]
    rows = of_name[of_name["instance"] == instance]
    if rows.empty:
        known = [
            f"{row.name}({row.instance})"
            for row in found[["name", "instance"]].drop_duplicates().itertuples(False, "M")
        ]
        raise UsageError(
            f"there is no metric {metric}({instance}); {did_you_mean(f'{metric}({instance})', known, 'metrics')}"
        )
    return rows.sort_values("batch_time").drop_duplicates("batch", keep="last").set_index("batch")["value"]


def usual(values: Any, window: int = 14, width: float = 4.0) -> Any:
    """For each batch the range that the ones before it make likely: their median, and `width` robust standard deviations
    (1.4826 times the median absolute deviation) to either side. NaN for the first five. A quick look; the detector of
    `quality anomalies` also knows seasons, trends and how metrics move together."""
    past = values.shift(1).rolling(window, min_periods=5)
    middle = past.median()
    deviation = past.apply(_robust, raw=True)
    return middle.to_frame("expected").assign(low=middle - width * deviation, high=middle + width * deviation)


def _robust(values: Any) -> float:
    return 1.4826 * float(np.nanmedian(np.abs(values - np.nanmedian(values))))


def completeness(history: History) -> Any:
    """The share of rows with a value: a row per column, a column per batch, by batch time. Of batches that were profiled."""
    found = history.frame("metrics")
    shares = found[(found["name"] == "Completeness") & (found["filter"].fillna("") == "")].sort_values("batch_time")
    order = list(dict.fromkeys(shares["batch"]))
    return shares.pivot_table(index="instance", columns="batch", values="value", aggfunc="last")[order]


def counts(history: History, column: str, batches: Collection[str]) -> dict[Any, float]:
    """How often each value of a column occurred in some batches, from the sketches of their profiles: values themselves where
    all or the frequent ones are kept, else bins of numbers, moments or lengths."""
    found = history.table("metrics").to_pylist()
    own = [row for row in found if row["instance"] == column and row["sketch"] and not row["filter"]]
    if not own:
        known = sorted({row["instance"] for row in found if row["sketch"] and row["instance"] != "*"})
        raise UsageError(f"no profile has a column '{column}'; {did_you_mean(column, known, 'columns')}")
    wanted = [row for row in own if row["batch"] in batches]
    for name in _COUNTING:
        sketches = [row["sketch"] for row in wanted if row["name"] == name]
        read = read_counts((sketch["format"], sketch["bytes"]) for sketch in sketches)
        # frequent values of a column of many tell of those alone
        if read and all(one.whole for one in read):
            return merged([one.counts for one in read])
    frequent = [row["sketch"] for row in wanted if row["name"] == "Histogram"]
    return merged([one.counts for one in read_counts((sketch["format"], sketch["bytes"]) for sketch in frequent)])


def drift(history: History, column: str, before: Sequence[str], after: Sequence[str]) -> dict[str, float | None]:
    """How far apart a column is in two windows of batches, by every measure (see `quality.anomaly.drift`)."""
    for window in (before, after):
        if not window:
            raise UsageError("a window needs at least one batch")
    left, right = counts(history, column, set(before)), counts(history, column, set(after))
    return {name: measure(left, right) for name, measure in MEASURES.items()}


def failures(root: str, dataset: str, batch: str, run: str | None = None) -> Any:
    """The quarantined rows of the live run of a batch, or of one that is named (such as a held one), one row for each rule a row broke: `_rule`, `_severity`,
    `_column`, `_message`, `_value` and `_row_id`, then the row's own columns."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    store = open_store(root)
    (live,) = readers.select(store, dataset, batch, run=run)
    rows: list[dict[str, Any]] = []
    for file in live.files("quarantine"):
        for row in ParquetFile(pa.BufferReader(store.read(file.path))).read().to_pylist():
            said = row.pop(QUALITY_COLUMN)
            for failure in said["failures"]:
                reason = {f"_{word}": failure[word] for word in ("rule", "severity", "column", "message", "value")}
                rows.append({**reason, "_row_id": said["row_id"], **row})
    return pd.DataFrame(rows)
