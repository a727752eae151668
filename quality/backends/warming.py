"""A JVM that has just started loads and links thousands of classes, one query after another, on one core. While a first run
reads and measures, a thread of its own has Spark do in small what comes next, on another core: write Parquet, and read it.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyspark.sql import SparkSession

_SCHEMA = "id bigint, text string"


@contextmanager
def warming(spark: SparkSession, *, wanted: bool) -> Iterator[None]:
    """Warm a Spark of our own up beside what is done meanwhile. Nothing is told of it, whatever becomes of it."""
    thread = threading.Thread(target=_warm, args=(spark,), name="quality-warming", daemon=True)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        if wanted:
            thread.join()


def _warm(spark: SparkSession) -> None:
    # what is wrong here is wrong for the run as well, which says so
    with suppress(Exception), tempfile.TemporaryDirectory(prefix="quality-", ignore_cleanup_errors=True) as folder:
        place = (Path(folder) / "warm").as_uri()
        spark.range(0, 2, 1, 1).selectExpr("id", "string(id) as text").write.parquet(place)
        spark.read.schema(_SCHEMA).parquet(place).selectExpr("to_json(struct(*)) as row").collect()
