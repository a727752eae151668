"""Reads the history without Spark: metrics, results and runs of a data set, as tables or rows.

What counts are the runs that commit records make live; a run that died, lost its race or was superseded is not shown.
Parquet is read by pyarrow (extra `history`); inside of a run Spark can do it where pyarrow is not installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from quality.anomaly.values import Batch, Point, Series
from quality.backends.schemas import literal_path
from quality.errors import EngineError, InputError, StorageError
from quality.referenced import readable
from quality.storage import backfills, commit, layout, readers
from quality.storage.commit import CommitRecord
from quality.storage.packs import Place, places
from quality.storage.store import Store, open_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# a small file is all waiting: more requests at once than processors
_READERS = 16
_ADVICE = "pip install 'quality-engine[history]'"
#: What judging needs of the table of metrics: numbers, and for the detector sketches as well.
_NUMBERS = ("batch", "name", "instance", "filter", "segment", "parameters", "value", "numerator", "denominator")
_NEEDED = (*_NUMBERS, "sketch")
#: What a file of the history has, whatever version wrote it: the second in the table of metrics.
_ALWAYS = ("run", "name")


class History:
    """The history of a data set below a root. Only live runs, unless `include_held` asks for the last run of a batch even
    when it is held. Raises UsageError for a data set that is not there."""

    def __init__(self, root: str, dataset: str) -> None:
        self._store, self.dataset = open_store(root), dataset
        if dataset not in backfills.datasets(self._store):
            readers.known_batches(self._store, dataset)

    def records(self, *, include_held: bool = False) -> list[CommitRecord]:
        """The commit records the history rests on, in the order of batch times."""
        return records(self._store, self.dataset, include_held=include_held)

    def metrics(self, *, include_held: bool = False) -> Any:
        """The table of metrics (pyarrow)."""
        return self.table("metrics", include_held=include_held)

    def results(self, *, include_held: bool = False) -> Any:
        """The table of rules' results (pyarrow)."""
        return self.table("results", include_held=include_held)

    def runs(self, *, include_held: bool = False) -> Any:
        """The table of runs (pyarrow)."""
        return self.table("runs", include_held=include_held)

    def table(self, name: str, *, include_held: bool = False) -> Any:
        """One of the three tables by name (pyarrow), in the order of batch times, with the column `dataset` first."""
        layout.history_dir(name, self.dataset)
        arrow = _pyarrow()
        found = tables_of(self._store, keys_of(self.records(include_held=include_held), name), None)
        if not found:
            more = "" if include_held else "; those of held runs: --include-held, or include_held=True"
            raise InputError(f"data set '{self.dataset}' has no {name} of a live run yet{more}")
        # a column that a later version added is NULL in the files before it
        whole = arrow.concat_tables(found, promote_options="default")
        return whole.add_column(0, "dataset", arrow.array([self.dataset] * len(whole), arrow.string()))

    def frame(self, name: str, *, include_held: bool = False) -> Any:
        """One of the three tables by name, as a pandas data frame."""
        try:
            import pandas as pd  # noqa: F401
        except ImportError:
            raise EngineError(f"pandas is not installed: {_ADVICE}, or take the table of pyarrow") from None
        return self.table(name, include_held=include_held).to_pandas()

    def batches(self, *, include_held: bool = False, last: int | None = None, sketches: bool = True) -> list[Batch]:
        """The batches with their metrics, as the anomaly detector takes them. `last`: the newest ones alone, which takes less to
        read, as it does without `sketches`."""
        found = self.records(include_held=include_held)
        return batches(self._store, found[-last:] if last else found, sketches=sketches)


def records(store: Store, dataset: str, *, include_held: bool = False) -> list[CommitRecord]:
    """The live record of every batch, by batch time, and the backfills of batches that no run has judged; with
    `include_held` also the last record of a batch, published or not."""
    live = backfills.past(store, dataset, commit.live_records(store, dataset))
    if not include_held:
        return live
    last = [record for batch in commit.batches(store, dataset) if (record := commit.latest(store, dataset, batch))]
    runs = {record.run for record in live}
    return sorted([*live, *(r for r in last if r.run not in runs)], key=lambda r: (r.batch_time, r.batch, r.seq))


def keys_of(found: Iterable[CommitRecord], table: str) -> list[str]:
    """The files of one history table that records name."""
    return [key for record in found for key in record.history if key.startswith(f"history/{table}/")]


def batches(
    store: Store, found: Sequence[CommitRecord], spark: SparkSession | None = None, *, sketches: bool = True
) -> list[Batch]:
    """The batches of records with their metrics; a batch seen twice counts once, by its later record. `spark` reads where
    pyarrow is not installed."""
    points, contents = measured(store, found, spark, sketches=sketches)
    # the metric of a group that a rule asked for is of some batches, and of their worst groups alone
    points = {run: {one: of[one] for one in of if not one.segment} for run, of in points.items()}
    by_id = {record.batch: record for record in found}
    return [batch_of(record, points.get(record.run, {}), contents.get(record.run, {})) for record in by_id.values()]


def measured(
    store: Store, found: Sequence[CommitRecord], spark: SparkSession | None, *, sketches: bool = False
) -> tuple[dict[str, dict[Series, Point]], dict[str, dict[Series, bytes]]]:
    """The metrics of records, by run, and where it is wished the content of their sketches."""
    by_run: dict[str, dict[Series, Point]] = {}
    contents: dict[str, dict[Series, bytes]] = {}
    for run, row in rows_of(store, keys_of(found, "metrics"), spark, _NEEDED if sketches else _NUMBERS):
        series, point = metric_of(row)
        by_run.setdefault(run, {})[series] = point
        if (content := readable(row.get("sketch"))) is not None:
            contents.setdefault(run, {})[series] = content
    return by_run, contents


def batch_of(
    record: CommitRecord, points: Mapping[Series, Point], sketches: Mapping[Series, bytes] | None = None
) -> Batch:
    """A batch as the detector takes it. The number of rows is known of every run, whether a rule asks for it or not."""
    count = record.rows.get("input", 0)
    return Batch(
        record.batch, record.batch_time, count, {**points, Series("Size"): Point(float(count))}, sketches or {}
    )


def metric_of(row: Mapping[str, Any]) -> tuple[Series, Point]:
    """A row of the table of metrics."""
    segment = row["segment"] or {}
    pairs = segment.items() if isinstance(segment, Mapping) else segment
    parameters = tuple(sorted((str(k), str(v)) for k, v in json.loads(row["parameters"] or "{}").items()))
    return (
        Series(row["name"], row["instance"], row["filter"] or "", tuple(sorted(pairs)), parameters),
        Point(row["value"], row["numerator"], row["denominator"]),
    )


def rows_of(
    store: Store, keys: Sequence[str], spark: SparkSession | None, columns: Sequence[str] = _NEEDED
) -> list[tuple[str, dict[str, Any]]]:
    """The rows of files of a history table (metrics, unless `columns` are those of another), each with its run."""
    if not keys:
        return []
    if spark is not None and not _has_pyarrow():
        return _rows_by_spark(store, keys, spark, columns)
    tables = tables_of(store, keys, ("run", *columns))
    return [(row["run"], row) for table in tables for row in table.to_pylist()]


def _rows_by_spark(
    store: Store, keys: Sequence[str], spark: SparkSession, columns: Sequence[str]
) -> list[tuple[str, dict[str, Any]]]:
    found = places(store, keys)
    runs = {key.rpartition("/")[2].removesuffix(".parquet") for key in keys}
    files = dict.fromkeys(found[key].key if key in found else key for key in keys)
    frame = spark.read.parquet(*(literal_path(store.uri(file)) for file in files)).select("run", *columns)
    # a pack has runs that nobody asked for
    return [(row["run"], row.asDict(recursive=True)) for row in frame.collect() if row["run"] in runs]


def tables_of(store: Store, keys: Sequence[str], columns: Sequence[str] | None) -> list[Any]:
    """The tables (pyarrow) of files of the history, wherever their rows are by now. StorageError where one is gone."""
    _pyarrow()
    if not keys:
        return []
    found = places(store, keys)
    while True:
        try:
            return _from_places(store, keys, found, columns)
        except FileNotFoundError as error:
            # packed, or packed anew, since its place was looked up
            before, found = found, _standing(store, keys)
            if found == before:
                raise StorageError(f"{error}: a committed run names it, and it is gone") from None


def _standing(store: Store, keys: Sequence[str]) -> dict[str, Place]:
    """The places in packs that are there: the note of one that was removed may be left over."""
    found = places(store, keys)
    there = {key for key in {place.key for place in found.values()} if store.exists(key)}
    return {file: place for file, place in found.items() if place.key in there}


def _from_places(
    store: Store, keys: Sequence[str], found: Mapping[str, Place], columns: Sequence[str] | None
) -> list[Any]:
    wanted: dict[str, list[str]] = {}
    for key in dict.fromkeys(keys):
        wanted.setdefault(found[key].key if key in found else key, []).append(key)
    with ThreadPoolExecutor(min(_READERS, len(wanted))) as pool:
        read = pool.map(lambda item: _read_file(store, item[0], item[1], found, columns), wanted.items())
        tables = {key: table for one in read for key, table in one.items()}
    return [tables[key] for key in keys]


def _read_file(
    store: Store, file: str, keys: Sequence[str], found: Mapping[str, Place], columns: Sequence[str] | None
) -> dict[str, Any]:
    """The rows of each key that lies in one Parquet file."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    names = list(columns) if columns else None
    try:
        data = store.read(file)
    except FileNotFoundError:
        raise FileNotFoundError(store.uri(file)) from None
    try:
        parquet = ParquetFile(pa.BufferReader(data))
        for name in _ALWAYS if names and "name" in names else _ALWAYS[:1]:
            if name not in parquet.schema_arrow.names:
                raise ValueError(f"it has no column '{name}'")
        if file in keys:
            return {file: parquet.read(columns=names)}
        return {key: parquet.read_row_group(found[key].group, columns=names) for key in keys}
    except (pa.ArrowException, ValueError, OSError) as error:
        raise StorageError(f"{store.uri(file)}: is no Parquet file of the history: {error}") from error


def _has_pyarrow() -> bool:
    try:
        import pyarrow as pa  # noqa: F401
    except ImportError:
        return False
    return True


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise EngineError(f"reading the history without Spark needs pyarrow: {_ADVICE}") from None
    return pa
