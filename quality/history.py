"""The history: three tables of immutable Parquet files, one per run and table, that open without Spark.

`dataset` is the partition (`dataset=<id>/`), not a column inside the files: readers that know partitions would otherwise
find it twice.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyspark.sql import SparkSession

from quality.backends.parquet_bytes import parquet_bytes
from quality.model import Metric, RuleResult
from quality.storage.layout import history_file
from quality.storage.store import Store

METRICS = (
    "batch string, batch_time timestamp, run string, run_time timestamp, entity string, name string, instance string, "
    "filter string, segment map<string,string>, parameters string, value double, exact string, numerator bigint, "
    "denominator bigint, sketch struct<format:string,version:int,bytes:binary>, rule_set string, engine_version string"
)
RESULTS = (
    "batch string, batch_time timestamp, run string, run_time timestamp, rule_id string, rule_name string, type string, "
    "column string, severity string, on_fail string, status string, metric string, observed double, "
    "observed_text string, expected string, filter string, segment map<string,string>, rows_in_scope bigint, "
    "failed_rows bigint, message string, owner string, tags array<string>, dimension string, rule_set string"
)
RUNS = (
    "batch string, batch_time timestamp, run string, seq bigint, run_time timestamp, rule_file string, rule_set string, "
    "status string, decision string, rows_input bigint, rows_passed bigint, rows_quarantined bigint, "
    "rows_flagged bigint, input_files bigint, input_bytes bigint, wide_scans bigint, narrow_scans bigint, jobs bigint, "
    "shuffle_bytes bigint, seconds double, engine string, engine_version string, spark_version string, "
    "deequ_version string"
)
SCHEMAS: Mapping[str, str] = {"metrics": METRICS, "results": RESULTS, "runs": RUNS}


def metric_rows(metrics: Iterable[Metric], common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table `metrics`, each metric once."""
    unique = {metric.key: metric for metric in metrics}
    return [
        {
            **common,
            "entity": key.entity,
            "name": key.name,
            "instance": key.instance,
            "filter": key.filter,
            "segment": dict(key.segment) or None,
            "parameters": json.dumps(dict(key.parameters), sort_keys=True),
            "value": metric.number,
            "exact": metric.text,
            "numerator": metric.numerator,
            "denominator": metric.denominator,
            "sketch": _sketch(metric),
        }
        for key, metric in unique.items()
    ]


def _sketch(metric: Metric) -> dict[str, Any] | None:
    if metric.sketch is None:
        return None
    content = base64.b64encode(metric.sketch.content).decode()
    return {"format": metric.sketch.format, "version": metric.sketch.version, "bytes": content}


def result_rows(results: Sequence[RuleResult], owner: str, common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table `results`, one for each rule. A rule without an owner has the data set's."""
    return [
        {
            **common,
            "rule_id": result.id,
            "rule_name": result.name,
            "type": result.type,
            "column": result.column,
            "severity": str(result.severity),
            "on_fail": str(result.on_fail),
            "status": str(result.status),
            "metric": result.metric.key.name if result.metric else None,
            "observed": result.metric.number if result.metric else None,
            "observed_text": result.metric.text if result.metric else None,
            "expected": result.expected,
            "filter": result.filter,
            "rows_in_scope": result.rows_in_scope,
            "failed_rows": result.failed_rows,
            "message": result.message,
            "owner": result.metadata.get("owner", owner),
            "tags": result.metadata.get("tags", []),
            "dimension": result.metadata.get("dimension"),
        }
        for result in results
    ]


def write(
    spark: SparkSession, store: Store, dataset: str, run: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    """Write the rows of each table as one Parquet file and return the files' keys."""
    keys = []
    for table, rows in tables.items():
        keys.append(history_file(table, dataset, run))
        store.put(keys[-1], parquet_bytes(spark, SCHEMAS[table], rows))
    return keys
