"""Tables as input: which kind of table a name stands for, and what of it a run holds on to.

Iceberg and Delta tables are read at the snapshot that was the newest when the run began: every pass sees those rows,
whoever writes meanwhile. Of other tables, and of views over them, the files are pinned. What stands on something else
(JDBC, a view over Iceberg) cannot be pinned: it is judged at every run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from quality import jars
from quality.backends.clocks import filtered
from quality.backends.pinning import PinnedFile, hidden, pinned
from quality.errors import InputError, UsageError, did_you_mean
from quality.rule_types.base import FILE_COLUMN
from quality.sql import quote

_PART = re.compile(r"\s*(?:`((?:[^`]|``)+)`|([^`.]+))\s*(?:\.|$)")
#: Leaves of a plan that are files and nothing else.
_FILES = ("HadoopFsRelation", "HiveTableRelation")


@dataclass(frozen=True)
class TableName:
    """A table by the one to three parts of its name, `catalog.namespace.table`; or a Delta table by its place."""

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> TableName:
        """The name in a text; a part with a dot in it stands in backquotes. A text with a slash is a place. UsageError."""
        if "/" in text and "`" not in text:
            return cls(("delta", text))
        parts, position = [], 0
        while position < len(text):
            found = _PART.match(text, position)
            if found is None:
                break
            parts.append((found[1] or found[2]).replace("``", "`").strip())
            position = found.end()
        if position < len(text) or text.endswith(".") or not 1 <= len(parts) <= 3 or not all(parts):
            raise UsageError(
                f"'{text}' is not the name of a table; it is one to three parts with dots between, such as lake.sales.orders"
            )
        return cls(tuple(parts))

    def __str__(self) -> str:
        return self.place or ".".join(self.parts)

    @property
    def place(self) -> str:
        """The directory or URI of a table that has no other name; else empty."""
        return self.parts[1] if len(self.parts) == 2 and self.parts[0] == "delta" and "/" in self.parts[1] else ""

    @property
    def sql(self) -> str:
        """As SQL takes it."""
        return ".".join(map(quote, self.parts))

    def below(self, part: str) -> str:
        """SQL for something of the table, such as a branch or a metadata table."""
        return f"{self.sql}.{quote(part)}"


@dataclass(frozen=True)
class PinnedTable:
    """A table held still: a frame of the rows, with `_file` when it was asked for, and what they stand on. `snapshot`
    is `unknown` when that cannot be told; `file_added` is false when the table itself has a column of that name."""

    frame: DataFrame
    files: tuple[PinnedFile, ...]
    snapshot: str
    file_added: bool


def pin(spark: SparkSession, text: str, where: str = "", need_file: bool = False) -> PinnedTable:
    """The rows of a condition, in the table as it is now. InputError when there is none; what Spark raises when it cannot be read."""
    name = TableName.parse(text)
    provider = _provider(spark, name, text)
    version = _SNAPSHOTS[provider](spark, name) if provider in _SNAPSHOTS else ""
    if version:
        frame = spark.sql(f"SELECT * FROM {name.sql} VERSION AS OF {version}")
        files: tuple[PinnedFile, ...] = (PinnedFile(str(name), 0, f"{provider} {version}"),)
    else:
        frame = spark.table(name.sql)
        # a condition on partitions leaves the files of the others out
        files = tuple(sorted(_files(spark, filtered(frame, where))))
    added = need_file and not any(column.lower() == FILE_COLUMN for column in frame.columns)
    # Iceberg has a metadata column of this very name
    source = FILE_COLUMN if provider == "iceberg" else f"_metadata.file_path as {FILE_COLUMN}"
    frame = frame.selectExpr("*", source) if added else frame
    return PinnedTable(filtered(frame, where), files, "" if files else "unknown", added)


def pinned_now(spark: SparkSession, text: str, where: str, before: tuple[PinnedFile, ...]) -> tuple[PinnedFile, ...]:
    """What the batch stands on, looked at again. A snapshot stays what it was while the table moves on, until it is
    expired; of files, those that are the table's now."""
    name = TableName.parse(text)
    provider, _, version = before[0].version.partition(" ") if len(before) == 1 else ("", "", "")
    if provider in _SNAPSHOTS and before[0].path == str(name):
        _refresh(spark, name)
        _ = spark.sql(f"SELECT * FROM {name.sql} VERSION AS OF {version}").schema
        return before
    _refresh(spark, name)
    return tuple(sorted(_files(spark, filtered(spark.table(name.sql), where))))


def missing_table(spark: SparkSession, name: TableName) -> str:
    """Help for a table name that the catalog does not know."""
    above = ".".join(name.parts[:-1]) or spark.catalog.currentDatabase()
    try:
        # listTables knows no other catalogs
        listed = f"SHOW TABLES IN {'.'.join(map(quote, name.parts[:-1]))}" if name.parts[1:] else "SHOW TABLES"
        names = [row["tableName"] for row in spark.sql(listed).collect()]
    except (PySparkException, Py4JError):
        names = []
    return did_you_mean(name.parts[-1], names, f"tables of {above}")


def needed_settings(spark: SparkSession, name: TableName, provider: str) -> str:
    """What has to be configured before a table of this name can be found; empty when nothing is missing that we know."""
    catalog = name.parts[0]
    if len(name.parts) == 3 and not _setting(spark, catalog) and catalog != "spark_catalog":
        return (
            f"there is no catalog '{catalog}' in this Spark: set spark.sql.catalog.{catalog}="
            f"org.apache.iceberg.spark.SparkCatalog with spark.sql.catalog.{catalog}.type (hadoop, rest, glue, hive) and "
            f"spark.sql.catalog.{catalog}.warehouse or .uri, by --conf or where the platform takes Spark's settings"
        )
    if provider and not has_class(spark, PROBES[provider]):
        coordinates = ",".join(artifact.coordinate for artifact in jars.FORMATS[provider])
        return f"the classes of {provider} are missing: give Spark the jars {coordinates} ('quality jars --with {provider}')"
    if (
        provider == "iceberg"
        and _catalog_of(spark, name) == "spark_catalog"
        and not _is_iceberg(spark, "spark_catalog")
    ):
        return (
            "Spark's own catalog keeps no Iceberg tables here: name the table with a catalog that does, such as "
            "lake.sales.orders, or set spark.sql.catalog.spark_catalog=org.apache.iceberg.spark.SparkSessionCatalog"
        )
    if provider == "delta" and "DeltaCatalog" not in _setting(spark, "spark_catalog"):
        settings = " and ".join(f"{key}={value}" for key, value in jars.DELTA_SETTINGS.items())
        return f"Delta needs the settings {settings} from the start of Spark"
    return ""


def _catalog_of(spark: SparkSession, name: TableName) -> str:
    """The catalog a name is looked up in."""
    named = len(name.parts) > 1 and (name.parts[0] == "spark_catalog" or _setting(spark, name.parts[0]))
    return name.parts[0] if named else spark.catalog.currentCatalog()


def _is_iceberg(spark: SparkSession, catalog: str) -> bool:
    return "iceberg" in _setting(spark, catalog).lower()


def _setting(spark: SparkSession, catalog: str) -> str:
    return spark.conf.get(f"spark.sql.catalog.{catalog}", "") or ""


#: A class that is there when the jars of a format are.
PROBES = {"iceberg": "org.apache.iceberg.spark.Spark3Util", "delta": "io.delta.tables.DeltaTable"}


def has_class(spark: SparkSession, name: str) -> bool:
    """Whether the JVM of the session finds a class."""
    jvm: Any = spark._jvm
    try:
        jvm.java.lang.Thread.currentThread().getContextClassLoader().loadClass(name)
    except Py4JError:
        return False
    return True


def iceberg_table(spark: SparkSession, name: TableName) -> Any:
    """The Java object behind an Iceberg table, as it is now: the catalog of a session remembers tables for a while."""
    jvm: Any = spark._jvm
    table = jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, name.sql)
    table.refresh()
    return table


def _provider(spark: SparkSession, name: TableName, text: str) -> str:
    if name.place:
        return "delta"
    missing = needed_settings(spark, name, "")
    if missing:
        raise InputError(f"{text}: {missing}")
    if not spark.catalog.tableExists(name.sql):
        raise InputError(f"there is no table {text}; {missing_table(spark, name)}")
    _refresh(spark, name)
    described = spark.sql(f"DESCRIBE TABLE EXTENDED {name.sql}").where("col_name = 'Provider'").collect()
    return str(described[-1]["data_type"]).lower() if described else ""


def _refresh(spark: SparkSession, name: TableName) -> None:
    """A session remembers the files of a table it has seen, and the metadata of an Iceberg table."""
    if not name.place:
        spark.sql(f"REFRESH TABLE {name.sql}")


def _iceberg_snapshot(spark: SparkSession, name: TableName) -> str:
    """Empty for a table that nothing was written to."""
    snapshot = iceberg_table(spark, name).currentSnapshot()
    return "" if snapshot is None else str(snapshot.snapshotId())


def _delta_version(spark: SparkSession, name: TableName) -> str:
    newest = spark.sql(f"DESCRIBE HISTORY {name.sql} LIMIT 1").select("version").collect()
    return str(newest[0]["version"])


_SNAPSHOTS = {"iceberg": _iceberg_snapshot, "delta": _delta_version}


def _files(spark: SparkSession, frame: DataFrame) -> Iterator[PinnedFile]:
    """The files the rows come from; none when some of them come from elsewhere, for then the files are not all."""
    jvm: Any = spark._jvm
    if not _only_files(jvm, frame):
        return
    hadoop = spark._jsparkSession.sessionState().newHadoopConf()
    for name in frame.inputFiles():
        path = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI(name))
        system = path.getFileSystem(hadoop)
        yield from _below(system, system.getFileStatus(path))


def _below(system: Any, status: Any) -> Iterator[PinnedFile]:
    # of a Hive table Spark names the directory
    if not status.isDirectory():
        yield pinned(status)
        return
    for child in system.listStatus(status.getPath()):
        if not hidden(child):
            yield from _below(system, child)


def _only_files(jvm: Any, frame: DataFrame) -> bool:
    leaves = frame._jdf.queryExecution().optimizedPlan().collectLeaves()
    return all(_kind(leaf) in _FILES for leaf in jvm.scala.collection.JavaConverters.seqAsJavaList(leaves))


def _kind(leaf: Any) -> str:
    name = str(leaf.getClass().getSimpleName())
    return str(leaf.relation().getClass().getSimpleName()) if name == "LogicalRelation" else name
