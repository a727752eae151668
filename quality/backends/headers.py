"""The names in the header of a CSV file, as Spark reads them, without the job that Spark makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession


def header_names(spark: SparkSession, options: Mapping[str, str], line: str) -> list[str] | None:
    """The names that Spark's CSV reader gives the columns of a file with this first line. None when the Spark at hand
    does not have these parts of its reader, which are not public: then it has to read the file."""
    jvm = cast("Any", spark._jvm)
    csv = jvm.org.apache.spark.sql
    try:
        given = jvm.org.apache.spark.api.python.PythonUtils.toScalaMap(dict(options))
        parsed = csv.catalyst.csv.CSVOptions(given, True, spark.conf.get("spark.sql.session.timeZone"))
        parser = jvm.com.univocity.parsers.csv.CsvParser(parsed.asParserSettings())
        sensitive = spark.conf.get("spark.sql.caseSensitive") == "true"
        found = csv.execution.datasources.csv.CSVUtils.makeSafeHeader(parser.parseLine(line), sensitive, parsed)
    except (Py4JError, TypeError):
        return None
    return [str(name) for name in found]
