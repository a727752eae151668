"""Rows in Parquet files, from their footers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
