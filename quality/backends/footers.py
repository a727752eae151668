"""What Parquet files say of themselves in their footers: rows, and of columns NULLs and extremes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession


def row_counts(spark: SparkSession, uris: Sequence[str]) -> list[int]:
    """The number of rows of each file. No Spark job runs; only footers are read."""
    jvm: Any = spark._jvm
    hadoop = spark._jsparkSession.sessionState().newHadoopConf()

    def count(uri: str) -> int:
        path = jvm.org.apache.hadoop.fs.Path(uri)
        source = jvm.org.apache.parquet.hadoop.util.HadoopInputFile.fromPath(path, hadoop)
        reader = jvm.org.apache.parquet.hadoop.ParquetFileReader.open(source)
        try:
            return int(reader.getRecordCount())
        finally:
            reader.close()

    if len(uris) < 2:
        return [count(uri) for uri in uris]
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(count, uris))


@dataclass(frozen=True)
class ColumnStats:
    """What footers say of a column: rows, NULLs (None where a file does not say), and its one value when it has only one."""

    rows: int
    nulls: int | None
    constant: str | None


#: Files whose footers are asked about columns: each answer is a call into the JVM.
_ASKED = 20


def column_stats(spark: SparkSession, uris: Sequence[str], names: Sequence[str]) -> dict[str, ColumnStats]:
    """What the footers of files say of columns that are not nested in lists or maps; of many files, of the first 20. No Spark
    job runs."""
    jvm: Any = spark._jvm
    hadoop = spark._jsparkSession.sessionState().newHadoopConf()
    wanted = {name.lower(): name for name in names}
    rows = dict.fromkeys(names, 0)
    nulls: dict[str, int | None] = dict.fromkeys(names, 0)
    values: dict[str, set[str | None]] = {name: set() for name in names}
    for uri in uris[:_ASKED]:
        source = jvm.org.apache.parquet.hadoop.util.HadoopInputFile.fromPath(jvm.org.apache.hadoop.fs.Path(uri), hadoop)
        reader = jvm.org.apache.parquet.hadoop.ParquetFileReader.open(source)
        try:
            for block in reader.getFooter().getBlocks():
                for column in block.getColumns():
                    name = wanted.get(str(column.getPath().toDotString()).lower())
                    if name is None:
                        continue
                    stats = column.getStatistics()
                    count, known = int(column.getValueCount()), stats.isNumNullsSet()
                    rows[name] += count
                    so_far, more = nulls[name], int(stats.getNumNulls()) if known else None
                    nulls[name] = None if so_far is None or more is None else so_far + more
                    if stats.hasNonNullValue():
                        values[name] |= {str(stats.minAsString()), str(stats.maxAsString())}
                    elif more != count:
                        # a column without statistics may hold anything
                        values[name] |= {None}
        finally:
            reader.close()
    return {
        name: ColumnStats(rows[name], nulls[name], _only(values[name], nulls[name])) for name in names if rows[name]
    }


def _only(values: set[str | None], nulls: int | None) -> str | None:
    return next(iter(values)) if len(values) == 1 and nulls == 0 else None
